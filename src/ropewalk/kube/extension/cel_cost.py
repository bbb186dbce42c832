"""What a rule can cost at most, worked out when the definition is written: cel-go's estimate, with Kubernetes' figures.

Sizes come from the schema (`declared`), the rest from the expression; where a size is not known it is taken to have no
end. A rule that may cost too much is refused.
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#resource-use-by-validation-functions
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ropewalk.kube.machinery.cel.declarations import Declared
from ropewalk.kube.machinery.cel.signatures import Signature
from ropewalk.kube.machinery.cel.syntax import (
    Comprehension,
    Constant,
    Identifier,
    Invocation,
    ListLiteral,
    MapLiteral,
    Node,
    Select,
)
from ropewalk.kube.machinery.cel.type_check import Checked
from ropewalk.kube.machinery.cel.types import Type

MAX = (1 << 64) - 1
LIST, MAP, STRUCT = 10, 30, 40
TRAVERSAL = 0.1
"""For every character of a string that is looked at."""
PATTERN = 0.25
"""For every character of a regular expression."""
FORMAT_PATTERN = 128
_ACCUMULATORS = ("@result", "__result__")
_SCALARS = ("bool", "double", "duration", "int", "timestamp", "uint")


@dataclass(frozen=True, slots=True)
class Range:
    """From least to most, of a size or a cost; never past `MAX`."""

    least: int
    most: int

    def __add__(self, other: Range) -> Range:
        return Range(min(self.least + other.least, MAX), min(self.most + other.most, MAX))

    def __mul__(self, other: Range) -> Range:
        return Range(min(self.least * other.least, MAX), min(self.most * other.most, MAX))

    def __or__(self, other: Range) -> Range:
        return Range(min(self.least, other.least), max(self.most, other.most))

    def by(self, factor: float) -> Range:
        return Range(_by(self.least, factor), _by(self.most, factor))


def _by(size: int, factor: float) -> int:
    product = float(size) * factor
    return MAX if product >= 2.0**64 else math.ceil(product)


def exactly(size: int) -> Range:
    return Range(size, size)


NOTHING, ONE, UNKNOWN = exactly(0), exactly(1), Range(0, MAX)


@dataclass(frozen=True, slots=True)
class Entries:
    """The sizes of what a container holds."""

    container: str
    key: Range
    value: Range


@dataclass(frozen=True, slots=True)
class _Local:
    path: tuple[str, ...]
    size: Range | None
    entries: Entries | None = None


def estimate(checked: Checked, root: Declared) -> Range:
    """`root`: what `self` is."""
    return Coster(checked, root).cost(checked.root)


class Coster:
    def __init__(self, checked: Checked, root: Declared) -> None:
        self._checked = checked
        self._root = root
        self._paths: dict[int, tuple[str, ...]] = {}
        self._locals: dict[str, list[_Local]] = {}
        self._sizes: dict[int, Range] = {}
        self._entries: dict[int, Entries] = {}

    def cost(self, node: Node) -> Range:
        if isinstance(node, Constant):
            return NOTHING
        if isinstance(node, Identifier):
            return self._identifier(node)
        if isinstance(node, Select):
            return self._select(node)
        if isinstance(node, Invocation):
            return self._call(node)
        if isinstance(node, ListLiteral):
            return self._list(node)
        if isinstance(node, MapLiteral):
            return self._map(node)
        return self._bind(node) if self._is_bind(node) else self._comprehension(node)

    def _identifier(self, node: Identifier) -> Range:
        local = self._local(node.name)
        self._paths[id(node)] = local.path if local is not None else (node.name,)
        return ONE

    def _select(self, node: Select) -> Range:
        total = self.cost(node.operand)
        if node.test_only:
            return total
        if self.type_of(node.operand).kind in ("map", "struct"):
            total = total + ONE
        self._paths[id(node)] = (*self.path(node.operand), node.field)
        return total

    # --- literals

    def _list(self, node: ListLiteral) -> Range:
        total = exactly(LIST)
        item = Range(MAX if node.elements else 0, 0)
        for element in node.elements:
            total = total + self.cost(element)
            item = item | self.size(element)
        self._entries[id(node)] = Entries("list", ONE, item)
        return total

    def _map(self, node: MapLiteral) -> Range:
        total = exactly(MAP)
        key = value = Range(MAX if node.entries else 0, 0)
        for entry in node.entries:
            assert not isinstance(entry.key, str)
            total = total + self.cost(entry.key) + self.cost(entry.value)
            key, value = key | self.size(entry.key), value | self.size(entry.value)
        self._entries[id(node)] = Entries("map", key, value)
        return total

    # --- comprehensions

    def _is_bind(self, node: Comprehension) -> bool:
        condition = node.condition
        return (
            isinstance(node.range, ListLiteral)
            and not node.range.elements
            and isinstance(condition, Constant)
            and condition.value is False
            and node.accumulator != "__result__"
        )

    def _bind(self, node: Comprehension) -> Range:
        total = self.cost(node.range) + self.cost(node.initial)
        self._push(node.accumulator, self._as_local(node.initial))
        total = total + self.cost(node.result)
        self._locals[node.accumulator].pop()
        self._copy_sizes(node, node.result)
        return total

    def _comprehension(self, node: Comprehension) -> Range:
        total = self.cost(node.range) + self.cost(node.initial)
        self._push(node.accumulator, self._as_local(node.initial))
        self._push_variables(node)
        loop = self.cost(node.condition)
        step = self.cost(node.step)
        self._locals[node.variable].pop()
        if node.second:
            self._locals[node.second].pop()
        total = total + self.cost(node.result)
        self._locals[node.accumulator].pop()
        times = self.size(node.range)
        if isinstance(node.initial, Constant):
            self._set_size(node, self.known_size(node.initial))
        elif isinstance(node.initial, (ListLiteral, MapLiteral)):
            self._sizes[id(node)] = times
            entries = self.entries(node.step)
            if entries is not None:
                self._entries[id(node)] = entries
        return total + times * (step + loop)

    def _push_variables(self, node: Comprehension) -> None:
        entries, path = self.entries(node.range), self.path(node.range)
        container = entries.container if entries is not None else self.type_of(node.range).kind
        key = entries.key if entries is not None else None
        value = entries.value if entries is not None else None
        is_list = container == "list"
        if node.second:
            self._push(node.variable, _Local((*path, "@indices" if is_list else "@keys"), key))
            self._push(node.second, _Local((*path, "@items" if is_list else "@values"), value))
        else:
            self._push(node.variable, _Local((*path, "@items" if is_list else "@keys"), value if is_list else key))

    def _as_local(self, node: Node) -> _Local:
        return _Local(self.path(node), self.known_size(node), self.entries(node))

    def _push(self, name: str, local: _Local) -> None:
        self._locals.setdefault(name, []).append(local)

    def _local(self, name: str) -> _Local | None:
        found = self._locals.get(name)
        return found[-1] if found else None

    # --- calls

    def _call(self, node: Invocation) -> Range:
        if node.function == "dyn":
            total = self.cost(node.arguments[0])
            self._copy_sizes(node, node.arguments[0])
            return total + ONE
        spent = [self.cost(argument) for argument in node.arguments]
        overloads = self._checked.overloads.get(id(node), ())
        if not overloads:
            return NOTHING
        total = NOTHING
        if overloads[0].member and node.target is not None:
            total = self.cost(node.target)
        dearest = Range(MAX, 0)
        result: Range | None = None
        for overload in overloads:
            one, size = Call(self, node, overload, spent).estimate()
            dearest = dearest | one
            if size is not None:
                result = size if result is None else result | size
            result = self._indexed(node, overload, result)
            if result is None:
                result = self.known_size(node)
        self._set_size(node, result)
        return total + dearest

    def _indexed(self, node: Invocation, overload: Signature, result: Range | None) -> Range | None:
        if node.function != "_[_]" or overload.takes[0] not in ("list", "map"):
            return result
        container = node.arguments[0]
        entries = self.entries(container)
        step = "@items" if overload.takes[0] == "list" else "@values"
        self._paths[id(node)] = (*self.path(container), step)
        return entries.value if entries is not None else None

    # --- sizes

    def type_of(self, node: Node) -> Type:
        return self._checked.type_of(node)

    def path(self, node: Node) -> tuple[str, ...]:
        if isinstance(node, Identifier):
            local = self._local(node.name)
            if local is not None:
                return local.path
        return self._paths.get(id(node), ())

    def size(self, node: Node) -> Range:
        found = self.known_size(node)
        return UNKNOWN if found is None else found

    def known_size(self, node: Node) -> Range | None:
        if id(node) in self._sizes:
            return self._sizes[id(node)]
        found = _literal_size(node)
        if found is not None:
            return found
        found = self.declared_size(self.path(node))
        if found is not None:
            self._sizes[id(node)] = found
            return found
        if _is_scalar(self.type_of(node)):
            return ONE
        local = self._local(node.name) if isinstance(node, Identifier) else None
        return local.size if local is not None else None

    def declared_size(self, path: tuple[str, ...]) -> Range | None:
        if not path:
            return None
        here: Declared | None = self._root
        for step in path[1:]:
            assert here is not None
            if step in ("@items", "@values"):
                here = here.element
            elif step == "@keys":
                here = here.key
            else:
                here = (here.fields or {}).get(step)
            if here is None:
                return None
        assert here is not None
        return Range(0, here.max_elements)

    def entries(self, node: Node) -> Entries | None:
        if id(node) in self._entries:
            return self._entries[id(node)]
        local = self._local(node.name) if isinstance(node, Identifier) else None
        return local.entries if local is not None else None

    def set_entries(self, node: Node, entries: Entries | None) -> None:
        if entries is not None:
            self._entries[id(node)] = entries

    def _set_size(self, node: Node, size: Range | None) -> None:
        if size is not None:
            self._sizes[id(node)] = size

    def _copy_sizes(self, node: Node, source: Node) -> None:
        self._set_size(node, self.known_size(source))
        self.set_entries(node, self.entries(source))


def _literal_size(node: Node) -> Range | None:
    if isinstance(node, Constant):
        return exactly(len(node.value)) if isinstance(node.value, (str, bytes)) else ONE
    if isinstance(node, ListLiteral):
        return exactly(len(node.elements))
    return exactly(len(node.entries)) if isinstance(node, MapLiteral) else None


def _is_scalar(found: Type) -> bool:
    return found.kind in _SCALARS or (found.is_optional and _is_scalar(found.parameters[0]))


_NOMINAL = frozenset(
    [
        "serviceAccount",
        "path",
        "group",
        "resource",
        "subresource",
        "namespace",
        "name",
        "allowed",
        "reason",
        "error",
        "errored",
        "masked",
        "prefixLength",
        "family",
        "isUnspecified",
        "isLoopback",
        "isLinkLocalMulticast",
        "isLinkLocalUnicast",
        "isGlobalUnicast",
        "format.named",
        "sign",
        "asInteger",
        "isInteger",
        "asApproximateFloat",
        "isGreaterThan",
        "isLessThan",
        "compareTo",
        "add",
        "sub",
        "major",
        "minor",
        "patch",
        "getScheme",
        "getHostname",
        "getHost",
        "getPort",
        "getEscapedPath",
        "getQuery",
    ]
)
_SETS = {"sets.contains": 1, "sets.intersects": 1, "sets.equivalent": 2}
_READ_WHOLE = frozenset(["cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"])
_COMPARED = ("_<_", "_>_", "_<=_", "_>=_")
_AUTHORIZATION = 350_000
_ADDRESS = Range(4, 16)
_CHEAP_EQUALITY = ("kubernetes.Quantity", "kubernetes.Semver", "net.IP", "net.CIDR")

Estimate = tuple[Range, "Range | None"]
"""(cost, size of the result where it has one)."""


class Call:
    """One overload that a call may turn out to be."""

    def __init__(self, coster: Coster, node: Invocation, overload: Signature, spent: list[Range]) -> None:
        self._coster = coster
        self._node = node
        self._takes = overload.takes
        self._name = overload.name
        self._target = node.target if overload.member else None
        self._arguments = node.arguments
        self._spent = spent

    def estimate(self) -> Estimate:
        found = self._of_extensions() or self._of_kubernetes()
        if found is not None:
            return found[0] + self._given(), found[1]
        return self._of_cel()

    def _given(self) -> Range:
        total = NOTHING
        for one in self._spent:
            total = total + one
        return total

    def _size(self, node: Node) -> Range:
        return self._coster.size(node)

    # --- CEL's extensions for lists and sets

    def _of_extensions(self) -> Estimate | None:
        name, arguments, target = self._name, self._arguments, self._target
        if name in _SETS:
            product = self._size(arguments[0]) * self._size(arguments[1])
            return product.by(_SETS[name]) + ONE, None
        if name == "lists.range":
            return _list_call(1, exactly(_literal_integer(arguments[0], MAX)))
        if target is None:
            return None
        if name == "slice":
            size = self._size(target)
            start, end = _literal_integer(arguments[0], 0), _literal_integer(arguments[1], size.most)
            return _list_call(1, exactly((end - start) % (1 << 64)))
        if name == "reverse":
            return _list_call(1, self._size(target))
        if name == "flatten":
            return _list_call(_literal_integer(arguments[0], MAX) if arguments else 1, self._size(target))
        if name == "distinct":
            size = self._size(target)
            return _list_call(2, size * size)
        if name in ("sort", "@sortByAssociatedKeys"):
            sorted_by = target if name == "sort" else arguments[0]
            size, kinds = self._size(sorted_by), self._coster.type_of(sorted_by).parameters
            of_text = bool(kinds) and kinds[0].kind in ("string", "bytes")
            return _list_call(2 + TRAVERSAL if of_text else 2, size * size)
        return None

    # --- Kubernetes' libraries

    def _of_kubernetes(self) -> Estimate | None:
        name, arguments, target = self._name, self._arguments, self._target
        if name in _NOMINAL:
            return ONE, None
        if name == "check":
            return exactly(_AUTHORIZATION), None
        if name in ("fieldSelector", "labelSelector"):
            size = self._size(arguments[0])
            return exactly(LIST) + size.by(TRAVERSAL) + size.by(0.5).by(LIST + STRUCT), None
        if name in ("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf") and target is not None:
            return self._every_element(target), None
        if name == "url":
            size = self._size(arguments[0])
            return size.by(TRAVERSAL), size
        if name in ("lowerAscii", "upperAscii", "substring", "trim") and target is not None:
            size = self._size(target)
            return size.by(TRAVERSAL), size
        if name in _READ_WHOLE or (name == "ip" and target is None):
            return self._size(arguments[0]).by(TRAVERSAL), None
        if name == "ip":
            return ONE, None
        if name == "ip.isCanonical":
            return self._size(arguments[0]).by(2 * TRAVERSAL), None
        if name in ("containsIP", "containsCIDR"):
            return self._contained(arguments[0]), None
        if name == "validate":
            return self._size(arguments[0]).by(TRAVERSAL).by(FORMAT_PATTERN * PATTERN), None
        if name == "_==_":
            return self._cheap_equality()
        return self._of_strings(target) if target is not None else None

    def _of_strings(self, target: Node) -> Estimate | None:
        name, arguments = self._name, self._arguments
        if name == "replace" and len(arguments) >= 2:
            return self._replaced(target)
        if name == "split":
            return self._split(target)
        if name == "join":
            return self._joined(target)
        if name in ("find", "findAll"):
            size = self._size(target)
            cost = (size + ONE).by(TRAVERSAL) * self._size(arguments[0]).by(PATTERN)
            return cost, Range(0, size.most)
        return None

    def _every_element(self, target: Node) -> Range:
        kinds = self._coster.type_of(target).parameters
        if not kinds:
            return self._size(target).by(TRAVERSAL)
        one = ONE
        if kinds[0].kind in ("string", "bytes"):
            path = self._path_of_target(target)
            size = self._coster.declared_size((*path, "@items")) if path else None
            one = one + (UNKNOWN if size is None else size).by(TRAVERSAL)
        return self._size(target) * one

    def _path_of_target(self, target: Node) -> tuple[str, ...]:
        path = self._coster.path(target)
        return () if path and path[0] in _ACCUMULATORS else path

    def _replaced(self, target: Node) -> Estimate:
        size, before, after = self._size(target), self._size(self._arguments[0]), self._size(self._arguments[1])
        most = kept_most = 0
        if before.least == 0:
            most, kept_most = min(size.most + 1, MAX), size.most
        elif after.most <= before.least:
            kept_most = size.most
        else:
            most = _ceiling(size.most, before.least)
        least = kept_least = 0
        if before.most == 0:
            least, kept_least = min(size.least + 1, MAX), size.least
        elif before.most <= after.least:
            kept_least = size.least
        else:
            least = _ceiling(size.least, before.most)
        result = Range(least, most) * after + Range(kept_least, kept_most)
        return size.by(2 * TRAVERSAL), result

    def _split(self, target: Node) -> Estimate:
        size = self._size(target)
        most = size.most
        if len(self._arguments) > 1:
            limit = self._arguments[1]
            if isinstance(limit, Constant) and type(limit.value) is int:
                most = limit.value % (1 << 64)
        return size.by(2 * TRAVERSAL), Range(0, most)

    def _joined(self, target: Node) -> Estimate:
        count, size = self._size(target), NOTHING
        if self._coster.type_of(target).parameters:
            path = self._path_of_target(target)
            element = self._coster.declared_size((*path, "@items")) if path else None
            size = count * (UNKNOWN if element is None else element)
        if self._arguments:
            between = Range(max(count.least - 1, 0), max(count.most - 1, 0))
            size = size + self._size(self._arguments[0]) * between
        return size.by(TRAVERSAL), size

    def _contained(self, argument: Node) -> Range:
        cost = (_ADDRESS + _ADDRESS).by(TRAVERSAL)
        if self._name == "containsCIDR":
            cost = cost + _ADDRESS.by(TRAVERSAL) + ONE
        if self._takes[1] == "string":
            cost = cost + self._size(argument).by(TRAVERSAL)
        return cost

    def _cheap_equality(self) -> Estimate | None:
        left, right = (self._coster.type_of(argument) for argument in self._arguments)
        if left != right:
            return None
        if left.name in _CHEAP_EQUALITY:
            return ONE, None
        if left.name == "kubernetes.NamedFormat":
            return Range(1, 64).by(TRAVERSAL), None
        if left.name == "kubernetes.URL":
            size = self._coster.known_size(self._arguments[1])
            return Range(1, size.most if size is not None else 1).by(TRAVERSAL), None
        return None

    # --- CEL's own

    def _of_cel(self) -> Estimate:
        name, arguments, target, takes = self._name, self._arguments, self._target, self._takes
        size = self._coster.size
        if name == "format" and target is not None:
            return self._plus(size(target).by(TRAVERSAL))
        if name == "bytes" and takes == ("string",):
            given = size(arguments[0])
            return self._plus(given.by(TRAVERSAL), Range(given.least, given.most * 4 % (1 << 64)))
        if name == "string" and takes == ("bytes",):
            given = size(arguments[0])
            return self._plus(given.by(TRAVERSAL), Range(given.least // 4, given.most))
        if name == "strings.quote":
            given = size(arguments[0])
            longest = (given.most * 2 + 2) % (1 << 64)
            return self._plus(given.by(TRAVERSAL), Range((given.least + 2) % (1 << 64), longest))
        if name in ("startsWith", "endsWith"):
            return self._plus(size(arguments[0]).by(TRAVERSAL))
        if name == "@in" and takes[1] == "list":
            return self._plus(size(arguments[1]))
        if name == "matches" and target is not None:
            return self._plus((size(target) + ONE).by(TRAVERSAL) * size(arguments[0]).by(PATTERN))
        if name == "contains" and target is not None:
            return self._plus(size(target).by(TRAVERSAL) * size(arguments[0]).by(TRAVERSAL))
        if name in ("_&&_", "_||_"):
            left, right = self._spent
            return Range(left.least, (left + right).most), None
        if name == "_?_:_":
            return self._conditional()
        if name == "_+_" and takes[0] in ("string", "bytes", "list"):
            return self._concatenated()
        if name in ("_==_", "_!=_") or (name in _COMPARED and takes[0] in ("string", "bytes")):
            most = min(size(arguments[0]).most, size(arguments[1]).most)
            return self._plus(Range(1 if most else 0, most).by(TRAVERSAL))
        return self._plus(ONE)

    def _plus(self, cost: Range, result: Range | None = None) -> Estimate:
        return cost + self._given(), result

    def _conditional(self) -> Estimate:
        _, then, otherwise = self._arguments
        both = self._coster.entries(then), self._coster.entries(otherwise)
        self._coster.set_entries(self._node, _union(*both))
        size = self._coster.size(then) | self._coster.size(otherwise)
        test, if_true, if_false = self._spent
        return test + (if_true | if_false), size

    def _concatenated(self) -> Estimate:
        left, right = self._arguments
        total = self._coster.size(left) + self._coster.size(right)
        self._coster.set_entries(self._node, _union(self._coster.entries(left), self._coster.entries(right)))
        if self._takes[0] == "list":
            return self._plus(ONE, total)
        return self._plus(total.by(TRAVERSAL), total)


def _union(left: Entries | None, right: Entries | None) -> Entries | None:
    if left is None or right is None:
        return None
    return Entries(left.container, left.key | right.key, left.value | right.value)


def _list_call(factor: float, size: Range) -> Estimate:
    """A call that makes a new list."""
    return size.by(factor) + exactly(1 + LIST), size


def _literal_integer(node: Node, otherwise: int) -> int:
    return max(node.value, 0) if isinstance(node, Constant) and type(node.value) is int else otherwise


def _ceiling(size: int, by: int) -> int:
    return min(math.ceil(float(size) / float(by)), MAX)
