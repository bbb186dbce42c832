"""Pages of a list, and the opaque tokens between them. Pure.

A token holds the last key of its page and a digest of the question it belongs to: pages stay right while items come and
go, and a token given back with other filters, or to another operation, is refused as AWS does.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import orjson

from ropewalk.aws.operations import Params
from ropewalk.base.errors import Fault

T = TypeVar("T")

_DIGEST_CHARACTERS = 16
MAX_TOKEN = 4096


@dataclass(frozen=True, slots=True)
class Paging:
    """How one operation pages: the names of its members, its bounds and its errors."""

    token: str = "nextToken"
    limit: str = "maxResults"
    maximum: int = 100
    default: int = 100
    minimum: int = 1
    code: str = "InvalidParameterException"
    """For a token that is not ours and for a limit out of bounds."""


def page(
    items: Iterable[T], params: Params, paging: Paging, *, key: Callable[[T], str], question: object = ()
) -> tuple[list[T], str | None]:
    """One page in the order of `key` (unique), and the next page's token, None at the end.

    `question` is whatever else decided the list (operation, filters): JSON-like values. Raises `Fault`.
    """
    size = params.get(paging.limit, paging.default)
    if not paging.minimum <= size <= paging.maximum:
        raise Fault(paging.code, f"{paging.limit} must be between {paging.minimum} and {paging.maximum}, not {size}.")
    digest = _digest(question)
    ordered = sorted(items, key=key)
    token = params.get(paging.token)
    if token:
        last = _last_key(token, digest, paging)
        ordered = [item for item in ordered if key(item) > last]
    if len(ordered) <= size:
        return ordered, None
    chosen = ordered[:size]
    return chosen, _token(digest, key(chosen[-1]))


def _digest(question: object) -> str:
    encoded = orjson.dumps(question, option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(encoded).hexdigest()[:_DIGEST_CHARACTERS]


def _token(digest: str, last: str) -> str:
    return base64.urlsafe_b64encode(f"{digest}{last}".encode()).decode("ascii")


def _last_key(token: str, digest: str, paging: Paging) -> str:
    try:
        if len(token) > MAX_TOKEN:
            raise ValueError("too long")
        text = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    if text[:_DIGEST_CHARACTERS] != digest:
        raise Fault(paging.code, f"Invalid token in {paging.token}: it belongs to no page of this list.")
    return text[_DIGEST_CHARACTERS:]
