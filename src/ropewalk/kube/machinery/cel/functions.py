"""The table of functions: what each is called, its overloads, what a call costs.

A module of a library decorates its functions with `function` or `method`; their signatures serve twice, as declaration
for the type checker and as the test at run time of which overload is meant. `standard` marks what the checker knows by
itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypeVar

from ropewalk.kube.machinery.cel.values import (
    EvaluationError,
    Opaque,
    Optional,
    TypeValue,
    UInt,
    Value,
    no_overload,
    size_of,
)

Implementation: TypeAlias = Callable[..., Value]
_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])
Cost: TypeAlias = Callable[[tuple[Value, ...]], int]

_CLASSES: dict[str, tuple[type[Any], ...] | None] = {
    "dyn": None,
    "bool": (bool,),
    "int": (int,),
    "uint": (UInt,),
    "double": (float,),
    "string": (str,),
    "bytes": (bytes,),
    "list": (list,),
    "map": (dict,),
    "duration": (timedelta,),
    "timestamp": (datetime,),
    "type": (TypeValue,),
    "null": (type(None),),
    "optional": (Optional,),
}
OPAQUE: dict[str, str] = {}
"""Kubernetes' own types by the name they have in signatures."""


def opaque(name: str) -> Callable[[type[Opaque]], type[Opaque]]:
    """A class of values that are known only by their functions, called `name` in signatures."""

    def take(kind: type[Opaque]) -> type[Opaque]:
        OPAQUE[name] = kind.type_name
        _CLASSES[name] = (kind,)
        return kind

    return take


@dataclass(frozen=True, slots=True)
class Overload:
    name: str
    member: bool
    parameters: tuple[str, ...]
    result: str
    standard: bool
    run: Implementation

    @property
    def id(self) -> str:
        """How the type checker tells it from others."""
        return f"{self.name}({'.' if self.member else ''}{','.join(self.parameters)})"


@dataclass(slots=True)
class Function:
    """All overloads with one name, style and number of arguments."""

    overloads: list[tuple[tuple[tuple[type[Any], ...] | None, ...], Implementation]] = field(default_factory=list)
    cost: Cost | None = None

    def run(self, *given: Value) -> Value:
        for classes, run in self.overloads:
            for value, wanted in zip(given, classes, strict=True):
                if wanted is not None and type(value) not in wanted and not _is_kind(value, wanted):
                    break
            else:
                return run(*given)
        raise no_overload()


def _is_kind(value: Value, wanted: tuple[type[Any], ...]) -> bool:
    """A subclass will do for maps; a bool is never an int, nor is a uint."""
    return isinstance(value, (dict, Opaque)) and isinstance(value, wanted)


OVERLOADS: list[Overload] = []
_TABLE: dict[tuple[str, bool, int], Function] = {}
NAMES: set[str] = set()


def find(name: str, arity: int, *, member: bool) -> Function | None:
    return _TABLE.get((name, member, arity))


def _register(
    name: str, signatures: tuple[str, ...], member: bool, standard: bool, cost: Cost | None
) -> Callable[[_Decorated], _Decorated]:
    def take(run: _Decorated) -> _Decorated:
        NAMES.add(name)
        for signature in signatures:
            left, _, result = signature.partition(" -> ")
            parameters = tuple(left.split())
            OVERLOADS.append(Overload(name, member, parameters, result, standard, run))
            found = _TABLE.setdefault((name, member, len(parameters)), Function())
            found.overloads.append((tuple(_CLASSES[word.partition("(")[0]] for word in parameters), run))
            found.cost = cost or found.cost
        return run

    return take


def function(
    name: str, *signatures: str, standard: bool = False, cost: Cost | None = None
) -> Callable[[_Decorated], _Decorated]:
    """`@function("quantity", "string -> Quantity")`."""
    return _register(name, signatures, False, standard, cost)


def method(
    name: str, *signatures: str, standard: bool = False, cost: Cost | None = None
) -> Callable[[_Decorated], _Decorated]:
    """The same, called on its first parameter: `@method("asInteger", "Quantity -> int")`."""
    return _register(name, signatures, True, standard, cost)


def parses(parse: Callable[[str], object], text: str) -> bool:
    """What functions like `isURL` ask of the one that makes the value."""
    try:
        parse(text)
    except EvaluationError:
        return False
    return True


# --- what calls cost


def traversal(factor: float = 0.1, argument: int = 0) -> Cost:
    """Looking at every character of an argument."""
    return lambda given: 1 + int(size_of(given[argument]) * factor)


def every_element(given: tuple[Value, ...]) -> int:
    return 1 + size_of(given[0])


def both(given: tuple[Value, ...]) -> int:
    return 1 + int((size_of(given[0]) + size_of(given[1])) * 0.1)


def product(given: tuple[Value, ...]) -> int:
    """Every element of one against every element of the other."""
    return 1 + size_of(given[0]) * size_of(given[1])


def matching(given: tuple[Value, ...]) -> int:
    """A regular expression over a text."""
    return max(1, int((1 + size_of(given[0])) * 0.1) + 1) * max(1, int(size_of(given[1]) * 0.25) + 1)
