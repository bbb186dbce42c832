"""Objects behind which stands a Go struct: they forget empty fields, as kube-apiserver's typed decoding does.

Go's encoder leaves out an optional field that holds its zero value, unless the field is a pointer; a struct held by
value is always written. So a `Struct` read from JSON and written again is not what it was, and clients see it. Objects
of custom resources are plain `Schema` nodes, and keep what they were given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ropewalk.kube.machinery.objects import Json
from ropewalk.kube.machinery.schema import Schema, Shape


class Struct(Schema):
    """An OBJECT node with what its Go type adds."""

    __slots__ = ("emptiable",)

    def __init__(
        self,
        *,
        definition: str,
        fields: dict[str, Schema] | Callable[[], dict[str, Schema]],
        required: frozenset[str] = frozenset(),
        atomic: bool = False,
        patch_strategies: tuple[str, ...] = (),
        emptiable: frozenset[str] = frozenset(),
        always: Mapping[str, Json] | None = None,
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
        if always:
            self.always = always  # {} for a struct held by value

    def forgets(self, name: str, value: Json) -> bool:
        """Whether the value of a field is as good as none."""
        return not value and name not in self.emptiable and self.fields[name].shape in _OMITTED


def complete(value: Json, schema: Schema) -> None:
    """Add, in place, what Go always writes (`Struct.always`), at every depth. Enters only where something may be added:
    that is found out once for each node.
    """
    run = _completer(schema)
    if run is not None:
        run(value)


_Completer = Callable[[Json], None]
_completers: dict[int, tuple[Schema, _Completer | None]] = {}
"""By identity: built-in schemas live as long as the process."""


def _completer(schema: Schema) -> _Completer | None:
    """What completes values of this schema; None where nothing may be added."""
    if schema.shape not in _NESTED:
        return None
    known = _completers.get(id(schema))
    if known is None:
        _completers[id(schema)] = (schema, lambda value: complete(value, schema))  # should it come round to itself
        known = _completers[id(schema)] = (schema, _made(schema))
    return known[1]


def _made(schema: Schema) -> _Completer | None:
    if schema.shape is Shape.OBJECT:
        return _of_struct(schema)
    item = _completer(schema.items)
    if item is None:
        return None
    below = item
    if schema.shape is Shape.MAP:

        def run(value: Json) -> None:
            if type(value) is dict:
                for part in value.values():
                    below(part)
    else:

        def run(value: Json) -> None:
            if type(value) is list:
                for part in value:
                    below(part)

    return run


def _of_struct(schema: Schema) -> _Completer | None:
    always = tuple(schema.always.items())
    below = {name: part for name, field in schema.fields.items() if (part := _completer(field)) is not None}
    if not always and not below:
        return None

    def run(value: Json) -> None:
        if type(value) is not dict:
            return
        for name, given in always:
            if name not in value:
                value[name] = {} if type(given) is dict else given
        for name, part in value.items():
            if name in below:
                below[name](part)

    return run


_OMITTED = (Shape.STRING, Shape.INTEGER, Shape.NUMBER, Shape.BOOLEAN, Shape.LIST, Shape.MAP)
"""Where Go has an empty value that it leaves out; never structs, nor types that write themselves."""
_NESTED = (Shape.OBJECT, Shape.MAP, Shape.LIST)
