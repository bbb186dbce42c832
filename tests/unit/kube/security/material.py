"""What tests of callers need: a cluster's keys (made once), certificates, requests as a server would have read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ropewalk.base.clock import VirtualClock
from ropewalk.base.http.messages import Peer, Request
from ropewalk.kube.security.pki import ClusterKeys, Pair, cluster_keys, sign_request


@cache
def keys() -> ClusterKeys:
    """Of `VirtualClock`'s first moment; the folder is gone when this returns."""
    with TemporaryDirectory() as folder:
        return cluster_keys(Path(folder) / "pki", VirtualClock(), ())


def now() -> datetime:
    return datetime.fromtimestamp(VirtualClock().wall(), UTC)


def subject(name: str, *groups: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*attributes, *([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])])


def request_for(name: str, *groups: str) -> x509.CertificateSigningRequest:
    key = ec.generate_private_key(ec.SECP256R1())
    return x509.CertificateSigningRequestBuilder().subject_name(subject(name, *groups)).sign(key, hashes.SHA256())


def client_certificate(
    ca: Pair, name: str, *groups: str, seconds: float = 3600, usages: tuple[str, ...] = ("client auth",)
) -> bytes:
    """In DER form."""
    return der(sign_request(ca, request_for(name, *groups), now(), seconds, usages))


def impostor(ca: Pair, name: str, *groups: str) -> bytes:
    """A certificate whose issuer has the CA's name and another key."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.load_pem_x509_certificate(ca.certificate).subject
    made = (
        x509.CertificateBuilder()
        .subject_name(subject(name, *groups))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now() - timedelta(hours=1))
        .not_valid_after(now() + timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.DER)


def der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


def request(path: str = "/api", certificate: bytes | None = None, **headers: str) -> Request:
    """Header names with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("GET", path, path, "", named, b"", Peer("10.0.0.1", certificate=certificate))
