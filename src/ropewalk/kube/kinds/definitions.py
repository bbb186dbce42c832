"""The shape of every built-in kind, as `Schema` trees made from the published OpenAPI definitions where first needed.

This knows how OpenAPI says things (references, extensions, formats) and nothing of any one kind.
https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-interface-definition
"""

from __future__ import annotations

from functools import lru_cache

from ropewalk.kube.kinds.go_types import ALWAYS, KEPT, OMITTED, POINTERS, VALUES
from ropewalk.kube.kinds.published import INT_OR_STRING, QUANTITY, REFERENCE, Published, published
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.resources import GroupVersionKind
from ropewalk.kube.machinery.schema import Schema, Shape
from ropewalk.kube.machinery.structs import Struct

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
LIST_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"

_NONE: frozenset[str] = frozenset()
_SHAPES = {
    "string": Shape.STRING,
    "integer": Shape.INTEGER,
    "number": Shape.NUMBER,
    "boolean": Shape.BOOLEAN,
}
_OPAQUE = frozenset(
    {
        "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
        "io.k8s.apimachinery.pkg.runtime.RawExtension",
        "io.k8s.apimachinery.pkg.apis.meta.v1.Patch",
    }
)
"""Published as objects without fields, while they mean any content. Other objects without fields have none."""


class Definitions:
    """Kubernetes' types. One instance a process: `definitions()`."""

    def __init__(self, source: Published) -> None:
        self.published = source
        self._schemas: dict[str, Schema] = {}

    def knows(self, gvk: GroupVersionKind) -> bool:
        return (gvk.group, gvk.version, gvk.kind) in self.published.kinds

    def name_of(self, gvk: GroupVersionKind) -> str:
        """`io.k8s.api.core.v1.Pod`; KeyError where no such kind is published."""
        return self.published.kinds[gvk.group, gvk.version, gvk.kind]

    def schema(self, gvk: GroupVersionKind) -> Schema:
        """KeyError where no such kind is published (`knows`)."""
        return self.schema_named(self.name_of(gvk))

    def schema_named(self, definition: str) -> Schema:
        found = self._schemas.get(definition)
        if found is None:
            found = self._schemas[definition] = self._named(definition)
        return found

    def _named(self, name: str) -> Schema:
        given = self.published.definition(name)
        if name == QUANTITY:
            return Schema(Shape.QUANTITY, definition=name)
        if name == INT_OR_STRING:
            return Schema(Shape.INT_OR_STRING, definition=name)
        if name in _OPAQUE or "type" not in given:
            return Schema(Shape.ANY, definition=name, preserve_unknown=True)
        if given["type"] != "object":
            return Schema(_SHAPES[given["type"]], definition=name, format=given.get("format", ""))
        required = frozenset(given.get("required", ()))
        return Struct(
            definition=name,
            fields=lambda: self._fields(given),
            required=required,
            atomic=given.get("x-kubernetes-map-type") == "atomic",
            emptiable=(required - OMITTED.get(name, _NONE)) | POINTERS.get(name, _NONE) | KEPT.get(name, _NONE),
            always={**{field: {} for field in sorted(VALUES.get(name, _NONE))}, **ALWAYS.get(name, {})},
        )

    def _fields(self, given: Object) -> dict[str, Schema]:
        return {field: self._node(part) for field, part in given.get("properties", {}).items()}

    def _node(self, given: Object) -> Schema:
        if REFERENCE in given:
            return self._reference(given)
        kind = given["type"]
        if kind == "array":
            return self._list(given)
        if kind == "object":
            values = given["additionalProperties"]
            return Schema(
                Shape.MAP, items=lambda: self._node(values), atomic=given.get("x-kubernetes-map-type") == "atomic"
            )
        return Schema(_SHAPES[kind], format=given.get("format", ""))

    def _reference(self, given: Object) -> Schema:
        name = given[REFERENCE]
        strategies = _strategies(given)
        map_type = given.get("x-kubernetes-map-type")
        if not strategies and not map_type:
            return self.schema_named(name)
        named = self.schema_named(name)  # the field says more than its type does: a node of its own
        assert isinstance(named, Struct)
        return Struct(
            definition=name,
            fields=lambda: named.fields,
            required=named.required,
            atomic=map_type == "atomic" if map_type else named.atomic,
            patch_strategies=strategies,
            emptiable=named.emptiable,
            always=named.always,
        )

    def _list(self, given: Object) -> Schema:
        strategies = _strategies(given)
        merge_key = given.get("x-kubernetes-patch-merge-key", "")
        list_type = given.get("x-kubernetes-list-type", "")
        keys = tuple(given.get("x-kubernetes-list-map-keys", ()))
        if not list_type:  # older fields say it only for strategic merge, and mean the same for apply
            list_type = ("map" if merge_key else "set") if "merge" in strategies else "atomic"
            keys = (merge_key,) if list_type == "map" else ()
        items = given["items"]
        return Schema(
            Shape.LIST,
            items=lambda: self._node(items),
            list_type=list_type,
            list_keys=keys,
            key_defaults=self._key_defaults(items, keys),
            merge_key=merge_key,
            patch_strategies=strategies,
        )

    def _key_defaults(self, items: Object, keys: tuple[str, ...]) -> Object:
        if not keys:
            return {}
        fields = self.published.definition(items[REFERENCE])["properties"]
        return {key: fields[key]["default"] for key in keys if "default" in fields[key]}


def _strategies(given: Object) -> tuple[str, ...]:
    text = given.get("x-kubernetes-patch-strategy", "")
    return tuple(text.split(",")) if text else ()


@lru_cache(maxsize=1)
def definitions() -> Definitions:
    return Definitions(published())
