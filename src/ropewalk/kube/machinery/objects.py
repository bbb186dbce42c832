"""A decoded API object, and the few ways in which everybody reads one.

Objects are plain dictionaries as `orjson` gives them: the API is defined by schemas that are read at run time (and by
custom resources nobody knows beforehand), so no static type could say more. Nulls never survive decoding: an absent
field is an absent key. Stored and cached objects are shared between all who read them: never change one in place; copy
first (`copied`), unless the function says that it works in place on an object that its caller owns.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Object: TypeAlias = dict[str, Any]
"""An API object or a part of one. `Any`: see the module."""

Json: TypeAlias = Any
"""Any JSON value. `Any`: see the module."""


def copied(value: Json) -> Json:
    """A deep copy; several times quicker than `copy.deepcopy`, since JSON has no cycles."""
    if type(value) is dict:
        return {key: copied(part) for key, part in value.items()}
    if type(value) is list:
        return [copied(part) for part in value]
    return value


def metadata(obj: Object) -> Object:
    """`metadata`, empty where there is none (never stored back)."""
    found: Object = obj.get("metadata") or {}
    return found


def name_of(obj: Object) -> str:
    return str(metadata(obj).get("name", ""))


def namespace_of(obj: Object) -> str:
    """ "" for what belongs to no namespace."""
    return str(metadata(obj).get("namespace", ""))


def uid_of(obj: Object) -> str:
    return str(metadata(obj).get("uid", ""))


def labels_of(obj: Object) -> dict[str, str]:
    return metadata(obj).get("labels") or {}


def annotations_of(obj: Object) -> dict[str, str]:
    return metadata(obj).get("annotations") or {}


def at(obj: Json, *path: str | int) -> Json:
    """What stands at the path, None where anything on the way is missing: `at(pod, "spec", "containers", 0)`."""
    for step in path:
        if type(obj) is dict:
            obj = obj.get(step)
        elif type(obj) is list and type(step) is int and -len(obj) <= step < len(obj):
            obj = obj[step]
        else:
            return None
    return obj


def controller_of(obj: Object) -> Object | None:
    """The owner reference with `controller: true`."""
    for reference in metadata(obj).get("ownerReferences") or ():
        if reference.get("controller"):
            found: Object = reference
            return found
    return None
