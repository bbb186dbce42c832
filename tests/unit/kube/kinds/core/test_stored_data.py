"""Config maps, secrets and service accounts."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ropewalk.kube.kinds.core.config_maps import ConfigMaps
from ropewalk.kube.kinds.core.key_pairs import pair_problem
from ropewalk.kube.kinds.core.secrets import Secrets
from ropewalk.kube.kinds.core.service_accounts import ServiceAccounts
from ropewalk.kube.kinds.core.stored_data import byte_length
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.verdicts import cells, created, creation, update, updated

MAPS, SECRETS, ACCOUNTS = ConfigMaps(), Secrets(), ServiceAccounts()
MIB = 1024 * 1024


def base64(text: str) -> str:
    return b64encode(text.encode()).decode()


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 100])
def test_the_length_of_what_base64_stands_for(size: int) -> None:
    assert byte_length(base64("x" * size)) == size


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        ({"data": {"a.conf": "x", "B_b-1": ""}}, []),
        ({"data": {"..": "x"}}, ["data[..]: Invalid value: \"..\": must not be '..'"]),
        (
            {"data": {"a": "x"}, "binaryData": {"a": "YQ=="}},
            ['data[a]: Invalid value: "a": duplicate of key present in binaryData'],
        ),
        ({"data": {"a": "x" * MIB}}, []),
        ({"data": {"a": "é" * (MIB // 2 + 1)}}, ["[]: Too long: may not be more than 1048576 bytes"]),
        (
            {"data": {"a": "x" * MIB}, "binaryData": {"b": "YQ=="}},
            ["[]: Too long: may not be more than 1048576 bytes"],
        ),
    ],
)
def test_config_maps(data: Object, wrong: list[str]) -> None:
    assert creation(MAPS, data) == wrong


def test_keys_are_checked_by_the_letter() -> None:
    assert creation(MAPS, {"data": {"a b": "x"}})[0].startswith(
        "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or"
    )


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({}, []),
        ({"metadata": {"name": "one", "labels": {"a": "b"}}}, []),
        ({"immutable": False}, ["immutable"]),
        ({"data": {"a": "y"}}, ["data"]),
        ({"binaryData": {"b": "YQ=="}}, ["binaryData"]),
    ],
)
def test_an_immutable_config_map_stays(changes: Object, fields: list[str]) -> None:
    old = created(MAPS, {"data": {"a": "x"}, "immutable": True})
    expected = [f"{field}: Forbidden: field is immutable when `immutable` is set" for field in fields]
    assert update(MAPS, {**old, **changes}, old) == expected


def test_a_config_map_that_is_not_immutable_may_change_and_become_so() -> None:
    old = created(MAPS, {"data": {"a": "x"}})
    assert update(MAPS, {**old, "data": {"b": "y"}, "immutable": True}, old) == []


def test_texts_of_a_secret_are_stored_as_bytes() -> None:
    made = created(SECRETS, {"data": {"a": "b2xk", "b": "Yg=="}, "stringData": {"a": "new"}})
    assert made["data"] == {"a": base64("new"), "b": "Yg=="}
    assert "stringData" not in made and made["type"] == "Opaque"
    assert SECRETS.selectable_fields["type"](made) == "Opaque"


@pytest.mark.parametrize(
    ("secret", "wrong"),
    [
        ({}, []),
        ({"type": "example.com/own"}, []),
        (
            {"type": "kubernetes.io/service-account-token"},
            ["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
        ),
        ({"type": "kubernetes.io/dockercfg"}, ["data[.dockercfg]: Required value"]),
        ({"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "{}"}}, []),
        (
            {"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "[]"}},
            [
                'data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": json: cannot unmarshal array'
                " into Go value of type map[string]interface {}"
            ],
        ),
        (
            {"type": "kubernetes.io/basic-auth"},
            ["data[username]: Required value", "data[password]: Required value"],
        ),
        ({"type": "kubernetes.io/basic-auth", "stringData": {"password": "x"}}, []),
        ({"type": "kubernetes.io/ssh-auth", "data": {"ssh-privatekey": ""}}, ["data[ssh-privatekey]: Required value"]),
        ({"type": "kubernetes.io/tls", "stringData": {"tls.crt": ""}}, ["data[tls.key]: Required value"]),
        ({"stringData": {"a": "x" * (MIB + 1)}}, ["data: Too long: may not be more than 1048576 bytes"]),
    ],
)
def test_secrets(secret: Object, wrong: list[str]) -> None:
    assert creation(SECRETS, secret) == wrong


def test_what_is_no_json_is_told_as_go_tells_it() -> None:
    secret = {"type": "kubernetes.io/dockercfg", "stringData": {".dockercfg": "x"}}
    assert creation(SECRETS, secret) == [
        "data[.dockercfg]: Invalid value: \"<secret contents redacted>\": invalid character 'x' looking for beginning"
        " of value"
    ]


def test_a_secret_keeps_its_type() -> None:
    old = created(SECRETS, {"stringData": {"a": "x"}, "immutable": True})
    assert update(SECRETS, {**old, "type": "mine"}, old) == ['type: Invalid value: "mine": field is immutable']
    assert update(SECRETS, {**old, "stringData": {"a": "y"}}, old) == [
        "data: Forbidden: field is immutable when `immutable` is set"
    ]


def test_columns_of_a_secret() -> None:
    shown = cells(SECRETS, created(SECRETS, {"stringData": {"a": "x", "b": "y"}}))
    assert (shown["Type"], shown["Data"], shown["Age"]) == ("Opaque", 2, "0s")


@lru_cache
def pair(kind: str) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1()) if kind != "rsa" else rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "one")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start + timedelta(days=1))
    certificate = builder.sign(key, SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), private


def test_a_certificate_and_its_key() -> None:
    certificate, key = pair("one")
    assert pair_problem(certificate, key) == ""
    assert pair_problem(certificate, pair("other")[1]) == "tls: private key does not match public key"
    assert pair_problem(certificate, pair("rsa")[1]) == "tls: private key type does not match public key type"
    assert pair_problem(b"", key) == "tls: failed to find any PEM data in certificate input"
    assert pair_problem(certificate, b"x") == "tls: failed to find any PEM data in key input"
    torn = b"-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n"
    assert pair_problem(torn, key) == "x509: malformed certificate"


def test_a_secret_whose_key_is_another_ones_is_warned_about() -> None:
    certificate, key = (part.decode() for part in pair("one"))
    good = created(SECRETS, {"type": "kubernetes.io/tls", "stringData": {"tls.crt": certificate, "tls.key": key}})
    assert SECRETS.warnings(good, None) == []
    bad = created(SECRETS, {"type": "kubernetes.io/tls", "stringData": {"tls.crt": "x", "tls.key": key}})
    assert SECRETS.warnings(bad, None) == ["tls: failed to find any PEM data in certificate input"]
    assert SECRETS.warnings(created(SECRETS, {}), None) == []


def test_a_service_account_keeps_but_the_names_of_secrets() -> None:
    made = created(ACCOUNTS, {"secrets": [{"name": "a", "kind": "Secret", "uid": "u"}]})
    assert made["secrets"] == [{"name": "a"}]
    assert updated(ACCOUNTS, {**made, "secrets": [{"name": "b", "uid": "u"}]}, made)["secrets"] == [{"name": "b"}]


def test_an_old_annotation_of_service_accounts_is_warned_about_once() -> None:
    account = created(ACCOUNTS, {"metadata": {"annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}})
    assert ACCOUNTS.warnings(account, None) == [
        "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate"
        " namespaces to isolate access to mounted secrets"
    ]
    assert ACCOUNTS.warnings(account, account) == []
