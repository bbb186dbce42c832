"""Every resource that is served now, and how to read and write it: what the HTTP front and the inside both stand on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.kube.machinery.admission import AdmissionChain
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.registry import keys
from ropewalk.kube.machinery.registry.cache import Cache
from ropewalk.kube.machinery.registry.feed import Feeds
from ropewalk.kube.machinery.registry.reading import Reader
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.registry.storage import Storage, Transformer
from ropewalk.kube.machinery.registry.writing import Writer
from ropewalk.kube.machinery.resources import GroupResource, ResourceInfo
from ropewalk.runtime.supervisor import Supervisor
from ropewalk.store.protocol import Store

Key = tuple[str, str, str]
"""(group, version, plural)."""


class Registry:
    """`reader` and `writer` do the work; `find` says of what. `feeds` is a `Runnable`."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        *,
        transformers: Mapping[GroupResource, Transformer] | None = None,
    ) -> None:
        self.clock = clock
        self.entropy = entropy
        self.storage = Storage(store, transformers)
        self.feeds = Feeds(self.storage, clock)
        self.reader = Reader(self.storage, self.feeds, clock, entropy)
        self.generation = 0
        """Grows whenever what is served changes: discovery and OpenAPI documents are made anew."""
        self._served: dict[Key, Served] = {}
        self._preferred: dict[GroupResource, Served] = {}
        self._caches: dict[GroupResource, Cache] = {}
        self._tasks: dict[GroupResource, asyncio.Task[None]] = {}
        self._supervisor = Supervisor(clock)
        self._watchers: list[Callable[[], None]] = []
        self.writer: Writer

    def admit_through(self, chain: AdmissionChain, api: Api) -> None:
        """Called once, when the plug-ins are there: they need the registry themselves."""
        self.writer = Writer(self.storage, chain, api, self.clock, self.entropy)

    # --- what is served

    def serve(self, found: Iterable[Served]) -> None:
        """Begin to serve these; the first of a resource's versions is the preferred one. Replaces what was there."""
        chosen: set[GroupResource] = set()
        for served in found:
            info, resource = served.info, served.info.group_resource
            self._served[info.group, info.version, info.plural] = served
            if resource not in self._preferred or (served.stored_as is None and resource not in chosen):
                self._preferred[resource] = served
                if served.stored_as is None:
                    chosen.add(resource)
        self._changed()

    def withdraw(self, resource: GroupResource, versions: Iterable[str]) -> None:
        """Serve these versions no more; with the last of them end the resource's watches and cache."""
        for version in versions:
            self._served.pop((resource.group, version, resource.resource), None)
        left = [
            served
            for (group, _, plural), served in self._served.items()
            if (group, plural) == (resource.group, resource.resource)
        ]
        if left:
            self._preferred[resource] = left[0]
        else:
            self._preferred.pop(resource, None)
            self._caches.pop(resource, None)
            task = self._tasks.pop(resource, None)
            if task is not None:
                task.cancel()
            self.feeds.drop(keys.prefix(resource))
        self._changed()

    def on_served_change(self, callback: Callable[[], None]) -> None:
        self._watchers.append(callback)

    def _changed(self) -> None:
        self.generation += 1
        for watcher in self._watchers:
            watcher()

    def find(self, group: str, version: str, plural: str) -> Served | None:
        return self._served.get((group, version, plural))

    def preferred(self, resource: GroupResource) -> Served | None:
        return self._preferred.get(resource)

    def all(self) -> list[Served]:
        return list(self._served.values())

    def infos(self) -> list[ResourceInfo]:
        return [served.info for served in self._served.values()]

    # --- caches

    def cache(self, served: Served) -> Cache:
        """The shared cache of a resource; begun at its first use."""
        resource = served.storage
        found = self._caches.get(resource)
        if found is None:
            found = Cache(self.storage, self.feeds.feed(keys.prefix(resource)), served)
            self._caches[resource] = found
            self._tasks[resource] = asyncio.create_task(self._supervisor.keep(found), name=found.name)
        return found

    def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self.feeds.close()
