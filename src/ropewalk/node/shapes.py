"""Small spellings that several parts of the agent share: moments as RFC 3339 text."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339_nano(moment: float) -> str:
    """2020-10-08T20:09:11.445271860Z"""
    whole = int(moment // 1)
    nanoseconds = min(999_999_999, round((moment - whole) * 1e9))
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def from_rfc3339(text: str) -> float:
    """Wall seconds of an RFC 3339 moment with up to nine digits of fraction. Raises `ValueError`."""
    main, dot, rest = text.partition(".")
    if not dot:
        return datetime.fromisoformat(text).timestamp()
    digits = len(rest) - len(rest.lstrip("0123456789"))
    return datetime.fromisoformat(main + rest[digits:]).timestamp() + float("0." + rest[:digits])


def rfc3339_seconds(moment: float) -> str:
    """2020-10-08T20:09:11Z, rounded down."""
    return f"{datetime.fromtimestamp(int(moment // 1), UTC):%Y-%m-%dT%H:%M:%SZ}"
