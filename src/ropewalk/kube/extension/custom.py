"""Custom resources: what one version of a definition makes of their objects. A `Strategy` made from data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson

from ropewalk.kube.extension import jsonpath, rules, shaping, structural, values
from ropewalk.kube.extension.jsonpath import JsonPath
from ropewalk.kube.machinery import errors as faults
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.cel.environment import Budget
from ropewalk.kube.machinery.checking import check as check_types
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Json, Object, at, metadata
from ropewalk.kube.machinery.resources import ResourceInfo
from ropewalk.kube.machinery.schema import Schema
from ropewalk.kube.machinery.strategy import Column, ScalePaths, Strategy, keep

_HEADS = ("apiVersion", "kind", "metadata")


def custom_strategy(version: Object) -> Strategy:
    """The behaviour of one version of one custom resource: a class made from data, where others are written by hand.

    `version`: an entry of the definition's `spec.versions`, which was validated.
    """
    subresources = version.get("subresources") or {}
    facts = {
        "has_status": "status" in subresources,
        "has_generation": True,
        "allow_unconditional_update": False,
        "scale": _scale(subresources.get("scale")),
        "columns": _columns(version.get("additionalPrinterColumns")),
        "selectable_fields": _selectable(version.get("selectableFields")),
    }
    made: Strategy = type("CustomStrategy", (_Custom,), facts)(at(version, "schema", "openAPIV3Schema") or {})
    return made


class _Custom(Strategy):
    """What all custom resources share."""

    def __init__(self, schema: Object) -> None:
        self._check = values.compiled(schema) if schema else None
        self._fill = shaping.filler(schema) if schema else None
        self._ruled = rules.compiled(schema) if schema else None

    def default(self, obj: Object) -> None:
        if self._fill is not None:
            self._fill(obj)

    def count_generation(self, new: Object, old: Object) -> None:
        """Where status is no subresource, a change of it counts as well."""
        if self.has_status:
            super().count_generation(new, old)
            return
        generation = metadata(old).get("generation", 1)
        changed = any(new.get(key) != old.get(key) for key in old.keys() | new.keys() if key not in _HEADS)
        new["metadata"]["generation"] = generation + 1 if changed else generation

    def prepare_status_update(self, new: Object, old: Object) -> None:
        """Of a custom resource the status alone is taken."""
        super().prepare_status_update(new, old)
        given = metadata(new)
        new["metadata"] = dict(metadata(old))
        for name in ("managedFields", "resourceVersion"):
            keep(new["metadata"], given, name)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        self._validate(obj, None, errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self._validate(new, old, errors)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self._validate(new, old, errors)

    def _validate(self, new: Object, old: Object | None, errors: FieldErrors) -> None:
        if self._check is None:
            return
        body = {key: part for key, part in new.items() if key not in _HEADS}
        found = FieldErrors()
        self._check(body, ROOT, found)
        if found and old is not None:
            found = self._ratcheted(found, new, old)
        errors.causes.extend(found.causes)
        if not found and self._ruled is not None:
            rules.check(self._ruled, new, old, ROOT, errors, Budget())

    def _ratcheted(self, found: FieldErrors, new: Object, old: Object) -> FieldErrors:
        """What was wrong before and was not touched stays as it is: only what this write changes is refused."""
        assert self._check is not None
        before = FieldErrors()
        self._check({key: part for key, part in old.items() if key not in _HEADS}, ROOT, before)
        known = {(cause.reason, cause.field, cause.message) for cause in before.causes}
        left = FieldErrors()
        left.causes = [cause for cause in found.causes if (cause.reason, cause.field, cause.message) not in known]
        return left


def body_reader(
    info: ResourceInfo, schema: Schema, meta_schema: Schema
) -> Callable[[Object], tuple[Object, list[str]]]:
    """Reads bodies of one version: its own kind only, metadata as everybody's, unknown fields pruned and told."""

    def read(body: Object) -> tuple[Object, list[str]]:
        _recognise(body, info)
        unknown: list[str] = []
        meta = body.get("metadata")
        if meta is None:
            body["metadata"] = {}
        elif type(meta) is not dict:
            raise faults.bad_request(
                f"{info.kind} in version {info.version!r} cannot be handled as a {info.kind}: metadata is no object"
            )
        else:
            found = check_types(meta, meta_schema)
            if found.wrong:
                raise faults.bad_request(f"failed to decode object metadata: {found.wrong}")
            unknown += [text.replace('unknown field "', 'unknown field "metadata.') for text in found.unknown]
        shaping.pruned(body, schema, "", unknown)
        return body, unknown

    return read


