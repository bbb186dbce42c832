"""JSON patch, as kube-apiserver takes it (RFC 6902 with the leniencies of the Go library behind it).

Those leniencies are visible to clients and kept: `replace` of a member that is not there adds it, negative indices
count from the end, `test` of a missing member against null holds. What goes wrong while a patch is applied is one and
the same 422, whatever it was. Work is bounded: 10,000 operations, 3 MiB copied.
https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply
"""

from __future__ import annotations

import re
from typing import TypeAlias

import orjson

from ropewalk.kube.machinery.errors import Details, StatusFault, bad_request, entity_too_large
from ropewalk.kube.machinery.objects import Json, Object, copied

MAX_OPERATIONS = 10_000
MAX_COPIED_BYTES = 3 * 1024 * 1024

_INDEX = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_TEXT_MEMBERS = ("op", "path", "from")
_MEMBERS = frozenset({*_TEXT_MEMBERS, "value"})
_JSON_NAMES = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}

_Container: TypeAlias = "Object | list[Json]"


class _Refused(Exception):
    """An operation does not apply."""


def rejected() -> StatusFault:
    """What a patch that is well formed and cannot be applied answers."""
    return StatusFault(
        "Invalid", "the server rejected our request due to an error in our request", status=422, details=Details()
    )


def check_operations(patch: Json) -> list[Object]:
    """The operations, if the patch has the form of one: 400 and 413 otherwise."""
    if type(patch) is not list:
        raise bad_request(
            f"error decoding patch: json: cannot unmarshal {_json_name(patch)} into Go value of type"
            " []handlers.jsonPatchOp"
        )
    if len(patch) > MAX_OPERATIONS:
        raise entity_too_large(
            "Request entity too large: The allowed maximum operations in a JSON patch is"
            f" {MAX_OPERATIONS}, got {len(patch)}"
        )
    for operation in patch:
        if type(operation) is not dict:
            raise bad_request(
                f"error decoding patch: json: cannot unmarshal {_json_name(operation)} into Go value of type"
                " handlers.jsonPatchOp"
            )
        for member in _TEXT_MEMBERS:
            value = operation.get(member)
            if value is not None and type(value) is not str:
                raise bad_request(
                    f"error decoding patch: json: cannot unmarshal {_json_name(value)} into Go struct field"
                    f" jsonPatchOp.{member} of type string"
                )
    return patch


def unknown_members(operations: list[Object]) -> list[str]:
    """What field validation says of members that JSON patch does not have."""
    return [
        f'json patch unknown field "[{position}].{member}"'
        for position, operation in enumerate(operations)
        for member in operation
        if member not in _MEMBERS
    ]


def apply_json_patch(document: Object, patch: Json) -> Json:
    """The patched document; `document` is left alone. 400 malformed, 413 too long, 422 does not apply."""
    operations = check_operations(patch)
    state = _Patching(copied(document))
    try:
        for operation in operations:
            state.take(operation)
    except _Refused:
        raise rejected() from None
    return state.document


class _Patching:
    def __init__(self, document: Json) -> None:
        self.document = document
        self._copied_bytes = 0

    def take(self, operation: Object) -> None:
        kind = operation.get("op")
        path = operation.get("path")
        if path is None:
            raise _Refused
        if kind == "add":
            _add(*self._place(path), copied(operation.get("value")))
        elif kind == "remove":
            _remove(*self._place(path))
        elif kind == "replace":
            self._replace(path, copied(operation.get("value")))
        elif kind == "test":
            self._test(path, operation.get("value"))
        elif kind == "move":
            container, key = self._place(operation.get("from"))
            value = _get(container, key)
            _remove(container, key)
            _add(*self._place(path), value)
        elif kind == "copy":
            value = _get(*self._place(operation.get("from")))
            self._count(value)
            _add(*self._place(path), copied(value))
        else:
            raise _Refused

    def _replace(self, path: str, value: Json) -> None:
        if path == "":
            if type(value) is not dict and type(value) is not list:
                raise _Refused
            self.document = value
            return
        container, key = self._place(path)
        if isinstance(container, dict):
            container[key] = value
        else:
            container[_present(container, key)] = value

    def _test(self, path: str, value: Json) -> None:
        found = self.document if path == "" else _get(*self._place(path))
        if not same(found, value):
            raise _Refused

    def _place(self, path: str | None) -> tuple[_Container, str]:
        """The container that the path's last step is taken in, and that step."""
        steps = [step.replace("~1", "/").replace("~0", "~") for step in (path or "").split("/")]
        if len(steps) < 2:
            raise _Refused
        here = self.document
        for step in steps[1:-1]:
            here = _get(here, step)
            if type(here) is not dict and type(here) is not list:
                raise _Refused
        return here, steps[-1]

    def _count(self, value: Json) -> None:
        self._copied_bytes += len(orjson.dumps(value))
        if self._copied_bytes > MAX_COPIED_BYTES:
            raise _Refused


def same(one: Json, other: Json) -> bool:
    """JSON equality: `True` is no 1."""
    if type(one) is not type(other):
        return type(one) in (int, float) and type(other) in (int, float) and bool(one == other)
    if type(one) is dict:
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if type(one) is list:
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    return bool(one == other)


def _number(step: str) -> int:
    if not _INDEX.fullmatch(step):
        raise _Refused
    return int(step)


def _present(items: list[Json], step: str) -> int:
    index = _number(step)
    if not -len(items) <= index < len(items):
        raise _Refused
    return index


def _get(container: _Container, step: str) -> Json:
    if isinstance(container, dict):
        return container.get(step)
    return container[_present(container, step)]


def _add(container: _Container, step: str, value: Json) -> None:
    if isinstance(container, dict):
        container[step] = value
        return
    if step == "-":
        container.append(value)
        return
    index = _number(step)
    if not -len(container) - 1 <= index <= len(container):
        raise _Refused
    container.insert(index if index >= 0 else index + len(container) + 1, value)


def _remove(container: _Container, step: str) -> None:
    if isinstance(container, dict):
        if step not in container:
            raise _Refused
        del container[step]
    else:
        del container[_present(container, step)]


def _json_name(value: Json) -> str:
    return _JSON_NAMES.get(type(value), "null")
