"""Amounts of resources: `100m`, `1.5Gi`, `1e3`. Exact to a billionth, rounded away from zero below that, as
apimachinery's `resource.Quantity`.

A quantity has a number and a way of writing it (decimal suffixes, binary ones, an exponent); `canonical` keeps the
way. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import TypeAlias

Given: TypeAlias = str | int | float | Decimal
"""As it comes out of JSON, or already a number."""

MESSAGE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_WRONG_NUMBER = "unable to parse numeric part of quantity"
_WRONG_SUFFIX = "unable to parse quantity's suffix"

_PARTS = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)")
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]{1,18})")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX = {exponent: suffix for suffix, exponent in _BINARY.items()}

_MOST = (1 << 63) - 1
_FINEST = -9
_LONGEST = 1000
"""Digits we read at most: no amount of anything needs as many."""
_LARGEST_EXPONENT = 10_000


class _Quantity:
    """`units` × 10^`scale`, with `scale` at least -9; `format` is "decimal", "binary" or "exponent"."""

    __slots__ = ("format", "scale", "text", "units")

    def __init__(self, units: int, scale: int, format: str, text: str = "") -> None:
        self.units = units
        self.scale = scale
        self.format = format
        self.text = text
        """The text as it was given, where that is canonical already."""


@lru_cache(8192)
def _parsed(text: str) -> _Quantity:
    text = text.strip()
    if not text:
        raise ValueError(MESSAGE)
    found = _PARTS.fullmatch(text)
    if found is None:
        raise ValueError(MESSAGE)
    sign, whole, fraction, suffix = found.groups()
    fraction = fraction or ""
    if len(whole) + len(fraction) > _LONGEST:
        raise ValueError(_WRONG_NUMBER)
    exponent, format = _of_suffix(suffix)
    whole = whole.lstrip("0") or "0"
    digits = whole + fraction
    number = int(digits)
    if format == "binary":
        units, scale = number << exponent, -len(fraction)
        quick = not fraction and 14 - len(whole) - exponent * 3 // 10 >= 0
        kept = quick and number & 7 != 0
    else:
        units, scale = number, exponent - len(fraction)
        quick = len(digits) <= 18 and scale >= _FINEST
        kept = quick and scale % 3 == 0 and not digits.endswith("000") and digits[0] != "0"
    if sign == "-":
        units = -units
    if kept:
        return _Quantity(units, scale, format, text)
    return _bounded(units, scale, format)


def _of_suffix(suffix: str) -> tuple[int, str]:
    if suffix in _DECIMAL:
        return _DECIMAL[suffix], "decimal"
    if suffix in _BINARY:
        return _BINARY[suffix], "binary"
    found = _EXPONENT.fullmatch(suffix)
    if found is None or abs(int(found[1])) > _LARGEST_EXPONENT:
        raise ValueError(_WRONG_SUFFIX)
    return int(found[1]), "exponent"


def _bounded(units: int, scale: int, format: str) -> _Quantity:
    """No finer than a billionth; binary ones no larger than 2^63-1."""
    if scale < _FINEST:
        units, scale = _divided(units, 10 ** (_FINEST - scale)), _FINEST
    if format == "binary":
        size = abs(units)
        one = 10**-scale
        if size > _MOST * one:
            units, scale = (_MOST if units > 0 else -_MOST), 0
        elif 0 < size < one:
            format = "decimal"
    return _Quantity(units, scale, format)


def _divided(units: int, by: int) -> int:
    """Rounded away from zero."""
    return -(-units // by) if units >= 0 else units // by


def _quantity(value: Given) -> _Quantity:
    if isinstance(value, str):
        return _parsed(value)
    return _parsed(f"{value:f}" if isinstance(value, Decimal) else repr(value))


def parse(value: Given) -> Decimal:
    """The number. ValueError with apimachinery's message where it is none."""
    found = _quantity(value)
    sign = 1 if found.units < 0 else 0
    return Decimal((sign, tuple(map(int, str(abs(found.units)))), found.scale))


def canonical(value: Given) -> str:
    """As Go prints it: `1000m` is `1`, `1024Mi` is `1Gi`, `0.5` is `500m`."""
    return _spelled(_quantity(value))


def _spelled(found: _Quantity) -> str:
    if found.text:
        return found.text
    units, scale, format = found.units, found.scale, found.format
    if units == 0:
        return "0"
    if format == "binary":
        amount, rest = divmod(abs(units), 10**-scale) if scale < 0 else (abs(units) * 10**scale, 0)
        if rest or amount < 1024:
            format = "decimal"
        else:
            return f"{'-' if units < 0 else ''}{_binary(amount)}"
    while units % 10 == 0:
        units //= 10
        scale += 1
    exponent = scale - scale % 3
    if format == "decimal":
        exponent = min(exponent, 18)
    units *= 10 ** (scale - exponent)
    if format == "decimal":
        return f"{units}{_DECIMAL_SUFFIX[exponent]}"
    return f"{units}e{exponent}" if exponent else str(units)


def _binary(amount: int) -> str:
    exponent = 0
    while amount % 1024 == 0 and exponent < 60:
        amount //= 1024
        exponent += 10
    return f"{amount}{_BINARY_SUFFIX.get(exponent, '')}"


def _scaled(value: Given, scale: int) -> int:
    found = _quantity(value)
    shift = found.scale - scale
    units = found.units * 10**shift if shift >= 0 else _divided(found.units, 10**-shift)
    return max(-_MOST - 1, min(_MOST, units))


def milli(value: Given) -> int:
    """Thousandths, rounded away from zero, within 64 bits."""
    return _scaled(value, -3)


def whole(value: Given) -> int:
    """Rounded away from zero, within 64 bits."""
    return _scaled(value, 0)


def _sum(left: _Quantity, right: _Quantity, sign: int) -> _Quantity:
    scale = min(left.scale, right.scale)
    units = left.units * 10 ** (left.scale - scale) + sign * right.units * 10 ** (right.scale - scale)
    return _Quantity(units, scale, left.format if left.units else right.format)


def add(left: Given, right: Given) -> str:
    """The sum, written as `left` is (as `right` where `left` is nothing)."""
    return _spelled(_sum(_quantity(left), _quantity(right), 1))


def subtract(left: Given, right: Given) -> str:
    return _spelled(_sum(_quantity(left), _quantity(right), -1))


def compare(left: Given, right: Given) -> int:
    """-1, 0 or 1."""
    units = _sum(_quantity(left), _quantity(right), -1).units
    return (units > 0) - (units < 0)