def _recognise(body: Object, info: ResourceInfo) -> None:
    given_version, given_kind = body.get("apiVersion"), body.get("kind")
    if not given_kind:
        raise faults.bad_request(
            f"the object provided is unrecognized (must be of type {info.kind}): Object 'Kind' is missing"
        )
    if given_version != info.api_version or given_kind != info.kind:
        raise faults.bad_request(
            f"the API version in the data ({given_version}) does not match the expected API version"
            f" ({info.api_version})"
            if given_kind == info.kind
            else f"the kind in the data ({given_kind}) does not match the expected kind ({info.kind})"
        )


def schema_tree(version: Object, meta_schema: Schema, *, preserve: bool) -> Schema:
    """`preserve`: the definition keeps unknown fields everywhere (spec.preserveUnknownFields of old)."""
    given = at(version, "schema", "openAPIV3Schema")
    return structural.schema_of(None if preserve else given, meta_schema)


# --- columns, fields, scale


def _scale(given: Object | None) -> ScalePaths | None:
    if given is None:
        return None
    return ScalePaths(
        _fields(given.get("specReplicasPath", "")),
        _fields(given.get("statusReplicasPath", "")),
        _fields(given["labelSelectorPath"]) if given.get("labelSelectorPath") else ("metadata", "-", "-"),
    )


def _fields(path: str) -> tuple[str, ...]:
    return jsonpath.parse(path).fields or ()


def _selectable(given: Sequence[Object] | None) -> dict[str, Callable[[Object], str]]:
    found: dict[str, Callable[[Object], str]] = {}
    for one in given or ():
        path = jsonpath.parse(one["jsonPath"])
        found[one["jsonPath"].removeprefix(".")] = _reading(path)
    return found


def _reading(path: JsonPath) -> Callable[[Object], str]:
    def read(obj: Object) -> str:
        values_there = path.find(obj)
        return _text(values_there[0]) if values_there else ""

    return read


def _text(value: Json) -> str:
    return str(value).lower() if type(value) is bool else str(value)


def _columns(given: Sequence[Object] | None) -> tuple[Column, ...]:
    name = Column("Name", lambda obj, now: obj["metadata"]["name"], format="name", description=_NAME)
    if not given:
        return (name, Column("Age", _age, type="date", description=_AGE))
    return (name, *(_column(one) for one in given))


_NAME = "Name must be unique within a namespace."
_AGE = "CreationTimestamp is a timestamp representing the server time when this object was created."


def _age(obj: Object, now: float) -> Json:
    return times.age(now, metadata(obj).get("creationTimestamp", ""))


def _column(given: Object) -> Column:
    path = jsonpath.parse(given["jsonPath"])
    kind = given["type"]

    def cell(obj: Object, now: float) -> Json:
        found = path.find(obj)
        return _cell(found, kind, now)

    return Column(
        given["name"],
        cell,
        kind,
        given.get("format", ""),
        given.get("description", f"Custom resource definition column (in JSONPath format): {given['jsonPath']}"),
        given.get("priority", 0),
    )


def _cell(found: list[Json], kind: str, now: float) -> Json:
    """A cell of the column's type; null where the object has something else there, or nothing."""
    if not found:
        return None
    value = found[0]
    match kind:
        case "integer":
            return value if type(value) is int else int(value) if type(value) is float else None
        case "number":
            return value if type(value) in (int, float) else None
        case "boolean":
            return value if type(value) is bool else None
        case "date":
            return times.age(now, value) if type(value) is str else None
    if len(found) > 1:
        return " ".join(_text(one) for one in found)
    if type(value) in (dict, list):
        return orjson.dumps(value).decode()
    return _text(value)
