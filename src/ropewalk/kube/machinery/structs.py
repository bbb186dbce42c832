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
    """Add, in place, what Go always writes (`Struct.always`), at every depth. Enters only where something may be added:
    that is found out once for each definition.
    """
    if type(value) is dict:
        if schema.shape is Shape.OBJECT:
            always, below = _plan(schema)
            for name, given in always:
                if name not in value:
                    value[name] = {} if type(given) is dict else given
            if below:
                for name, part in value.items():
                    if name in below:
                        complete(part, below[name])
        elif schema.shape is Shape.MAP and _completes(schema.items):
            for part in value.values():
                complete(part, schema.items)
    elif type(value) is list and schema.shape is Shape.LIST:
        items = schema.items
        if _completes(items):
            for part in value:
                complete(part, items)


_Plan = tuple[tuple[tuple[str, Json], ...], dict[str, Schema]]
"""What a struct always holds; those of its fields under which something may be added."""
_plans: dict[int, tuple[Schema, _Plan]] = {}
"""By identity: built-in schemas live as long as the process."""
_completing: dict[int, tuple[Schema, bool]] = {}


def _plan(schema: Schema) -> _Plan:
    known = _plans.get(id(schema))
    if known is None:
        always = tuple(schema.always.items()) if isinstance(schema, Struct) else ()
        below = {name: part for name, part in schema.fields.items() if _completes(part)}
        known = _plans[id(schema)] = (schema, (always, below))
    return known[1]


def _completes(schema: Schema) -> bool:
    """Whether `complete` may add anything to a value of this schema."""
    if schema.shape not in _NESTED:
        return False
    known = _completing.get(id(schema))
    if known is None:
        _completing[id(schema)] = (schema, True)  # should it come round to itself: better once too often
        if schema.shape is not Shape.OBJECT:
            found = _completes(schema.items)
        else:
            found = bool(isinstance(schema, Struct) and schema.always) or any(map(_completes, schema.fields.values()))
        known = _completing[id(schema)] = (schema, found)
    return known[1]


_OMITTED = (Shape.STRING, Shape.INTEGER, Shape.NUMBER, Shape.BOOLEAN, Shape.LIST, Shape.MAP)
"""Where Go has an empty value that it leaves out; never structs, nor types that write themselves."""
_NESTED = (Shape.OBJECT, Shape.MAP, Shape.LIST)
