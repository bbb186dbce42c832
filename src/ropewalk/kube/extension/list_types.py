"""Sets and maps written as lists: none of their items, or of their keys, may stand twice. Pure.

https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import orjson

from ropewalk.kube.extension import causes
from ropewalk.kube.machinery.errors import Cause
from ropewalk.kube.machinery.objects import Json, Object

Fits = Callable[[Json], bool]

LIST_TYPE, LIST_KEYS = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"


def has_any(schema: Object) -> bool:
    parts = [*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return schema.get(LIST_TYPE) in ("set", "map") or any(has_any(part) for part in parts if isinstance(part, dict))


def validate(obj: Object, schema: Object) -> list[Cause]:
    return list(_problems(obj, schema, ""))


def checker(schema: Object) -> Fits | None:
    """The same as yes or no, compiled; "no" may be wrong. None where there is nothing to ask."""
    known = {name: check for name, part in (schema.get("properties") or {}).items() if (check := checker(part))}
    additional, items = schema.get("additionalProperties"), schema.get("items")
    others = checker(additional) if isinstance(additional, dict) else None
    below = checker(items) if isinstance(items, dict) else None
    list_type, keys = schema.get(LIST_TYPE), tuple(schema.get(LIST_KEYS) or ())
    is_set, is_map = list_type == "set", list_type == "map"
    if not known and others is None and below is None and not is_set and not is_map:
        return None

    def fits(value: Json) -> bool:
        if type(value) is dict:
            for name, check in known.items():
                if name in value and not check(value[name]):
                    return False
            return others is None or all(map(others, value.values()))
        if type(value) is list:
            if is_map and not _has_own_keys(value, keys):
                return False
            if is_set and not _is_set(value):
                return False
            return below is None or all(map(below, value))
        return True

    return fits


def _is_set(value: list[Json]) -> bool:
    if len(value) < 2:
        return True
    if all(type(item) is str for item in value):
        return len(set(value)) == len(value)
    return next(_doubles(value, value, ""), None) is None


def _has_own_keys(value: list[Json], keys: tuple[str, ...]) -> bool:
    seen = set()
    for item in value:
        if type(item) is not dict:
            return False
        key = tuple([item.get(name) for name in keys])
        try:
            if key in seen:
                return False
            seen.add(key)
        except TypeError:
            return False
    return True


def _problems(value: Json, schema: Object, path: str) -> Iterator[Cause]:
    if type(value) is dict:
        known, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, part in value.items():
            if isinstance(additional, dict):
                yield from _problems(part, additional, f"{path}[{key}]")
            if key in known:
                yield from _problems(part, known[key], f"{path}.{key}" if path else key)
    elif type(value) is list:
        list_type = schema.get(LIST_TYPE)
        if list_type == "set":
            yield from _doubles(value, value, path)
        elif list_type == "map":
            yield from _map_problems(value, schema.get(LIST_KEYS) or (), path)
        if isinstance(schema.get("items"), dict):
            for place, item in enumerate(value):
                yield from _problems(item, schema["items"], f"{path}[{place}]")


def _map_problems(value: list[Json], keys: Sequence[str], path: str) -> Iterator[Cause]:
    for place, item in enumerate(value):
        if item is not None and type(item) is not dict:
            yield causes.invalid(f"{path}[{place}]", item, "must be an object for an array of list-type map")
            return
    told = [{key: item[key] for key in keys if item is not None and key in item} for item in value]
    yield from _doubles(told, told, path)


def _doubles(items: Sequence[Json], told: Sequence[Json], path: str) -> Iterator[Cause]:
    """Each thing that stands more than once, where it stands for the second time."""
    if len(items) < 2:
        return
    times: dict[bytes, int] = {}
    for place, item in enumerate(items):
        mark = orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
        times[mark] = times.get(mark, 0) + 1
        if times[mark] == 2:
            yield causes.duplicate(f"{path}[{place}]", told[place])
