"""The Condition block: operators over the request's condition keys.

A block holds when every operator holds for every one of its keys. Several values in the policy are alternatives; a
negated operator holds when none matches. A key the request does not have fails a positive operator and satisfies a
negated one or one that ends in IfExists. ForAllValues asks it of each value the request has, ForAnyValue of one.

Source: "IAM JSON policy elements: Condition operators" and "… multiple keys or values".
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ropewalk.aws.policy.patterns import Context, has_variables, matcher, resolve

Test = Callable[[str, Context], bool]
"""Whether one value of the request matches one value of the policy."""
Build = Callable[[str, bool], Test]
"""From a policy's value (and whether variables count) to its test. Raises ValueError for one that makes no sense."""


class UnknownOperator(ValueError):
    """No such condition operator."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One key under one operator."""

    key: str
    """In lower case."""
    tests: tuple[Test, ...]
    negated: bool = False
    if_exists: bool = False
    quantifier: str = ""
    """"", "all" or "any"."""
    null: bool | None = None
    """For the Null operator: whether the key must be absent."""

    def holds(self, context: Context) -> bool:
        values = context.get(self.key)
        if self.null is not None:
            return self.null == (not values)
        if not values:
            return self.if_exists or self.quantifier == "all" or (self.negated and self.quantifier != "any")
        if self.quantifier == "all":
            return all(self._matches(value, context) != self.negated for value in values)
        if self.quantifier == "any":
            return any(self._matches(value, context) != self.negated for value in values)
        return any(self._matches(value, context) for value in values) != self.negated

    def _matches(self, value: str, context: Context) -> bool:
        return any(test(value, context) for test in self.tests)


def build(operator: str, key: str, values: Sequence[str], variables: bool) -> Condition:
    """Compile one entry of a Condition block. Raises `UnknownOperator`, or ValueError for a value out of its domain."""
    name, quantifier = operator, ""
    prefix, colon, rest = operator.partition(":")
    if colon:
        quantifier = {"forallvalues": "all", "foranyvalue": "any"}.get(prefix.lower(), "")
        if not quantifier:
            raise UnknownOperator(operator)
        name = rest
    lower = name.lower()
    if lower == "null":
        if len(values) != 1 or values[0].lower() not in {"true", "false"}:
            raise ValueError("Null takes true or false")
        return Condition(key.lower(), (), null=values[0].lower() == "true")
    if_exists = lower.endswith("ifexists")
    if if_exists:
        lower = lower.removesuffix("ifexists")
    known = _OPERATORS.get(lower)
    if known is None:
        raise UnknownOperator(operator)
    make, negated = known
    tests = tuple(make(value, variables) for value in values)
    return Condition(key.lower(), tests, negated, if_exists, quantifier)


def _text(value: str, variables: bool, ignore_case: bool) -> Test:
    if variables and has_variables(value):

        def test(given: str, context: Context) -> bool:
            wanted = resolve(value, context)
            return wanted is not None and (given.casefold() == wanted.casefold() if ignore_case else given == wanted)

        return test
    if ignore_case:
        folded = value.casefold()
        return lambda given, context: given.casefold() == folded
    return lambda given, context: given == value


def _equals(value: str, variables: bool) -> Test:
    return _text(value, variables, False)


def _equals_ignoring_case(value: str, variables: bool) -> Test:
    return _text(value, variables, True)


def _like(value: str, variables: bool) -> Test:
    return matcher(value, variables=variables)


def _arn(value: str, variables: bool) -> Test:
    """ArnEquals and ArnLike are the same: each of an ARN's six parts is compared by itself, wildcards allowed."""
    return matcher(value, variables=variables, segments=5)


def _boolean(value: str, variables: bool) -> Test:
    if variables and has_variables(value):
        return _text(value, variables, True)
    if value.lower() not in {"true", "false"}:
        raise ValueError(f"Bool takes true or false, not {value!r}")
    return _text(value, False, True)


def _binary(value: str, variables: bool) -> Test:
    try:
        wanted = base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError(f"{value!r} is not base64") from error

    def test(given: str, context: Context) -> bool:
        try:
            return base64.b64decode(given, validate=True) == wanted
        except binascii.Error:
            return False

    return test


def _address(value: str, variables: bool) -> Test:
    network = ipaddress.ip_network(value, strict=False)

    def test(given: str, context: Context) -> bool:
        try:
            address = ipaddress.ip_address(given)
        except ValueError:
            return False
        return address.version == network.version and address in network

    return test


def _number(text: str) -> float:
    value = float(text)
    if value != value or value in {float("inf"), float("-inf")}:
        raise ValueError(f"{text!r} is not a number")
    return value


def _moment(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 date, or of epoch seconds."""
    if text.replace(".", "", 1).isdigit():
        return float(text)
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _ordered(parse: Callable[[str], float], compare: Callable[[float, float], bool]) -> Build:
    def make(value: str, variables: bool) -> Test:
        fixed = None if variables and has_variables(value) else parse(value)

        def test(given: str, context: Context) -> bool:
            wanted = fixed
            try:
                if wanted is None:
                    resolved = resolve(value, context)
                    if resolved is None:
                        return False
                    wanted = parse(resolved)
                return compare(parse(given), wanted)
            except (ValueError, OverflowError):
                return False

        return test

    return make


_COMPARISONS: dict[str, tuple[Callable[[float, float], bool], bool]] = {
    "equals": (lambda given, wanted: given == wanted, False),
    "notequals": (lambda given, wanted: given == wanted, True),
    "lessthan": (lambda given, wanted: given < wanted, False),
    "lessthanequals": (lambda given, wanted: given <= wanted, False),
    "greaterthan": (lambda given, wanted: given > wanted, False),
    "greaterthanequals": (lambda given, wanted: given >= wanted, False),
}

_OPERATORS: dict[str, tuple[Build, bool]] = {
    "stringequals": (_equals, False),
    "stringnotequals": (_equals, True),
    "stringequalsignorecase": (_equals_ignoring_case, False),
    "stringnotequalsignorecase": (_equals_ignoring_case, True),
    "stringlike": (_like, False),
    "stringnotlike": (_like, True),
    "arnequals": (_arn, False),
    "arnlike": (_arn, False),
    "arnnotequals": (_arn, True),
    "arnnotlike": (_arn, True),
    "bool": (_boolean, False),
    "binaryequals": (_binary, False),
    "ipaddress": (_address, False),
    "notipaddress": (_address, True),
    **{f"numeric{name}": (_ordered(_number, compare), negated) for name, (compare, negated) in _COMPARISONS.items()},
    **{f"date{name}": (_ordered(_moment, compare), negated) for name, (compare, negated) in _COMPARISONS.items()},
}
"""Operator in lower case: how to compile a value, and whether the operator is a negation."""
