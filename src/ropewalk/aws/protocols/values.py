"""Scalars as text and back: timestamps in AWS's three spellings, numbers, booleans, blobs.

A document's timestamp is a float of seconds since 1970. Parsers raise `Malformed` and never anything else.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from datetime import UTC, datetime, timedelta

from ropewalk.base.http.wire import http_date

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INTEGER = re.compile(r"[+-]?\d{1,40}", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
RANGES = {"integer": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
MAX_SECONDS = 253402300799.999999  # 9999-12-31
MIN_SECONDS = -62135596800.0  # 0001-01-01


class Malformed(Exception):
    """What came does not have the modelled shape. The message is for the caller."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.path = path

    def within(self, name: str) -> Malformed:
        """The same, seen from the structure that holds it."""
        self.path = f"{name}.{self.path}" if self.path and not self.path.startswith("[") else f"{name}{self.path}"
        return self


def _checked_seconds(seconds: float) -> float:
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise Malformed("timestamp is out of range")
    return seconds


def timestamp_from_number(value: float) -> float:
    if not math.isfinite(value):
        raise Malformed("timestamp is not finite")
    return _checked_seconds(value)


def _rfc822(text: str) -> datetime:
    from email.utils import parsedate_to_datetime  # slow to load, and rarely needed

    return parsedate_to_datetime(text)


def timestamp_from_text(text: str) -> float:
    """ISO 8601, seconds since 1970 as digits, or RFC 7231: whichever it is."""
    text = text.strip()
    try:
        if NUMBER.fullmatch(text):
            return timestamp_from_number(float(text))
        moment = datetime.fromisoformat(text) if text[:1].isdigit() else _rfc822(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return _checked_seconds((moment - EPOCH) / timedelta(seconds=1))
    except (ValueError, OverflowError, TypeError, IndexError):
        raise Malformed(f"{text[:64]!r} is not a timestamp; use ISO 8601, as 2026-01-31T12:00:00Z") from None


def iso8601(seconds: float) -> str:
    """`2026-11-23T09:36:49.120Z`: milliseconds, as AWS writes them; microseconds only where needed to say it all."""
    moment = EPOCH + timedelta(microseconds=round(seconds * 1e6))
    micros = moment.microsecond
    fraction = f"{micros:06d}" if micros % 1000 else f"{micros // 1000:03d}"
    return f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}T{moment:%H:%M:%S}.{fraction}Z"


def format_timestamp(seconds: float, form: str) -> str:
    """`form` is "iso8601", "unixTimestamp" or "rfc822", in any case."""
    lowered = form.lower()
    if lowered == "unixtimestamp":
        return format_number(seconds)
    return http_date(seconds) if lowered in ("rfc822", "httpdate") else iso8601(seconds)


def format_number(value: float) -> str:
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
    return repr(value)


def integer_from_text(text: str, kind: str) -> int:
    if not INTEGER.fullmatch(text):
        raise Malformed(f"{text[:64]!r} is not an integer")
    return in_range(int(text), kind)


def in_range(value: int, kind: str) -> int:
    low, high = RANGES[kind]
    if not low <= value <= high:
        raise Malformed(f"{value} does not fit in {'32' if kind == 'integer' else '64'} bits")
    return value


def float_from_text(text: str) -> float:
    if text in ("NaN", "Infinity", "-Infinity"):
        return float(text)
    if not NUMBER.fullmatch(text):
        raise Malformed(f"{text[:64]!r} is not a number")
    return float(text)


def boolean_from_text(text: str) -> bool:
    lowered = text.lower()
    if lowered == "true":
        return True
    if lowered == "false":
        return False
    raise Malformed(f"{text[:64]!r} is not true or false")


def blob_from_text(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("not valid base64") from None


def blob_to_text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
