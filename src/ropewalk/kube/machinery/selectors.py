"""Label and field selectors: read from a query's text or from an object, and asked on every watch event.

The grammar, the canonical text and the complaints are apimachinery's (`labels` and `fields`).
https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ropewalk.kube.machinery import errors, names
from ropewalk.kube.machinery.fields import FieldErrors, Path, spelled
from ropewalk.kube.machinery.objects import Object

IN, NOT_IN, EXISTS, ABSENT, GREATER, LESS = "in", "notin", "exists", "!", "gt", "lt"
_EQUAL, _DOUBLE_EQUAL, _NOT_EQUAL = "=", "==", "!="
_ANY_OF = frozenset((_EQUAL, _DOUBLE_EQUAL, IN))
_NONE_OF = frozenset((_NOT_EQUAL, NOT_IN))
_SPELLINGS = {
    "in": IN,
    "notin": NOT_IN,
    "=": _EQUAL,
    "==": _DOUBLE_EQUAL,
    "!=": _NOT_EQUAL,
    ">": GREATER,
    "<": LESS,
}
_SYMBOLS = {GREATER: ">", LESS: "<"}
_OF_OBJECT = {"In": IN, "NotIn": NOT_IN, "Exists": EXISTS, "DoesNotExist": ABSENT}
LONGEST = 64 * 1024
"""Of a selector's text: a URL holds no more."""


def _integer(text: str) -> int | None:
    """As Go's ParseInt(…, 10, 64)."""
    if not re.fullmatch("[+-]?[0-9]{1,30}", text):
        return None
    number = int(text)
    return number if -(1 << 63) <= number < 1 << 63 else None


