"""A checked expression made ready to run: `==` and `+` of lists that are sets or maps become other functions. Pure.

What a list is, its values do not tell: the schema does.
"""

from __future__ import annotations

from dataclasses import replace

from ropewalk.kube.extension.list_types import LIST_TYPE
from ropewalk.kube.extension.seen import is_unordered
from ropewalk.kube.machinery.cel.evaluator import unescaped
from ropewalk.kube.machinery.cel.syntax import (
    Comprehension,
    Constant,
    Entry,
    Identifier,
    Invocation,
    ListLiteral,
    MapLiteral,
    Node,
    Select,
)
from ropewalk.kube.machinery.cel.type_check import Checked
from ropewalk.kube.machinery.objects import Object

_SELVES = ("self", "oldSelf")


def rewritten(checked: Checked, schema: Object) -> Node:
    """`schema`: of `self`."""
    return _Rewriter(checked, schema).node(checked.root)


class _Rewriter:
    def __init__(self, checked: Checked, schema: Object) -> None:
        self._checked = checked
        self._scope: dict[str, Object | None] = dict.fromkeys(_SELVES, schema)
        self._schemas: dict[int, Object] = {}
        """Of nodes that read a part of the object."""

    def node(self, node: Node) -> Node:
        if isinstance(node, Identifier):
            self._note(node, self._scope.get(node.name))
            return node
        if isinstance(node, Select):
            return self._select(node)
        if isinstance(node, Invocation):
            return self._call(node)
        if isinstance(node, ListLiteral):
            return replace(node, elements=tuple(map(self.node, node.elements)))
        if isinstance(node, MapLiteral):
            return replace(node, entries=tuple(map(self._entry, node.entries)))
        return self._comprehension(node) if isinstance(node, Comprehension) else node

    def _note(self, node: Node, schema: Object | None) -> None:
        if schema is not None:
            self._schemas[id(node)] = schema

    def _select(self, node: Select) -> Node:
        operand = self.node(node.operand)
        self._note(node, self._field(node.operand, node.field))
        return replace(node, operand=operand)

    def _field(self, operand: Node, name: str) -> Object | None:
        """The schema of a field."""
        schema = self._schemas.get(id(operand)) or {}
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        if properties:
            found: Object | None = properties.get(unescaped(name))
            return found
        return additional if isinstance(additional, dict) else None

    def _call(self, node: Invocation) -> Node:
        if node.function == "_?._":
            operand, name = node.arguments
            made = self.node(operand)
            self._note(node, self._field(operand, str(getattr(name, "value", ""))))
            return replace(node, arguments=(made, name))
        target = None if node.target is None else self.node(node.target)
        arguments = tuple(map(self.node, node.arguments))
        if node.function in ("_[_]", "_[?_]"):
            self._note(node, self._entry_schema(node.arguments[0]))
        if node.function in ("_==_", "_!=_", "_+_"):
            return self._operator(node, arguments)
        return replace(node, target=target, arguments=arguments)

    def _entry_schema(self, container: Node) -> Object | None:
        schema = self._schemas.get(id(container)) or {}
        for word in ("items", "additionalProperties"):
            if isinstance(schema.get(word), dict):
                found: Object = schema[word]
                return found
        return None

    def _operator(self, node: Invocation, arguments: tuple[Node, ...]) -> Node:
        schema = self._schemas.get(id(node.arguments[0]))
        plain = replace(node, arguments=arguments)
        if schema is None or not is_unordered(schema):
            return plain
        if node.function == "_+_":
            if schema.get(LIST_TYPE) not in ("set", "map"):
                return plain
            self._note(node, schema)
            return Invocation(None, "@joined_as", (*arguments, Constant(schema)), node.id)
        equality = Invocation(None, "@equal_as", (*arguments, Constant(schema)), node.id)
        return equality if node.function == "_==_" else Invocation(None, "!_", (equality,), node.id)

    def _entry(self, entry: Entry) -> Entry:
        key = entry.key if isinstance(entry.key, str) else self.node(entry.key)
        return replace(entry, key=key, value=self.node(entry.value))

    def _comprehension(self, node: Comprehension) -> Node:
        over, initial = self.node(node.range), self.node(node.initial)
        below = self._entry_schema(node.range)
        is_list = self._checked.type_of(node.range).kind == "list"
        outer = self._scope
        self._scope = {**outer, node.accumulator: None}
        inner = self._scope
        bound = (
            {node.variable: None, node.second: below} if node.second else {node.variable: below if is_list else None}
        )
        self._scope = {**inner, **bound}
        condition, step = self.node(node.condition), self.node(node.step)
        self._scope = inner
        result = self.node(node.result)
        self._scope = outer
        return replace(node, range=over, initial=initial, condition=condition, step=step, result=result)
