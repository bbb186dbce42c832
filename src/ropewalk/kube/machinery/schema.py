"""The shape of an object: one tree of nodes for built-in kinds and custom resources alike.

Built-in kinds' schemas come from Kubernetes' OpenAPI definitions (`kube/kinds/definitions.py`), a custom resource's
from its CustomResourceDefinition (`kube/extension`). Everything that walks objects walks this tree: decoding, pruning,
strategic merge, server-side apply. Nodes are built lazily where a definition is first needed, and may be recursive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from ropewalk.kube.machinery.objects import Json


class Shape(Enum):
    OBJECT = "object"
    """Named fields."""
    MAP = "map"
    """Any keys, values of one schema (`items`)."""
    LIST = "list"
    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    QUANTITY = "quantity"
    INT_OR_STRING = "int-or-string"
    ANY = "any"
    """Any JSON, unknown fields kept (RawExtension, FieldsV1, JSON, x-kubernetes-preserve-unknown-fields)."""


class Schema:
    """One node. Frozen by convention once built: shared by everyone."""

    __slots__ = (
        "_fields",
        "_items",
        "always",
        "atomic",
        "definition",
        "embedded",
        "format",
        "key_defaults",
        "list_keys",
        "list_type",
        "merge_key",
        "nullable",
        "patch_strategies",
        "preserve_unknown",
        "required",
        "shape",
    )

    def __init__(
        self,
        shape: Shape,
        *,
        definition: str = "",
        fields: dict[str, Schema] | Callable[[], dict[str, Schema]] | None = None,
        items: Schema | Callable[[], Schema] | None = None,
        required: frozenset[str] = frozenset(),
        list_type: str = "atomic",
        list_keys: tuple[str, ...] = (),
        key_defaults: dict[str, Json] | None = None,
        merge_key: str = "",
        patch_strategies: tuple[str, ...] = (),
        atomic: bool = False,
        preserve_unknown: bool = False,
        embedded: bool = False,
        nullable: bool = False,
        format: str = "",
    ) -> None:
        self.shape = shape
        self.definition = definition
        """`io.k8s.api.core.v1.Pod`, or ""."""
        self._fields = fields if fields is not None else {}
        self._items = items
        self.required = required
        self.always: Mapping[str, Json] = {}
        """What these fields hold where nothing was given (`structs.Struct`)."""
        self.list_type = list_type
        """Of a LIST: "atomic", "set" or "map" (x-kubernetes-list-type)."""
        self.list_keys = list_keys
        """Of a "map" list: the fields that tell its items apart (x-kubernetes-list-map-keys)."""
        self.key_defaults = key_defaults or {}
        """Values that list keys have where an item leaves them out (`protocol` of a port: TCP)."""
        self.merge_key = merge_key
        """Strategic merge: x-kubernetes-patch-merge-key; "" merges a list of scalars, or none."""
        self.patch_strategies = patch_strategies
        """x-kubernetes-patch-strategy, split: of "merge", "replace", "retainKeys"."""
        self.atomic = atomic
        """Of an OBJECT or MAP: x-kubernetes-map-type (or struct type) atomic; owned and replaced whole."""
        self.preserve_unknown = preserve_unknown
        """Of an OBJECT: fields that are not named are kept all the same."""
        self.embedded = embedded
        """x-kubernetes-embedded-resource: has apiVersion, kind and metadata of its own."""
        self.nullable = nullable
        """A null is a value here (custom resources only; elsewhere a null is an absent field)."""
        self.format = format
        """OpenAPI's: "int32", "int64", "date-time", "byte"."""

    @property
    def fields(self) -> dict[str, Schema]:
        """Of an OBJECT, in the order of the definition."""
        if not isinstance(self._fields, dict):
            self._fields = self._fields()
        return self._fields

    @property
    def items(self) -> Schema:
        """Of a LIST its items, of a MAP its values."""
        if self._items is None:
            return ANY
        if not isinstance(self._items, Schema):
            self._items = self._items()
        return self._items

    def field(self, name: str) -> Schema | None:
        """The schema under a key: of an OBJECT's field, of any key of a MAP; None where no such field is known."""
        if self.shape is Shape.OBJECT:
            return self.fields.get(name)
        return self.items if self.shape is Shape.MAP else None


ANY = Schema(Shape.ANY, preserve_unknown=True)
