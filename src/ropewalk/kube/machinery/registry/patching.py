"""The four kinds of patch as transforms of the present object. See `writing.Transform`.

https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.apply.merge import apply_configuration
from ropewalk.kube.machinery.objects import Json, Object, copied
from ropewalk.kube.machinery.patch import go_text
from ropewalk.kube.machinery.patch.json_patch import apply_json_patch, check_operations, unknown_members
from ropewalk.kube.machinery.patch.merge import apply_merge_patch
from ropewalk.kube.machinery.patch.strategic import apply_strategic_patch
from ropewalk.kube.machinery.registry import bodies
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.registry.writing import Proposal, Transform
from ropewalk.kube.machinery.requests import Call

JSON_PATCH, MERGE, STRATEGIC, APPLY = "json", "merge", "strategic", "apply"


@dataclass(frozen=True, slots=True)
class Patch:
    kind: str
    document: Json
    """The operations, the partial object, or the applied configuration."""
    duplicates: Sequence[str] = ()
    """Complaints about doubled keys in its text."""
    force: bool = False


def patched(served: Served, patch: Patch, obj: Object) -> Object:
    """`obj` (owned, in the request's version) with a JSON, merge or strategic patch."""
    if patch.kind == JSON_PATCH:
        found = apply_json_patch(obj, patch.document)
    elif not isinstance(patch.document, dict):
        raise errors.bad_request("the patch must be a JSON object")
    elif patch.kind == MERGE:
        found = apply_merge_patch(obj, patch.document)
    elif served.custom:
        raise errors.unsupported_media_type(
            "application/strategic-merge-patch+json",
            ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"),
        )
    else:
        found = apply_strategic_patch(obj, patch.document, served.schema)
    if not isinstance(found, dict):
        raise errors.bad_request("the patched object is no JSON object")
    return found


def transform(served: Served, patch: Patch, call: Call, name: str) -> Transform:
    """Of everything but apply."""
    complaints = list(patch.duplicates)
    if patch.kind == JSON_PATCH:
        complaints = [f"json patch {told}" for told in complaints]
        complaints += unknown_members(check_operations(patch.document))

    async def change(old: Object) -> Proposal:
        found = patched(served, patch, old)
        new = bodies.read_patched(served, copied(found), call, complaints, lambda: _quoted(patch, found))
        if new["metadata"].get("name") != name:
            raise errors.bad_request(
                f"the name of the object ({new['metadata'].get('name', '')})"
                f" does not match the name on the URL ({name})"
            )
        return Proposal(new)

    return change


def _quoted(patch: Patch, outcome: Object) -> str:
    """What a refused patch is told by: a strategic one by itself, others by what they would have made."""
    if patch.kind == STRATEGIC:
        return go_text.text(patch.document)
    return orjson.dumps(outcome, option=orjson.OPT_SORT_KEYS).decode()


def applied(served: Served, patch: Patch, call: Call, subresource: str, now: str) -> Transform:
    """Server-side apply onto the present object; see `created_by_apply` for where there is none."""

    async def change(old: Object) -> Proposal:
        return Proposal(_applied(served, old, patch, call, subresource, now), owns_fields=True)

    return change


def created_by_apply(served: Served, patch: Patch, call: Call, now: str) -> Object:
    return _applied(served, None, patch, call, "", now)


def _applied(served: Served, live: Object | None, patch: Patch, call: Call, subresource: str, now: str) -> Object:
    if not isinstance(patch.document, dict):
        raise errors.bad_request("the applied configuration must be an object")
    if patch.duplicates and call.field_validation == "Strict":
        why = f"error converting YAML to JSON: {', '.join(patch.duplicates)}"
        raise errors.bad_request(f"error strict decoding YAML: {why}")
    bodies.warn(patch.duplicates, call)
    merged = apply_configuration(
        live,
        patch.document,  # as it was sent: what is left out is not owned, what is empty is
        schema=served.schema,
        manager=call.field_manager,
        api_version=served.info.api_version,
        subresource=subresource,
        now=now,
        force=patch.force,
        reset=served.reset_fields(subresource),
    )
    return bodies.finished(served, served.read_body(copied(merged))[0])
