"""Paths to fields that a definition names: `.spec.color`, `.spec.limits['cpu']`, checked against its schema. Pure.

Selectable fields and the `fieldPath` of rules are written so.
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#field-paths
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ropewalk.kube.machinery.objects import Object

_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", "\\": "\\"}


def follow(text: str, schema: Object, *, keys: bool = True) -> tuple[str, Object]:
    """(the path as field errors write it, the schema there). `keys`: `['…']` may be used. Raises `ValueError`."""
    tokens = _tokens(text)
    path, here = "", schema
    for token in tokens:
        if token == "[":
            if not keys:
                raise ValueError("array notation is not allowed")
            name = _unquoted(_next(tokens))
            path, here = _step(path, here, name)
            closing = _next(tokens)
            if closing != "]":
                raise ValueError(f"expected ] but got {closing}")
        elif token == ".":
            path, here = _step(path, here, _next(tokens))
        else:
            raise ValueError(f"expected [ or . but got: {token}")
    return path, here


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        if text[at] == "'":
            end = at + 1
            while end < len(text) and (text[end] != "'" or text[end - 1] == "\\"):
                end += 1
            end = min(end + 1, len(text))
        elif text[at] in ".[]":
            end = at + 1
        else:
            end = at
            while end < len(text) and text[end] not in ".[]":
                end += 1
        yield text[at:end]
        at = end


def _next(tokens: Iterator[str]) -> str:
    found = next(tokens, None)
    if found is None:
        raise ValueError("unexpected end of JSON path")
    return found


def _unquoted(token: str) -> str:
    if len(token) < 2 or token[0] != "'" or token[-1] != "'":
        raise ValueError(f"expected single quoted string but got {token}")

    def meant(found: re.Match[str]) -> str:
        if found[0][1] not in _ESCAPES:
            raise ValueError(f"invalid string literal: invalid escape char {found[0]}")
        return _ESCAPES[found[0][1]]

    return re.sub(r"\\.", meant, token[1:-1])


def _step(path: str, schema: Object, name: str) -> tuple[str, Object]:
    properties, additional = schema.get("properties"), schema.get("additionalProperties")
    if properties:
        if name not in properties:
            raise ValueError("does not refer to a valid field")
        return (f"{path}.{name}" if path else name), properties[name]
    if additional is None:
        raise ValueError("does not refer to a valid field")
    return f"{path}[{name}]", additional if isinstance(additional, dict) else {}
