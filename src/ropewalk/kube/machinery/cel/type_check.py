"""The type checker: every node of an expression gets its type, or the expression is refused in cel-go's words. Pure.

Kubernetes types `self` of a custom resource's rules, and `object` of an admission policy, by their schemas: a field
that no schema names, or a number compared with a string, is told when rule or policy is written. The checker that the
parser's library has cannot be told such types.
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/#type-checking
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ropewalk.kube.machinery.cel.declarations import Declared
from ropewalk.kube.machinery.cel.literals import problems
from ropewalk.kube.machinery.cel.signatures import Signature, signatures
from ropewalk.kube.machinery.cel.syntax import (
    Comprehension,
    Constant,
    Identifier,
    Invocation,
    ListLiteral,
    MapLiteral,
    Node,
    Parsed,
    Select,
    dotted,
)
from ropewalk.kube.machinery.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    ERROR,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    Bindings,
    Type,
    list_of,
    map_of,
    most_general,
    optional_of,
)
from ropewalk.kube.machinery.cel.values import UInt

_CONSTANTS: dict[type, Type] = {
    bool: BOOL,
    int: INT,
    UInt: UINT,
    float: DOUBLE,
    str: STRING,
    bytes: BYTES,
    type(None): NULL,
}
_TYPE_NAMES: dict[str, Type] = {
    "bool": BOOL,
    "bytes": BYTES,
    "double": DOUBLE,
    "duration": DURATION,
    "google.protobuf.Duration": DURATION,
    "google.protobuf.Timestamp": TIMESTAMP,
    "int": INT,
    "list": list_of(DYN),
    "map": map_of(DYN, DYN),
    "null_type": NULL,
    "string": STRING,
    "timestamp": TIMESTAMP,
    "type": Type("type"),
    "uint": UINT,
}
_MOST_ERRORS = 100


@dataclass(slots=True)
class Checked:
    """An expression with its types, by the identity of nodes (which live as long as their tree)."""

    root: Node
    types: dict[int, Type]
    overloads: dict[int, tuple[Signature, ...]]
    names: set[str]
    """The variables that it reads."""
    errors: list[str] = field(default_factory=list)

    def type_of(self, node: Node) -> Type:
        return self.types.get(id(node), DYN)


def check(text: str, parsed: Parsed, variables: Mapping[str, Type], structs: Mapping[str, Declared]) -> Checked:
    """`structs`: what the names of struct types mean."""
    checker = _Checker(text, parsed.positions, variables, structs)
    checker.node(parsed.root)
    bindings = checker.bindings
    types = {identity: bindings.resolved(found, free_is_dyn=True) for identity, found in checker.types.items()}
    checked = Checked(parsed.root, types, checker.overloads, checker.names)
    found = checker.problems or [
        (parsed.positions.get(identity, 0), told) for identity, told in problems(parsed.root, checked.type_of)
    ]
    ordered = sorted(found, key=lambda problem: _location(text, problem[0]))
    checked.errors = [_display(text, offset, message) for offset, message in ordered[:_MOST_ERRORS]]
    return checked


def _location(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1)


def _display(text: str, offset: int, message: str) -> str:
    line, column = _location(text, offset)
    shown = text.split("\n")[line - 1].replace("\t", " ")
    marks = "".join("\uff0e" if ord(character) > 127 else "." for character in shown[:column])
    mark = "\uff3e" if column < len(shown) and ord(shown[column]) > 127 else "^"
    return f"ERROR: <input>:{line}:{column + 1}: {message}\n | {shown}\n | {marks}{mark}"


class _Checker:
    def __init__(
        self, text: str, positions: Mapping[int, int], variables: Mapping[str, Type], structs: Mapping[str, Declared]
    ) -> None:
        self.types: dict[int, Type] = {}
        self.overloads: dict[int, tuple[Signature, ...]] = {}
        self.names: set[str] = set()
        self.problems: list[tuple[int, str]] = []
        self.bindings = Bindings()
        self._text = text
        self._positions = positions
        self._scope = dict(variables)
        self._structs = structs
        self._free = 0

    def tell(self, node_id: int, message: str) -> None:
        self.problems.append((self._positions.get(node_id, 0), message))

    def node(self, node: Node) -> Type:
        found = self._of(node)
        self.types[id(node)] = found
        return found

    def _of(self, node: Node) -> Type:
        if isinstance(node, Constant):
            return _CONSTANTS[type(node.value)]
        if isinstance(node, Identifier):
            return self._identifier(node)
        if isinstance(node, Select):
            return self._select(node)
        if isinstance(node, Invocation):
            return self._call(node)
        if isinstance(node, ListLiteral):
            return self._list(node)
        if isinstance(node, MapLiteral):
            return self._message(node) if node.message else self._map(node)
        return self._comprehension(node)

    # --- names and fields

    def _identifier(self, node: Identifier) -> Type:
        found = self._scope.get(node.name)
        if found is None and node.name in _TYPE_NAMES:
            return Type("type", parameters=(_TYPE_NAMES[node.name],))
        if found is None:
            self.tell(node.id, f"undeclared reference to '{node.name}' (in container '')")
            return ERROR
        self.names.add(node.name)
        return found

    def _select(self, node: Select) -> Type:
        name = "" if node.test_only else dotted(node)
        if name in _TYPE_NAMES:
            return Type("type", parameters=(_TYPE_NAMES[name],))
        found = self._field(node.id, node.operand, node.field, optional=False)
        return BOOL if node.test_only else self.bindings.resolved(found)

    def _field(self, node_id: int, operand: Node, name: str, *, optional: bool) -> Type:
        target = self.bindings.resolved(self.node(operand))
        was_optional = target.is_optional
        if was_optional:
            target = target.parameters[0]
        found = ERROR
        if target.kind == "map":
            found = target.parameters[1]
        elif target.kind == "struct":
            found = self._field_of(node_id, target.name, name)
        elif target.kind == "param":
            self.bindings.assignable(DYN, target)
            found = DYN
        else:
            if not target.is_dyn and target.kind != "error":
                self.tell(node_id, f"type '{target}' does not support field selection")
            found = DYN
        return optional_of(found) if was_optional or optional else found

    def _field_of(self, node_id: int, struct: str, name: str) -> Type:
        declared = self._structs.get(struct)
        if declared is None:
            self.tell(node_id, f"unexpected failed resolution of '{struct}'")
            return ERROR
        found = (declared.fields or {}).get(name)
        if found is None:
            self.tell(node_id, f"undefined field '{name}'")
            return ERROR
        return found.type

    # --- calls

    def _call(self, node: Invocation) -> Type:
        if node.function == "_?._":
            return self._optional_select(node)
        arguments = [self.node(argument) for argument in node.arguments]
        if node.target is None:
            return self._resolved(node, node.function, None, arguments)
        prefix = dotted(node.target)
        if prefix and f"{prefix}.{node.function}" in signatures():
            return self._resolved(node, f"{prefix}.{node.function}", None, arguments)
        target = self.node(node.target)
        return self._resolved(node, node.function, target, arguments)

    def _optional_select(self, node: Invocation) -> Type:
        operand, name = node.arguments
        assert isinstance(name, Constant)
        found = self._field(node.id, operand, str(name.value), optional=True)
        self.overloads[id(node)] = signatures()["_?._"]
        return self.bindings.resolved(found)

    def _resolved(self, node: Invocation, name: str, target: Type | None, arguments: list[Type]) -> Type:
        candidates = signatures().get(name)
        if candidates is None:
            self.tell(node.id, f"undeclared reference to '{name}' (in container '')")
            return ERROR
        given = arguments if target is None else [target, *arguments]
        if name in ("_&&_", "_||_"):
            return self._logical(node, candidates, arguments)
        result: Type | None = None
        taken: list[Signature] = []
        for candidate in candidates:
            if candidate.member is (target is None):
                continue
            parameters, returned = self._fresh(candidate)
            if not self.bindings.all_assignable(given, parameters):
                continue
            taken.append(candidate)
            found = self.bindings.resolved(returned)
            if result is None:
                result = found
            elif not result.is_dyn and found != result:
                result = DYN
        if result is None:
            self._no_overload(node, name, given, member=target is not None)
            return ERROR
        self.overloads[id(node)] = tuple(taken)
        return result

    def _no_overload(self, node: Invocation, name: str, given: list[Type], *, member: bool) -> None:
        told = [str(self.bindings.resolved(part, free_is_dyn=True)) for part in given]
        signature = f"{told[0]}.({', '.join(told[1:])})" if member else f"({', '.join(told)})"
        self.tell(node.id, f"found no matching overload for '{name}' applied to '{signature}'")

    def _logical(self, node: Invocation, candidates: tuple[Signature, ...], arguments: list[Type]) -> Type:
        wrong = False
        for argument, found in zip(node.arguments, arguments, strict=True):
            if not self.bindings.assignable(found, BOOL):
                self._mismatch(argument, BOOL, found)
                wrong = True
        if wrong:
            return ERROR
        self.overloads[id(node)] = candidates
        return BOOL

    def _fresh(self, candidate: Signature) -> tuple[tuple[Type, ...], Type]:
        if not candidate.variables:
            return candidate.parameters, candidate.result
        fresh = Bindings({name: self._new_variable() for name in candidate.variables})
        return tuple(map(fresh.resolved, candidate.parameters)), fresh.resolved(candidate.result)

    def _new_variable(self) -> Type:
        self._free += 1
        return Type("param", f"_var{self._free - 1}")

    def _mismatch(self, node: Node, wanted: Type, found: Type) -> None:
        self.tell(node.id, f"expected type '{wanted}' but found '{found}'")

    # --- literals

    def _list(self, node: ListLiteral) -> Type:
        joined: Type | None = None
        for place, element in enumerate(node.elements):
            found = self.node(element)
            if place in node.optional:
                found = self._unwrapped(element, found)
            joined = self._joined(joined, found)
        return list_of(joined or self._new_variable())

    def _map(self, node: MapLiteral) -> Type:
        keys: Type | None = None
        values: Type | None = None
        for entry in node.entries:
            assert not isinstance(entry.key, str)
            keys = self._joined(keys, self.node(entry.key))
            found = self.node(entry.value)
            if entry.optional:
                found = self._unwrapped(entry.value, found)
            values = self._joined(values, found)
        if keys is None or values is None:
            keys, values = self._new_variable(), self._new_variable()
        return map_of(keys, values)

    def _message(self, node: MapLiteral) -> Type:
        brace = self._text.find("{", self._positions.get(node.id, 0))
        self.problems.append((max(brace, 0), f"undeclared reference to '{node.message}' (in container '')"))
        return ERROR

    def _unwrapped(self, node: Node, found: Type) -> Type:
        if found.is_optional:
            return found.parameters[0]
        if not found.is_dyn:
            self._mismatch(node, optional_of(found), found)
        return found

    def _joined(self, before: Type | None, found: Type) -> Type:
        if before is None:
            return found
        return most_general(before, found) if self.bindings.assignable(before, found) else DYN

    # --- comprehensions

    def _comprehension(self, node: Comprehension) -> Type:
        self.node(node.range)
        accumulated = self.node(node.initial)
        over = self.bindings.resolved(self.types[id(node.range)])
        outer = self._scope
        self._scope = {**outer, node.accumulator: accumulated}
        first, second = self._iterated(node, over)
        inner = self._scope
        self._scope = {**inner, node.variable: first} | ({node.second: second} if node.second else {})
        for part, wanted in ((node.condition, BOOL), (node.step, accumulated)):
            found = self.node(part)
            if not self.bindings.assignable(wanted, found):
                self._mismatch(part, wanted, found)
        self._scope = inner
        result = self.node(node.result)
        self._scope = outer
        return self.bindings.resolved(result)

    def _iterated(self, node: Comprehension, over: Type) -> tuple[Type, Type]:
        if over.kind == "list":
            (element,) = over.parameters
            return (INT, element) if node.second else (element, ERROR)
        if over.kind == "map":
            return over.parameters[0], over.parameters[1]
        if over.is_dyn or over.kind in ("error", "param"):
            self.bindings.assignable(DYN, over)
            return DYN, DYN
        self.tell(
            node.range.id,
            f"expression of type '{over}' cannot be range of a comprehension (must be list, map, or dynamic)",
        )
        return ERROR, ERROR
