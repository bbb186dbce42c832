"""Custom resources: what one version of a definition makes of their objects. A `Strategy` made from data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ropewalk.kube.extension import causes, columns, embedded, jsonpath, list_types, rules, shaping, values
from ropewalk.kube.extension.complaints import complaints
from ropewalk.kube.extension.correlation import Correlated
from ropewalk.kube.machinery import errors as faults
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.cel.environment import Budget
from ropewalk.kube.machinery.checking import check as check_types
from ropewalk.kube.machinery.errors import Cause
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Json, Object, at, metadata
from ropewalk.kube.machinery.patch import go_text
from ropewalk.kube.machinery.resources import ResourceInfo
from ropewalk.kube.machinery.schema import Schema
from ropewalk.kube.machinery.strategy import ALL_METADATA, Finish, ScalePaths, Strategy

_STANDARD_FINALIZERS = ("orphan", "foregroundDeletion", "kubernetes")
_UNCHECKED = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete"
    " validation"
)
_MOST_REPLICAS = (1 << 31) - 1


def custom_strategy(version: Object, info: ResourceInfo, *, terminating: bool = False) -> Strategy:
    """The behaviour of one version of one custom resource: a class made from data, where others are written by hand.

    `version`: an entry of the definition's `spec.versions`, which was validated. `terminating`: the definition is being
    deleted, and takes no new objects.
    """
    subresources = version.get("subresources") or {}
    facts = {
        "has_status": "status" in subresources,
        "has_generation": True,
        "kept_under": f"{info.group}/{info.plural}",
        "allow_unconditional_update": False,
        "scale": _scale(subresources.get("scale")),
        "columns": columns.of_version(version.get("additionalPrinterColumns")),
        "selectable_fields": _selectable(version.get("selectableFields")),
    }
    kind = type("CustomStrategy", (_Custom,), facts)
    made: Strategy = kind(_schema_of(version), info, subresources.get("scale"), terminating=terminating)
    return made


def _schema_of(version: Object) -> Object:
    found: Object = at(version, "schema", "openAPIV3Schema") or {}
    return found


class _Custom(Strategy):
    """What all custom resources share."""

    status_keeps = (*ALL_METADATA, "deletionGracePeriodSeconds", "generateName")

    def __init__(self, schema: Object, info: ResourceInfo, scale: Object | None, *, terminating: bool) -> None:
        self._schema = schema
        self._status_schema: Object | None = (schema.get("properties") or {}).get("status")
        self._info = info
        self._scale = scale
        self._terminating = terminating
        self._fits = values.compiled(schema)
        self._fill = shaping.filler(schema)
        self._ruled = rules.compiled(schema)
        self._has_embedded = embedded.has_any(schema)
        self._unique = list_types.checker(schema)
        self._ratcheted: tuple[Object, list[str]] | None = None
        """What the last update is warned of: rules that do not hold in what it left as it was."""

    def default(self, obj: Object) -> None:
        if self._fill is not None:
            self._fill(obj)

    def count_generation(self, new: Object, old: Object) -> None:
        """All but metadata counts; so does status where it is no subresource."""
        generation = metadata(old).get("generation", 1)
        changed = any(new.get(key) != old.get(key) for key in old.keys() | new.keys() if key != "metadata")
        new["metadata"]["generation"] = generation + 1 if changed else generation

    async def before_create(self, obj: Object, api: Api, *, dry_run: bool) -> Finish | None:
        if self._terminating:
            raise faults.forbidden(
                self._info.plural,
                self._info.group,
                metadata(obj).get("name", ""),
                "create not allowed while custom resource definition is terminating",
            )
        return None

    # --- judging

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        found: list[Cause] = []
        if not self._fits(obj):
            found += complaints(self._schema, obj)
        found += self._scale_problems(obj, spec=True)
        if self._has_embedded:
            found += embedded.validate(obj, self._schema)
        if self._unique is not None and not self._unique(obj):
            found += list_types.validate(obj, self._schema)
        found += self._broken_rules(obj, None, found, None)
        errors.causes += found

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        correlated = Correlated(new, old, self._schema)
        found: list[Cause] = []
        if not self._fits(new):
            found += complaints(self._schema, new, correlated=correlated)
        found += self._scale_problems(new, spec=True)
        if self._has_embedded:
            found += embedded.validate(new, self._schema)
        found += self._new_doubles(new, old)
        found += self._broken_rules(new, old, found, correlated)
        errors.causes += found

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        correlated = Correlated(new, old, self._schema)
        found: list[Cause] = []
        if "status" in new and self._status_schema is not None:
            below = correlated.field("status") or Correlated(new["status"], old.get("status"), self._status_schema)
            found += complaints(self._status_schema, new["status"], "status", below)
        found += self._scale_problems(new, spec=False)
        found += self._new_doubles(new, old)
        found += self._broken_rules(new, old, found, correlated)
        errors.causes += found

    def _new_doubles(self, new: Object, old: Object) -> list[Cause]:
        """What stands twice, unless something did before."""
        if self._unique is None or self._unique(new) or list_types.validate(old, self._schema):
            return []
        return list_types.validate(new, self._schema)

    def _broken_rules(
        self, new: Object, old: Object | None, found: Sequence[Cause], correlated: Correlated | None
    ) -> list[Cause]:
        self._ratcheted = None
        if self._ruled is None:
            return []
        if any(cause.reason in causes.BLOCKING for cause in found):
            return [causes.invalid("", None, _UNCHECKED)]
        verdict = rules.check(self._ruled, new, old, Budget(), correlated)
        if verdict.warnings:
            self._ratcheted = new, verdict.warnings
        return verdict.errors

    def _scale_problems(self, obj: Object, *, spec: bool) -> Iterator[Cause]:
        """https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#scale-subresource"""
        if self._scale is None:
            return
        paths = [self._scale["specReplicasPath"]] if spec else []
        for path in (*paths, self._scale["statusReplicasPath"]):
            value, problem = _nested(obj, path, "int64", (int,))
            if problem:
                yield causes.invalid(path, 0, problem)
            elif value is not None and value < 0:
                yield causes.invalid(path, value, "should be a non-negative integer")
            elif value is not None and value > _MOST_REPLICAS:
                yield causes.invalid(path, value, f"should be less than or equal to {_MOST_REPLICAS}")
        selector = self._scale.get("labelSelectorPath")
        if selector:
            _, problem = _nested(obj, selector, "string", (str,))
            if problem:
                yield causes.invalid(selector, "", problem)

    def unselectable(self, field: str) -> str:
        return f"field label not supported: {field}"

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        before = set(metadata(old).get("finalizers") or ()) if old is not None else set()
        added = sorted(set(metadata(new).get("finalizers") or ()) - before)
        told = [warning for name in added for warning in _finalizer_warnings(name)]
        if self._ratcheted is not None and self._ratcheted[0] is new:
            told = [*self._ratcheted[1], *told]
        self._ratcheted = None
        return told


