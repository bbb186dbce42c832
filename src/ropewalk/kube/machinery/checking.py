"""An object against its schema: wrong types, unknown fields, and what Go would not have kept.

Two walks. The quick one answers only "nothing to do": it runs on a table per definition, made at first use, and most
objects need no more. The other one corrects the object in place and says what was wrong, with paths; it is plain, and
six times slower. Texts are those of Go's `encoding/json` and of sigs.k8s.io/json.
https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ropewalk.kube.machinery import go_values, quantities
from ropewalk.kube.machinery.json_text import quoted
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.quick_check import INTEGERS, is_clean
from ropewalk.kube.machinery.schema import Schema, Shape
from ropewalk.kube.machinery.structs import Struct

_MOST_COMPLAINTS = 100


@dataclass(frozen=True, slots=True)
class Complaints:
    wrong: str = ""
    """The first value that cannot be read at all, in Go's words: the request is refused. "" where there is none."""
    unknown: list[str] = field(default_factory=list)
    """`unknown field "spec.foo"`: the fields were dropped; Strict refuses, Warn warns."""


_CLEAN = Complaints()


def check(obj: Object, schema: Schema) -> Complaints:
    """Bring `obj` into the form in which Go would hold it, in place; say what it had besides.

    Nulls are dropped where the schema does not allow them, unknown fields where it does not keep them. Under a `Struct`
    optional empty values go too, times, bytes and quantities take their canonical form, and wrong types are told. Plain
    OBJECT nodes (custom resources) keep empty values and wrong types: judging those is their own schema's validation.
    """
    if isinstance(schema, Struct) and is_clean(obj, schema):
        return _CLEAN
    walk = _Walk()
    walk.object(obj, schema, "")
    return Complaints(walk.wrong, walk.unknown)


_DROP = object()
"""As a result: the value is as good as none."""

_SCALARS: dict[Shape, tuple[type, ...]] = {
    Shape.STRING: (str,),
    Shape.BOOLEAN: (bool,),
    Shape.INTEGER: (int,),
    Shape.NUMBER: (int, float),
    Shape.INT_OR_STRING: (int, str),
    Shape.QUANTITY: (str, int, float),
}
_ZEROS: dict[Shape, Json] = {
    Shape.STRING: "",
    Shape.BOOLEAN: False,
    Shape.INTEGER: 0,
    Shape.NUMBER: 0,
    Shape.INT_OR_STRING: 0,
    Shape.QUANTITY: "0",
}


