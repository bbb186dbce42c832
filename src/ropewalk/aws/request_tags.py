"""What conditions may ask about the tags that a request brings: `aws:RequestTag/KEY` and `aws:TagKeys`.

Every service spells tags in one of few ways, so this is read off the parameters once, for all services: a policy that
denies a tag denies it wherever tags can be given. Knows no service and no policy. Source:
docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html (aws:RequestTag, aws:TagKeys).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_LISTS = ("tags", "Tags")
_KEYS = ("tagKeys", "TagKeys")
_SPECIFICATIONS = "TagSpecifications"


def request_tags(params: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """Condition keys with their values; empty where the request names no tag at all."""
    keys: dict[str, None] = {}
    context: dict[str, Sequence[str]] = {}
    for key, value in _tags(params):
        keys[key] = None
        context[f"aws:RequestTag/{key}"] = (value,)
    for member in _KEYS:
        keys.update(dict.fromkeys(str(key) for key in params.get(member) or ()))
    if keys:
        context["aws:TagKeys"] = tuple(keys)
    return context


def _tags(params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for member in _LISTS:
        yield from _pairs(params.get(member))
    for specification in params.get(_SPECIFICATIONS) or ():
        yield from _pairs(specification.get("Tags"))


def _pairs(tags: Any) -> Iterator[tuple[str, str]]:
    """Of a map (logs), of `{key, value}` (ecs) or of `{Key, Value}` (ec2, iam, sts). `Any`: one of these, or none."""
    if isinstance(tags, Mapping):
        yield from ((str(key), str(value)) for key, value in tags.items())
        return
    for tag in tags or ():
        if isinstance(tag, Mapping):
            key = tag.get("key", tag.get("Key"))
            if key is not None:
                yield str(key), str(tag.get("value", tag.get("Value")) or "")
