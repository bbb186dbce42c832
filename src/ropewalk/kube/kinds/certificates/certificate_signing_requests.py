"""Certificate signing requests. Once made, a request changes only through its two subresources: `approval` sets what
people decide, `status` what the signer made.
https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/

Who asks is the server's to say: after `prepare_create` the caller is written by `set_requester`; when a condition was
set, by `stamp_conditions`. Both take what a strategy does not know (the caller, the time) as arguments.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import ClassVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from ropewalk.kube.kinds.cells import AGE, NAME, field, text
from ropewalk.kube.kinds.certificates import pem
from ropewalk.kube.kinds.certificates.signer_names import validate_signer_name
from ropewalk.kube.kinds.checks import same
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.apply.field_sets import LEAF, FieldSet
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object, at, copied
from ropewalk.kube.machinery.requests import User
from ropewalk.kube.machinery.strategy import Strategy, keep

SPEC = ROOT / "spec"
CONDITIONS = ROOT / "status" / "conditions"
CERTIFICATE = ROOT / "status" / "certificate"
DECISIONS = ("Approved", "Denied")
ONLY_TRUE = ("Approved", "Denied", "Failed")
LEGACY_SIGNER = "kubernetes.io/legacy-unknown"
SHORTEST = 600
USAGES = frozenset(
    {
        "signing",
        "digital signature",
        "content commitment",
        "key encipherment",
        "key agreement",
        "data encipherment",
        "cert sign",
        "crl sign",
        "encipher only",
        "decipher only",
        "any",
        "server auth",
        "client auth",
        "code signing",
        "email protection",
        "s/mime",
        "ipsec end system",
        "ipsec tunnel",
        "ipsec user",
        "timestamping",
        "ocsp signing",
        "microsoft sgc",
        "netscape sgc",
    }
)


def _condition(csr: Object) -> str:
    status = csr.get("status") or {}
    kinds = {condition.get("type") for condition in status.get("conditions") or ()}
    told = "Denied" if "Denied" in kinds else "Approved" if "Approved" in kinds else "Pending"
    return told + (",Failed" if "Failed" in kinds else "") + (",Issued" if status.get("certificate") else "")


def _duration(csr: Object) -> str:
    seconds = at(csr, "spec", "expirationSeconds")
    return "<none>" if seconds is None else times.human_duration(float(seconds))


class CertificateSigningRequests(Strategy):
    has_status = True
    reset_fields: ClassVar[Mapping[str, FieldSet]] = {
        "": {"f:spec": LEAF, "f:status": LEAF},
        "approval": {"f:spec": LEAF, "f:status": {"f:certificate": LEAF}},
        "status": {"f:spec": LEAF, "f:status": {"f:conditions": LEAF}},
    }
    selectable_fields: ClassVar = {"spec.signerName": lambda obj: at(obj, "spec", "signerName") or ""}
    columns = (
        NAME,
        AGE,
        field("SignerName", "spec", "signerName", none="<none>"),
        field("Requestor", "spec", "username"),
        text("RequestedDuration", _duration),
        text("Condition", _condition),
    )

    def name_problems(self, name: str, *, prefix: bool) -> list[str]:
        return []

    def prepare_create(self, obj: Object) -> None:
        for name in ("username", "uid", "groups", "extra"):
            obj.setdefault("spec", {}).pop(name, None)
        obj["status"] = {}

    def prepare_update(self, new: Object, old: Object) -> None:
        keep(new, old, "spec")
        keep(new, old, "status")

    def prepare_status_update(self, new: Object, old: Object) -> None:
        """Decisions that are still there keep the words in which they were made."""
        super().prepare_status_update(new, old)
        conditions = at(new, "status", "conditions") or []
        for kind in DECISIONS:
            before = _of_kind(old, kind)
            places = [index for index, condition in enumerate(conditions) if condition.get("type") == kind]
            if len(before) == len(places):
                for index, condition in zip(places, before, strict=True):
                    conditions[index] = copied(condition)

    def prepare_approval_update(self, new: Object, old: Object) -> None:
        """Only the conditions are taken."""
        conditions = at(new, "status", "conditions")
        keep(new, old, "spec")
        new["status"] = {key: value for key, value in (old.get("status") or {}).items() if key != "conditions"}
        if conditions:
            new["status"]["conditions"] = conditions

    def stamp(self, new: Object, old: Object | None, user: User, now: float) -> None:
        if old is None:
            set_requester(new, user)
        else:
            stamp_conditions(new, old, now)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        _validate(obj, None, errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        _validate_change(new, old, errors, deciding=False, issuing=False)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        _validate_change(new, old, errors, deciding=False, issuing=True)

    def validate_approval_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        _validate_change(new, old, errors, deciding=True, issuing=False)


def set_requester(csr: Object, user: User) -> None:
    """In place: the caller, into the new request's spec."""
    spec = csr.setdefault("spec", {})
    spec["username"] = user.name
    if user.uid:
        spec["uid"] = user.uid
    if user.groups:
        spec["groups"] = list(user.groups)
    if user.extra:
        spec["extra"] = {key: list(values) for key, values in user.extra.items()}


