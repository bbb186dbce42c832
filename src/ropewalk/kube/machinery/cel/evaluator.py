"""Evaluation: a tree becomes nested Python functions once, which then run over plain JSON as often as wanted.

Every step spends from the frame's budget what Kubernetes' cost model says (a selection, a call 1; a new list 10,
map 30, message 40; work on strings a tenth of their length), so that no expression can hold the event loop for long.
https://kubernetes.io/docs/reference/using-api/cel/#resource-constraints
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TypeAlias

from ropewalk.kube.machinery.cel.functions import Function, find
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
    dotted,
)
from ropewalk.kube.machinery.cel.values import (
    NONE,
    CostExceeded,
    EvaluationError,
    Message,
    Optional,
    TypeValue,
    UInt,
    Value,
    equal,
    no_key,
    no_overload,
)

LIST_COST, MAP_COST, MESSAGE_COST = 10, 30, 40

TYPES = {
    "bool": "bool",
    "bytes": "bytes",
    "double": "double",
    "int": "int",
    "list": "list",
    "map": "map",
    "null_type": "null_type",
    "string": "string",
    "type": "type",
    "uint": "uint",
    "google.protobuf.Timestamp": "google.protobuf.Timestamp",
    "google.protobuf.Duration": "google.protobuf.Duration",
    "optional_type": "optional_type",
}


class Frame:
    """One evaluation under way: what names mean, and what may still be spent."""

    __slots__ = ("left", "variables")

    def __init__(self, variables: dict[str, Value], budget: int) -> None:
        self.variables = variables
        self.left = budget

    def spend(self, cost: int) -> None:
        self.left -= cost
        if self.left < 0:
            raise CostExceeded


Step: TypeAlias = Callable[[Frame], Value]


class Delayed:
    """A variable whose value is worked out where it is first asked for (composed variables of policies)."""

    __slots__ = ("_made", "_make", "_value")

    def __init__(self, make: Callable[[], Value]) -> None:
        self._make = make
        self._made = False
        self._value: Value = None

    def get(self) -> Value:
        if not self._made:
            self._value = self._make()
            self._made = True
        return self._value


class Lazy(dict[str, Value]):
    """A map some of whose values are `Delayed`: the `variables` of a policy."""

    __slots__ = ()
    type_name = "map"

    def resolve(self, key: str) -> Value:
        found = self[key]
        return found.get() if type(found) is Delayed else found


class Compiler:
    """Builds the functions of one expression. `escaped`: names of fields are written as custom resources' rules write
    them (`__dash__`, …). https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
    """

    def __init__(self, *, escaped: bool = False, dotted_variables: frozenset[str] = frozenset()) -> None:
        self._escaped = escaped
        self._dotted = dotted_variables

    def build(self, node: Node) -> Step:
        if isinstance(node, Constant):
            return _constant(node.value)
        if isinstance(node, Identifier):
            return _identifier(node.name)
        if isinstance(node, Select):
            return self._select(node)
        if isinstance(node, Invocation):
            return self._invocation(node)
        if isinstance(node, ListLiteral):
            return self._list(node)
        if isinstance(node, MapLiteral):
            return self._message(node) if node.message else self._map(node)
        return self._comprehension(node)

    def _select(self, node: Select) -> Step:
        qualified = dotted(node)
        if qualified in TYPES:
            return _constant(TypeValue(TYPES[qualified]))
        if qualified in self._dotted and not node.test_only:
            return _identifier(qualified)
        operand, name = self.build(node.operand), unescaped(node.field) if self._escaped else node.field
        if node.test_only:
            return lambda frame: _has(operand(frame), name)

        def select(frame: Frame) -> Value:
            value = operand(frame)
            frame.left -= 1
            if type(value) is dict:
                try:
                    return value[name]
                except KeyError:
                    raise no_key(name) from None
            return _field(value, name)

        return select

    def _list(self, node: ListLiteral) -> Step:
        elements = [self.build(element) for element in node.elements]
        if not node.optional:

            def plain(frame: Frame) -> Value:
                frame.spend(LIST_COST)
                return [element(frame) for element in elements]

            return plain

        def optional(frame: Frame) -> Value:
            frame.spend(LIST_COST)
            found: list[Value] = []
            for index, element in enumerate(elements):
                value = element(frame)
                if index not in node.optional:
                    found.append(value)
                elif _optional(value).present:
                    found.append(value.value)
            return found

        return optional

    def _map(self, node: MapLiteral) -> Step:
        entries = [(self._key(entry), self.build(entry.value), entry.optional) for entry in node.entries]

        def build(frame: Frame) -> Value:
            frame.spend(MAP_COST)
            found: dict[Value, Value] = {}
            for key, value, optional in entries:
                _put(found, key(frame), value(frame), optional)
            return found

        return build

    def _key(self, entry: Entry) -> Step:
        return _constant(entry.key) if isinstance(entry.key, str) else self.build(entry.key)

    def _message(self, node: MapLiteral) -> Step:
        entries = [(str(entry.key), self.build(entry.value), entry.optional) for entry in node.entries]

        def build(frame: Frame) -> Value:
            frame.spend(MESSAGE_COST)
            found: dict[Value, Value] = {}
            for key, value, optional in entries:
                _put(found, unescaped(key), value(frame), optional)
            return Message(node.message, found)

        return build

    # --- calls

    def _invocation(self, node: Invocation) -> Step:
        special = _SPECIAL.get(node.function)
        if special is not None and node.target is None:
            return special([self.build(argument) for argument in node.arguments])
        scope = dotted(node.target)
        if scope:
            namespaced = find(f"{scope}.{node.function}", len(node.arguments), member=False)
            if namespaced is not None:
                return _call(namespaced, [self.build(argument) for argument in node.arguments])
        given = [*([node.target] if node.target is not None else []), *node.arguments]
        function = find(node.function, len(given), member=node.target is not None)
        if function is None:
            return _fail(f"no such overload: {node.function}")
        return _call(function, [self.build(argument) for argument in given])

    # --- comprehensions

    def _comprehension(self, node: Comprehension) -> Step:
        step = node.step
        if isinstance(step, Invocation) and isinstance(node.initial, Constant) and not step.target:
            of_accumulator = step.arguments[:1] == (Identifier(node.accumulator, getattr(step.arguments[0], "id", 0)),)
            if of_accumulator and step.function == "_&&_" and node.initial.value is True:
                return self._quantifier(node, step.arguments[1], until=False)
            if of_accumulator and step.function == "_||_" and node.initial.value is False:
                return self._quantifier(node, step.arguments[1], until=True)
        return self._fold(node)

    def _quantifier(self, node: Comprehension, predicate: Node, *, until: bool) -> Step:
        """`all` and `exists`: an element that decides makes errors of others unimportant."""
        elements, test, bind = self.build(node.range), self.build(predicate), _binder(node)
        iterated = _indices if node.second else _iterated

        def run(frame: Frame) -> Value:
            failure: EvaluationError | None = None
            scope = frame.variables
            over = elements(frame)
            frame.variables = inner = dict(scope)
            try:
                for item in iterated(over):
                    bind(inner, over, item)
                    frame.spend(3)
                    try:
                        verdict = test(frame)
                        if verdict is until:
                            return until
                        if type(verdict) is not bool:
                            raise no_overload()
                    except EvaluationError as error:
                        failure = failure or error
            finally:
                frame.variables = scope
            if failure is not None:
                raise failure
            return not until

        return run

    def _fold(self, node: Comprehension) -> Step:
        elements, initial, result = self.build(node.range), self.build(node.initial), self.build(node.result)
        condition = None if _always(node.condition) else self.build(node.condition)
        bind, accumulator = _binder(node), node.accumulator
        iterated = _indices if node.second else _iterated
        step = self._appending(node) or self.build(node.step)

        def run(frame: Frame) -> Value:
            scope = frame.variables
            over = elements(frame)
            inner = dict(scope)
            inner[accumulator] = initial(frame)
            frame.variables = inner
            try:
                for item in iterated(over):
                    bind(inner, over, item)
                    frame.spend(2)
                    if condition is not None and condition(frame) is False:
                        break
                    inner[accumulator] = step(frame)
                return result(frame)
            finally:
                frame.variables = scope

        return run

    def _appending(self, node: Comprehension) -> Step | None:
        """The step of `map` and `filter`, without a new list for every element."""
        step, test = node.step, None
        if not isinstance(node.initial, ListLiteral) or node.initial.elements:
            return None
        if isinstance(step, Invocation) and step.function == "_?_:_":
            test, step = self.build(step.arguments[0]), step.arguments[1]
        if not (isinstance(step, Invocation) and step.function == "_+_"):
            return None
        first, second = step.arguments
        if not isinstance(first, Identifier) or first.name != node.accumulator or not isinstance(second, ListLiteral):
            return None
        if len(second.elements) != 1 or second.optional:
            return None
        made, accumulator = self.build(second.elements[0]), node.accumulator

        def append(frame: Frame) -> Value:
            so_far = frame.variables[accumulator]
            if test is not None:
                wanted = test(frame)
                if type(wanted) is not bool:
                    raise no_overload()
                if not wanted:
                    return so_far
            frame.spend(LIST_COST + 1)
            so_far.append(made(frame))
            return so_far

        return append


def _constant(value: Value) -> Step:
    return lambda frame: value


def _fail(text: str) -> Step:
    def fail(frame: Frame) -> Value:
        raise EvaluationError(text)

    return fail


def _identifier(name: str) -> Step:
    standing = TypeValue(TYPES[name]) if name in TYPES else None

    def read(frame: Frame) -> Value:
        frame.left -= 1
        try:
            value = frame.variables[name]
        except KeyError:
            if standing is not None:
                return standing
            raise EvaluationError(f"no such attribute(s): {name}") from None
        return value.get() if type(value) is Delayed else value

    return read


def _has(value: Value, name: str) -> bool:
    if isinstance(value, dict):
        return name in value
    if type(value) is Optional:
        return value.present and _has(value.value, name)
    raise no_overload()


def _field(value: Value, name: str) -> Value:
    """A selection on anything but a plain map."""
    if isinstance(value, dict):
        if name not in value:
            raise no_key(name)
        return value.resolve(name) if isinstance(value, Lazy) else value[name]
    if type(value) is Optional:
        return _maybe(value, name)
    raise no_overload()


def _maybe(value: Value, key: Value) -> Value:
    """`value.?key`, `value[?key]`."""
    if type(value) is Optional:
        if not value.present:
            return NONE
        value = value.value
    if isinstance(value, dict):
        return Optional(True, _field(value, key)) if key in value else NONE
    if type(value) is list and type(key) is int:
        return Optional(True, value[key]) if 0 <= key < len(value) else NONE
    raise no_overload()


def _optional(value: Value) -> Optional:
    if type(value) is not Optional:
        raise no_overload()
    return value


def _put(found: dict[Value, Value], key: Value, value: Value, optional: bool) -> None:
    if type(key) not in (str, int, UInt, bool):
        raise EvaluationError("unsupported key type")
    if key in found:
        raise EvaluationError(f"duplicate key in map: {key}")
    if not optional:
        found[key] = value
    elif _optional(value).present:
        found[key] = value.value


def _iterated(value: Value) -> Iterable[Value]:
    if type(value) is list:
        return value
    if isinstance(value, dict):
        return tuple(value)
    raise no_overload()


def _indices(value: Value) -> Iterable[Value]:
    """What a two-variable comprehension gives its first variable."""
    return range(len(value)) if type(value) is list else _iterated(value)


def _always(node: Node) -> bool:
    return isinstance(node, Constant) and node.value is True


def _binder(node: Comprehension) -> Callable[[dict[str, Value], Value, Value], None]:
    first, second = node.variable, node.second
    if not second:

        def one(variables: dict[str, Value], over: Value, item: Value) -> None:
            variables[first] = item

        return one

    def two(variables: dict[str, Value], over: Value, item: Value) -> None:
        variables[first] = item
        variables[second] = over[item]

    return two


def _call(function: Function, arguments: list[Step]) -> Step:
    impl, cost = function.run, function.cost
    if len(arguments) == 1:
        (only,) = arguments

        def unary(frame: Frame) -> Value:
            value = only(frame)
            frame.spend(cost((value,)) if cost else 1)
            return impl(value)

        return unary
    if len(arguments) == 2:
        first, second = arguments

        def binary(frame: Frame) -> Value:
            left, right = first(frame), second(frame)
            frame.spend(cost((left, right)) if cost else 1)
            return impl(left, right)

        return binary

    def call(frame: Frame) -> Value:
        given = tuple(argument(frame) for argument in arguments)
        frame.spend(cost(given) if cost else 1)
        return impl(*given)

    return call


# --- operators that do not evaluate all they are given


def _logical(arguments: list[Step], *, decides: bool) -> Step:
    first, second = arguments

    def run(frame: Frame) -> Value:
        frame.left -= 1
        try:
            left = first(frame)
            if left is decides:
                return decides
            if type(left) is not bool:
                raise no_overload()
        except EvaluationError as failure:
            with suppress(EvaluationError):
                if second(frame) is decides:
                    return decides
            raise failure from None
        right = second(frame)
        if type(right) is not bool:
            raise no_overload()
        return right

    return run


def _conditional(arguments: list[Step]) -> Step:
    test, then, otherwise = arguments

    def run(frame: Frame) -> Value:
        frame.left -= 1
        verdict = test(frame)
        if type(verdict) is not bool:
            raise no_overload()
        return then(frame) if verdict else otherwise(frame)

    return run


def _equality(arguments: list[Step], *, negated: bool) -> Step:
    first, second = arguments

    def run(frame: Frame) -> Value:
        left, right = first(frame), second(frame)
        frame.spend(1)
        kind = type(left)
        if kind is type(right) and (kind is str or kind is int or kind is bool):
            if kind is str:
                frame.spend(min(len(left), len(right)) // 10)
            return (left == right) is not negated
        frame.spend(_weight(left) // 10)
        return equal(left, right) is not negated

    return run


def _weight(value: Value) -> int:
    """How many scalars an equality may have to compare."""
    if isinstance(value, dict):
        return len(value) + sum(map(_weight, value.values()))
    if type(value) is list:
        return len(value) + sum(map(_weight, value))
    return len(value) if isinstance(value, (str, bytes)) else 1


def _select_optional(arguments: list[Step]) -> Step:
    operand, key = arguments

    def run(frame: Frame) -> Value:
        frame.left -= 1
        return _maybe(operand(frame), key(frame))

    return run


_SPECIAL: Mapping[str, Callable[[list[Step]], Step]] = {
    "_&&_": lambda arguments: _logical(arguments, decides=False),
    "_||_": lambda arguments: _logical(arguments, decides=True),
    "_?_:_": _conditional,
    "_==_": lambda arguments: _equality(arguments, negated=False),
    "_!=_": lambda arguments: _equality(arguments, negated=True),
    "_?._": _select_optional,
    "_[?_]": _select_optional,
}

_WORDS = frozenset(
    {"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import"}
    | {"let", "loop", "package", "namespace", "return", "var", "void", "while"}
)
_MARKS = {"__dot__": ".", "__dash__": "-", "__slash__": "/", "__underscores__": "__"}


def unescaped(name: str) -> str:
    """The field that `name` means where a name that is no identifier had to be written as one."""
    if "__" not in name:
        return name
    if name.startswith("__") and name.endswith("__") and name[2:-2] in _WORDS:
        return name[2:-2]
    for mark, meant in _MARKS.items():
        name = name.replace(mark, meant)
    return name
