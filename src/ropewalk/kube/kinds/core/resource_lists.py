"""Lists of resources (`cpu: 500m`, `memory: 1Gi`) as quotas, nodes and volumes have them: their defaults, their names,
their amounts.
https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from __future__ import annotations

from decimal import Decimal

from ropewalk.kube.kinds.core.checks import NOT_NEGATIVE, POSITIVE, settled
from ropewalk.kube.kinds.core.resources import COUNTED, is_extended, is_for_quota, name_problems
from ropewalk.kube.machinery import quantities
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Json, Object


def settle(holder: Object | None, *fields: str) -> None:
    """Round the amounts in these lists up to thousandths, and write them as Kubernetes does; in place."""
    for field in fields:
        amounts = (holder or {}).get(field)
        if amounts:
            for name, value in amounts.items():
                amounts[name] = settled(value)


def amount(value: Json) -> Decimal:
    """0 of what is absent or no quantity at all (decoding refuses that before)."""
    try:
        return quantities.parse(value) if value is not None else Decimal(0)
    except ValueError:
        return Decimal(0)


def check_name(errors: FieldErrors, path: Path, name: str) -> None:
    errors.messages(path, name, name_problems(name))


def check_quota_name(errors: FieldErrors, path: Path, name: str) -> None:
    check_name(errors, path, name)
    if "/" not in name and not is_for_quota(name):
        errors.invalid(path, name, "must be a standard resource for quota")


def validate_amount(name: str, value: Json, path: Path, errors: FieldErrors) -> None:
    number = amount(value)
    if number < 0:
        errors.invalid(path, quantities.canonical(value), NOT_NEGATIVE)
    if (name in COUNTED or is_extended(name)) and quantities.milli(value) % 1000:
        errors.invalid(path, quantities.canonical(value), "must be an integer")


def validate_positive(value: Json, path: Path, errors: FieldErrors) -> bool:
    if amount(value) > 0:
        return True
    errors.invalid(path, quantities.canonical(value), POSITIVE)
    return False


def validate_basic(value: Json, path: Path, errors: FieldErrors) -> bool:
    if amount(value) >= 0:
        return True
    errors.invalid(path, quantities.whole(value), "must be a valid resource quantity")
    return False