def _nested(obj: Object, path: str, kind: str, kinds: tuple[type, ...]) -> tuple[Json, str]:
    """(what stands there, why it is none of that kind); None where nothing does."""
    here: Json = obj
    steps = path.removeprefix(".").split(".")
    for place, step in enumerate(steps):
        if here is None:
            return None, ""
        if type(here) is not dict:
            return None, _accessor_error(steps[: place + 1], here, "map[string]interface{}")
        if step not in here:
            return None, ""
        here = here[step]
    return (here, "") if type(here) in kinds else (None, _accessor_error(steps, here, kind))


def _accessor_error(steps: Sequence[str], value: Json, kind: str) -> str:
    path = ".".join(steps)
    return f".{path} accessor error: {go_text.text(value)} is of the type {go_text.type_name(value)}, expected {kind}"


def _finalizer_warnings(name: str) -> list[str]:
    told = [f"metadata.finalizers: {causes.quoted(name)}: {problem}" for problem in names.qualified_name(name)]
    if "/" not in name and name not in _STANDARD_FINALIZERS:
        path = " including a path (/)" if "." in name else ""
        told.append(
            f"metadata.finalizers: {causes.quoted(name)}: prefer a domain-qualified finalizer name{path} to avoid"
            " accidental conflicts with other finalizer writers"
        )
    return told


# --- reading


def body_reader(
    info: ResourceInfo, version: Object, meta_schema: Schema
) -> Callable[[Object], tuple[Object, list[str]]]:
    """Reads bodies of one version: its own kind only, metadata as everybody's, unknown fields pruned and told."""
    schema = _schema_of(version)
    shape = shaper(schema)
    has_embedded = embedded.has_any(schema)

    def read(body: Object) -> tuple[Object, list[str]]:
        _recognise(body, info)
        meta = body.get("metadata")
        unknown: list[str] = []
        if meta is None:
            body["metadata"] = {}
        elif type(meta) is not dict:
            problem = f"json: cannot unmarshal {_json_kind(meta)} into Go value of type v1.ObjectMeta"
            raise _unreadable(info, problem)
        else:
            found = check_types(meta, meta_schema)
            if found.wrong:
                raise _unreadable(info, found.wrong)
            unknown += [text.replace('unknown field "', 'unknown field "metadata.') for text in found.unknown]
        unknown += [f'unknown field "{path}"' for path in shape(body)]
        if has_embedded:
            paths, wrong = embedded.coerced(body, schema, meta_schema)
            if wrong:
                raise _unreadable(info, wrong)
            unknown += [f'unknown field "{path}"' for path in paths]
        return body, unknown

    return read


def shaper(schema: Object) -> Callable[[Object], list[str]]:
    """Prunes an object in place and drops its nulls; answers the paths of what it pruned."""
    clean = shaping.cleaner(schema, root=True)

    def shape(obj: Object) -> list[str]:
        if clean(obj):
            return []
        unknown = shaping.pruned(obj, schema)
        shaping.drop_nulls(obj, schema)
        return unknown

    return shape


def _unreadable(info: ResourceInfo, why: str) -> faults.StatusFault:
    return faults.bad_request(
        f"{info.kind} in version {causes.quoted(info.version)} cannot be handled as a {info.kind}: {why}"
    )


def _json_kind(value: Json) -> str:
    kinds: dict[type, str] = {str: "string", bool: "bool", int: "number", float: "number", list: "array"}
    return kinds.get(type(value), "object")


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


# --- fields, scale


def _scale(given: Object | None) -> ScalePaths | None:
    if given is None:
        return None
    return ScalePaths(
        _steps(given.get("specReplicasPath", "")),
        _steps(given.get("statusReplicasPath", "")),
        _steps(given["labelSelectorPath"]) if given.get("labelSelectorPath") else ("metadata", "-", "-"),
    )


def _steps(path: str) -> tuple[str, ...]:
    return tuple(path.removeprefix(".").split("."))


def _selectable(given: Sequence[Object] | None) -> dict[str, Callable[[Object], str]]:
    return {one["jsonPath"].removeprefix("."): _reading(one["jsonPath"]) for one in given or ()}


def _reading(path: str) -> Callable[[Object], str]:
    try:
        found = jsonpath.parse(path)
    except ValueError:
        return lambda obj: ""

    def read(obj: Object) -> str:
        try:
            there = found.find(obj)
        except jsonpath.NotFollowed:
            return ""
        return columns.text(there[0]) if there and there[0] is not None else ""

    return read
