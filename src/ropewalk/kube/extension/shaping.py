"""What a custom resource becomes on its way in: unknown fields pruned, nulls dropped, defaults filled. In place. Pure.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#field-pruning
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting-and-nullable
Two walks: a compiled one that only asks whether there is anything to drop, and a plain one that drops it.
"""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.kube.extension.structural import EMBEDDED, PRESERVE
from ropewalk.kube.machinery.objects import Json, Object, copied

Clean = Callable[[Json], bool]
Fill = Callable[[Json], None]

META_FIELDS = ("apiVersion", "kind", "metadata")
_CONTAINERS = (dict, list)


# --- whether there is anything to do


def cleaner(schema: Object, *, root: bool = False) -> Clean:
    """Whether a container (object or list) has nothing to prune and no null; "no" may be wrong, "yes" is not."""
    properties = {name: cleaner(part) for name, part in (schema.get("properties") or {}).items()}
    if root or schema.get(EMBEDDED):
        properties |= dict.fromkeys(META_FIELDS, _anything)
    additional = schema.get("additionalProperties")
    others = cleaner(additional) if isinstance(additional, dict) else cleaner({}) if additional is not None else None
    if schema.get(PRESERVE):
        others = others or _anything
    items = cleaner(schema["items"]) if isinstance(schema.get("items"), dict) else cleaner_of_nothing

    known = properties.get

    def clean(value: Json) -> bool:
        if type(value) is dict:
            for name, part in value.items():
                check = known(name, others)
                if check is None or part is None:
                    return False
                kind = type(part)
                if (kind is dict or kind is list) and not check(part):
                    return False
            return True
        for part in value:
            kind = type(part)
            if part is None or ((kind is dict or kind is list) and not items(part)):
                return False
        return True

    return clean


def _anything(value: Json) -> bool:
    return True


def cleaner_of_nothing(value: Json) -> bool:
    """Where no schema is, only containers of scalars hold nothing to prune."""
    return type(value) is list and not any(type(part) in _CONTAINERS for part in value)


# --- pruning


def pruned(value: Json, schema: Object, *, root: bool = True) -> list[str]:
    """Drop what the schema does not name; the paths of what went, in order."""
    walk = _Pruning()
    walk.part(value, {**schema, EMBEDDED: True} if root else schema, "")
    return sorted(walk.unknown)


class _Pruning:
    def __init__(self) -> None:
        self.unknown: list[str] = []

    def part(self, value: Json, schema: Object | None, path: str) -> None:
        if type(value) is dict:
            self._object(value, schema, path)
        elif type(value) is list:
            self._list(value, schema, path)

    def _object(self, value: Object, schema: Object | None, path: str) -> None:
        known: Object = (schema or {}).get("properties") or {}
        additional = (schema or {}).get("additionalProperties")
        embedded, preserve = bool((schema or {}).get(EMBEDDED)), bool((schema or {}).get(PRESERVE))
        for key in list(value):
            if embedded and key in META_FIELDS:
                continue
            here = f"{path}.{key}" if path else key
            if key in known:
                self.part(value[key], known[key], here)
            elif additional is not None:
                self.part(value[key], additional if isinstance(additional, dict) else None, here)
            elif not preserve:
                del value[key]
                self.unknown.append(here)

    def _list(self, value: list[Json], schema: Object | None, path: str) -> None:
        items = (schema or {}).get("items")
        preserve = bool((schema or {}).get(PRESERVE))
        if preserve and items is None:
            return
        for place, item in enumerate(value):
            # What a list keeps, its items keep as well.
            kept = {**items, PRESERVE: True} if preserve and items is not None else items
            self.part(item, kept, f"{path}[{place}]")


def drop_nulls(value: Json, schema: Object | None) -> None:
    """Drop nulls of fields that may not be null and have no default to take their place."""
    if type(value) is dict:
        for key in list(value):
            below = _schema_of(key, schema)
            if value[key] is None:
                if below is not None and not below.get("nullable") and below.get("default") is None:
                    del value[key]
            else:
                drop_nulls(value[key], below)
    elif type(value) is list:
        items = (schema or {}).get("items")
        for item in value:
            drop_nulls(item, items)


def _schema_of(key: str, schema: Object | None) -> Object | None:
    known: Object = (schema or {}).get("properties") or {}
    if key in known:
        found: Object = known[key]
        return found
    additional = (schema or {}).get("additionalProperties")
    return additional if isinstance(additional, dict) else None


# --- defaults


def filler(schema: Object) -> Fill | None:
    """What fills the schema's defaults; None where there are none."""
    parts: dict[str, tuple[Json, Fill | None, bool]] = {}
    properties = schema.get("properties") or {}
    for name, part in properties.items():
        below = filler(part)
        if part.get("default") is not None or below is not None:
            parts[name] = (part.get("default"), below, bool(part.get("nullable")))
    additional = schema.get("additionalProperties")
    others = _entry_filler(additional) if isinstance(additional, dict) else None
    items = _entry_filler(schema["items"]) if isinstance(schema.get("items"), dict) else None
    if not parts and others is None and items is None:
        return None

    def fill(value: Json) -> None:
        if type(value) is dict:
            for name, (default, below, nullable) in parts.items():
                if default is not None and (name not in value or (value[name] is None and not nullable)):
                    value[name] = copied(default)
                if below is not None and name in value:
                    below(value[name])
            if others is not None:
                for name, part in value.items():
                    if name not in properties:
                        value[name] = others(part)
        elif type(value) is list and items is not None:
            value[:] = map(items, value)

    return fill


def _entry_filler(schema: Object) -> Callable[[Json], Json] | None:
    """Of a map's values and a list's items: a default stands in for a null alone."""
    default, below = schema.get("default"), filler(schema)
    if below is None and default is None:
        return None
    nullable = bool(schema.get("nullable"))

    def filled(value: Json) -> Json:
        if value is None and not nullable and default is not None:
            value = copied(default)
        if below is not None:
            below(value)
        return value

    return filled
