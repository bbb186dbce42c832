"""A cluster's certificates and keys: made once, kept in a folder, read ever after.

    ca.crt, ca.key                  signs serving and client certificates
    server.crt, server.key          the API server's own; made anew where its names or its time are up
    admin.crt, admin.key            group system:masters: what the kubeconfig holds
    front-proxy-ca.crt, …key        signs the identity with which aggregated servers are called
    front-proxy.crt, …key           that identity
    sa.key                          signs service account tokens

Elliptic curves throughout (P-256): a whole cluster's keys take some milliseconds, where RSA takes seconds. Kubernetes
takes ES256 for tokens as well (https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/,
--service-account-key-file). Files are private to their owner; whoever reads `ca.key` is the cluster's master.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ropewalk.base.clock import Clock

CA_DAYS, LEAF_DAYS = 3650, 365
RENEW_DAYS = 30
"""A serving certificate that ends within this is made anew at the next start."""
MASTERS = "system:masters"
FRONT_PROXY = "front-proxy-client"
"""The common name under which aggregated servers are called."""

SERVER_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, in PEM form."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class ClusterKeys:
    folder: Path
    ca: Pair
    server: Pair
    admin: Pair
    front_proxy_ca: Pair
    front_proxy: Pair
    service_account_key: bytes

    def server_context(self) -> ssl.SSLContext:
        """TLS for the listener: client certificates are asked for, and verified where they are given."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.folder / "server.crt", self.folder / "server.key")
        context.load_verify_locations(cadata=(self.ca.certificate + self.front_proxy_ca.certificate).decode())
        context.verify_mode = ssl.CERT_OPTIONAL
        context.set_alpn_protocols(["http/1.1"])
        return context


def cluster_keys(folder: Path, clock: Clock, names: Sequence[str], *, cluster: str = "kubernetes") -> ClusterKeys:
    """Read the folder's material, and make what is not there. `names` are further names and addresses of the server."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    now = datetime.fromtimestamp(clock.wall(), UTC)
    made: dict[Path, bytes] = {}
    ca = _authority(folder, "ca", f"{cluster}-ca", now, made)
    front_ca = _authority(folder, "front-proxy-ca", "front-proxy-ca", now, made)
    wanted = (*SERVER_NAMES, "127.0.0.1", "::1", *names)
    server = _leaf(folder, "server", ca, "kube-apiserver", (), now, made, names=wanted)
    admin = _leaf(folder, "admin", ca, "kubernetes-admin", (MASTERS,), now, made)
    front_proxy = _leaf(folder, "front-proxy", front_ca, FRONT_PROXY, (), now, made)
    signing = _signing_key(folder / "sa.key", made)
    _write_private(made)
    return ClusterKeys(folder, ca, server, admin, front_ca, front_proxy, signing)


def kubeconfig(keys: ClusterKeys, server: str, name: str) -> bytes:
    """For the admin, with everything in it, as YAML."""
    import base64

    import orjson

    def packed(pem: bytes) -> str:
        return base64.b64encode(pem).decode()

    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": name, "cluster": {"certificate-authority-data": packed(keys.ca.certificate), "server": server}}
        ],
        "users": [
            {
                "name": f"{name}-admin",
                "user": {
                    "client-certificate-data": packed(keys.admin.certificate),
                    "client-key-data": packed(keys.admin.key),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": f"{name}-admin"}}],
        "current-context": name,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)  # JSON is YAML


def write_private(path: Path, content: bytes) -> None:
    """Whole or not at all, readable by its owner only."""
    _write_private({path: content})


def _write_private(files: Mapping[Path, bytes]) -> None:
    """Each whole or not at all. All are written before the first is waited for: the disk takes them together."""
    written: list[tuple[int, Path, Path]] = []
    try:
        for path, content in files.items():
            fresh = path.with_name(f".{path.name}.new")
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            written.append((descriptor, fresh, path))
            os.write(descriptor, content)
        for descriptor, _, _ in written:
            os.fsync(descriptor)
    finally:
        for descriptor, _, _ in written:
            os.close(descriptor)
    for _, fresh, path in written:
        os.replace(fresh, path)


# --- certificates


def sign_request(
    ca: Pair, request: x509.CertificateSigningRequest, now: datetime, seconds: float, usages: Sequence[str]
) -> bytes:
    """A certificate in PEM form for a request: the CSR controllers' signer."""
    alternative = _requested_names(request)
    return _signed(ca, request.subject, request.public_key(), alternative, usages, now, timedelta(seconds=seconds))


