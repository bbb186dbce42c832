"""Times as the API writes them (RFC 3339, UTC), and ages as people read them.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/ (creationTimestamp and its kin)
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORM = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,18}))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII)
UNKNOWN = "<unknown>"


@lru_cache(256)
def _spelled(second: int) -> str:
    """Each second once: a busy server writes thousands of times in it."""
    return (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")


def rfc3339(wall: float) -> str:
    """Whole seconds, cut: `2026-02-01T10:00:00Z`."""
    return f"{_spelled(round(wall * 1_000_000) // 1_000_000)}Z"


def rfc3339_micro(wall: float) -> str:
    """`2026-02-01T10:00:00.000000Z`, as leases and events have it."""
    second, micro = divmod(round(wall * 1_000_000), 1_000_000)
    return f"{_spelled(second)}.{micro:06d}Z"


@lru_cache(8192)
def parse(text: str) -> float:
    """Seconds since 1970. ValueError where it is no RFC 3339 time."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"')
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    fraction, sign, ahead_hours, ahead_minutes = found.groups()[6:]
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as wrong:
        raise ValueError(f'parsing time "{text}": {str(wrong).split(" must")[0]} out of range') from None
    ahead = 0
    if sign:
        if int(ahead_hours) > 24 or int(ahead_minutes) > 60:
            raise ValueError(f'parsing time "{text}": time zone offset out of range')
        ahead = (int(ahead_hours) * 3600 + int(ahead_minutes) * 60) * (1 if sign == "+" else -1)
    return (moment - _EPOCH).total_seconds() - ahead + (float(f"0.{fraction}") if fraction else 0.0)


def age(now: float, text: str) -> str:
    """How long ago, in two or three figures: `5d3h`, `10m`; `<unknown>` where no time is given."""
    if not text:
        return UNKNOWN
    try:
        return human_duration(now - parse(text))
    except ValueError:
        return UNKNOWN


def human_duration(seconds: float) -> str:
    """`HumanDuration` of apimachinery."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 120:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    years = days // 365
    return _two(years, "y", days % 365, "d") if years < 8 else f"{years}y"


def _two(large: int, unit: str, small: int, subunit: str) -> str:
    return f"{large}{unit}{small}{subunit}" if small else f"{large}{unit}"
