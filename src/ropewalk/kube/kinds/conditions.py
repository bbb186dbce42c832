"""The rules of `metav1.Condition`, which newer kinds' statuses are made of.
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

REASON = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?")
NOT_A_REASON = (
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric"
    " characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or"
    f" 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '{REASON.pattern}')"
)
STATUSES = ("False", "True", "Unknown")
LONGEST_REASON = 1024
LONGEST_MESSAGE = 32 * 1024


def validate_conditions(conditions: Sequence[Object], path: Path, errors: FieldErrors) -> None:
    seen = set()
    for index, condition in enumerate(conditions):
        here = path / index
        kind = condition.get("type", "")
        if kind in seen:
            errors.duplicate(here / "type", kind)
        seen.add(kind)
        _validate(condition, here, errors)


def _validate(condition: Object, path: Path, errors: FieldErrors) -> None:
    kind, status, reason = (condition.get(name, "") for name in ("type", "status", "reason"))
    errors.messages(path / "type", kind, names.qualified_name(kind))
    if status not in STATUSES:
        errors.not_supported(path / "status", status, STATUSES)
    if condition.get("observedGeneration", 0) < 0:
        errors.invalid(
            path / "observedGeneration", condition["observedGeneration"], "must be greater than or equal to zero"
        )
    if not condition.get("lastTransitionTime"):
        errors.required(path / "lastTransitionTime", "must be set")
    if not reason:
        errors.required(path / "reason", "must be set")
    else:
        if not REASON.fullmatch(reason):
            errors.invalid(path / "reason", reason, NOT_A_REASON)
        if len(reason) > LONGEST_REASON:
            errors.too_long(path / "reason", LONGEST_REASON)
    if len(condition.get("message", "").encode()) > LONGEST_MESSAGE:
        errors.too_long(path / "message", LONGEST_MESSAGE)
