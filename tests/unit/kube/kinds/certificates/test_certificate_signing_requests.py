"""Certificate signing requests and their two doors."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ropewalk.kube.kinds.certificates import pem
from ropewalk.kube.kinds.certificates.certificate_signing_requests import (
    CertificateSigningRequests,
    set_requester,
    stamp_conditions,
)
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object, copied
from ropewalk.kube.machinery.requests import User
from unit.kube.kinds.verdicts import cells, changed, created, creation, status_update, told, updated

CSRS = CertificateSigningRequests()
KEY = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "me")])
REQUEST = x509.CertificateSigningRequestBuilder().subject_name(NAME).sign(KEY, hashes.SHA256())
PEM = REQUEST.public_bytes(serialization.Encoding.PEM)
ENCODED = base64.b64encode(PEM).decode()
ONE: Object = {
    "metadata": {"name": "any name at all"},
    "spec": {"request": ENCODED, "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]},
}
APPROVED = {"type": "Approved", "status": "True", "reason": "Fine"}
DENIED = {"type": "Denied", "status": "True", "reason": "No"}


def _with(**spec: Any) -> Object:
    return {**ONE, "spec": {**ONE["spec"], **spec}}


def test_good() -> None:
    assert creation(CSRS, ONE) == []
    assert creation(CSRS, _with(expirationSeconds=600)) == []


BROKEN = base64.b64encode(PEM.replace(b"REQUEST-----\nM", b"REQUEST-----\nA", 1)).decode()
KEY_PEM = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("csr", "complaint"),
    [
        (_with(request=""), "PEM block type must be CERTIFICATE REQUEST"),
        (_with(request="!!"), "PEM block type must be CERTIFICATE REQUEST"),
        (_with(request=base64.b64encode(KEY_PEM).decode()), "PEM block type must be CERTIFICATE REQUEST"),
        (_with(request=BROKEN), "asn1: structure error"),
        (_with(usages=[]), "spec.usages: Required value"),
        (_with(usages=["client auth", "client auth"]), 'spec.usages[1]: Duplicate value: "client auth"'),
        (_with(usages=["anything"]), 'spec.usages[0]: Unsupported value: "anything"'),
        (_with(signerName=""), "spec.signerName: Required value"),
        (_with(signerName="x"), "must be a fully qualified domain and path of the form 'example.com/signer-name'"),
        (_with(signerName="x/y"), "should be a domain with at least two segments separated by dots"),
        (_with(signerName="x.y/Z"), 'validating label "Z": a lowercase RFC 1123 subdomain'),
        (_with(signerName="kubernetes.io/legacy-unknown"), "the legacy signerName is not allowed"),
        (_with(expirationSeconds=599), "may not specify a duration less than 600 seconds (10 minutes)"),
    ],
)
def test_bad(csr: Object, complaint: str) -> None:
    found = creation(CSRS, csr)
    assert any(complaint in line for line in found), found


def test_a_forged_signature() -> None:
    der = bytearray(REQUEST.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    body = base64.encodebytes(bytes(der)).decode()
    text = f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"
    found = creation(CSRS, _with(request=base64.b64encode(text.encode()).decode()))
    assert len(found) == 1
    assert found[0].startswith("spec.request: Invalid value")


def test_the_caller_is_the_servers_to_say() -> None:
    made = created(CSRS, _with(username="root", groups=["system:masters"], extra={"a": ["b"]}))
    assert made["spec"].keys() == ONE["spec"].keys()
    set_requester(made, User("me", ("devs",), "u-1", {"scope": ("all",)}))
    assert {key: made["spec"][key] for key in ("username", "groups", "uid", "extra")} == {
        "username": "me",
        "groups": ["devs"],
        "uid": "u-1",
        "extra": {"scope": ["all"]},
    }


def test_a_plain_update_changes_neither_spec_nor_status() -> None:
    old = created(CSRS, ONE)
    new = changed(changed(old, "spec", "usages", ["any"]), "status", {"conditions": [APPROVED]})
    made = updated(CSRS, changed(new, "metadata", "labels", {"a": "b"}), old)
    assert (made["spec"], made["status"]) == (old["spec"], old["status"])
    assert made["metadata"]["labels"] == {"a": "b"}


def _approve(conditions: list[Object], old: Object) -> list[str]:
    new: Object = copied(old)
    new["status"] = {"conditions": copied(conditions), "certificate": "Zm9v"}
    new["spec"]["usages"] = ["any"]
    CSRS.prepare_approval_update(new, old)
    assert new["spec"] == old["spec"]
    assert "certificate" not in new["status"]
    errors = FieldErrors()
    CSRS.validate_approval_update(new, old, errors)
    return told(errors)


class TestApproval:
    old = created(CSRS, ONE)

    def test_either(self) -> None:
        assert _approve([APPROVED], self.old) == []
        assert _approve([DENIED], self.old) == []

    def test_not_both(self) -> None:
        assert _approve([APPROVED, DENIED], self.old) == [
            'status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive'
        ]

    @pytest.mark.parametrize(
        ("condition", "complaint"),
        [
            ({"status": "True"}, "status.conditions[0].type: Required value"),
            ({"type": "Approved"}, "status.conditions[0].status: Required value"),
            ({"type": "Approved", "status": "False"}, 'Unsupported value: "False": supported values: "True"'),
        ],
    )
    def test_conditions(self, condition: Object, complaint: str) -> None:
        found = _approve([condition], self.old)
        assert any(complaint in line for line in found), found

    def test_a_decision_stays(self) -> None:
        decided = changed(self.old, "status", {"conditions": [APPROVED]})
        assert _approve([], decided) == [
            'status.conditions: Forbidden: updates may not remove a condition of type "Approved"'
        ]

    def test_times_are_filled_in(self) -> None:
        before = changed(
            self.old, "status", {"conditions": [{**APPROVED, "lastTransitionTime": "2025-01-01T00:00:00Z"}]}
        )
        new = changed(self.old, "status", {"conditions": [copied(APPROVED), copied(DENIED)]})
        stamp_conditions(new, before, 0.0)
        assert [condition["lastTransitionTime"] for condition in new["status"]["conditions"]] == [
            "2025-01-01T00:00:00Z",
            "1970-01-01T00:00:00Z",
        ]
        assert new["status"]["conditions"][0]["lastUpdateTime"] == "1970-01-01T00:00:00Z"


class TestStatus:
    approved = changed(created(CSRS, ONE), "status", {"conditions": [APPROVED]})

    def test_the_signer_decides_nothing(self) -> None:
        assert status_update(CSRS, {"conditions": [APPROVED, DENIED]}, self.approved) == [
            'status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive',
            'status.conditions: Forbidden: updates may not add a condition of type "Denied"',
        ]

    def test_nor_rewords_it(self) -> None:
        assert status_update(CSRS, {"conditions": [{**APPROVED, "reason": "Other"}]}, self.approved) == []

    def test_it_may_fail(self) -> None:
        failed = {"type": "Failed", "status": "True"}
        assert status_update(CSRS, {"conditions": [APPROVED, failed]}, self.approved) == []

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            (b"hello", "must contain at least one CERTIFICATE PEM block"),
            (PEM, 'only CERTIFICATE PEM blocks are allowed, found "CERTIFICATE REQUEST"'),
        ],
    )
    def test_certificates(self, content: bytes, complaint: str) -> None:
        status = {"conditions": [APPROVED], "certificate": base64.b64encode(content).decode()}
        assert status_update(CSRS, status, self.approved) == [
            f'status.certificate: Invalid value: "<certificate data>": {complaint}'
        ]

    def test_a_certificate_stays(self) -> None:
        issued = changed(self.approved, "status", "certificate", "Zm9v")
        found = status_update(CSRS, {"conditions": [APPROVED], "certificate": "YmFy"}, issued)
        assert "status.certificate: Forbidden: updates may not modify existing certificate content" in found


def test_pem_among_other_text() -> None:
    text = b"Subject: me\n" + PEM + b"\n" + KEY_PEM
    assert [block.label for block in pem.blocks(text)] == ["CERTIFICATE REQUEST", "PUBLIC KEY"]


@pytest.mark.parametrize(
    ("kinds", "certificate", "expected"),
    [
        ((), "", "Pending"),
        (("Approved",), "", "Approved"),
        (("Approved",), "Zm9v", "Approved,Issued"),
        (("Denied",), "", "Denied"),
        (("Approved", "Failed"), "", "Approved,Failed"),
    ],
)
def test_table(kinds: tuple[str, ...], certificate: str, expected: str) -> None:
    conditions = [{"type": kind, "status": "True"} for kind in kinds]
    csr = changed(created(CSRS, _with(expirationSeconds=86400)), "status", {"conditions": conditions})
    row = cells(CSRS, changed(csr, "status", "certificate", certificate))
    assert row["Condition"] == expected
    assert row["RequestedDuration"] == "24h"
    assert CSRS.selectable_fields["spec.signerName"](csr) == "kubernetes.io/kube-apiserver-client"
