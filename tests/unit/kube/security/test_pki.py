"""A cluster's certificates: made once, kept private, made anew when they must be; what TLS makes of them."""

from __future__ import annotations

import ipaddress
import os
import ssl
from base64 import b64decode
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ropewalk.base.clock import VirtualClock
from ropewalk.kube.security.pki import ClusterKeys, Pair, cluster_keys, kubeconfig, sign_request, write_private

from .material import now, request_for

DAY = 24 * 3600
OTHERS = ("10.96.0.1", "example.com")


def made(folder: Path, clock: VirtualClock | None = None, names: tuple[str, ...] = OTHERS) -> ClusterKeys:
    return cluster_keys(folder / "pki", clock or VirtualClock(), names)


def parsed(pair: Pair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate)


def common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def test_files_are_private(tmp_path: Path) -> None:
    made(tmp_path)
    assert (tmp_path / "pki").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "pki").iterdir()} == {0o600}
    assert len(list((tmp_path / "pki").iterdir())) == 11


def test_a_second_start_reads_the_same(tmp_path: Path) -> None:
    assert made(tmp_path) == made(tmp_path)


def test_names_of_the_server(tmp_path: Path) -> None:
    held = parsed(made(tmp_path).server).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(held.get_values_for_type(x509.DNSName)) == {
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        "example.com",
    }
    addresses = ("127.0.0.1", "::1", "10.96.0.1")
    assert set(held.get_values_for_type(x509.IPAddress)) == set(map(ipaddress.ip_address, addresses))


def test_whom_the_certificates_name(tmp_path: Path) -> None:
    keys = made(tmp_path)
    admin = parsed(keys.admin)
    assert common_name(admin) == "kubernetes-admin"
    groups = admin.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert [group.value for group in groups] == ["system:masters"]
    usages = admin.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert common_name(parsed(keys.front_proxy)) == "front-proxy-client"
    for leaf, ca in ((keys.server, keys.ca), (keys.admin, keys.ca), (keys.front_proxy, keys.front_proxy_ca)):
        parsed(leaf).verify_directly_issued_by(parsed(ca))


async def test_the_server_is_certified_anew_for_new_names_and_before_its_end(tmp_path: Path) -> None:
    clock = VirtualClock()
    first = made(tmp_path, clock)
    assert made(tmp_path, clock, ()).server == first.server  # fewer names are no reason
    second = made(tmp_path, clock, (*OTHERS, "new.example.com"))
    assert second.server != first.server
    assert (second.ca, second.admin, second.service_account_key) == (first.ca, first.admin, first.service_account_key)
    await clock.advance(300 * DAY)
    assert made(tmp_path, clock).server == second.server
    await clock.advance(40 * DAY)
    third = made(tmp_path, clock)
    assert third.server != second.server
    assert third.admin != first.admin
    assert third.ca == first.ca


@pytest.mark.parametrize("lost", ["server.key", "server.crt", "ca.crt", "admin.key"])
def test_what_does_not_fit_together_is_made_anew(tmp_path: Path, lost: str) -> None:
    """As a crash between two writes, or a hand, leaves it."""
    made(tmp_path)
    other = cluster_keys(tmp_path / "other", VirtualClock(), OTHERS)
    name, _, kind = lost.partition(".")
    if name == "ca":
        (tmp_path / "pki" / lost).unlink()
    else:
        pair = getattr(other, name)
        write_private(tmp_path / "pki" / lost, pair.key if kind == "key" else pair.certificate)
    keys = made(tmp_path)
    for leaf in (keys.server, keys.admin):
        parsed(leaf).verify_directly_issued_by(parsed(keys.ca))
    keys.server_context()


