"""`x-kubernetes-embedded-resource`: objects within custom resources, with apiVersion, kind and metadata as any has.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#rawextension
"""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.kube.extension import causes
from ropewalk.kube.extension.structural import EMBEDDED
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.checking import check as check_types
from ropewalk.kube.machinery.errors import Cause
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.registry import metadata
from ropewalk.kube.machinery.resources import ResourceInfo
from ropewalk.kube.machinery.schema import Schema
from ropewalk.kube.machinery.strategy import Strategy

Visit = Callable[[Object, str], None]


def has_any(schema: Object) -> bool:
    """Whether any part is an embedded resource."""
    parts = [*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return bool(schema.get(EMBEDDED)) or any(has_any(part) for part in parts if isinstance(part, dict))


def _visit(value: Json, schema: Object, path: str, visit: Visit) -> None:
    if type(value) is dict:
        if schema.get(EMBEDDED):
            visit(value, path)
        known, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        for key in list(value):
            if key in known:
                _visit(value[key], known[key], f"{path}.{key}" if path else key, visit)
            elif isinstance(additional, dict):
                _visit(value[key], additional, f"{path}[{key}]", visit)
    elif type(value) is list and isinstance(schema.get("items"), dict):
        for place, item in enumerate(value):
            _visit(item, schema["items"], f"{path}[{place}]", visit)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


# --- on the way in


def coerced(obj: Object, schema: Object, meta_schema: Schema) -> tuple[list[str], str]:
    """Bring embedded metadata into its form, in place: (paths of what went, the first thing that cannot be read)."""
    unknown: list[str] = []
    wrong: list[str] = []

    def visit(value: Object, path: str) -> None:
        for name in ("apiVersion", "kind"):
            if name in value and type(value[name]) is not str:
                wrong.append(_told(causes.invalid(_below(path, name), value[name], "must be a string")))
        meta = value.get("metadata")
        if "metadata" not in value:
            return
        where = _below(path, "metadata")
        if type(meta) is not dict:
            problem = f"json: cannot unmarshal {_kind(meta)} into Go value of type v1.ObjectMeta"
            if meta is None:
                value["metadata"] = {}
            else:
                wrong.append(_told(causes.invalid(where, meta, problem)))
            return
        found = check_types(meta, meta_schema)
        if found.wrong:
            wrong.append(_told(causes.invalid(where, meta, found.wrong)))
        unknown.extend(text.replace('unknown field "', f"{where}.").removesuffix('"') for text in found.unknown)

    _visit(obj, schema, "", visit)
    return sorted(unknown), wrong[0] if wrong else ""


def _told(cause: Cause) -> str:
    return f"{cause.field}: {cause.message}"


def _kind(value: Json) -> str:
    kinds: dict[type, str] = {str: "string", bool: "bool", int: "number", float: "number", list: "array"}
    return kinds.get(type(value), "object")


# --- judging


class _AnyObject(Strategy):
    """What is known of an object of an unknown kind: its name is a path segment."""

    def name_problems(self, name: str, *, prefix: bool) -> list[str]:
        return names.path_segment(name, prefix=prefix)


_ANY_OBJECT = _AnyObject()


def validate(obj: Object, schema: Object) -> list[Cause]:
    """Why embedded objects are none."""
    found: list[Cause] = []
    _visit(obj, schema, "", lambda value, path: found.extend(_problems(value, path)))
    return found


def _problems(value: Object, path: str) -> list[Cause]:
    found = [causes.required(_below(path, name)) for name in ("apiVersion", "kind") if name not in value]
    if "apiVersion" in value:
        problem = _version_problem(value["apiVersion"])
        if problem:
            found.append(causes.invalid(_below(path, "apiVersion"), value["apiVersion"], problem))
    if "kind" in value:
        problem = _kind_problem(value["kind"])
        if problem:
            found.append(causes.invalid(_below(path, "kind"), value["kind"], problem))
    if type(value.get("metadata")) is dict:
        found += _metadata_problems(value["metadata"], path)
    return found


def _version_problem(given: Json) -> str:
    if type(given) is not str:
        return "must be a string"
    if not given:
        return "must not be empty"
    return f"unexpected GroupVersion string: {given}" if given.count("/") > 1 else ""


def _kind_problem(given: Json) -> str:
    if type(given) is not str:
        return "must be a string"
    if not given:
        return "must not be empty"
    problems = names.dns1035_label(given.lower())
    return "may have mixed case, but should otherwise match: " + ",".join(problems) if problems else ""


def _metadata_problems(given: Object, path: str) -> list[Cause]:
    found = FieldErrors()
    namespaced = bool(given.get("namespace"))
    info = ResourceInfo("", "", "", "", "", namespaced)
    named = given if given.get("name") else {**given, "name": "fakename"}
    metadata.validate({"metadata": named}, info, _ANY_OBJECT, found)
    return [Cause(cause.reason, cause.message, _below(path, cause.field)) for cause in found.causes]
