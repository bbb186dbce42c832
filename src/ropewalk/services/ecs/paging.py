"""Pages of ordered names, with opaque tokens. A token names the last item given, so that a list that changes between
two calls repeats nothing and skips nothing that stayed.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from ropewalk.services.ecs.faults import invalid

MOST = 100


def page_size(asked: int | None, most: int = MOST) -> int:
    if asked is None:
        return most
    if not 1 <= asked <= most:
        raise invalid(f"maxResults must be between 1 and {most}.")
    return asked


def encode(kind: str, last: str) -> str:
    return base64.urlsafe_b64encode(f"{kind}:{last}".encode()).decode()


def decode(kind: str, token: str | None) -> str:
    """The last item of the page before; "" for the first page. Raises InvalidParameterException."""
    if not token:
        return ""
    try:
        found, _, last = base64.b64decode(token, altchars=b"-_", validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        found, last = "", ""
    if found != kind or not last:
        raise invalid("Invalid token. Use the nextToken of the call before, unchanged.")
    return last


def cut(kind: str, ordered: Sequence[tuple[str, str]], start: int, size: int) -> tuple[list[str], str | None]:
    """Values of one page of (position, value) pairs beginning at `start`, and the token of the next."""
    page = ordered[start : start + size]
    more = start + size < len(ordered)
    return [value for _, value in page], encode(kind, page[-1][0]) if more and page else None
