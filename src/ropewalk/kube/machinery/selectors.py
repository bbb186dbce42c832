"""Label and field selectors: parsed from text or from objects, and asked on every watch event.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ropewalk.kube.machinery import errors, names
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

IN, NOT_IN, EXISTS, ABSENT = "in", "notin", "exists", "!"
GREATER, LESS = "gt", "lt"
_OPERATORS = {"In": IN, "NotIn": NOT_IN, "Exists": EXISTS, "DoesNotExist": ABSENT}
LONGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class Requirement:
    key: str
    operator: str
    """One of the words above, or "=" or "!=" as it was written."""
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "=" | "==" | "in":
                return value is not None and value in self.values
            case "!=" | "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        if value is None:
            return False
        try:
            there, bound = int(value), int(self.values[0])
        except ValueError:
            return False
        return there > bound if self.operator == GREATER else there < bound

    def __str__(self) -> str:
        match self.operator:
            case "=" | "==" | "!=":
                return f"{self.key}{self.operator}{self.values[0]}"
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "gt" | "lt":
                return f"{self.key}{'>' if self.operator == GREATER else '<'}{self.values[0]}"
        return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """Every requirement must hold; none at all matches everything."""

    requirements: tuple[Requirement, ...] = ()
    matches_nothing: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        if self.matches_nothing:
            return False
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING = LabelSelector()
NOTHING = LabelSelector(matches_nothing=True)

_TOKEN = re.compile(r"\s*(==|!=|=|!|>|<|\(|\)|,|[^\s=!<>(),]+)")


@lru_cache(maxsize=1024)
def parse_label_selector(text: str) -> LabelSelector:
    """Raises BadRequest."""
    if len(text) > LONGEST:
        raise errors.bad_request("unable to parse requirement: the label selector is too long")
    return _Parser(text).parsed()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def parsed(self) -> LabelSelector:
        found: list[Requirement] = []
        while self._peek():
            found.append(self._requirement())
            token = self._next()
            if token == ",":
                if not self._peek():
                    raise _refused("found '', expected: identifier after ','")
            elif token:
                raise _refused(f"found '{token}', expected: ',' or 'end of string'")
        return LabelSelector(tuple(sorted(found, key=lambda requirement: requirement.key)))

    def _requirement(self) -> Requirement:
        token = self._next()
        if token == "!":
            return Requirement(_key(self._next()), ABSENT)
        key = _key(token)
        operator = self._peek()
        if operator in ("", ","):
            return Requirement(key, EXISTS)
        self._at += 1
        if operator in (IN, NOT_IN):
            return Requirement(key, operator, tuple(_value(key, value) for value in self._values()))
        if operator in ("=", "==", "!="):
            value = "" if self._peek() in ("", ",") else self._next()
            return Requirement(key, operator, (_value(key, value),))
        if operator in ("<", ">"):
            value = self._next()
            if not re.fullmatch(r"[+-]?\d+", value, re.ASCII):
                raise _refused(
                    f"values[0]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, the value must be an integer"
                )
            return Requirement(key, GREATER if operator == ">" else LESS, (value,))
        raise _refused(f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")

    def _values(self) -> list[str]:
        token = self._next()
        if token != "(":
            raise _refused(f"found '{token}', expected: '('")
        values: list[str] = []
        expects_value = True
        while True:
            token = self._next()
            if token == ")":
                if expects_value:
                    values.append("")
                return values
            if token == ",":
                if expects_value:
                    values.append("")
                expects_value = True
            elif token and expects_value and token not in ("(", "=", "==", "!=", "!", "<", ">"):
                values.append(token)
                expects_value = False
            else:
                raise _refused(f"found '{token}', expected: ',', ')' or identifier")


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        token = _TOKEN.match(text, at)
        assert token is not None  # the last alternative takes whatever the others leave
        found.append(token[1])
        at = token.end()
    return found


def _refused(why: str) -> errors.StatusFault:
    return errors.bad_request(f"unable to parse requirement: {why}")


def _key(key: str) -> str:
    problems = names.qualified_name(key)
    if problems:
        raise _refused(f'<nil>: Invalid value: "{key}": {"; ".join(problems)}')
    return key


def _value(key: str, value: str) -> str:
    problems = names.label_value(value)
    if problems:
        raise _refused(f'values[0][{key}]: Invalid value: "{value}": {"; ".join(problems)}')
    return value


def label_selector_of(selector: Object | None) -> LabelSelector:
    """From a LabelSelector object: {} is everything, none at all is nothing. The object is valid."""
    if selector is None:
        return NOTHING
    found = [Requirement(key, IN, (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        found.append(
            Requirement(expression["key"], _OPERATORS[expression["operator"]], tuple(expression.get("values") or ()))
        )
    plain = [
        Requirement(item.key, "=", item.values) if item.operator == IN and len(item.values) == 1 else item
        for item in found
    ]
    return LabelSelector(tuple(sorted(plain, key=lambda requirement: requirement.key)))


def validate_label_selector(selector: Object | None, path: Path, found: FieldErrors) -> None:
    """The rules of a LabelSelector object."""
    if selector is None:
        return
    for key, value in (selector.get("matchLabels") or {}).items():
        found.messages(path / "matchLabels", key, names.qualified_name(key))
        found.messages(path / "matchLabels", value, names.label_value(value))
    for place, expression in enumerate(selector.get("matchExpressions") or ()):
        _validate_expression(expression, path / "matchExpressions" / place, found)


def _validate_expression(expression: Object, path: Path, found: FieldErrors) -> None:
    operator, values = expression.get("operator", ""), expression.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            found.required(path / "values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            found.forbidden(path / "values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    else:
        found.invalid(path / "operator", operator, "not a valid selector operator")
    key = expression.get("key", "")
    found.messages(path / "key", key, names.qualified_name(key))
    for place, value in enumerate(values):
        found.messages(path / "values" / place, value, names.label_value(value))


# --- fields


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Fields compared for equality; every requirement must hold."""

    requirements: tuple[tuple[str, str, str], ...] = ()
    """(field, "=" or "!=", value)."""

    def matches(self, fields: Mapping[str, str]) -> bool:
        return all(
            (fields.get(field, "") == value) is (operator != "!=") for field, operator, value in self.requirements
        )

    def __str__(self) -> str:
        return ",".join(f"{field}{operator}{_escaped(value)}" for field, operator, value in self.requirements)


