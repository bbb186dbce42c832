"""Documents made up from AWS's models, for the protocols' oracle test.

What no wire form can carry is not made: empty lists in a form, control characters in XML, commas in a header.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

from botocore.model import Shape, StructureShape

PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
WILD = PLAIN + " &<>\"'%+/=;,.:-_~!?*()[]{}|\\\n\té漢🙂"
MAX_DEPTH = 4


class Maker:
    """Makes documents of one shape after another from one seed."""

    def __init__(self, seed: int, *, for_output: bool = False, density: float = 0.7) -> None:
        self._random = random.Random(seed)
        self._density = density
        self._for_output = for_output

    def structure(self, shape: StructureShape, depth: int = 0, seen: tuple[str, ...] = ()) -> dict[str, Any]:
        if getattr(shape, "is_document_type", False):
            return {"a": [1, "b", None], "c": {"d": True}}
        names = [name for name, member in shape.members.items() if not self._impossible(member, depth, seen)]
        if getattr(shape, "is_tagged_union", False):
            names = [self._random.choice(names)] if names else []
        document = {}
        for name in names:
            member = shape.members[name]
            needed = name in shape.required_members or self._always(member) or len(names) == 1
            needed = needed or (self._for_output and name == shape.serialization.get("payload"))
            if needed or self._random.random() < (self._density if depth < 2 else self._density * 0.6):
                document[name] = self.value(member, depth + 1, (*seen, shape.name))
        if not document and names:
            document[names[0]] = self.value(shape.members[names[0]], depth + 1, (*seen, shape.name))
        return document

    def _always(self, member: Shape) -> bool:
        return member.serialization.get("location") == "uri" or bool(member.serialization.get("hostLabel"))

    def _impossible(self, member: Shape, depth: int, seen: tuple[str, ...]) -> bool:
        """Event streams travel apart; recursion must end; an empty structure cannot be seen in a form."""
        inner = member
        while inner.type_name in ("list", "map"):
            inner = inner.member if inner.type_name == "list" else inner.value
        if inner.type_name != "structure":
            return False
        if inner.serialization.get("eventstream"):
            return True
        if not inner.members and not getattr(inner, "is_document_type", False):
            return True
        if depth >= MAX_DEPTH or inner.name in seen:
            return True
        deeper = (*seen, inner.name)
        return all(self._impossible(m, depth + 1, deeper) for m in inner.members.values()) if inner.members else False

    def value(self, shape: Shape, depth: int, seen: tuple[str, ...]) -> Any:
        kind = shape.type_name
        if kind == "structure":
            return self.structure(shape, depth, seen)
        if kind == "list":
            return [self.value(shape.member, depth, seen) for _ in range(self._random.randint(1, 2))]
        if kind == "map":
            pairs = range(self._random.randint(1, 2))
            keys = [self._key(shape) for _ in pairs]
            return {key: self.value(shape.value, depth, seen) for key in keys}
        return self.scalar(shape)

    def _key(self, shape: Shape) -> str:
        text = self._text(PLAIN, 4)
        return text.lower() if shape.serialization.get("location") == "headers" else text

    def scalar(self, shape: Shape) -> Any:
        kind, located = shape.type_name, shape.serialization.get("location")
        if kind in ("string", "character"):
            if shape.enum:
                return self._random.choice(shape.enum)
            plain = located is not None or shape.serialization.get("hostLabel")
            return self._text(PLAIN if plain or self._random.random() < 0.5 else WILD, 8)
        if kind == "boolean":
            return self._random.random() < 0.5
        if kind in ("integer", "long"):
            if located == "statusCode":
                return 200
            bound = 2**31 - 1 if kind == "integer" else 2**53
            return self._random.choice([0, 1, self._random.randint(-bound, bound)])
        if kind in ("float", "double"):
            return self._random.randint(-4000, 4000) / 8
        if kind == "timestamp":
            form = shape.serialization.get("timestampFormat", "")
            whole = located == "header" or form == "rfc822"
            millis = 0 if whole else self._random.choice([0, 120, 999])
            seconds = self._random.randint(0, 4_000_000_000)
            return datetime.fromtimestamp(seconds, UTC).replace(microsecond=millis * 1000)
        assert kind == "blob", kind
        return self._text(PLAIN, 12).encode() if located or self._for_output else bytes(self._random.randbytes(9))

    def _text(self, alphabet: str, length: int) -> str:
        chosen = (self._random.choice(alphabet) for _ in range(self._random.randint(1, length)))
        return self._random.choice(PLAIN) + "".join(chosen)


def plain(value: Any) -> Any:
    """As documents hold it: timestamps as seconds, to the microsecond; numbers that equal look equal."""
    if isinstance(value, datetime):
        return round(value.timestamp(), 6)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 6)
    return value


def as_document(value: Any) -> Any:
    """As a slice would return it: timestamps as floats."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, dict):
        return {key: as_document(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_document(item) for item in value]
    return value
