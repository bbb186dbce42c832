"""Whether a slice's answer is a document of its operation's model: asked while developing and testing.

Writers are quick because they trust their input: a misspelt member of a JSON answer would reach clients as it stands.
With `FrontSettings.check_answers` the front asks here first: an answer that does not conform is a bug, told by name.
Enumerations are not held against it: AWS itself answers values that its models lack (an internet gateway's attachment
is "available").
"""

from __future__ import annotations

from typing import Any

from ropewalk.aws.operations import Params
from ropewalk.aws.specs import OperationSpec, Shape

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "character": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float),
    "blob": (bytes,),
    "structure": (dict,),
    "list": (list, tuple),
    "map": (dict,),
}


class Nonconforming(Exception):
    """A slice answered something that its operation's model does not have."""


def deviations(shape: Shape, value: Any, path: str = "") -> list[str]:
    """What is wrong with `value` as a document of `shape`, each with its place. `Any`: that is the question."""
    where = path or "the answer"
    if _mistyped(shape, value):
        return [f"{where} is {type(value).__name__}, not {shape.kind}"]
    if shape.kind == "structure":
        return [] if shape.is_document else _of_structure(shape, value, path)
    if shape.kind == "list":
        member = shape.member
        return [wrong for index, item in enumerate(value) for wrong in deviations(member, item, f"{path}[{index}]")]
    if shape.kind == "map":
        inner = shape.value
        return [wrong for key, item in value.items() for wrong in deviations(inner, item, f"{path}{{{key}}}")]
    return []


def _mistyped(shape: Shape, value: Any) -> bool:
    types = _TYPES[shape.kind]
    return not isinstance(value, types) or (isinstance(value, bool) and bool not in types)


def _of_structure(shape: Shape, value: Params, path: str) -> list[str]:
    prefix = f"{path}." if path else ""
    wrong: list[str] = []
    for name, item in value.items():
        member = shape.members.get(name)
        if member is None:
            wrong.append(f"{prefix}{name} is no member of {shape.name}")
        else:
            wrong.extend(deviations(member, item, f"{prefix}{name}"))
    return wrong


def require_conforming(operation: OperationSpec, result: Params) -> None:
    """Raises `Nonconforming`."""
    shape = operation.output
    wrong = deviations(shape, result) if shape is not None else [f"{name} is no member" for name in result]
    if wrong:
        raise Nonconforming(f"{operation.service.service}:{operation.name} answered wrongly: {'; '.join(wrong[:5])}")
