"""Whole numbers or percentages (`maxSurge: 25%`): their rules, and what they come to of a total.

Pure. Kinds judge with `check`, `at_most_all` and `figure`; controllers compute with `scaled`.
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#max-unavailable
"""

from __future__ import annotations

import re

from ropewalk.kube.kinds.checks import non_negative
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Json

PERCENT = re.compile(r"[0-9]+%")
NOT_A_PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for"
    " validation is '[0-9]+%')"
)


def percent(value: Json) -> int | None:
    """25 of `25%`; None of anything else."""
    return int(value[:-1]) if isinstance(value, str) and PERCENT.fullmatch(value) else None


def figure(value: Json) -> int:
    """The number or the percentage's number: what is asked of 0. 0 of what is neither."""
    if isinstance(value, str):
        found = percent(value)
        if found is not None:
            return found
        return int(value) if re.fullmatch(r"[+-]?[0-9]+", value) else 0
    return int(value or 0)


def check(value: Json, path: Path, errors: FieldErrors) -> None:
    """Neither negative nor a string that is no percentage. An absent value is 0."""
    if isinstance(value, str):
        if percent(value) is None:
            errors.invalid(path, value, NOT_A_PERCENT)
    else:
        non_negative(value, path, errors)


def at_most_all(value: Json, path: Path, errors: FieldErrors) -> None:
    found = percent(value)
    if found is not None and found > 100:
        errors.invalid(path, value, "must not be greater than 100%")


def scaled(value: Json, total: int, *, round_up: bool) -> int:
    """`value` itself, or its share of `total`. ValueError on a string that is no percentage."""
    if not isinstance(value, str):
        return int(value or 0)
    share = percent(value)
    if share is None:
        raise ValueError("invalid value for IntOrString: invalid type: string is not a percentage")
    return -(-share * total // 100) if round_up else share * total // 100
