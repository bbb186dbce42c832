"""Ownership through every write that is no apply: whoever changes a field owns it from then on, alone.

`track_update` runs on the object as the client wants it: after defaults, before admission (whose changes nobody owns)
and before the strategy drops what the write may not set (that is what `reset` is for). Entries of other versions are
judged by the same paths, unless a `Convert` says what the object looks like there.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from ropewalk.kube.machinery.apply import managers as entries
from ropewalk.kube.machinery.apply.field_sets import (
    LEAF,
    FieldSet,
    FieldSetError,
    difference,
    intersection,
    recursive_difference,
    union,
)
from ropewalk.kube.machinery.apply.managers import UPDATE, Identity, Managers
from ropewalk.kube.machinery.apply.walking import compare, created_set
from ropewalk.kube.machinery.objects import Object, metadata
from ropewalk.kube.machinery.remembered import Remembered
from ropewalk.kube.machinery.schema import Schema

Convert = Callable[[Object, str], "tuple[Object, Schema] | None"]
"""(object, apiVersion) → the object in that version, and its schema. None where the version is served no more: what was
owned in it is forgotten.
"""

RESET: dict[str, FieldSet] = {"": {"f:status": LEAF}, "status": {"f:spec": LEAF}}
"""By subresource: what a write of it never sets, and so does not own. Pass `reset` where a kind differs (a custom
resource without a status subresource resets nothing).
"""

UNOWNED = frozenset(
    {
        "clusterName",
        "creationTimestamp",
        "generation",
        "managedFields",
        "name",
        "namespace",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
"""Of metadata: nobody owns these."""

_UNOWNED_STEPS = frozenset("f:" + name for name in UNOWNED)


def track_update(
    live: Object | None,
    new: Object,
    *,
    schema: Schema,
    manager: str,
    api_version: str,
    subresource: str,
    now: str,
    reset: FieldSet | None = None,
    convert: Convert | None = None,
) -> None:
    """Set `new["metadata"]["managedFields"]` in place, given what `live` (None on create) has. An object that was never
    tracked, or whose client cleared the field, stays without; so does one that is malformed beyond telling.
    """
    meta = new.get("metadata")
    if type(meta) is not dict:
        return
    sent = meta.pop("managedFields", None)
    known = metadata(live).get("managedFields") if live is not None else None
    try:
        held = _managers(sent, known, subresource)
        if not held and live is not None:
            return
        reset = RESET.get(subresource, LEAF) if reset is None else reset
        who = entries.identity(manager, UPDATE, api_version, subresource)
        after = _tracked(live, new, held, who, schema, api_version, now, reset, convert)
    except FieldSetError:
        return
    if not after:
        return
    unchanged = after is held and (subresource or sent is None or sent == known)
    meta["managedFields"] = known if unchanged else entries.encoded(after)


def settle_times(live: Object, new: Object) -> None:
    """Put back the times of `live` where they are all that a write changed: call it on the final object, after
    defaults and admission, so that writing the same again is no write. In place.
    """
    before, after = metadata(live).get("managedFields"), metadata(new).get("managedFields")
    if not before or not after or before is after or len(before) != len(after):
        return
    if not all(_same_but_time(*pair) for pair in zip(before, after, strict=True)):
        return
    if body(live) == body(new):
        new["metadata"]["managedFields"] = before


def _same_but_time(one: Object, other: Object) -> bool:
    return one is other or {**one, "time": ""} == {**other, "time": ""}


def body(obj: Object) -> Object:
    """The object without its managed fields."""
    meta = obj.get("metadata")
    if type(meta) is not dict or "managedFields" not in meta:
        return obj
    return {**obj, "metadata": {key: value for key, value in meta.items() if key != "managedFields"}}


def owned_part(obj: Object) -> Object:
    """The object without what nobody owns."""
    meta = obj.get("metadata")
    part = {key: value for key, value in obj.items() if key != "apiVersion" and key != "kind"}
    if type(meta) is dict:
        part["metadata"] = {key: value for key, value in meta.items() if key not in UNOWNED}
    return part


def strip(fields: FieldSet) -> FieldSet:
    """The set without what nobody owns."""
    result: FieldSet = {}
    for step, below in fields.items():
        if step == "f:metadata":
            below = {under: part for under, part in below.items() if under not in _UNOWNED_STEPS and under != "."}
            if not below:
                continue
        elif step == "f:apiVersion" or step == "f:kind":
            continue
        result[step] = below
    return result


def _managers(sent: object, known: list[Object] | None, subresource: str) -> Managers:
    """Those that the client sends count, since clients may correct them; but not through a subresource, and not where
    they are missing or make no sense.
    """
    if subresource or sent is None or sent == known:
        return entries.stored(known)
    if entries.is_reset(sent):
        return {}
    try:
        return entries.given(sent) if type(sent) is list else entries.stored(known)
    except (FieldSetError, AttributeError):
        return entries.stored(known)


def _tracked(
    live: Object | None,
    new: Object,
    held: Managers,
    who: Identity,
    schema: Schema,
    api_version: str,
    now: str,
    reset: FieldSet,
    convert: Convert | None,
) -> Managers:
    if live is None:
        changed, removed = _created(schema, owned_part(new)), LEAF
    else:
        changed, removed = compare(schema, owned_part(live), owned_part(new))
    changed = recursive_difference(changed, reset)
    removed = recursive_difference(removed, reset)
    if not changed and not removed:
        return entries.capped(held)
    after = lost(held, changed, removed, api_version, comparing(live, new, reset, convert))
    if changed:
        previous = after.get(who)
        fields = changed if previous is None else union(changed, previous["fieldsV1"])
        after[who] = entries.entry(who, api_version, fields, now)
    return entries.capped(after)


_sets: Remembered[tuple[Schema, FieldSet]] = Remembered()


def _created(schema: Schema, part: Object) -> FieldSet:
    """What creating this part of an object sets."""
    try:
        spelled = orjson.dumps(part)
    except TypeError:  # a string that is no UTF-8, or a number that is none of JSON's
        return strip(created_set(schema, part))
    found = _sets.get(spelled)
    if found is None or found[0] is not schema:
        found = (schema, strip(created_set(schema, part)))
        _sets.keep(spelled, found)
    return found[1]


Comparing = Callable[[str], "tuple[FieldSet, FieldSet] | None"]
"""apiVersion → what changed and what was removed, as seen there; None where the version is gone."""


def comparing(live: Object | None, new: Object, reset: FieldSet, convert: Convert | None) -> Comparing | None:
    """How a write looks in other versions."""
    if convert is None:
        return None
    to = convert

    def compare_in(version: str) -> tuple[FieldSet, FieldSet] | None:
        after = to(new, version)
        before = to(live, version) if live is not None else None
        if after is None or (before is None and live is not None):
            return None
        old = owned_part(before[0]) if before is not None else {}
        changed, removed = compare(after[1], old, owned_part(after[0]))
        return recursive_difference(changed, reset), recursive_difference(removed, reset)

    return compare_in


def lost(
    held: Managers, changed: FieldSet, removed: FieldSet, api_version: str, compare_in: Comparing | None
) -> Managers:
    """What managers own after somebody else's write: all they had but what it changed or removed."""
    seen: dict[str, tuple[FieldSet, FieldSet] | None] = {api_version: (changed, removed)}
    after: Managers = {}
    for who, made in held.items():
        version = made["apiVersion"]
        if version not in seen:
            seen[version] = compare_in(version) if compare_in is not None else (changed, removed)
        write = seen[version]
        if write is None:
            continue
        fields = made["fieldsV1"]
        left = difference(difference(fields, write[0]), write[1])
        if left:
            after[who] = made if left == fields else entries.with_fields(made, left)
    return after


def contested(
    held: Managers, who: Identity, changed: FieldSet, api_version: str, compare_in: Comparing | None
) -> dict[Identity, FieldSet]:
    """What others own of what a write changes."""
    seen: dict[str, FieldSet] = {api_version: changed}
    found: dict[Identity, FieldSet] = {}
    for other in sorted(held):
        if other == who:
            continue
        version = held[other]["apiVersion"]
        if version not in seen:
            write = compare_in(version) if compare_in is not None else (changed, LEAF)
            seen[version] = write[0] if write is not None else LEAF
        common = intersection(held[other]["fieldsV1"], seen[version])
        if common:
            found[other] = common
    return found
