"""Merging what a mutation's expression builds (`Object{spec: Object.spec{…}}`) into an object, guided by its schema.
https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/#patch-type-apply-configuration
"""

from __future__ import annotations

from ropewalk.kube.machinery.cel.values import Message, Optional
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.schema import ANY, Schema, Shape


class Unmergeable(Exception):
    """The configuration may not say this; the text says what."""


def plain(value: object) -> Json:
    """A value of CEL as JSON. Raises `Unmergeable` for what JSON has no word for."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, Optional):
        return plain(value.value) if value.present else None
    if value is None or isinstance(value, (bool, str, float)):
        return value
    if isinstance(value, int):
        return int(value)
    raise Unmergeable("JSONPath valueExpression evaluated to a type that could not marshal to JSON")


def check_types(value: object, path: str = "Object") -> None:
    """Every message must be called by where it stands: `Object.spec` under `spec`."""
    if isinstance(value, Message) and value.type_name != path:
        raise Unmergeable(f"unexpected type name {value.type_name!r}, expected {path!r}".replace("'", '"'))
    if isinstance(value, dict):
        for key, part in value.items():
            check_types(part, f"{path}.{key}")
    elif isinstance(value, list):
        for part in value:
            check_types(part, path)


def merged(obj: Json, change: Json, schema: Schema, path: str = "") -> Json:
    """A new object: maps merge by key, lists of sets and maps by item; scalars are replaced; what is atomic may not be
    touched, for the change knows not all of it.
    """
    if isinstance(change, dict):
        if schema.atomic or (schema.shape is Shape.ANY and path):
            raise Unmergeable(f"may not mutate atomic arrays, maps or structs: {path}")
        before: Object = obj if isinstance(obj, dict) else {}
        result = dict(before)
        for key, part in change.items():
            within = schema.field(key) or ANY
            result[key] = merged(before.get(key), part, within, f"{path}.{key}")
        return result
    if isinstance(change, list):
        return _merged_list(obj if isinstance(obj, list) else [], change, schema, path)
    return change


def _merged_list(present: list[Json], change: list[Json], schema: Schema, path: str) -> list[Json]:
    if schema.list_type == "set":
        return [*present, *(item for item in change if item not in present)]
    if schema.list_type != "map":
        raise Unmergeable(f"may not mutate atomic arrays, maps or structs: {path}")
    result = list(present)
    places = {_key(item, schema): index for index, item in enumerate(result)}
    for item in change:
        key = _key(item, schema)
        if key in places:
            result[places[key]] = merged(result[places[key]], item, schema.items, path)
        else:
            places[key] = len(result)
            result.append(item)
    return result


def _key(item: Json, schema: Schema) -> tuple[str, ...]:
    if not isinstance(item, dict):
        raise Unmergeable("an item of a list of maps must be a map")
    return tuple(str(item.get(name, schema.key_defaults.get(name))) for name in schema.list_keys)