_USAGES = {
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
}


def _requested_names(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName | None:
    try:
        return request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def _signed(
    ca: Pair,
    subject: x509.Name,
    public_key: object,
    alternative: x509.SubjectAlternativeName | None,
    usages: Sequence[str],
    now: datetime,
    lasts: timedelta,
) -> bytes:
    issuer = x509.load_pem_x509_certificate(ca.certificate)
    key = serialization.load_pem_private_key(ca.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject)
        .public_key(public_key)  # type: ignore[arg-type]  # any kind of key that a request may hold
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(min(now + lasts, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    signature, encipherment = "digital signature" in usages, "key encipherment" in usages
    if signature or encipherment:  # none at all would forbid every use
        builder = builder.add_extension(_key_usage(signature, encipherment), critical=True)
    extended = [_USAGES[usage] for usage in usages if usage in _USAGES]
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    if alternative is not None:
        builder = builder.add_extension(alternative, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _key_usage(signature: bool, encipherment: bool, *, signs: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signature,
        content_commitment=False,
        key_encipherment=encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _authority(folder: Path, name: str, common_name: str, now: datetime, made: dict[Path, bytes]) -> Pair:
    """As found in the folder, or made anew: then its files are in `made` as well."""
    found = _read(folder, name)
    if found is not None:
        return found
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(True, False, signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _kept(folder, name, Pair(certificate.public_bytes(serialization.Encoding.PEM), _private_pem(key)), made)


def _leaf(
    folder: Path,
    name: str,
    ca: Pair,
    common_name: str,
    organizations: Sequence[str],
    now: datetime,
    made: dict[Path, bytes],
    *,
    names: Sequence[str] = (),
) -> Pair:
    found = _read(folder, name)
    if found is not None and _still_fits(found, ca, names, now):
        return found
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization) for organization in organizations),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    alternative = x509.SubjectAlternativeName([_general_name(text) for text in dict.fromkeys(names)]) if names else None
    usages = ("digital signature", "key encipherment", "server auth" if names else "client auth")
    certificate = _signed(ca, subject, key.public_key(), alternative, usages, now, timedelta(days=LEAF_DAYS))
    return _kept(folder, name, Pair(certificate, _private_pem(key)), made)


def _still_fits(pair: Pair, ca: Pair, names: Sequence[str], now: datetime) -> bool:
    """Whether the two belong together, hold for a while, and are what is wanted now."""
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(ca.certificate))
    except (ValueError, TypeError, InvalidSignature):
        return False
    if certificate.public_key() != serialization.load_pem_private_key(pair.key, None).public_key():
        return False
    if certificate.not_valid_after_utc - now < timedelta(days=RENEW_DAYS):
        return False
    if not names:
        return True
    held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {_general_name(text) for text in names} <= set(held)


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _signing_key(path: Path, made: dict[Path, bytes]) -> bytes:
    if path.is_file():
        return path.read_bytes()
    made[path] = _private_pem(ec.generate_private_key(ec.SECP256R1()))
    return made[path]


def _read(folder: Path, name: str) -> Pair | None:
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    if certificate.is_file() and key.is_file():
        return Pair(certificate.read_bytes(), key.read_bytes())
    return None


def _kept(folder: Path, name: str, pair: Pair, made: dict[Path, bytes]) -> Pair:
    made[folder / f"{name}.key"] = pair.key
    made[folder / f"{name}.crt"] = pair.certificate
    return pair