@dataclass(frozen=True, slots=True)
class Requirement:
    key: str
    operator: str
    """`=`, `==`, `!=`, `in`, `notin`, `exists`, `!`, `gt` or `lt`."""
    values: tuple[str, ...] = ()
    """Sorted, none twice."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        operator = self.operator
        if operator in _ANY_OF:
            return value is not None and value in self.values
        if operator in _NONE_OF:
            return value is None or value not in self.values
        if operator == EXISTS:
            return value is not None
        if operator == ABSENT:
            return value is None
        if value is None:
            return False
        there, bound = _integer(value), _integer(self.values[0])
        if there is None or bound is None:
            return False
        return there > bound if operator == GREATER else there < bound

    def __str__(self) -> str:
        if self.operator == EXISTS:
            return self.key
        if self.operator == ABSENT:
            return f"!{self.key}"
        if self.operator in (IN, NOT_IN):
            return f"{self.key} {self.operator} ({','.join(self.values)})"
        return f"{self.key}{_SYMBOLS.get(self.operator, self.operator)}{self.values[0]}"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """Every requirement must hold; none at all matches everything."""

    requirements: tuple[Requirement, ...] = ()
    """In order of their keys."""
    matches_nothing: bool = False
    _equal: tuple[tuple[str, str], ...] = field(init=False, repr=False, compare=False)
    _rest: tuple[Requirement, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        plain = [found for found in self.requirements if found.operator in _ANY_OF and len(found.values) == 1]
        rest = tuple(found for found in self.requirements if found not in plain)
        object.__setattr__(self, "_equal", tuple((found.key, found.values[0]) for found in plain))
        object.__setattr__(self, "_rest", rest)

    def matches(self, labels: Mapping[str, str]) -> bool:
        for key, value in self._equal:
            if labels.get(key) != value:
                return False
        for requirement in self._rest:
            if not requirement.matches(labels):
                return False
        return not self.matches_nothing

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


EVERYTHING = LabelSelector()
NOTHING = LabelSelector(matches_nothing=True)


def _in_order(requirements: Sequence[Requirement]) -> tuple[Requirement, ...]:
    return tuple(sorted(requirements, key=lambda found: found.key))


class _Unreadable(Exception):
    pass


@lru_cache(maxsize=1024)
def parse_label_selector(text: str) -> LabelSelector:
    """Raises BadRequest."""
    if len(text) > LONGEST:
        raise errors.bad_request(f"the label selector is longer than {LONGEST} characters")
    try:
        return LabelSelector(_Reader(text).requirements())
    except _Unreadable as why:
        raise errors.bad_request(str(why)) from None


_TOKEN = re.compile(r"[ \t\r\n]*(==|!=|[=!()<>,]|[^ \t\r\n=!()<>,]+)")
_SYMBOL = re.compile(r"==|!=|[=!()<>,]")
_OPERATORS = "in, notin, =, ==, !=, gt, lt"


class _Reader:
    """`key`, `!key`, `key=value`, `key in (a,b)`, … with commas between."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        self._at = 0

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def requirements(self) -> tuple[Requirement, ...]:
        found: list[Requirement] = []
        token = self._peek()
        if token and not _begins(token):
            raise _Unreadable(f"found '{token}', expected: !, identifier, or 'end of string'")
        while token:
            try:
                found.append(self._requirement())
            except _Unreadable as why:
                raise _Unreadable(f"unable to parse requirement: {why}") from None
            after = self._next()
            if not after:
                break
            if after != ",":
                raise _Unreadable(f"found '{after}', expected: ',' or 'end of string'")
            token = self._peek()
            if not _begins(token):
                raise _Unreadable(f"found '{token}', expected: identifier after ','")
        return _in_order(found)

    def _requirement(self) -> Requirement:
        token = self._next()
        absent = token == "!"
        if absent:
            token = self._next()
        if not _is_identifier(token):
            raise _Unreadable(f"found '{token}', expected: identifier")
        problems = names.qualified_name(token)
        if problems:
            raise _Unreadable(f"<nil>: Invalid value: {spelled(token)}: {'; '.join(problems)}")
        if absent:
            return Requirement(token, ABSENT)
        if self._peek() in ("", ","):
            return Requirement(token, EXISTS)
        return self._comparison(token)

    def _comparison(self, key: str) -> Requirement:
        written = self._next()
        operator = _SPELLINGS.get(written)
        if operator is None:
            raise _Unreadable(f"found '{written}', expected: {_OPERATORS}")
        values = self._values() if operator in (IN, NOT_IN) else [self._value()]
        return _checked(Requirement(key, operator, tuple(sorted(set(values)))))

    def _value(self) -> str:
        if self._peek() in ("", ","):
            return ""
        token = self._next()
        if not _is_identifier(token):
            raise _Unreadable(f"found '{token}', expected: identifier")
        return token

    def _values(self) -> list[str]:
        """Between parentheses; what stands on neither side of a comma is an empty value."""
        token = self._next()
        if token != "(":
            raise _Unreadable(f"found '{token}' expected: '('")
        token = self._peek()
        if token == ")":
            self._next()
            return [""]
        if token != "," and not _is_identifier(token):
            raise _Unreadable(f"found '{token}', expected: ',', ')' or identifier")
        values: list[str] = []
        while True:
            token = self._next()
            after = self._peek()
            if _is_identifier(token):
                values.append(token)
                if after not in (",", ")"):
                    raise _Unreadable(f"found '{after}', expected: ',' or ')'")
            elif token == ",":
                if not values or after in (",", ")"):
                    values.append("")
            else:
                raise _Unreadable(f"found '{token}', expected: ',', or identifier")
            if after == ")":
                self._next()
                return values


def _is_identifier(token: str) -> bool:
    return bool(token) and not _SYMBOL.fullmatch(token)


def _begins(token: str) -> bool:
    return token == "!" or _is_identifier(token)


def _checked(requirement: Requirement) -> Requirement:
    complaints = []
    if requirement.operator in _SYMBOLS and _integer(requirement.values[0]) is None:
        told = spelled(requirement.values[0])
        complaints.append(f"values[0]: Invalid value: {told}: for 'Gt', 'Lt' operators, the value must be an integer")
    for index, value in enumerate(requirement.values):
        problems = names.label_value(value)
        if problems:
            where = f"values[{index}][{requirement.key}]"
            complaints.append(f"{where}: Invalid value: {spelled(value)}: {'; '.join(problems)}")
    if complaints:
        raise _Unreadable(complaints[0] if len(complaints) == 1 else f"[{', '.join(complaints)}]")
    return requirement


# --- LabelSelector objects


