"""Values that Go reads from strings with a parser of their own: times, bytes, quantities. Each function gives the text
as Go would write it back, or raises `ValueError` with Go's own words.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from ropewalk.kube.machinery import quantities

_RFC3339 = "2006-01-02T15:04:05Z07:00"
_RFC3339_MICRO = "2006-01-02T15:04:05.000000Z07:00"
_TIME = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)T(?P<hour>\d\d?):(?P<minute>\d\d):(?P<second>\d\d)"
    r"(?P<fraction>[.,]\d+)?(?P<zone>Z|[+-]\d\d:\d\d)",
    re.ASCII,
)
_STEPS = (
    ("2006", r"\d{4}"),
    ("-", "-"),
    ("01", r"\d\d"),
    ("-", "-"),
    ("02", r"\d\d"),
    ("T", "T"),
    ("15", r"\d\d?"),
    (":", ":"),
    ("04", r"\d\d"),
    (":", ":"),
    ("05", r"\d\d"),
)
"""The parts of Go's layout, and what each takes from the text: to say where a time goes wrong."""

ZERO_TIMES = ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z")
"""Go's zero time: written as null, so as good as none."""


def time(text: str) -> str:
    """RFC 3339 → in UTC, whole seconds (metav1.Time)."""
    return _moment(text, _RFC3339).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def micro_time(text: str) -> str:
    """RFC 3339 with exactly six decimals → in UTC (metav1.MicroTime)."""
    found = _TIME.fullmatch(text)
    if found and len(found["fraction"] or "") != 7:
        end = found.end("fraction") if found["fraction"] else found.end("second")
        start = found.start("fraction") if found["fraction"] else end
        raise _unparsed(text, _RFC3339_MICRO, text[start:], ".000000")
    return _moment(text, _RFC3339_MICRO).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def _moment(text: str, layout: str) -> datetime:
    found = _TIME.fullmatch(text)
    if found is None:
        raise _misspelled(text, layout)
    for part, least, most in (("month", 1, 12), ("hour", 0, 23), ("minute", 0, 59), ("second", 0, 59)):
        if not least <= int(found[part]) <= most:
            raise ValueError(f"parsing time {_quoted(text)}: {part} out of range")
    zone = found["zone"]
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6])) if zone != "Z" else timedelta()
    fraction = ((found["fraction"] or ".")[1:] + "000000")[:6]
    try:
        day = datetime(int(found["year"]), int(found["month"]), int(found["day"]), tzinfo=UTC)
        stamp = day.replace(
            hour=int(found["hour"]), minute=int(found["minute"]), second=int(found["second"]), microsecond=int(fraction)
        )
        return stamp + offset if zone.startswith("-") else stamp - offset
    except (ValueError, OverflowError):
        raise ValueError(f"parsing time {_quoted(text)}: day out of range") from None


def _misspelled(text: str, layout: str) -> ValueError:
    rest = text
    for name, pattern in _STEPS:
        found = re.match(pattern, rest, re.ASCII)
        if found is None:
            return _unparsed(text, layout, rest, name)
        rest = rest[found.end() :]
    rest = re.sub(r"\A[.,]\d+", "", rest)
    zone = re.match(r"Z|[+-]\d\d:\d\d", rest, re.ASCII)
    if zone is None:
        return _unparsed(text, layout, rest, "Z07:00")
    return ValueError(f"parsing time {_quoted(text)}: extra text: {_quoted(rest[zone.end() :])}")


def _unparsed(text: str, layout: str, rest: str, name: str) -> ValueError:
    return ValueError(f'parsing time {_quoted(text)} as "{layout}": cannot parse {_quoted(rest)} as "{name}"')


def encoded_bytes(text: str) -> str:
    """Base64; line ends within are ignored, as Go does."""
    plain = text.replace("\n", "").replace("\r", "")
    try:
        binascii.a2b_base64(plain, strict_mode=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"illegal base64 data at input byte {_bad_byte(plain)}") from None
    return base64.b64encode(base64.b64decode(plain)).decode() if plain else ""


def _bad_byte(text: str) -> int:
    good = re.match(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", text)
    assert good is not None
    rest = good.end()
    while rest < len(text) and ((text[rest].isalnum() and text[rest].isascii()) or text[rest] in "+/"):
        rest += 1
    return rest if rest < len(text) else len(text) // 4 * 4


@lru_cache(maxsize=4096)
def quantity(text: str) -> str:
    """Any quantity → its canonical form. Kept: most objects say the same few."""
    return quantities.canonical(text.strip())


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
