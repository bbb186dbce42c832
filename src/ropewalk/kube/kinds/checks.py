"""Small judgements that many kinds share, in Kubernetes' words."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from ropewalk.kube.kinds.go_spelling import go_printed
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.errors import Cause
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Json, Object

HTTP_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")
EMPTY: tuple[Json, ...] = (None, "", {}, [])


def same(left: Json, right: Json) -> bool:
    """Equal, where an absent field and an empty one (map, list, string) are the same."""
    if isinstance(left, dict) and isinstance(right, dict):
        return all(same(left.get(key), right.get(key)) for key in left.keys() | right.keys())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right) or (left in EMPTY and right in EMPTY)


def non_negative(value: Json, path: Path, errors: FieldErrors) -> None:
    """An absent value is 0, which is fine."""
    if value is not None and value < 0:
        errors.invalid(path, value, "must be greater than or equal to 0")


def positive(value: Json, path: Path, errors: FieldErrors) -> None:
    """An absent value is 0, which is not fine."""
    if (value or 0) <= 0:
        errors.invalid(path, value or 0, "must be greater than 0")


def non_negatives(obj: Object, fields: Iterable[str], path: Path, errors: FieldErrors) -> None:
    for name in fields:
        non_negative(obj.get(name), path / name, errors)


def immutable(new: Json, old: Json, path: Path, errors: FieldErrors, kind: str = "") -> None:
    """`kind`: of values that Go prints as structs, what they are (`go_spelling`)."""
    if not same(new, old):
        errors.immutable(path, go_printed(new, kind) if kind else new)


def one_of(value: Json, known: Collection[str], path: Path, errors: FieldErrors) -> None:
    """Required, and of these."""
    if not value:
        errors.required(path)
    elif value not in known:
        errors.not_supported(path, value, known)


def path_segments(holder: Object, fields: Iterable[str], path: Path, errors: FieldErrors) -> None:
    """Fields that must be there, and could each stand in a path: the kind and name of what is referred to."""
    for name in fields:
        value = holder.get(name)
        if not value:
            errors.required(path / name)
        else:
            errors.messages(path / name, value, names.path_segment(value))


def not_decremented(new: Object, old: Object, name: str, path: Path, errors: FieldErrors) -> None:
    """Counters of a status: gone counts as going down."""
    before, now = old.get(name), new.get(name)
    if before is not None and (now is None or now < before):
        errors.invalid(path / name, now or 0, "cannot be decremented")


def invalid_whole(path: Path, detail: str, errors: FieldErrors) -> None:
    """Wrong as a whole: the message leaves out a value that would be long."""
    errors.causes.append(Cause("FieldValueInvalid", f"Invalid value: {detail}", str(path)))


def domain_prefixed_path(value: str, path: Path, errors: FieldErrors) -> None:
    """`acme.io/foo`"""
    if not value:
        errors.required(path)
        return
    host, _, rest = value.partition("/")
    if not host or not rest:
        errors.invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')
        return
    errors.messages(path, host, names.dns1123_subdomain(host))
    if not HTTP_PATH.fullmatch(rest):
        errors.invalid(path, rest, f"Invalid path (regex used for validation is '{HTTP_PATH.pattern}')")


def condition_is(status: Object, kind: str, value: str = "True") -> bool:
    return any(found.get("type") == kind and found.get("status") == value for found in status.get("conditions") or ())
