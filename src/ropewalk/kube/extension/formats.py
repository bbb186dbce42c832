"""The string formats that a custom resource's schema may name; others are accepted unchecked, as Kubernetes does.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date
from urllib.parse import urlsplit

from ropewalk.kube.machinery import times

Fits = Callable[[str], bool]


def _quietly(check: Callable[[str], object]) -> Fits:
    def fits(text: str) -> bool:
        try:
            check(text)
        except ValueError:
            return False
        return True

    return fits


def _matching(expression: str, flags: int = 0) -> Fits:
    compiled = re.compile(expression, re.ASCII | flags)
    return lambda text: compiled.fullmatch(text) is not None


def _uuid(version: str) -> Fits:
    return _matching(
        rf"[0-9a-f]{{8}}-?[0-9a-f]{{4}}-?{version}[0-9a-f]{{3}}-?[0-9a-f]{{4}}-?[0-9a-f]{{12}}", re.IGNORECASE
    )


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _is_uri(text: str) -> bool:
    try:
        return bool(urlsplit(text).scheme)
    except ValueError:
        return False


def _is_date(text: str) -> bool:
    return len(text) == 10 and _quietly(date.fromisoformat)(text)


_FORMATS: dict[str, Fits] = {
    "bsonobjectid": _matching("[0-9a-f]{24}", re.IGNORECASE),
    "uri": _is_uri,
    "email": _matching(r"[^@\s]+@[^@\s]+"),
    "hostname": _matching(
        r"([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*", re.IGNORECASE
    ),
    "ipv4": _quietly(ipaddress.IPv4Address),
    "ipv6": _quietly(ipaddress.IPv6Address),
    "cidr": lambda text: "/" in text and _quietly(lambda one: ipaddress.ip_network(one, strict=False))(text),
    "mac": _matching("([0-9a-f]{2}[:-]){5}[0-9a-f]{2}", re.IGNORECASE),
    "uuid": _uuid("[0-9a-f]"),
    "uuid3": _uuid("3"),
    "uuid4": _uuid("4"),
    "uuid5": _uuid("5"),
    "isbn": _matching(r"(97[89][- ]?)?\d{1,5}[- ]?\d+[- ]?\d+[- ]?[\dX]"),
    "isbn10": _matching(r"\d{1,5}[- ]?\d+[- ]?\d+[- ]?[\dX]"),
    "isbn13": _matching(r"97[89][- ]?\d{1,5}[- ]?\d+[- ]?\d+[- ]?\d"),
    "creditcard": _matching(r"[\d -]{12,23}"),
    "ssn": _matching(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _matching("#?([0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE),
    "rgbcolor": _matching(r"rgb\(\s*\d{1,3}\s*,\s*\d{1,3}\s*,\s*\d{1,3}\s*\)"),
    "byte": _is_base64,
    "date": _is_date,
    "datetime": _quietly(times.parse),
    "date-time": _quietly(times.parse),
    "duration": _matching(r"-?(\d+(\.\d*)?|\.\d+)\s*(ns|us|µs|ms|s|m|h|d|w)((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*"),
}


def check_of(form: str) -> Fits | None:
    return _FORMATS.get(form)
