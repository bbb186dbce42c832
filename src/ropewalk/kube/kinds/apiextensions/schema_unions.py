"""The places of a definition's schema that hold one of two things: a schema or a boolean, one schema or several, a
schema or names of fields. OpenAPI says nothing about what is in them, so they are read here, as Go reads them.
https://pkg.go.dev/k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1#JSONSchemaProps
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from ropewalk.kube.kinds.definitions import definitions
from ropewalk.kube.machinery.checking import check
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.schema import Schema

_PROPS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
_GO_NAMES: dict[type, str] = {str: "string", bool: "bool", int: "number", float: "number", list: "array"}
_SEVERAL = ("allOf", "anyOf", "oneOf")
_NAMED = ("properties", "patternProperties", "definitions")


class Unreadable(ValueError):
    """What Go could not read, in its words."""


def settle(schema: Object) -> None:
    """Bring the unions of `schema`, and of all below it, into the form in which Go would hold them, in place: what is
    neither of the two is dropped where Go takes it for nothing. Raises `Unreadable` where it does not.

    What stands outside unions has been read before.
    """
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        _settle_one(part)
        waiting += _below(part)


def _settle_one(part: Object) -> None:
    for word in ("additionalProperties", "additionalItems"):
        if word in part and not isinstance(part[word], bool):
            if not isinstance(part[word], dict):
                raise Unreadable("boolean or JSON schema expected")
            _read(part[word])
    if "items" in part:
        _settle_items(part)
    dependencies = part.get("dependencies") or {}
    for name, given in list(dependencies.items()):
        if isinstance(given, dict):
            _read(given)
        elif isinstance(given, list):
            dependencies[name] = [_word(one) for one in given]
        else:
            del dependencies[name]
    if not dependencies:
        part.pop("dependencies", None)


def _settle_items(part: Object) -> None:
    items = part["items"]
    if isinstance(items, dict):
        _read(items)
    elif isinstance(items, list) and items:
        part["items"] = [{} if one is None else one for one in items]
        for one in part["items"]:
            if not isinstance(one, dict):
                name = _GO_NAMES[type(one)]
                raise Unreadable(f"json: cannot unmarshal {name} into Go value of type v1.JSONSchemaProps")
            _read(one)
    else:
        del part["items"]


def _word(value: Json) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        name = _GO_NAMES.get(type(value), "object")
        raise Unreadable(f"json: cannot unmarshal {name} into Go value of type string")
    return value


def _read(schema: Object) -> None:
    """Unknown fields are dropped without a word: Go's strict reading does not look behind a union."""
    complaints = check(schema, _props())
    if complaints.wrong:
        raise Unreadable(complaints.wrong)


def _below(part: Object) -> Iterator[Object]:
    for word in ("additionalProperties", "additionalItems", "items", "not"):
        if isinstance(part.get(word), dict):
            yield part[word]
    for word in _SEVERAL:
        yield from part.get(word) or ()
    for word in _NAMED:
        yield from (part.get(word) or {}).values()
    if isinstance(part.get("items"), list):
        yield from part["items"]
    yield from (one for one in (part.get("dependencies") or {}).values() if isinstance(one, dict))


@lru_cache(maxsize=1)
def _props() -> Schema:
    return definitions().schema_named(_PROPS)
