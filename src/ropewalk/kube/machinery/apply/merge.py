"""Server-side apply itself: merge a configuration into the live object, take away what its manager applied before and
no longer does, and see who owns what afterwards.
https://kubernetes.io/docs/reference/using-api/server-side-apply/

`apply_configuration` runs on the configuration as it was sent, without defaults: what is not in it is not owned. The
caller defaults the result, runs admission, and ends with `tracking.settle_times`.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from ropewalk.kube.machinery.apply import managers as entries
from ropewalk.kube.machinery.apply.conflicts import conflict_fault
from ropewalk.kube.machinery.apply.field_sets import (
    LEAF,
    FieldSet,
    FieldSetError,
    difference,
    intersection,
    recursive_difference,
    union,
)
from ropewalk.kube.machinery.apply.managers import APPLY, Identity, Managers
from ropewalk.kube.machinery.apply.tracking import (
    RESET,
    Convert,
    body,
    comparing,
    contested,
    lost,
    owned_part,
    strip,
    track_update,
)
from ropewalk.kube.machinery.apply.typed import merged, problems, with_structs, without
from ropewalk.kube.machinery.apply.walking import applied_set, compare
from ropewalk.kube.machinery.errors import StatusFault, bad_request
from ropewalk.kube.machinery.objects import Object, annotations_of, metadata
from ropewalk.kube.machinery.patch.go_text import text
from ropewalk.kube.machinery.resources import GroupVersionKind
from ropewalk.kube.machinery.schema import Schema

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
BEFORE_FIRST_APPLY = "before-first-apply"
_KUBECTL = "kubectl"
"""The one manager for whom client-side apply's annotation is understood and kept up to date."""
_MAX_ANNOTATIONS = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Applying:
    """One apply: who, and by which rules."""

    schema: Schema
    who: Identity
    api_version: str
    reset: FieldSet
    convert: Convert | None
    now: str


def apply_configuration(
    live: Object | None,
    applied: Object,
    *,
    schema: Schema,
    manager: str,
    api_version: str,
    subresource: str,
    now: str,
    force: bool,
    reset: FieldSet | None = None,
    convert: Convert | None = None,
) -> Object:
    """The object with the configuration applied, its managedFields included; `live` itself if nothing changes. Parts
    are shared with both. 409 on conflicts, unless `force`; 400 if the configuration does not fit.
    """
    _check(live, applied, schema, api_version)
    who = entries.identity(manager, APPLY, api_version, subresource)
    rules = _Applying(schema, who, api_version, RESET.get(subresource, LEAF) if reset is None else reset, convert, now)
    held = _held(live, rules)
    before = body(live) if live is not None else {}
    try:
        conflicts, result, after = _apply(before, applied, held, rules, force=force)
        if conflicts and manager == _KUBECTL:
            conflicts = _less_last_applied(before, conflicts, rules)
            if not conflicts:
                conflicts, result, after = _apply(before, applied, held, rules, force=True)
    except FieldSetError as error:
        raise _unfit(applied, "live", str(error)) from None
    if conflicts:
        raise conflict_fault(conflicts)
    if manager == _KUBECTL and annotations_of(result).get(LAST_APPLIED):
        result = _with_last_applied(result, applied)
    listed = entries.encoded(after)
    if live is not None and result == before and listed == (metadata(live).get("managedFields") or []):
        return live
    result = {**result, "metadata": dict(metadata(result))}
    if listed:
        result["metadata"]["managedFields"] = listed
    return result


def _check(live: Object | None, applied: Object, schema: Schema, api_version: str) -> None:
    version, kind = applied.get("apiVersion", ""), applied.get("kind", "")
    if version != api_version or (live is not None and kind != live.get("kind", kind)):
        raise bad_request(f"invalid object type: {_gvk(version, kind)}")
    meta = applied.get("metadata", {})
    if type(meta) is not dict:
        raise _unfit(applied, "patch", f".metadata: expected map, got &{{{text(meta)}}}")
    if meta.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    told = problems(schema, applied)
    if told:
        raise _unfit(applied, "patch", told[0] if len(told) == 1 else "\n  ".join(["errors:", *told]))


def _gvk(version: str, kind: str) -> str:
    found = GroupVersionKind.of(version, kind) if type(version) is str else GroupVersionKind("", "", kind)
    return f"{found.group}/{found.version}, Kind={found.kind}"


def _unfit(applied: Object, which: str, why: str) -> StatusFault:
    """kube-apiserver gives this no reason, and a 500 that is none."""
    meta = applied.get("metadata")
    meta = meta if type(meta) is dict else {}
    of = f"{meta.get('namespace', '')}/{meta.get('name', '')}"
    gvk = _gvk(applied.get("apiVersion", ""), applied.get("kind", ""))
    return StatusFault("", f"failed to create typed {which} object ({of}; {gvk}): {why}", status=400)


