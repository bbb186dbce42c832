"""Amounts of resources: `500m`, `1.5Gi`, `2e3`. Exact arithmetic, and the canonical spelling that Kubernetes stores.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Context, Decimal, localcontext
from functools import lru_cache

MESSAGE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_WIDE = Context(prec=60)
_QUANTITY = re.compile(r"([+-]?)(\d+(?:\.\d*)?|\.\d+)(?:([KMGTPE]i)|([numkMGTPE])|[eE]([+-]?\d{1,3}))?", re.ASCII)
_BINARY = {suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BY_POWER = {power: suffix for suffix, power in _DECIMAL.items()}
LARGEST = Decimal(2**63 - 1)
_NANO = Decimal("1e-9")


@lru_cache(maxsize=8192)
def _parsed(text: str) -> tuple[Decimal, str]:
    """(the amount, its format: "binary", "decimal" or "exponent")."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise ValueError(MESSAGE)
    sign, digits, binary, suffix, exponent = found.groups()
    with localcontext(_WIDE):
        amount = Decimal(digits)
        if binary:
            amount *= _BINARY[binary]
        elif suffix:
            amount = amount.scaleb(_DECIMAL[suffix])
        elif exponent:
            amount = amount.scaleb(int(exponent))
        if amount > LARGEST:
            amount = LARGEST
        elif amount and amount % _NANO:
            amount = amount.quantize(_NANO, rounding=ROUND_CEILING)
        if sign == "-":
            amount = -amount
    return amount, "binary" if binary else "exponent" if exponent else "decimal"


def parse(value: str | float) -> Decimal:
    """The exact amount, rounded up to nano. Raises `ValueError` in apimachinery's words."""
    return _parsed(value if isinstance(value, str) else repr(value))[0]


@lru_cache(maxsize=8192)
def canonical(value: str | float) -> str:
    """As Kubernetes spells it: no fraction, the largest suffix that needs none, in the format it was given in."""
    amount, form = _parsed(value if isinstance(value, str) else repr(value))
    return spelled(amount, form)


def spelled(amount: Decimal, form: str = "decimal") -> str:
    """An amount in one of the formats: "binary", "decimal" or "exponent"."""
    if not amount:
        return "0"
    with localcontext(_WIDE):
        if form == "binary" and amount == amount.to_integral_value() and abs(amount) >= 1024:
            return _spelled_binary(int(amount))
        sign, digits, raw_exponent = amount.normalize().as_tuple()
        assert isinstance(raw_exponent, int)
        number = int("".join(map(str, digits)))
        power = max(-9, raw_exponent // 3 * 3)
        number *= 10 ** (raw_exponent - power)
        while power > 18:
            number, power = number * 1000, power - 3
    text = f"{'-' if sign else ''}{number}"
    if form == "exponent":
        return f"{text}e{power}" if power else text
    return text + _BY_POWER[power]


def _spelled_binary(whole: int) -> str:
    suffix = ""
    for name in _BINARY:
        if whole % 1024:
            break
        whole //= 1024
        suffix = name
    return f"{whole}{suffix}"


def milli(value: str | float) -> int:
    """In thousandths, rounded up: CPU."""
    with localcontext(_WIDE):
        return int((parse(value) * 1000).to_integral_value(ROUND_CEILING))


def whole(value: str | float) -> int:
    """In units, rounded up: bytes, counts."""
    return int(parse(value).to_integral_value(ROUND_CEILING))


def add(left: str | float, right: str | float) -> str:
    """The sum, in the left one's format (the right one's where the left is 0)."""
    amount, form = _parsed(str(left))
    other, other_form = _parsed(str(right))
    with localcontext(_WIDE):
        return spelled(amount + other, form if amount else other_form)


def compare(left: str | float, right: str | float) -> int:
    """-1, 0 or 1."""
    one, other = parse(left), parse(right)
    return (one > other) - (one < other)