def test_writing_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    write_private(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        write_private(path, b"new")
    assert path.read_bytes() == b"old"


def test_the_kubeconfig_holds_everything(tmp_path: Path) -> None:
    keys = made(tmp_path)
    config = yaml.safe_load(kubeconfig(keys, "https://127.0.0.1:6443", "mine"))
    context = config["contexts"][0]
    assert config["current-context"] == context["name"] == "mine"
    cluster, user = config["clusters"][0], config["users"][0]
    assert (context["context"]["cluster"], context["context"]["user"]) == (cluster["name"], user["name"])
    assert cluster["cluster"]["server"] == "https://127.0.0.1:6443"
    assert b64decode(cluster["cluster"]["certificate-authority-data"]) == keys.ca.certificate
    assert b64decode(user["user"]["client-certificate-data"]) == keys.admin.certificate
    assert b64decode(user["user"]["client-key-data"]) == keys.admin.key


@pytest.mark.parametrize(
    ("usages", "key_usage"),
    [(("client auth",), None), (("digital signature", "client auth"), (True, False))],
)
def test_signing_requests(tmp_path: Path, usages: tuple[str, ...], key_usage: tuple[bool, bool] | None) -> None:
    keys = made(tmp_path)
    signed = sign_request(keys.ca, request_for("system:node:n1", "system:nodes"), now(), 20 * 365 * DAY, usages)
    certificate = x509.load_pem_x509_certificate(signed)
    certificate.verify_directly_issued_by(parsed(keys.ca))
    assert common_name(certificate) == "system:node:n1"
    assert certificate.not_valid_after_utc == parsed(keys.ca).not_valid_after_utc  # no longer than its issuer
    found = [one.value for one in certificate.extensions if isinstance(one.value, x509.KeyUsage)]
    shown = (found[0].digital_signature, found[0].key_encipherment) if found else None
    assert shown == key_usage


# --- TLS, without a socket


def shaken(keys: ClusterKeys, client: ssl.SSLContext, name: str = "localhost") -> ssl.SSLObject:
    """The server's end of a connection. Raises `ssl.SSLError`."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_end = keys.server_context().wrap_bio(to_server, to_client, server_side=True)
    client_end = client.wrap_bio(to_client, to_server, server_hostname=name)
    left = [client_end, server_end]
    for _ in range(10):
        for end in list(left):
            try:
                end.do_handshake()
                left.remove(end)
            except ssl.SSLWantReadError:
                continue
    assert left == []
    return server_end


def client_of(keys: ClusterKeys) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=keys.ca.certificate.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


@pytest.fixture
def today(tmp_path: Path) -> ClusterKeys:
    """Certificates that hold by the machine's own time: TLS knows no other."""
    clock = VirtualClock(epoch=os.stat(tmp_path).st_mtime)
    return made(tmp_path, clock)


@pytest.mark.parametrize("name", ["localhost", "kubernetes.default.svc", "10.96.0.1", "127.0.0.1", "example.com"])
def test_clients_need_no_certificate(today: ClusterKeys, name: str) -> None:
    assert shaken(today, client_of(today), name).getpeercert(binary_form=True) is None


def test_clients_do_not_take_another_name(today: ClusterKeys) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(today, client_of(today), "elsewhere.example.com")


@pytest.mark.parametrize("who", ["admin", "front-proxy"])
def test_client_certificates_of_both_authorities_are_taken(today: ClusterKeys, who: str) -> None:
    client = client_of(today)
    client.load_cert_chain(today.folder / f"{who}.crt", today.folder / f"{who}.key")
    shown = shaken(today, client).getpeercert(binary_form=True)
    assert shown == ssl.PEM_cert_to_DER_cert((today.folder / f"{who}.crt").read_text())


def test_other_client_certificates_are_not(today: ClusterKeys, tmp_path: Path) -> None:
    other = cluster_keys(tmp_path / "other", VirtualClock(epoch=os.stat(tmp_path).st_mtime), ())
    client = client_of(today)
    client.load_cert_chain(other.folder / "admin.crt", other.folder / "admin.key")
    with pytest.raises(ssl.SSLError):
        shaken(today, client)
