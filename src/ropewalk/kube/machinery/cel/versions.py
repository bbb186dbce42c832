"""Semantic versions in CEL; what is wrong with one is told as kube-apiserver's library (blang/semver) tells it.
https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-semver-library
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

from ropewalk.kube.machinery.cel.functions import function, method, opaque, parses, traversal
from ropewalk.kube.machinery.cel.values import EvaluationError, Opaque
from ropewalk.kube.machinery.json_text import quoted

_DIGITS = frozenset("0123456789")
_ALPHANUMERIC = re.compile(r"[0-9A-Za-z-]+")


@total_ordering
@opaque("Semver")
@dataclass(frozen=True, slots=True, eq=False)
class Semver(Opaque):
    numbers: tuple[int, int, int]
    prerelease: tuple[str, ...]
    type_name = "kubernetes.Semver"

    def _key(self) -> tuple[object, ...]:
        parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.prerelease)
        return (self.numbers, not self.prerelease, parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Semver) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __lt__(self, other: Semver) -> bool:
        return self._key() < other._key()


def _semver(text: str, normalize: bool = False) -> Semver:
    if normalize:
        text = _normalized(text)
    if not text:
        raise EvaluationError("Version string empty")
    parts = text.split(".", 2)
    if len(parts) < 3:
        raise EvaluationError("No Major.Minor.Patch elements found")
    patch, plus, build = parts[2].partition("+")
    patch, dash, prerelease = patch.partition("-")
    numbers = _number("major", parts[0]), _number("minor", parts[1]), _number("patch", patch)
    identifiers = tuple(prerelease.split(".")) if dash else ()
    for identifier in identifiers:
        _check_identifier(identifier)
    for part in build.split(".") if plus else ():
        if not part:
            raise EvaluationError("Build meta data is empty")
        if not _ALPHANUMERIC.fullmatch(part):
            raise EvaluationError(f"Invalid character(s) found in build meta data {quoted(part)}")
    return Semver(numbers, identifiers)


def _normalized(text: str) -> str:
    """Without a `v` before it and zeros before its numbers, with all three of these."""
    parts = [_without_zeros(part) if len(part) > 1 else part for part in text.removeprefix("v").split(".", 2)]
    if len(parts) < 3 and ("+" in parts[-1] or "-" in parts[-1]):
        raise EvaluationError("short version cannot contain PreRelease/Build meta data")
    return ".".join([*parts, "0", "0"][: max(3, len(parts))])


def _without_zeros(part: str) -> str:
    left = part.lstrip("0")
    return left if left[:1] in _DIGITS and left else f"0{left}"


def _number(name: str, text: str) -> int:
    if not _DIGITS.issuperset(text):
        raise EvaluationError(f"Invalid character(s) found in {name} number {quoted(text)}")
    if len(text) > 1 and text.startswith("0"):
        raise EvaluationError(f"{name.title()} number must not contain leading zeroes {quoted(text)}")
    return _unsigned(text)


def _check_identifier(text: str) -> None:
    if not text:
        raise EvaluationError("Prerelease is empty")
    if not _ALPHANUMERIC.fullmatch(text):
        raise EvaluationError(f"Invalid character(s) found in prerelease {quoted(text)}")
    if _DIGITS.issuperset(text):
        if len(text) > 1 and text.startswith("0"):
            raise EvaluationError(f"Numeric PreRelease version must not contain leading zeroes {quoted(text)}")
        _unsigned(text)


def _unsigned(digits: str) -> int:
    """As Go parses an unsigned number of 64 bits."""
    failure = f"strconv.ParseUint: parsing {quoted(digits)}"
    if not digits:
        raise EvaluationError(f"{failure}: invalid syntax")
    if len(digits) > 20 or int(digits) >= 1 << 64:
        raise EvaluationError(f"{failure}: value out of range")
    return int(digits)


function("semver", "string -> Semver", "string bool -> Semver", cost=traversal())(_semver)


@function("isSemver", "string -> bool", "string bool -> bool", cost=traversal())
def is_semver(text: str, normalize: bool = False) -> bool:
    return parses(lambda given: _semver(given, normalize), text)


@method("major", "Semver -> int")
def semver_major(version: Semver) -> int:
    return version.numbers[0]


@method("minor", "Semver -> int")
def semver_minor(version: Semver) -> int:
    return version.numbers[1]


@method("patch", "Semver -> int")
def semver_patch(version: Semver) -> int:
    return version.numbers[2]


@method("isGreaterThan", "Semver Semver -> bool")
def semver_greater(left: Semver, right: Semver) -> bool:
    return left > right


@method("isLessThan", "Semver Semver -> bool")
def semver_less(left: Semver, right: Semver) -> bool:
    return left < right


@method("compareTo", "Semver Semver -> int")
def semver_compare(left: Semver, right: Semver) -> int:
    return (left > right) - (left < right)
