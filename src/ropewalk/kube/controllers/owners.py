"""The controllers of one kind, found by what they control: by their uid, or by what they select.

Asked at every change of a pod, so both are looked up, never searched for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ropewalk.kube.machinery.api import Api, ObjectChange
from ropewalk.kube.machinery.objects import Object, name_of, namespace_of, uid_of
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.machinery.selectors import LabelSelector


class Owners:
    """Of one kind. Each of them is enqueued whenever it changes."""

    def __init__(
        self,
        api: Api,
        resource: GroupResource,
        selector: Callable[[Object], LabelSelector],
        enqueue: Callable[[str], None],
    ) -> None:
        self._api = api
        self._resource = resource
        self._selector = selector
        self._enqueue = enqueue
        self._keys: dict[str, str] = {}
        self._selectors: dict[str, dict[str, LabelSelector]] = {}
        """Namespace → key → what it selects."""
        self._replaced: Callable[[str], None] | None = None

    async def follow(self, gone: Callable[[str], None]) -> None:
        """Returns once all are known. `gone` is told the key of each that is no more, or is another of the same name.
        Those that are there are enqueued at every call.
        """
        cache = self._api.cache(self._resource)
        if self._replaced is None:
            self._replaced = gone
            cache.on_change(self._changed)
        await cache.synced()
        for key in self._keys.values():
            self._enqueue(key)

    def key(self, uid: str) -> str:
        """ "" where no such controller is known."""
        return self._keys.get(uid, "")

    def enqueue_matching(self, namespace: str, labels: Mapping[str, str]) -> None:
        """All that select these labels; nothing with no label at all is ever wanted."""
        if labels:
            for key in self.matching(namespace, labels):
                self._enqueue(key)

    def matching(self, namespace: str, labels: Mapping[str, str]) -> list[str]:
        found = self._selectors.get(namespace)
        return [key for key, selector in found.items() if selector.matches(labels)] if found else []

    def keys_of(self, namespace: str) -> list[str]:
        """All of a namespace."""
        return list(self._selectors.get(namespace, ()))

    def _changed(self, change: ObjectChange) -> None:
        obj = change.present
        namespace = namespace_of(obj)
        key = f"{namespace}/{name_of(obj)}"
        if change.old is not None and (change.new is None or uid_of(change.new) != uid_of(change.old)):
            self._keys.pop(uid_of(change.old), None)
            held = self._selectors.get(namespace, {})
            held.pop(key, None)
            if not held:
                self._selectors.pop(namespace, None)
            if self._replaced is not None:
                self._replaced(key)
        if change.new is not None:
            self._keys[uid_of(change.new)] = key
            self._selectors.setdefault(namespace, {})[key] = self._selector(change.new)
        self._enqueue(key)
