"""A definition's OpenAPI v3 schema as the tree that patches and server-side apply walk. Pure.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

from __future__ import annotations

from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.schema import Schema, Shape

INT_OR_STRING = "x-kubernetes-int-or-string"
PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
_SHAPES = {
    "string": Shape.STRING,
    "integer": Shape.INTEGER,
    "number": Shape.NUMBER,
    "boolean": Shape.BOOLEAN,
}


def schema_of(given: Object | None, metadata: Schema) -> Schema:
    """The tree of a whole custom resource: `metadata` is every object's."""
    root = _node(given or {PRESERVE: True, "type": "object"}, metadata)
    fields = dict(root.fields)
    text = Schema(Shape.STRING)
    fields |= {"apiVersion": text, "kind": text, "metadata": metadata}
    return Schema(Shape.OBJECT, fields=fields, preserve_unknown=root.preserve_unknown, required=root.required)


def _node(given: Object, metadata: Schema) -> Schema:
    kind = given.get("type", "")
    nullable = bool(given.get("nullable"))
    if given.get(INT_OR_STRING):
        return Schema(Shape.INT_OR_STRING, nullable=nullable)
    if kind in _SHAPES:
        return Schema(_SHAPES[kind], nullable=nullable, format=given.get("format", ""))
    if kind == "array":
        return _list(given, nullable, metadata)
    properties = given.get("properties")
    additional = given.get("additionalProperties")
    embedded = bool(given.get(EMBEDDED))
    atomic = given.get("x-kubernetes-map-type") == "atomic"
    if kind != "object" or (given.get(PRESERVE) and not properties and not embedded and additional is None):
        return Schema(Shape.ANY, nullable=nullable, preserve_unknown=True)
    if isinstance(additional, dict) and not properties:
        return Schema(Shape.MAP, items=lambda: _node(additional, metadata), nullable=nullable, atomic=atomic)
    if additional is True and not properties:
        return Schema(Shape.ANY, nullable=nullable, preserve_unknown=True, atomic=atomic)

    def fields() -> dict[str, Schema]:
        found = {name: _node(part, metadata) for name, part in (properties or {}).items()}
        if embedded:
            found |= {"apiVersion": Schema(Shape.STRING), "kind": Schema(Shape.STRING), "metadata": metadata}
        return found

    return Schema(
        Shape.OBJECT,
        fields=fields,
        required=frozenset(given.get("required") or ()),
        nullable=nullable,
        atomic=atomic,
        embedded=embedded,
        preserve_unknown=bool(given.get(PRESERVE)) or isinstance(additional, dict) or additional is True,
    )


def _list(given: Object, nullable: bool, metadata: Schema) -> Schema:
    items = given.get("items") or {PRESERVE: True}
    keys = tuple(given.get("x-kubernetes-list-map-keys") or ())
    properties = items.get("properties") or {}
    defaults = {key: properties[key]["default"] for key in keys if "default" in (properties.get(key) or {})}
    return Schema(
        Shape.LIST,
        items=lambda: _node(items, metadata),
        nullable=nullable,
        list_type=given.get("x-kubernetes-list-type") or "atomic",
        list_keys=keys,
        key_defaults=defaults,
    )