class _Walk:
    def __init__(self) -> None:
        self.wrong = ""
        self.unknown: list[str] = []
        self._struct = ""
        """The Go struct whose field is being read; "" outside of any: then types are not judged."""
        self._fields: list[str] = []
        """The names of the fields down to it, as Go's messages join them."""

    def object(self, value: Object, schema: Schema, path: str) -> None:
        outer = self._struct
        if isinstance(schema, Struct):
            self._struct = schema.definition.rpartition(".")[2]
        elif schema.shape is Shape.OBJECT:
            self._struct = ""
        for name in list(value):
            here = f"{path}.{name}" if path else name
            known = schema.field(name)
            if known is None:
                self._unknown(value, name, schema, here)
                continue
            self._fields.append(name)
            found = self._value(value[name], known, here)
            self._fields.pop()
            if found is _DROP or (isinstance(schema, Struct) and schema.forgets(name, found)):
                del value[name]
            else:
                value[name] = found
        self._struct = outer

    def _unknown(self, value: Object, name: str, schema: Schema, here: str) -> None:
        if schema.preserve_unknown or (schema.embedded and name in ("apiVersion", "kind", "metadata")):
            return
        del value[name]
        complaint = f"unknown field {quoted(here)}"
        if len(self.unknown) < _MOST_COMPLAINTS and complaint not in self.unknown:
            self.unknown.append(complaint)

    def _value(self, value: Json, schema: Schema, path: str) -> Json:
        shape = schema.shape
        if value is None:
            return value if schema.nullable else _DROP
        if shape is Shape.ANY:
            return value
        if shape is Shape.OBJECT:
            if type(value) is dict:
                self.object(value, schema, path)
            else:
                self._mistyped(value, schema)
        elif shape is Shape.MAP:
            self._map(value, schema, path)
        elif shape is Shape.LIST:
            self._list(value, schema, path)
        elif type(value) not in _SCALARS[shape]:
            self._mistyped(value, schema)
        elif self._struct:
            return self._scalar(value, schema)
        return value

    def _map(self, value: Json, schema: Schema, path: str) -> None:
        if type(value) is not dict:
            self._mistyped(value, schema)
            return
        items = schema.items
        for key in list(value):
            found = self._value(value[key], items, f"{path}.{key}")
            if found is not _DROP:
                value[key] = found
            elif self._struct:
                value[key] = _zero(items)
            else:
                del value[key]

    def _list(self, value: Json, schema: Schema, path: str) -> None:
        if type(value) is not list:
            self._mistyped(value, schema)
            return
        items = schema.items
        for index, part in enumerate(value):
            found = self._value(part, items, f"{path}[{index}]")
            value[index] = _zero(items) if found is _DROP and self._struct else part if found is _DROP else found

    def _scalar(self, value: Json, schema: Schema) -> Json:
        """Of a Go struct, and of the right JSON type: in range, and as Go writes it."""
        shape = schema.shape
        if shape is Shape.INTEGER or (shape is Shape.INT_OR_STRING and type(value) is int):
            low, high = INTEGERS[schema.format if shape is Shape.INTEGER else "int32"]
            if not low <= value <= high:
                self._tell(f"number {value}", schema)
        parser = parser_of(schema)
        if parser is None or type(value) is bool:
            return value
        try:
            text = parser(value if type(value) is str else _number(value))
        except ValueError as error:
            self.wrong = self.wrong or str(error)
            return value
        return _DROP if text in go_values.ZERO_TIMES else text

    def _mistyped(self, value: Json, schema: Schema) -> None:
        if not self._struct:
            return
        if schema.shape is Shape.QUANTITY:
            self.wrong = self.wrong or quantities.MESSAGE
        else:
            self._tell(_kind_of(value, schema), schema)

    def _tell(self, given: str, schema: Schema) -> None:
        if not self.wrong:
            self.wrong = (
                f"json: cannot unmarshal {given} into Go struct field {self._struct}.{'.'.join(self._fields)} of type"
                f" {go_type(schema)}"
            )


def parser_of(schema: Schema) -> Callable[[str], str] | None:
    """The function that reads a string of this node where Go has one of its own."""
    if schema.shape is Shape.QUANTITY:
        return go_values.quantity
    if schema.shape is not Shape.STRING or not schema.format:
        return None
    if schema.format == "date-time":
        return go_values.micro_time if schema.definition.endswith(".MicroTime") else go_values.time
    return go_values.encoded_bytes if schema.format == "byte" else None


def go_type(schema: Schema) -> str:
    """`v1.PodSpec`, `[]string`, `map[string]resource.Quantity`, `int32`."""
    shape = schema.shape
    if shape is Shape.LIST:
        return f"[]{go_type(schema.items)}"
    if shape is Shape.MAP:
        return f"map[string]{go_type(schema.items)}"
    if schema.format == "byte":
        return "[]uint8"
    if shape is Shape.INT_OR_STRING:
        return "int32"
    if schema.definition and shape is Shape.OBJECT:
        return ".".join(schema.definition.rsplit(".", 2)[1:])
    if shape is Shape.INTEGER:
        return schema.format or "int64"
    return {Shape.BOOLEAN: "bool", Shape.NUMBER: "float64"}.get(shape, "string")


def _kind_of(value: Json, schema: Schema) -> str:
    """As Go names the JSON that it met."""
    if type(value) is float and schema.shape in (Shape.INTEGER, Shape.INT_OR_STRING):
        return f"number {_number(value)}"
    names: dict[type, str] = {
        str: "string",
        bool: "bool",
        int: "number",
        float: "number",
        list: "array",
        dict: "object",
    }
    return names[type(value)]


def _number(value: float) -> str:
    return repr(value)


def _zero(schema: Schema) -> Json:
    if schema.shape is Shape.LIST:
        return []
    return _ZEROS.get(schema.shape, {})
