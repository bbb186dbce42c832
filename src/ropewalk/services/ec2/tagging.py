"""Tags as given with a request: checked once, for creation and for CreateTags alike.

Source: docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions.
"""

from __future__ import annotations

from ropewalk.aws.operations import Params
from ropewalk.base.errors import Fault
from ropewalk.services.ec2.faults import invalid, missing
from ropewalk.services.ec2.records import Tags

MAX_TAGS = 50
MAX_KEY = 128
MAX_VALUE = 256


def checked(given: list[Params]) -> Tags:
    """A list of {Key, Value} as a mapping."""
    tags: Tags = {}
    for tag in given:
        key, value = tag.get("Key"), tag.get("Value") or ""
        if not key:
            raise missing("Tag.Key")
        if key.lower().startswith("aws:"):
            raise invalid(f"Tag keys starting with 'aws:' are reserved for internal use: {key}")
        if len(key) > MAX_KEY:
            raise invalid(f"Tag key exceeds the maximum length of {MAX_KEY} characters: {key[:40]}…")
        if len(value) > MAX_VALUE:
            raise invalid(f"Tag value exceeds the maximum length of {MAX_VALUE} characters, for the key {key}")
        if key in tags:
            raise invalid(f"Duplicate tag key '{key}' specified.")
        tags[key] = value
    return bounded(tags)


def bounded(tags: Tags) -> Tags:
    own = sum(not key.startswith("aws:") for key in tags)
    if own > MAX_TAGS:
        raise Fault("TagLimitExceeded", f"A resource can have at most {MAX_TAGS} tags; these would be {own}.")
    return tags


def specified(params: Params, *kinds: str) -> Tags:
    """The tags of TagSpecifications, all of which must be for one of `kinds`."""
    given: list[Params] = []
    for specification in params.get("TagSpecifications") or []:
        kind = specification.get("ResourceType")
        if kind is None:
            raise missing("TagSpecification.ResourceType")
        if kind not in kinds:
            raise invalid(f"'{kind}' is not a valid taggable resource type for this operation.")
        given.extend(specification.get("Tags") or [])
    return checked(given)
