"""CEL's types as the checker of rules knows them, and how two of them are made one. Pure.

The rules of unification are cel-go's: error texts name types, and whether a rule is taken at all hangs on them.
https://github.com/google/cel-spec/blob/master/doc/langdef.md#gradual-type-checking
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_STRUCTS = {
    "Quantity": "kubernetes.Quantity",
    "Semver": "kubernetes.Semver",
    "URL": "kubernetes.URL",
    "NamedFormat": "kubernetes.NamedFormat",
} | {
    name: f"kubernetes.authorization.{name}"
    for name in ("Authorizer", "PathCheck", "GroupCheck", "ResourceCheck", "Decision")
}
_OPAQUE = {"IP": "net.IP", "CIDR": "net.CIDR"}
_SPELLED = {"error": "!error!"}
_NULLABLE = ("opaque", "struct", "any", "duration", "timestamp")


@dataclass(frozen=True, slots=True)
class Type:
    kind: str
    """"bool", "int", …, "list", "map", "struct", "opaque", "type", "param"; "dyn" is any type, "error" one that is
    wrong already.
    """
    name: str = ""
    """Of a struct, an opaque type or a type parameter."""
    parameters: tuple[Type, ...] = ()

    def __str__(self) -> str:
        word = self.name or _SPELLED.get(self.kind, self.kind)
        if not self.parameters:
            return word
        return f"{word}({', '.join(map(str, self.parameters))})"

    def variables(self) -> Iterator[str]:
        if self.kind == "param":
            yield self.name
        for part in self.parameters:
            yield from part.variables()

    @property
    def is_dyn(self) -> bool:
        return self.kind in ("dyn", "any")

    @property
    def is_optional(self) -> bool:
        return self.kind == "opaque" and self.name == "optional_type"


BOOL, INT, UINT, DOUBLE = Type("bool"), Type("int"), Type("uint"), Type("double")
STRING, BYTES, NULL, DYN, ERROR = Type("string"), Type("bytes"), Type("null"), Type("dyn"), Type("error")
DURATION, TIMESTAMP = Type("duration"), Type("timestamp")


def list_of(element: Type) -> Type:
    return Type("list", parameters=(element,))


def map_of(key: Type, value: Type) -> Type:
    return Type("map", parameters=(key, value))


def optional_of(value: Type) -> Type:
    return Type("opaque", "optional_type", (value,))


def parsed(text: str) -> Type:
    """A type as signatures write it: `list(A)`, `map(K,V)`, `Quantity`."""
    word, _, inner = text.partition("(")
    parts = tuple(map(parsed, _split(inner[:-1]))) if inner else ()
    if word == "optional":
        return optional_of(parts[0])
    if len(word) == 1:
        return Type("param", word)
    if word in _STRUCTS:
        return Type("struct", _STRUCTS[word])
    if word in _OPAQUE:
        return Type("opaque", _OPAQUE[word])
    return Type(word, parameters=parts)


def _split(text: str) -> Iterator[str]:
    depth, part = 0, ""
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            yield part
            part = ""
        else:
            part += character
    yield part


class Bindings:
    """What type parameters were found to stand for."""

    def __init__(self, bound: dict[str, Type] | None = None) -> None:
        self._bound = bound or {}

    def assignable(self, left: Type, right: Type) -> bool:
        """Whether a `left` may stand where a `right` is wanted; what that says of type parameters is kept if so."""
        return self.all_assignable((left,), (right,))

    def all_assignable(self, lefts: Sequence[Type], rights: Sequence[Type]) -> bool:
        attempt = Bindings(dict(self._bound))
        if not attempt._all(lefts, rights):
            return False
        self._bound = attempt._bound
        return True

    def resolved(self, given: Type, *, free_is_dyn: bool = False) -> Type:
        """With every bound parameter replaced."""
        if given.kind == "param":
            if given.name in self._bound:
                return self.resolved(self._bound[given.name], free_is_dyn=free_is_dyn)
            return DYN if free_is_dyn else given
        if not given.parameters:
            return given
        parts = tuple(self.resolved(part, free_is_dyn=free_is_dyn) for part in given.parameters)
        return Type(given.kind, given.name, parts)

    def _all(self, lefts: Sequence[Type], rights: Sequence[Type]) -> bool:
        return len(lefts) == len(rights) and all(map(self._fits, lefts, rights))

    def _fits(self, left: Type, right: Type) -> bool:
        if right.kind == "param":
            fits, bound = self._substitutes(left, right)
            if fits or bound:
                return fits
        if left.kind == "param":
            return self._substitutes(right, left)[0]
        if left.is_dyn or right.is_dyn or "error" in (left.kind, right.kind):
            return True
        if left.kind == "null":
            return right.kind == "null" or right.kind in _NULLABLE
        if right.kind == "null":
            return left.kind in _NULLABLE
        if left.kind != right.kind:
            return False
        if left.kind == "type":
            return True
        return left.name == right.name and self._all(left.parameters, right.parameters)

    def _substitutes(self, given: Type, parameter: Type) -> tuple[bool, bool]:
        """(whether `given` may be what the parameter stands for, whether that was bound before)."""
        if given == parameter:
            return True, True
        bound = self._bound.get(parameter.name)
        if bound is not None:
            if given == bound:
                return True, True
            if self._fits(given, bound):
                wider = most_general(given, bound)
                if self._is_free_of(parameter, wider):
                    self._bound[parameter.name] = wider
                return True, True
            return False, True
        if self._is_free_of(parameter, given):
            self._bound[parameter.name] = given
            return True, False
        return False, False

    def _is_free_of(self, parameter: Type, within: Type) -> bool:
        if parameter == within:
            return False
        if within.kind == "param":
            bound = self._bound.get(within.name)
            return bound is None or self._is_free_of(parameter, bound)
        return all(self._is_free_of(parameter, part) for part in within.parameters)


def most_general(left: Type, right: Type) -> Type:
    """Of two types that can be made one."""
    return left if _is_less_specific(left, right) else right


def _is_less_specific(left: Type, right: Type) -> bool:
    if left.is_dyn or left.kind == "param":
        return True
    if right.is_dyn or right.kind == "param" or left.kind != right.kind:
        return False
    if left.kind == "type":
        return True
    return (
        left.name == right.name
        and len(left.parameters) == len(right.parameters)
        and all(map(_is_less_specific, left.parameters, right.parameters))
    )
