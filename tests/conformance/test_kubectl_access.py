"""Who may do what, as kubectl asks it; tokens, impersonation, certificates."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.installation import eventually
from support.kube_process import Done, Space, config_map, manifest, pod


@pytest.fixture
def jane(space: Space) -> Space:
    """A namespace in which jane may look at everything that is no secret."""
    space("create", "rolebinding", "jane", "--clusterrole=view", "--user=jane")
    eventually(lambda: space.attempt("auth", "can-i", "list", "pods", "--as=jane").stdout == "yes\n", "she may")
    return space


def test_can_i(jane: Space) -> None:
    assert jane("auth", "can-i", "delete", "namespaces") == "yes\n"
    for asked, answer in (
        (("get", "pods"), "yes"),
        (("get", "pods", "--subresource=log"), "yes"),
        (("create", "pods"), "no"),
        (("get", "secrets"), "no"),
        (("list", "pods", "--all-namespaces"), "no"),
        (("get", "/metrics"), "no"),
        (("get", "/readyz"), "yes"),
    ):
        done = jane.attempt("auth", "can-i", *asked, "--as=jane")
        assert (done.stdout.splitlines()[0].split()[0], done.returncode) == (answer, int(answer == "no")), asked


def test_can_i_list(jane: Space) -> None:
    listed = jane("auth", "can-i", "--list", "--as=jane")
    lines = [line.split() for line in listed.splitlines()]
    assert lines[0] == ["Resources", "Non-Resource", "URLs", "Resource", "Names", "Verbs"]
    granted = {line[0]: line[-1] for line in lines[1:]}
    assert ["configmaps", "[]", "[]", "[get", "list", "watch]"] in lines
    assert "secrets" not in granted and "selfsubjectaccessreviews.authorization.k8s.io" in granted


def test_forbidden_in_kubernetes_words(jane: Space) -> None:
    said = jane.refused("get", "secrets", "--as=jane")
    why = f'User "jane" cannot list resource "secrets" in API group "" in the namespace "{jane.name}"'
    assert said == f"Error from server (Forbidden): secrets is forbidden: {why}\n"
    made = jane.refused("create", "-f", "-", "--as=jane", stdin=manifest(config_map("a")))
    assert 'User "jane" cannot create resource "configmaps" in API group ""' in made
    assert 'User "jane" cannot get path "/metrics"' in jane.refused("get", "--raw", "/metrics", "--as=jane")


def test_impersonation_of_groups_and_accounts(jane: Space) -> None:
    assert jane("get", "secrets", "--as=whoever", "--as-group=system:masters") is not None
    account = f"system:serviceaccount:{jane.name}:default"
    said = jane.refused("get", "pods", f"--as={account}")
    assert f'User "{account}" cannot list resource "pods"' in said
    refused = jane.attempt("get", "pods", "--as=jane", "--as-group=anything")
    assert refused.returncode == 0, "an administrator may act as anybody"


def test_whoami(space: Space) -> None:
    me = json.loads(space("auth", "whoami", "-o", "json"))["status"]["userInfo"]
    assert "system:masters" in me["groups"] and "system:authenticated" in me["groups"]
    other = space("auth", "whoami", "--as=jane", "--as-group=dev", "--as-uid=7")
    rows = [line.split(maxsplit=1) for line in other.splitlines()]
    assert ["Username", "jane"] in rows and ["UID", "7"] in rows
    assert "[dev system:authenticated]" in other


def with_token(space: Space, token: str, *arguments: str) -> Done:
    """kubectl with a bearer token alone: the certificate of the kubeconfig stays at home."""
    config = yaml.safe_load(space.cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = space.folder / "token-config"
    path.write_text(yaml.safe_dump(config))
    return space.cluster.run(["kubectl", f"--kubeconfig={path}", "-n", space.name, *arguments])


def claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


def test_a_token_of_a_service_account(space: Space) -> None:
    space("create", "serviceaccount", "robot")
    token = space("create", "token", "robot", "--duration=1h").strip()
    held = claims(token)
    assert held["sub"] == f"system:serviceaccount:{space.name}:robot"
    assert 3590 <= held["exp"] - held["iat"] <= 3610
    who = json.loads(with_token(space, token, "auth", "whoami", "-o", "json").stdout)["status"]["userInfo"]
    assert who["username"] == held["sub"]
    assert who["groups"] == ["system:serviceaccounts", f"system:serviceaccounts:{space.name}", "system:authenticated"]
    assert "cannot list resource" in with_token(space, token, "get", "pods").stderr
    space("create", "rolebinding", "robot", "--clusterrole=view", f"--serviceaccount={space.name}:robot")
    eventually(lambda: with_token(space, token, "get", "pods").returncode == 0, "the binding counts")
    assert "You must be logged in to the server" in with_token(space, "nonsense", "get", "pods").stderr


def test_a_token_ends_with_what_it_is_bound_to(space: Space) -> None:
    """With its account, or with its pod. What was found good is believed for ten seconds, as kube-apiserver does."""
    space.create(pod("holder"))
    space("create", "serviceaccount", "robot")
    bound = ("--bound-object-kind=Pod", "--bound-object-name=holder")
    tokens = [space("create", "token", "default", *bound).strip(), space("create", "token", "robot").strip()]
    assert claims(tokens[0])["kubernetes.io"]["pod"]["name"] == "holder"
    for token in tokens:
        assert with_token(space, token, "auth", "whoami").returncode == 0
    space("delete", "pod", "holder", "--now")
    space("delete", "serviceaccount", "robot")

    def refused(token: str) -> bool:
        return "You must be logged in" in with_token(space, token, "get", "pods").stderr

    eventually(lambda: all(map(refused, tokens)), "both are void", every=0.5)


def test_roles_are_reconciled(space: Space) -> None:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "r", "namespace": space.name},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    }
    assert "reconciled" in space("auth", "reconcile", "-f", "-", stdin=manifest(role))
    role["rules"] = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    space("auth", "reconcile", "-f", "-", stdin=manifest(role))
    verbs = [verb for rule in space.get("role", "r")["rules"] for verb in rule["verbs"]]
    assert sorted(verbs) == ["get", "list"]


def test_nobody_grants_what_they_do_not_hold(jane: Space) -> None:
    jane("create", "role", "grants", "--verb=create", "--resource=roles,rolebindings")
    jane("create", "rolebinding", "grants", "--role=grants", "--user=jane")
    eventually(lambda: jane.attempt("auth", "can-i", "create", "roles", "--as=jane").stdout == "yes\n", "she may")
    said = jane.refused("create", "role", "more", "--verb=delete", "--resource=pods", "--as=jane")
    assert "is attempting to grant RBAC permissions not currently held" in said
    assert '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}' in said
    jane("create", "role", "same", "--verb=get", "--resource=pods", "--as=jane")


def test_a_certificate_is_signed_and_lets_in(space: Space) -> None:
    name = f"{space.name}-dev"
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "dev"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    space.create(_signing_request(name, request))
    try:
        assert space("get", "csr", name, "--no-headers").split()[-1] == "Pending"
        assert (
            space("certificate", "approve", name) == f"certificatesigningrequest.certificates.k8s.io/{name} approved\n"
        )
        eventually(lambda: space.get("csr", name)["status"].get("certificate"), "it is signed")
        assert space("get", "csr", name, "--no-headers").split()[-1] == "Approved,Issued"
        signed = base64.b64decode(space.get("csr", name)["status"]["certificate"])
        until = x509.load_pem_x509_certificate(signed).not_valid_after_utc
        assert timedelta(minutes=50) < until - datetime.now(UTC) < timedelta(minutes=70)
        who = _with_certificate(space, signed, key)
        assert who["username"] == name and who["groups"] == ["dev", "system:authenticated"]
    finally:
        space("delete", "csr", name)


def test_a_certificate_is_denied(space: Space) -> None:
    name = f"{space.name}-no"
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    space.create(
        _signing_request(name, x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256()))
    )
    try:
        space("certificate", "deny", name)
        assert space("get", "csr", name, "--no-headers").split()[-1] == "Denied"
        assert "certificate" not in space.get("csr", name)["status"]
    finally:
        space("delete", "csr", name)


def _signing_request(name: str, request: x509.CertificateSigningRequest) -> dict[str, Any]:
    text = base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {
            "request": text,
            "signerName": "kubernetes.io/kube-apiserver-client",
            "expirationSeconds": 3600,
            "usages": ["client auth"],
        },
    }


def _with_certificate(space: Space, certificate: bytes, key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    config = yaml.safe_load(space.cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(private).decode(),
    }
    path = space.folder / "certificate-config"
    path.write_text(yaml.safe_dump(config))
    said = space.cluster.succeed(["kubectl", f"--kubeconfig={path}", "auth", "whoami", "-o", "json"])
    found: dict[str, Any] = json.loads(said)["status"]["userInfo"]
    return found
