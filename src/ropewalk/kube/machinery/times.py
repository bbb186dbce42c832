"""Times as the API spells them, and how long ago they were as people read it. Pure.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/ (Time, MicroTime: RFC 3339, UTC)
"""

from __future__ import annotations

import re
from calendar import timegm
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from time import gmtime, strftime

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,18}))?(?:([Zz])|([+-])(\d\d):(\d\d))", re.ASCII
)
UNKNOWN = "<unknown>"
MINUTE, HOUR, DAY, YEAR = 60, 3600, 86_400, 365 * 86_400


@lru_cache(maxsize=64)
def _seconds(wall: int) -> str:
    return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(wall))


def rfc3339(wall: float) -> str:
    """Seconds since 1970 as `2026-11-25T16:00:00Z`."""
    return _seconds(int(wall))


def rfc3339_micro(wall: float) -> str:
    """With six digits after the second."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@lru_cache(maxsize=4096)
def parse(text: str) -> float:
    """Seconds since 1970. Raises `ValueError` for what is no RFC 3339 time."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a time such as 2006-01-02T15:04:05Z")
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    fraction = float(f"0.{found[7]}") if found[7] else 0.0
    if found[8]:
        datetime(year, month, day, hour, minute, second)
        return timegm((year, month, day, hour, minute, second)) + fraction
    offset = timedelta(hours=int(found[10]), minutes=int(found[11])) * (1 if found[9] == "+" else -1)
    return datetime(year, month, day, hour, minute, second, tzinfo=timezone(offset)).timestamp() + fraction


def age(now: float, text: str) -> str:
    """How long ago, as kubectl shows it; `<unknown>` where there is no time."""
    if not text:
        return UNKNOWN
    try:
        return human_duration(now - parse(text))
    except ValueError:
        return UNKNOWN


def human_duration(seconds: float) -> str:
    """`45s`, `5m30s`, `3h12m`, `5d3h`, `400d`, `2y10d`: the larger the rougher."""
    if seconds < -1:
        return "<invalid>"
    whole = max(0, int(seconds))
    if whole < 2 * MINUTE:
        return f"{whole}s"
    minutes, hours, days = whole // MINUTE, whole // HOUR, whole // DAY
    if minutes < 10:
        return _pair(minutes, "m", whole % MINUTE, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _pair(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _pair(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    if days < 365 * 8:
        return _pair(whole // YEAR, "y", days % 365, "d")
    return f"{whole // YEAR}y"


def _pair(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large}{unit}{small}{small_unit}" if small else f"{large}{unit}"
