"""What a schema's values are to CEL: their types, how many elements they can have, how small they can be. Pure.

Parts that no rule can see (unknown fields, lists of them) have no declaration. Sizes bound what a rule can cost: a list
without maxItems is taken to be as long as a request can make it.
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#resource-use-by-validation-functions
"""

from __future__ import annotations

from ropewalk.kube.extension.structural import EMBEDDED, INT_OR_STRING
from ropewalk.kube.machinery.cel.declarations import Declared, escape
from ropewalk.kube.machinery.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    Type,
    list_of,
    map_of,
)
from ropewalk.kube.machinery.objects import Object

MAX_REQUEST = 3 << 20
_LONGEST_DURATION = _LONGEST_DATETIME = 32
_DATE = 12
_SHORTEST_DURATION, _SHORTEST_DATETIME, _SHORTEST_STRING = 3, 21, 2


_NAMES = {"type": "string"}
_METADATA = {"type": "object", "properties": {"name": _NAMES, "generateName": _NAMES}}


def with_object_meta(schema: Object) -> Object:
    """A resource's schema with the fields that rules may always read: apiVersion, kind and two of metadata."""
    properties = schema.get("properties") or {}
    metadata = properties.get("metadata") or {}
    named = metadata.get("properties") or {}
    if (
        (properties.get("kind") or {}).get("type") == "string"
        and (properties.get("apiVersion") or {}).get("type") == "string"
        and metadata.get("type") == "object"
        and all((named.get(name) or {}).get("type") == "string" for name in ("name", "generateName"))
    ):
        return schema
    return {**schema, "properties": {**properties, "kind": _NAMES, "apiVersion": _NAMES, "metadata": _METADATA}}


def declared(schema: Object, name: str, *, resource: bool) -> Declared | None:
    """`name`: what the struct types under it are called after; `resource`: it has apiVersion, kind and metadata."""
    longest = schema.get("maxLength")
    if schema.get(INT_OR_STRING):
        return Declared(DYN, max(longest, 0) * 4 if longest is not None else MAX_REQUEST - 2, 1)
    if resource:
        schema = with_object_meta(schema)
    match schema.get("type"):
        case "array":
            return _list(schema, name)
        case "object":
            return _object(schema, name)
        case "string":
            return _string(schema)
        case "boolean":
            return Declared(BOOL, 0, 4)
        case "number":
            return Declared(DOUBLE, 0, 1)
        case "integer":
            return Declared(INT, 0, 1)
    return None


def _list(schema: Object, name: str) -> Declared | None:
    items = schema.get("items")
    if not isinstance(items, dict):
        return None
    element = declared(items, f"{name}.@idx", resource=bool(items.get(EMBEDDED)))
    if element is None:
        return None
    most = schema.get("maxItems")
    longest = max(most, 0) if most is not None else (MAX_REQUEST - 2) // (element.min_size + 1)
    return Declared(list_of(element.type), longest, 2, element=element)


def _object(schema: Object, name: str) -> Declared | None:
    additional = schema.get("additionalProperties")
    if isinstance(additional, dict):
        element = declared(additional, f"{name}.@elem", resource=bool(additional.get(EMBEDDED)))
        if element is None:
            return None
        most = schema.get("maxProperties")
        longest = max(most, 0) if most is not None else (MAX_REQUEST - 2) // (element.min_size + 6)
        key = Declared(STRING, 0, _SHORTEST_STRING)
        return Declared(map_of(STRING, element.type), longest, 2, key=key, element=element)
    fields: dict[str, Declared] = {}
    smallest = 2
    required = schema.get("required") or ()
    for field, part in (schema.get("properties") or {}).items():
        escaped = escape(field)
        found = declared(part, f"{name}.{escaped or field}", resource=bool(part.get(EMBEDDED)))
        if found is None:
            continue
        if escaped is not None:
            fields[escaped] = found
        if field in required and part.get("default") is None:
            smallest += len(field.encode()) + found.min_size + 4
    return Declared(Type("struct", name), 0, smallest, fields=fields)


def _string(schema: Object) -> Declared:
    longest = schema.get("maxLength")
    match schema.get("format"):
        case "byte":
            return Declared(BYTES, max(longest, 0) if longest is not None else MAX_REQUEST - 2, _SHORTEST_STRING)
        case "duration":
            return Declared(DURATION, _LONGEST_DURATION, _SHORTEST_DURATION)
        case "date":
            return Declared(TIMESTAMP, _DATE, _DATE)
        case "date-time":
            return Declared(TIMESTAMP, _LONGEST_DATETIME, _SHORTEST_DATETIME)
    words = schema.get("enum")
    if longest is not None:
        most = max(longest, 0) * 4
    elif words:
        most = max((len(word.encode()) for word in words if type(word) is str), default=0)
    else:
        most = MAX_REQUEST - 2
    return Declared(STRING, most, _SHORTEST_STRING)
