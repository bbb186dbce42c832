"""Objects behind which stands a Go struct: they forget empty fields, as kube-apiserver's typed decoding does.

Go's encoder leaves out an optional field that holds its zero value, unless the field is a pointer; a struct held by
value is always written. So a `Struct` read from JSON and written again is not what it was, and clients see it. Objects
of custom resources are plain `Schema` nodes, and keep what they were given.
"""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.kube.machinery.objects import Json
from ropewalk.kube.machinery.schema import Schema, Shape


class Struct(Schema):
    """An OBJECT node with what its Go type adds."""

    __slots__ = ("always", "emptiable")

    def __init__(
        self,
        *,
        definition: str,
        fields: dict[str, Schema] | Callable[[], dict[str, Schema]],
        required: frozenset[str] = frozenset(),
        atomic: bool = False,
        patch_strategies: tuple[str, ...] = (),
        emptiable: frozenset[str] = frozenset(),
        always: dict[str, Json] | None = None,
    ) -> None:
        super().__init__(
            Shape.OBJECT,
            definition=definition,
            fields=fields,
            required=required,
            atomic=atomic,
            patch_strategies=patch_strategies,
        )
        self.emptiable = emptiable
        """Fields in which an empty value ("", 0, false, [], {}) differs from none, and is kept."""
        self.always = always or {}
        """What these fields hold where nothing was given: {} for a struct held by value."""

    def forgets(self, name: str, value: Json) -> bool:
        """Whether the value of a field is as good as none."""
        return not value and name not in self.emptiable and self.fields[name].shape in _OMITTED


def complete(value: Json, schema: Schema) -> None:
    """Add, in place, what Go always writes (`Struct.always`), at every depth."""
    if type(value) is dict:
        if isinstance(schema, Struct):
            for name, given in schema.always.items():
                if name not in value:
                    value[name] = {} if type(given) is dict else given
        if schema.shape is Shape.OBJECT:
            fields = schema.fields
            for name, part in value.items():
                if type(part) in _CONTAINERS and name in fields:
                    complete(part, fields[name])
        elif schema.shape is Shape.MAP and schema.items.shape in _NESTED:
            for part in value.values():
                complete(part, schema.items)
    elif type(value) is list and schema.shape is Shape.LIST and schema.items.shape in _NESTED:
        items = schema.items
        for part in value:
            complete(part, items)


_OMITTED = (Shape.STRING, Shape.INTEGER, Shape.NUMBER, Shape.BOOLEAN, Shape.LIST, Shape.MAP)
"""Where Go has an empty value that it leaves out; never structs, nor types that write themselves."""
_CONTAINERS = (dict, list)
_NESTED = (Shape.OBJECT, Shape.MAP, Shape.LIST)
