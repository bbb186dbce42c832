"""Checks that many rules of a pod share: formats of names, amounts and paths, each in Kubernetes' own words.

Knows no field. Answers to formats are remembered, because the same few names stand in thousands of pods. Rules read a
field's absence, an empty string and a zero alike where Kubernetes does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

from ropewalk.kube.machinery import names, quantities
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Json, Object

REMEMBERED = 8192
LARGEST_INT32 = 2**31 - 1
RESERVED_STEP = ".."
NOT_NEGATIVE = "must be greater than or equal to 0"
POSITIVE = "must be greater than zero"
FILE_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_UNDERSCORED_LABEL = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_UNDERSCORED = re.compile(rf"{_UNDERSCORED_LABEL}(\.{_UNDERSCORED_LABEL})*")


def _remembered(check: Callable[[str], list[str]]) -> Callable[[str], tuple[str, ...]]:
    return lru_cache(maxsize=REMEMBERED)(lambda value: tuple(check(value)))


label_problems = _remembered(names.dns1123_label)
subdomain_problems = _remembered(names.dns1123_subdomain)
qualified_problems = _remembered(names.qualified_name)
label_value_problems = _remembered(names.label_value)
port_name_problems = _remembered(names.port_name)
config_key_problems = _remembered(names.config_map_key)
variable_problems = _remembered(names.env_var_name)
header_problems = _remembered(names.http_header_name)
prefix_problems = _remembered(lambda value: names.dns1123_subdomain(value, prefix=True))


@lru_cache(maxsize=REMEMBERED)
def search_domain_problems(value: str) -> tuple[str, ...]:
    """A DNS search domain: a subdomain that may have underscores."""
    found: list[str] = []
    if len(value.encode()) > 253:
        found.append("must be no more than 253 characters")
    if not _UNDERSCORED.fullmatch(value):
        found.append(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and"
            " must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
            f" '{_UNDERSCORED.pattern}')"
        )
    return tuple(found)


def check_format(
    errors: FieldErrors, path: Path, step: str, value: str, problems: Callable[[str], tuple[str, ...]]
) -> None:
    """What `problems` has against `value`, said of `path / step`. The path is made only where it is needed."""
    if found := problems(value):
        errors.messages(path / step if step else path, value, found)


def check_named(
    errors: FieldErrors, holder: Object, path: Path, step: str, problems: Callable[[str], tuple[str, ...]]
) -> None:
    """A field that must be there and have a format."""
    value = holder.get(step)
    if not value:
        errors.required(path / step)
    elif found := problems(value):
        errors.messages(path / step, value, found)


def require(errors: FieldErrors, holder: Object, path: Path, *steps: str) -> None:
    """Fields that may not be left out or empty."""
    for step in steps:
        if not holder.get(step):
            errors.required(path / step)


def between(low: int, high: int) -> str:
    return f"must be between {low} and {high}, inclusive"


def check_id(errors: FieldErrors, path: Path, value: int | None) -> None:
    """A user's or group's number."""
    if value is not None and not 0 <= value <= LARGEST_INT32:
        errors.invalid(path, value, between(0, LARGEST_INT32))


def check_mode(errors: FieldErrors, holder: Object, path: Path, step: str) -> None:
    """Permission bits of a file."""
    mode = holder.get(step)
    if mode is not None and not 0 <= mode <= 0o777:
        errors.invalid(path / step, mode, FILE_MODE)


def check_not_negative(errors: FieldErrors, holder: Object, path: Path, *steps: str) -> None:
    for step in steps:
        value = holder.get(step)
        if value is not None and value < 0:
            errors.invalid(path / step, value, NOT_NEGATIVE)


def check_port(errors: FieldErrors, path: Path, value: int) -> None:
    if not 1 <= value <= 65535:
        errors.invalid(path, value, between(1, 65535))


def check_port_or_name(errors: FieldErrors, path: Path, step: str, value: int | str | None) -> None:
    if isinstance(value, str):
        if problems := port_name_problems(value):
            errors.messages(path / step, value, problems)
    elif not 1 <= (value or 0) <= 65535:
        check_port(errors, path / step, value or 0)


def check_no_backsteps(errors: FieldErrors, path: Path, target: str) -> None:
    if RESERVED_STEP in target.split("/"):
        errors.invalid(path, target, "must not contain '..'")


def check_relative(errors: FieldErrors, path: Path, target: str) -> None:
    if target.startswith("/"):
        errors.invalid(path, target, "must be a relative path")
    check_no_backsteps(errors, path, target)


def check_relative_unreserved(errors: FieldErrors, path: Path, target: str) -> None:
    """Also not beginning with `..`, which the kubelet keeps for itself."""
    check_relative(errors, path, target)
    if target.startswith(RESERVED_STEP) and not target.startswith("../"):
        errors.invalid(path, target, "must not start with '..'")


# --- amounts


@lru_cache(maxsize=REMEMBERED, typed=True)
def amount(value: Json) -> Decimal:
    """A quantity's number. Raises ValueError with Kubernetes' text."""
    return quantities.parse(value)


@lru_cache(maxsize=REMEMBERED, typed=True)
def canonical(value: Json) -> str:
    return quantities.canonical(value)


@lru_cache(maxsize=REMEMBERED, typed=True)
def settled(value: Json) -> Json:
    """A quantity as the API stores it in a list of resources: rounded up to thousandths, in its canonical form. What is
    none stays as it is, for validation to refuse.
    """
    try:
        number = amount(value)
    except ValueError:
        return value
    thousandths = milli(number)
    return canonical(value) if thousandths == number * 1000 else canonical(f"{thousandths}m")


def milli(number: Decimal) -> int:
    """In thousandths, rounded up."""
    return int((number * 1000).to_integral_value(rounding=ROUND_CEILING))


@lru_cache(maxsize=REMEMBERED, typed=True)
def is_fractional(value: Json) -> bool:
    return milli(amount(value)) % 1000 != 0