def _held(live: Object | None, rules: _Applying) -> Managers:
    """Who owns what so far. What was never tracked is taken as the work of one updater."""
    if live is None:
        return {}
    held = entries.stored(metadata(live).get("managedFields"))
    if held:
        return held
    untracked = {**body(live), "metadata": dict(metadata(body(live)))}
    track_update(
        None,
        untracked,
        schema=rules.schema,
        manager=BEFORE_FIRST_APPLY,
        api_version=rules.api_version,
        subresource=rules.who.subresource,
        now=rules.now,
        reset=rules.reset,
    )
    return entries.stored(untracked["metadata"].get("managedFields"))


def _apply(
    live: Object, applied: Object, held: Managers, rules: _Applying, *, force: bool
) -> tuple[dict[Identity, FieldSet], Object, Managers]:
    """(conflicts, the object, who owns what). The latter two mean nothing where there are conflicts."""
    who = rules.who
    fields = recursive_difference(applied_set(rules.schema, applied), rules.reset)
    last = held.get(who)
    result: Object = merged(rules.schema, live, applied)
    mine = entries.entry(who, rules.api_version, fields, last.get("time", "") if last is not None else "")
    bare = result
    if last is not None and last["fieldsV1"] != strip(fields):
        gone = _no_longer_applied(result, {**held, who: mine}, last, rules.schema)
        bare = without(rules.schema, result, gone, nulls=True)
        result = without(rules.schema, result, gone, nulls=False)
    changed, removed = compare(rules.schema, owned_part(live), owned_part(bare))
    changed, removed = recursive_difference(changed, rules.reset), recursive_difference(removed, rules.reset)
    compare_in = comparing(live, result, rules.reset, rules.convert)
    conflicts = {} if force else contested(held, who, changed, rules.api_version, compare_in)
    if conflicts:
        return conflicts, live, held
    others = {other: made for other, made in held.items() if other != who}
    after = lost(others, changed, removed, rules.api_version, compare_in) if changed or removed else others
    fields = strip(fields)
    if fields:
        time = mine.get("time", "") if result == live else rules.now
        after[who] = entries.entry(who, rules.api_version, fields, time)
    return {}, result, after


# --- taking away what is no longer applied


def _no_longer_applied(result: Object, owners: Managers, last: Object, schema: Schema) -> FieldSet:
    """What the manager applied last time, and nobody applies or owns now. Entries of other versions are taken to mean
    the same paths.
    """
    previous = with_structs(schema, last["fieldsV1"])
    owned: FieldSet = {}
    for made in owners.values():
        owned = union(owned, made["fieldsV1"])
    owned = with_structs(schema, owned)
    if not difference(previous, owned):
        return LEAF
    everything = with_structs(schema, applied_set(schema, result))
    rest = without(schema, result, previous, nulls=True)
    unowned = difference(everything, union(with_structs(schema, applied_set(schema, rest)), owned))
    rest = without(schema, result, unowned, nulls=True)
    return intersection(difference(everything, with_structs(schema, applied_set(schema, rest))), previous)


# --- client-side apply


def _less_last_applied(live: Object, conflicts: dict[Identity, FieldSet], rules: _Applying) -> dict[Identity, FieldSet]:
    """Conflicts, but for fields that client-side apply set last and nobody changed since: it was kubectl that did."""
    allowed = _last_applied_set(live, rules)
    found = {other: difference(fields, allowed) for other, fields in conflicts.items()}
    return {other: fields for other, fields in found.items() if fields}


def _last_applied_set(live: Object, rules: _Applying) -> FieldSet:
    try:
        last = orjson.loads(annotations_of(live).get(LAST_APPLIED, ""))
    except orjson.JSONDecodeError:
        return {}
    if type(last) is not dict or last.get("apiVersion") != rules.api_version or problems(rules.schema, last):
        return {}
    changed, removed = compare(rules.schema, last, live)
    return difference(difference(applied_set(rules.schema, last), changed), removed)


def _with_last_applied(result: Object, applied: Object) -> Object:
    """The annotation again, if it fits; without it if not."""
    meta = dict(metadata(applied))
    if "annotations" in meta:
        meta["annotations"] = {key: value for key, value in annotations_of(applied).items() if key != LAST_APPLIED}
    configuration = orjson.dumps({**applied, "metadata": meta}, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    notes = {**annotations_of(result), LAST_APPLIED: configuration}
    if sum(len(key.encode()) + len(value.encode()) for key, value in notes.items()) > _MAX_ANNOTATIONS:
        del notes[LAST_APPLIED]
    return {**result, "metadata": {**metadata(result), "annotations": notes}}
