"""Continue tokens: where a list that was read in pages goes on. Pure.

https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

import orjson

from ropewalk.kube.machinery import errors

_VERSION = "meta.k8s.io/v1"
INCONSISTENT = -1
"""In place of a revision: go on with whatever is there now."""


@dataclass(frozen=True, slots=True)
class Position:
    revision: int
    after: str
    """The last key of the page before, without the list's prefix."""


def encode(position: Position) -> str:
    document = {"v": _VERSION, "rv": position.revision, "start": position.after + "\0"}
    return urlsafe_b64encode(orjson.dumps(document)).decode().rstrip("=")


def decode(token: str) -> Position:
    """Raises BadRequest for what no server of ours gave."""
    try:
        document = orjson.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, binascii.Error):
        raise errors.bad_request(f"invalid continue token {token!r}: it is not one that a list has answered") from None
    match document:
        case {"v": "meta.k8s.io/v1", "rv": int(revision), "start": str(start)} if start and (
            revision > 0 or revision == INCONSISTENT
        ):
            after = start.removesuffix("\0")
            if after.startswith("/") or ".." in after.split("/") or "\0" in after:
                raise errors.bad_request(f"invalid continue token: the key {after!r} lies outside the list")
            return Position(revision, after)
    raise errors.bad_request('invalid continue token: incorrect encoded version or start (expected "meta.k8s.io/v1")')


EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without"
    " the continue parameter, or use the continue token in this response to retrieve the remainder of the results."
    " Continuing with the provided token results in an inconsistent list - objects that were created, modified, or"
    " deleted between the time the first chunk was returned and now may show up in the list."
)


def expired(position: Position) -> errors.StatusFault:
    """410, with a token that goes on from the same key with what is there now."""
    fault = errors.expired(EXPIRED)
    fault.continue_token = encode(Position(INCONSISTENT, position.after))
    return fault
