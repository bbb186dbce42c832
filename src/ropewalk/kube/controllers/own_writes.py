"""What a controller wrote and its cache may not have yet: whether the cache can be relied on for a key.

For controllers whose next step follows from what they wrote before: where the cache is behind, they read the store.
"""

from __future__ import annotations

from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.objects import Object, metadata, name_of, namespace_of
from ropewalk.kube.machinery.resources import GroupResource


class OwnWrites:
    """Objects of one resource, by the keys of the controller that writes them."""

    def __init__(self, api: Api, resource: GroupResource) -> None:
        self._api = api
        self._resource = resource
        self._written: dict[str, dict[tuple[str, str], int]] = {}
        """Key → object → the revision written last, -1 where it was deleted."""
        self._doubtful: set[str] = set()

    def begin(self, key: str) -> None:
        """Writes may follow. Until `end`, nobody knows whether one that failed happened."""
        self._doubtful.add(key)

    def end(self, key: str) -> None:
        self._doubtful.discard(key)

    def wrote(self, key: str, obj: Object) -> None:
        held = self._written.setdefault(key, {})
        held[namespace_of(obj), name_of(obj)] = int(metadata(obj)["resourceVersion"])

    def deleted(self, key: str, namespace: str, name: str) -> None:
        self._written.setdefault(key, {})[namespace, name] = -1

    def are_seen(self, key: str) -> bool:
        """The cache has all of them."""
        held = self._written.get(key)
        for place, revision in tuple(held.items()) if held else ():
            present = self._api.cache(self._resource).get(*place)
            version = -1 if present is None else int(metadata(present)["resourceVersion"])
            if (revision < 0) == (present is None) and version >= revision:
                del self._written[key][place]
        if held is not None and not held:
            del self._written[key]
        return key not in self._written and key not in self._doubtful

    def forget(self, key: str) -> None:
        self._written.pop(key, None)
        self._doubtful.discard(key)
