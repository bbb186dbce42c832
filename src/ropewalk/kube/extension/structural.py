"""A definition's OpenAPI v3 schema as the tree that everything else walks, and what makes it structural. Pure.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

from __future__ import annotations

from collections.abc import Iterator

from ropewalk.kube.machinery.fields import FieldErrors, Path
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
MAX_DEPTH = 100


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


# --- what makes a schema structural

_LOGIC = ("allOf", "anyOf", "oneOf")
_FORBIDDEN_IN_LOGIC = (
    "description",
    "type",
    "default",
    "additionalProperties",
    "nullable",
    PRESERVE,
    EMBEDDED,
    INT_OR_STRING,
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
)
_INT_OR_STRING_TYPES = [{"type": "integer"}, {"type": "string"}]


def validate(given: Object, path: Path, errors: FieldErrors) -> None:
    """Why a schema is not structural, in apiextensions' words."""
    if given.get("type") != "object":
        errors.invalid(path / "type", given.get("type", ""), "must be object at the root") if given.get("type") else (
            errors.required(path / "type", "must not be empty at the root")
        )
    if given.get("nullable"):
        errors.forbidden(path / "nullable", "nullable cannot be true at the root")
    _validate(given, path, errors, root=True, depth=0)


def _validate(given: Object, path: Path, errors: FieldErrors, *, root: bool, depth: int) -> None:
    if depth > MAX_DEPTH:
        errors.forbidden(path, "the schema is nested too deeply")
        return
    kind = given.get("type", "")
    free = given.get(INT_OR_STRING) or given.get(PRESERVE)
    if not kind and not free and not root:
        errors.required(path / "type", "must not be empty for specified object fields")
    if kind and given.get(INT_OR_STRING):
        errors.invalid(path / "type", kind, f"must be empty if {INT_OR_STRING} is true")
    if kind == "array" and not isinstance(given.get("items"), dict):
        errors.required(path / "items", "must be specified")
    if given.get("properties") and given.get("additionalProperties") not in (None, False):
        errors.forbidden(path / "additionalProperties", "additionalProperties and properties are mutual exclusive")
    if given.get("additionalProperties") is False:
        errors.forbidden(path / "additionalProperties", "additionalProperties cannot be set to false")
    if given.get("uniqueItems"):
        errors.forbidden(
            path / "uniqueItems", "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        )
    for word in ("$ref", "definitions", "dependencies", "patternProperties", "additionalItems", "id"):
        if given.get(word) is not None:
            errors.forbidden(path / word, f"{word} is not supported")
    _validate_lists(given, path, errors)
    for name, part, below in _children(given, path):
        _validate(part, below, errors, root=False, depth=depth + 1)
        if root and name == "metadata" and set(part) - {"type", "properties", "description"}:
            errors.forbidden(
                below,
                "must not specify anything other than name and generateName, but metadata is implicitly specified",
            )
    for word in _LOGIC:
        for place, part in enumerate(given.get(word) or ()):
            _validate_logic(part, given, path / word / place, errors, depth + 1)
    if isinstance(given.get("not"), dict):
        _validate_logic(given["not"], given, path / "not", errors, depth + 1)


def _validate_lists(given: Object, path: Path, errors: FieldErrors) -> None:
    kind, list_type = given.get("type", ""), given.get("x-kubernetes-list-type")
    keys = given.get("x-kubernetes-list-map-keys")
    if list_type is not None:
        if list_type not in ("atomic", "set", "map"):
            errors.not_supported(path / "x-kubernetes-list-type", list_type, ("atomic", "set", "map"))
        if kind != "array":
            errors.invalid(path / "type", kind, "must be array if x-kubernetes-list-type is specified")
    if list_type == "map":
        if not keys:
            errors.required(path / "x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map")
        items = given.get("items") or {}
        for key in keys or ():
            part = (items.get("properties") or {}).get(key)
            if part is None:
                errors.invalid(
                    path / "x-kubernetes-list-map-keys", keys, "entries must all be names of item properties"
                )
            elif "default" not in part and key not in (items.get("required") or ()):
                errors.required(
                    path / "items" / "properties" / key / "default",
                    "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required"
                    " property",
                )
    elif keys:
        errors.invalid(
            path / "x-kubernetes-list-type", list_type or "", "must be map if x-kubernetes-list-map-keys is non-empty"
        )
    map_type = given.get("x-kubernetes-map-type")
    if map_type is not None:
        if map_type not in ("atomic", "granular"):
            errors.not_supported(path / "x-kubernetes-map-type", map_type, ("atomic", "granular"))
        if kind != "object":
            errors.invalid(path / "type", kind, "must be object if x-kubernetes-map-type is specified")


def _children(given: Object, path: Path) -> Iterator[tuple[str, Object, Path]]:
    for name, part in (given.get("properties") or {}).items():
        yield name, part, (path / "properties").key(name)
    if isinstance(given.get("additionalProperties"), dict):
        yield "", given["additionalProperties"], path / "additionalProperties"
    if isinstance(given.get("items"), dict):
        yield "", given["items"], path / "items"


def _validate_logic(part: Object, around: Object, path: Path, errors: FieldErrors, depth: int) -> None:
    """What stands within allOf, anyOf, oneOf and not may restrict values, and declare nothing."""
    if depth > MAX_DEPTH:
        errors.forbidden(path, "the schema is nested too deeply")
        return
    allowed_type = around.get(INT_OR_STRING) and part in _INT_OR_STRING_TYPES
    for word in _FORBIDDEN_IN_LOGIC:
        if part.get(word) is not None and not (word == "type" and allowed_type):
            errors.forbidden(path / word, "must be empty to be structural")
    for name, below, where in _children(part, path):
        there = (
            (around.get("properties") or {}).get(name)
            if name
            else around.get("items")
            if "items" in str(where)
            else around.get("additionalProperties")
        )
        if not isinstance(there, dict):
            errors.required(where, f"because it is defined in {path}")
            there = {}
        _validate_logic(below, there, where, errors, depth + 1)
    for word in _LOGIC:
        for place, below in enumerate(part.get(word) or ()):
            _validate_logic(below, around, path / word / place, errors, depth + 1)
    if isinstance(part.get("not"), dict):
        _validate_logic(part["not"], around, path / "not", errors, depth + 1)
