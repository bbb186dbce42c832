"""Tags: their rules, and their three operations for every taggable ECS resource.

Rules: docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-using-tags.html#tag-restrictions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ropewalk.services.ecs.faults import client, invalid

Tags = tuple[tuple[str, str], ...]
"""(key, value) pairs in the order they were given; keys are unique."""

MOST = 50
_CHARACTERS = re.compile(r"[\w\s.:/=+\-@]*\Z")


def parse(given: Sequence[Mapping[str, Any]] | None, *, may_be_empty: bool = True) -> Tags:
    """Validated tags of a request. Raises InvalidParameterException (ClientException for an empty list)."""
    if given is None:
        return ()
    if not given and not may_be_empty:
        raise client("Tags can not be empty.")
    if len(given) > MOST:
        raise invalid(f"Too many tags: at most {MOST} may be given to a resource.")
    seen: dict[str, str] = {}
    for tag in given:
        key, value = str(tag.get("key", "")), str(tag.get("value", ""))
        check_key(key)
        if len(value) > 256 or not _CHARACTERS.match(value):
            raise invalid(f"The value of tag '{key}' is invalid: at most 256 letters, digits, spaces and _.:/=+-@.")
        if key in seen:
            raise invalid(f"Duplicate tag key '{key}': give each key once.")
        seen[key] = value
    return tuple(seen.items())


def check_key(key: str) -> None:
    if not key or len(key) > 128 or not _CHARACTERS.match(key):
        raise invalid(f"The tag key '{key}' is invalid: 1 to 128 letters, digits, spaces and _.:/=+-@.")
    if key.lower().startswith("aws:"):
        raise invalid(f"The tag key '{key}' is invalid: the prefix aws: is reserved.")


def merged(old: Tags, new: Tags) -> Tags:
    """`old` with `new` laid over it. Raises where that is more than fifty."""
    result = {**dict(old), **dict(new)}
    if sum(not key.startswith("aws:") for key in result) > MOST:
        raise invalid(f"Too many tags: at most {MOST} may be given to a resource.")
    return tuple(result.items())


def without(old: Tags, keys: Iterable[str]) -> Tags:
    gone = set(keys)
    return tuple(pair for pair in old if pair[0] not in gone)


def document(tags: Tags) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags]


Change = Callable[[Tags], Tags]