_ESCAPES = re.compile(r"\\(.?)")


def _escaped(value: str) -> str:
    return re.sub(r"([\\,=])", r"\\\1", value)


@lru_cache(maxsize=1024)
def parse_field_selector(text: str) -> FieldSelector:
    """Raises BadRequest."""
    if len(text) > LONGEST:
        raise errors.bad_request("the field selector is too long")
    found: list[tuple[str, str, str]] = []
    for term in _split(text):
        if not term:
            continue
        match = re.search(r"(?<!\\)(!=|==|=)", term)
        if match is None:
            raise errors.bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        operator = "!=" if match[1] == "!=" else "="
        found.append((term[: match.start()], operator, _unescaped(term[match.end() :], text)))
    return FieldSelector(tuple(found))


def _split(text: str) -> list[str]:
    return re.split(r"(?<!\\),", text)


def _unescaped(value: str, whole: str) -> str:
    for match in _ESCAPES.finditer(value):
        if match[1] not in ("\\", ",", "="):
            raise errors.bad_request(f"invalid field selector: '{whole}': invalid escape sequence: \\{match[1]}")
    if re.search(r"(?<!\\)=", value):
        raise errors.bad_request(f"invalid field selector: '{whole}': unescaped '=' in a value")
    return _ESCAPES.sub(r"\1", value)