def label_selector_of(selector: Object | None) -> LabelSelector:
    """From a LabelSelector object: {} is everything, None nothing. ValueError where it is not valid."""
    if selector is None:
        return NOTHING
    found = [_valid(Requirement(key, _EQUAL, (value,))) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        word = expression.get("operator", "")
        if word not in _OF_OBJECT:
            raise ValueError(f"{spelled(word)} is not a valid label selector operator")
        values = tuple(sorted(set(expression.get("values") or ())))
        found.append(_valid(Requirement(expression.get("key", ""), _OF_OBJECT[word], values)))
    return LabelSelector(_in_order(found)) if found else EVERYTHING


def _valid(requirement: Requirement) -> Requirement:
    problems = names.qualified_name(requirement.key)
    if problems:
        raise ValueError(f"key: Invalid value: {spelled(requirement.key)}: {'; '.join(problems)}")
    if requirement.operator in (IN, NOT_IN) and not requirement.values:
        raise ValueError("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty")
    if requirement.operator in (EXISTS, ABSENT) and requirement.values:
        told = spelled(list(requirement.values))
        raise ValueError(f"values: Invalid value: {told}: values set must be empty for exists and does not exist")
    try:
        return _checked(requirement)
    except _Unreadable as why:
        raise ValueError(str(why)) from None


def of_labels(labels: Mapping[str, str]) -> LabelSelector:
    """From the plain map that services and replication controllers have. Nothing in it is checked."""
    return LabelSelector(_in_order([Requirement(key, _EQUAL, (value,)) for key, value in labels.items()]))


def validate_label_selector(selector: Object | None, path: Path, found: FieldErrors) -> None:
    """The rules of a LabelSelector object."""
    if selector is None:
        return
    names.labels(selector.get("matchLabels") or {}, path / "matchLabels", found)
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        _validate_expression(expression, path / "matchExpressions" / index, found)


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
    for index, value in enumerate(values):
        found.messages(path / "values" / index, value, names.label_value(value))


# --- fields


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Fields compared for equality; every requirement must hold."""

    requirements: tuple[tuple[str, str, str], ...] = ()
    """(field, "=" or "!=", value)."""

    def matches(self, fields: Mapping[str, str]) -> bool:
        for name, operator, value in self.requirements:
            if (fields.get(name, "") == value) is (operator == _NOT_EQUAL):
                return False
        return True

    def __str__(self) -> str:
        return ",".join(f"{name}{operator}{_escaped(value)}" for name, operator, value in self.requirements)


_FIELD_OPERATOR = re.compile("!=|==|=")
_TERM = re.compile(r"(?:\\.|[^\\,])*\\?", re.DOTALL)
_ESCAPE_OR_STOP = re.compile(r"\\(.?)|[,=]", re.DOTALL)


def _escaped(value: str) -> str:
    return re.sub(r"([\\,=])", r"\\\1", value)


@lru_cache(maxsize=1024)
def parse_field_selector(text: str) -> FieldSelector:
    """Raises BadRequest."""
    if len(text) > LONGEST:
        raise errors.bad_request(f"the field selector is longer than {LONGEST} characters")
    found: list[tuple[str, str, str]] = []
    for term in sorted(_terms(text)):
        if not term:
            continue
        match = _FIELD_OPERATOR.search(term)
        if match is None:
            raise errors.bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        operator = _NOT_EQUAL if match[0] == _NOT_EQUAL else _EQUAL
        name, value = term[: match.start()], _unescaped(term[match.end() :])
        if name or value:
            found.append((name, operator, value))
    return FieldSelector(tuple(found))


def _terms(text: str) -> list[str]:
    """Between commas that no backslash escapes."""
    terms, at = [], 0
    while at <= len(text):
        match = _TERM.match(text, at)
        assert match is not None  # it matches the empty text, too
        terms.append(match[0])
        at = match.end() + 1
    return terms


def _unescaped(value: str) -> str:
    def literal(match: re.Match[str]) -> str:
        if match[1] is None:
            raise errors.bad_request(f"invalid field selector: unescaped character in value: {ord(match[0])}")
        if match[1] not in ("\\", ",", "="):
            raise errors.bad_request(f"invalid field selector: invalid escape sequence: {match[0]}")
        return match[1]

    return _ESCAPE_OR_STOP.sub(literal, value)
