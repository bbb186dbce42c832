"""An object before and after an update, walked side by side: which part was which. Pure.

Fields are told by name, items of a map list by their keys; items of other lists by nothing.
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-ratcheting
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.machinery.objects import Json, Object

Key = tuple[tuple[str, Json], ...]


class Correlated:
    """One part of both objects, present in both."""

    __slots__ = ("_fields", "_items", "_unchanged", "new", "old", "schema")

    def __init__(self, new: Json, old: Json, schema: Object) -> None:
        self.new = new
        self.old = old
        self.schema = schema
        self._unchanged: bool | None = None
        self._fields: dict[str, Correlated | None] = {}
        self._items: dict[Key, Json] | None = None

    @property
    def unchanged(self) -> bool:
        if self._unchanged is None:
            self._unchanged = self._compare()
        return self._unchanged

    def _compare(self) -> bool:
        """Equal; a map list is equal in any order of its items."""
        new, old = self.new, self.old
        if new is None or old is None:
            return new is old
        if type(new) is not type(old):
            return False
        if type(new) is dict:
            if new.keys() != old.keys():
                return False
            for key in new:
                below = self.field(key)
                if below is None or not below.unchanged:
                    return False
            return True
        if type(new) is list:
            if len(new) != len(old):
                return False
            if not self._by_keys:
                return same(new, old)
            for place in range(len(new)):
                below = self.item(place)
                if below is None or not below.unchanged:
                    return False
            return True
        return bool(new == old)

    @property
    def _by_keys(self) -> bool:
        return self.schema.get("x-kubernetes-list-type") == "map" and isinstance(self.schema.get("items"), dict)

    def field(self, name: str) -> Correlated | None:
        if name in self._fields:
            return self._fields[name]
        found = None
        if type(self.new) is dict and type(self.old) is dict and name in self.new and name in self.old:
            schema = (self.schema.get("properties") or {}).get(name)
            if schema is None:
                additional = self.schema.get("additionalProperties")
                schema = additional if isinstance(additional, dict) else None
            if schema is not None:
                found = Correlated(self.new[name], self.old[name], schema)
        self._fields[name] = found
        return found

    def item(self, place: int) -> Correlated | None:
        if type(self.new) is not list or type(self.old) is not list or not self._by_keys:
            return None
        if self._items is None:
            self._items = by_keys(self.old, self.schema.get("x-kubernetes-list-map-keys") or ())
        key = key_of(self.new[place], self.schema.get("x-kubernetes-list-map-keys") or ())
        old = self._items.get(key) if key is not None else None
        return Correlated(self.new[place], old, self.schema["items"]) if old is not None else None


def same(left: Json, right: Json) -> bool:
    """`==` without taking true for 1, nor 1 for 1.0."""
    if type(left) is not type(right):
        return False
    if type(left) is dict:
        return left.keys() == right.keys() and all(same(part, right[key]) for key, part in left.items())
    if type(left) is list:
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def by_keys(items: Sequence[Json], keys: Sequence[str]) -> dict[Key, Json]:
    """The items of a map list that have all their keys; the first of those that share them."""
    found: dict[Key, Json] = {}
    for item in items:
        key = key_of(item, keys)
        if key is not None:
            found.setdefault(key, item)
    return found


def key_of(item: Json, keys: Sequence[str]) -> Key | None:
    """None for what is no object, lacks a key, or has one that is no scalar."""
    if type(item) is not dict or not keys:
        return None
    found: list[tuple[str, Json]] = []
    for key in keys:
        value = item.get(key)
        if type(value) not in (str, int, float, bool):
            return None
        found.append((type(value).__name__, value))
    return tuple(found)
