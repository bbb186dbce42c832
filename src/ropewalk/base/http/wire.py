"""A response's head as bytes. Pure; knows nothing of connections.

Header values that hold a line break are refused: a caller's text must never end a header and begin another.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from http import HTTPStatus

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_FORBIDDEN = re.compile(r"[\r\n\0]")

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BODILESS = frozenset((101, 204, 304))
"""Statuses that never have a body, whatever the handler gave."""


def http_date(seconds: float) -> str:
    """`Mon, 23 Nov 2026 09:36:49 GMT`."""
    moment = time.gmtime(seconds)  # names by hand: strftime's depend on the locale, and email.utils loads slowly
    day, month = _DAYS[moment.tm_wday], _MONTHS[moment.tm_mon - 1]
    clock = f"{moment.tm_hour:02d}:{moment.tm_min:02d}:{moment.tm_sec:02d}"
    return f"{day}, {moment.tm_mday:02d} {month} {moment.tm_year:04d} {clock} GMT"


def response_head(status: int, headers: Mapping[str, str], framing: str) -> bytes:
    """Status line and headers up to the empty line; `framing` holds the server's own header lines, each ended.

    Raises `ValueError` for a header that would break the framing.
    """
    parts = [_STATUS_LINES.get(status) or f"HTTP/1.1 {status} Unknown\r\n"]
    for name, value in headers.items():
        line = f"{name}: {value}"
        if _FORBIDDEN.search(line):
            raise ValueError(f"response header {name!r} holds a line break")
        parts.append(line)
        parts.append("\r\n")
    parts.append(framing)
    parts.append("\r\n")
    return "".join(parts).encode("latin-1")