def stamp_conditions(new: Object, old: Object, wall: float) -> None:
    """In place: times that a writer of `status` or `approval` left out."""
    now = times.rfc3339(wall)
    for condition in at(new, "status", "conditions") or ():
        condition["lastUpdateTime"] = condition.get("lastUpdateTime") or now
        if not condition.get("lastTransitionTime"):
            condition["lastTransitionTime"] = next(
                (
                    before["lastTransitionTime"]
                    for before in at(old, "status", "conditions") or ()
                    if before.get("lastTransitionTime")
                    and all(before.get(name) == condition.get(name) for name in ("type", "status"))
                ),
                now,
            )


def _of_kind(csr: Object, kind: str) -> list[Object]:
    return [condition for condition in at(csr, "status", "conditions") or () if condition.get("type") == kind]


def _validate(csr: Object, old: Object | None, errors: FieldErrors) -> None:
    """What `old` already had wrong is tolerated."""
    spec, before = csr.get("spec") or {}, (old or {}).get("spec") or {}
    complaint = _request_problem(spec.get("request", ""))
    if complaint:
        errors.invalid(SPEC / "request", spec.get("request"), complaint)
    _validate_usages(spec.get("usages") or [], before.get("usages") or [], errors)
    signer = spec.get("signerName", "")
    if signer == LEGACY_SIGNER and before.get("signerName") != LEGACY_SIGNER:
        errors.invalid(SPEC / "signerName", signer, "the legacy signerName is not allowed via this API version")
    else:
        validate_signer_name(signer, SPEC / "signerName", errors)
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < SHORTEST:
        errors.invalid(
            SPEC / "expirationSeconds", seconds, "may not specify a duration less than 600 seconds (10 minutes)"
        )
    _validate_conditions(csr, at(old, "status", "conditions") or [], errors)
    certificate, present = at(csr, "status", "certificate") or "", at(old, "status", "certificate") or ""
    if old is None or (certificate != present and not pem.certificates_problem(present)):
        complaint = pem.certificates_problem(certificate)
        if complaint:
            errors.invalid(CERTIFICATE, "<certificate data>", complaint)


def _request_problem(request: str) -> str:
    try:
        block = pem.first_block(base64.b64decode(request, validate=True))
    except (binascii.Error, ValueError):
        block = None
    if block is None or block.label != "CERTIFICATE REQUEST":
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        found = x509.load_der_x509_csr(block.content)
        valid = found.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        return f"asn1: structure error: {error}"
    return "" if valid else "x509: signature verification failure"


def _validate_usages(usages: Sequence[str], before: Sequence[str], errors: FieldErrors) -> None:
    path = SPEC / "usages"
    if not usages:
        errors.required(path)
    if USAGES.issuperset(before):
        for index, usage in enumerate(usages):
            if usage not in USAGES:
                errors.not_supported(path / index, usage, sorted(USAGES))
    if len(set(before)) == len(before):
        for index, usage in enumerate(usages):
            if usage in usages[:index]:
                errors.duplicate(path / index, usage)


def _validate_conditions(csr: Object, before: Sequence[Object], errors: FieldErrors) -> None:
    kinds_before = [condition.get("type", "") for condition in before]
    seen: list[str] = []
    for index, condition in enumerate(at(csr, "status", "conditions") or ()):
        kind, status = condition.get("type", ""), condition.get("status", "")
        if not kind and "" not in kinds_before:
            errors.required(CONDITIONS / index / "type")
        allowed = ("True",) if kind in ONLY_TRUE else ("False", "True", "Unknown")
        if not status:
            errors.required(CONDITIONS / index / "status")
        elif status not in allowed:
            errors.not_supported(CONDITIONS / index / "status", status, allowed)
        other = {"Approved": "Denied", "Denied": "Approved"}.get(kind)
        if other in seen and not set(DECISIONS) <= set(kinds_before):
            errors.invalid(CONDITIONS, kind, "Approved and Denied conditions are mutually exclusive")
        if kind in seen and len(set(kinds_before)) == len(kinds_before):
            errors.duplicate(CONDITIONS / index / "type", kind)
        seen.append(kind)


def _validate_change(new: Object, old: Object, errors: FieldErrors, *, deciding: bool, issuing: bool) -> None:
    _validate(new, old, errors)
    for kind in ONLY_TRUE:
        if len(_of_kind(new, kind)) < len(_of_kind(old, kind)):
            errors.forbidden(CONDITIONS, f'updates may not remove a condition of type "{kind}"')
    for kind in DECISIONS if not deciding else ():
        now, before = _of_kind(new, kind), _of_kind(old, kind)
        if len(now) > len(before):
            errors.forbidden(CONDITIONS, f'updates may not add a condition of type "{kind}"')
        elif len(now) == len(before) and not same(now, before):
            errors.forbidden(CONDITIONS, f'updates may not modify a condition of type "{kind}"')
    certificate, present = at(new, "status", "certificate") or "", at(old, "status", "certificate") or ""
    if certificate != present:
        if not issuing:
            errors.forbidden(CERTIFICATE, "updates may not set certificate content")
        elif present:
            errors.forbidden(CERTIFICATE, "updates may not modify existing certificate content")
