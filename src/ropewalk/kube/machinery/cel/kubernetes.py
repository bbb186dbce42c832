"""Kubernetes' own functions: quantities, named formats, JSON patch helpers; see `urls`, `networks` and `versions` too.
https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-cel-libraries
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ropewalk.kube.machinery import names, quantities
from ropewalk.kube.machinery.cel import urls
from ropewalk.kube.machinery.cel.functions import function, method, opaque, parses, traversal
from ropewalk.kube.machinery.cel.standard import timestamp
from ropewalk.kube.machinery.cel.values import INT_MAX, INT_MIN, NONE, EvaluationError, Opaque, Optional, Value

# --- quantity


@opaque("Quantity")
@dataclass(frozen=True, slots=True)
class Quantity(Opaque):
    amount: Decimal
    type_name = "kubernetes.Quantity"


def _quantity(text: str) -> Quantity:
    try:
        return Quantity(quantities.parse(text))
    except ValueError as error:
        raise EvaluationError(str(error)) from None


function("quantity", "string -> Quantity", cost=traversal())(_quantity)


@function("isQuantity", "string -> bool", cost=traversal())
def is_quantity(text: str) -> bool:
    return parses(_quantity, text)


@method("sign", "Quantity -> int")
def sign(value: Quantity) -> int:
    return (value.amount > 0) - (value.amount < 0)


@method("isGreaterThan", "Quantity Quantity -> bool")
def quantity_greater(left: Quantity, right: Quantity) -> bool:
    return left.amount > right.amount


@method("isLessThan", "Quantity Quantity -> bool")
def quantity_less(left: Quantity, right: Quantity) -> bool:
    return left.amount < right.amount


@method("compareTo", "Quantity Quantity -> int")
def quantity_compare(left: Quantity, right: Quantity) -> int:
    return (left.amount > right.amount) - (left.amount < right.amount)


@method("asApproximateFloat", "Quantity -> double")
def quantity_float(value: Quantity) -> float:
    return float(value.amount)


@method("isInteger", "Quantity -> bool")
def quantity_is_integer(value: Quantity) -> bool:
    return value.amount == value.amount.to_integral_value() and INT_MIN <= value.amount <= INT_MAX


@method("asInteger", "Quantity -> int")
def quantity_integer(value: Quantity) -> int:
    if not quantity_is_integer(value):
        raise EvaluationError("cannot convert value to integer")
    return int(value.amount)


def _amount(value: Value) -> Decimal:
    return value.amount if isinstance(value, Quantity) else Decimal(value)


@method("add", "Quantity Quantity -> Quantity", "Quantity int -> Quantity")
def quantity_add(left: Quantity, right: Value) -> Quantity:
    return Quantity(left.amount + _amount(right))


@method("sub", "Quantity Quantity -> Quantity", "Quantity int -> Quantity")
def quantity_subtract(left: Quantity, right: Value) -> Quantity:
    return Quantity(left.amount - _amount(right))


# --- named formats


@opaque("NamedFormat")
@dataclass(frozen=True, slots=True)
class NamedFormat(Opaque):
    name: str
    type_name = "kubernetes.NamedFormat"


_UUID = re.compile(r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}")


def _uri(text: str) -> list[str]:
    problem = urls.request_problem(text)
    return [problem] if problem else []


def _uuid(text: str) -> list[str]:
    return [] if _UUID.fullmatch(text) else ["does not match the UUID format"]


def _byte(text: str) -> list[str]:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return ["invalid base64"]
    return []


def _date(text: str) -> list[str]:
    try:
        date.fromisoformat(text)
    except ValueError:
        return ["invalid date"]
    return [] if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else ["invalid date"]


def _datetime(text: str) -> list[str]:
    return [] if parses(timestamp, text) else ["invalid datetime"]


FORMATS: dict[str, Callable[[str], list[str]]] = {
    "dns1123Label": names.dns1123_label,
    "dns1123Subdomain": names.dns1123_subdomain,
    "dns1035Label": names.dns1035_label,
    "qualifiedName": names.qualified_name,
    "dns1123LabelPrefix": lambda text: names.dns1123_label(text, prefix=True),
    "dns1123SubdomainPrefix": lambda text: names.dns1123_subdomain(text, prefix=True),
    "dns1035LabelPrefix": lambda text: names.dns1035_label(text, prefix=True),
    "labelValue": names.label_value,
    "uri": _uri,
    "uuid": _uuid,
    "byte": _byte,
    "date": _date,
    "datetime": _datetime,
}


def _declare_format(name: str) -> None:
    value = NamedFormat(name)
    function(f"format.{name}", " -> NamedFormat")(lambda: value)


for _name in FORMATS:
    _declare_format(_name)


@function("format.named", "string -> optional(NamedFormat)")
def format_named(name: str) -> Optional:
    return Optional(True, NamedFormat(name)) if name in FORMATS else NONE


@method("validate", "NamedFormat string -> optional(list(string))", cost=traversal(10, 1))
def format_validate(named: NamedFormat, text: str) -> Optional:
    problems = FORMATS[named.name](text)
    return Optional(True, problems) if problems else NONE


# --- JSON patch


@function("jsonpatch.escapeKey", "string -> string", cost=traversal())
def escape_key(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")
