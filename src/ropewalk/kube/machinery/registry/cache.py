"""Every object of one resource for those who work inside the process. See `machinery.api.ObjectCache`.

Kept as stored bytes; an object is decoded when somebody first asks for it, and the last ones asked for stay decoded.
So a cache of a hundred thousand objects that a controller only counts costs what its keys cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

import msgspec

from ropewalk.base.log import logger
from ropewalk.kube.machinery.api import Metadata, ObjectChange, Outline
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.registry import codec, keys
from ropewalk.kube.machinery.registry.feed import Feed, FeedEvent
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.registry.storage import Storage
from ropewalk.store.sorted_keys import SortedKeys

log = logger(__name__)

DECODED = 5_000
"""Objects kept decoded."""
AT_ONCE = 128
"""Objects of a list that are taken in before others have their turn: a server answers while it starts."""


_OUTLINE = msgspec.json.Decoder(Outline)


class _Index:
    def __init__(self, keys_of: Callable[[Object], Iterable[str]]) -> None:
        self.keys_of = keys_of
        self.found: dict[str, dict[str, None]] = {}
        self._by_object: dict[str, tuple[str, ...]] = {}

    def set(self, key: str, obj: Object | None) -> None:
        for name in self._by_object.pop(key, ()):
            held = self.found[name]
            held.pop(key, None)
            if not held:
                del self.found[name]
        if obj is not None:
            names = tuple(dict.fromkeys(self.keys_of(obj)))
            if names:
                self._by_object[key] = names
            for name in names:
                self.found.setdefault(name, {})[key] = None


class Cache:
    """See the module. `run` lists; the feed keeps it up to date."""

    def __init__(self, storage: Storage, feed: Feed, served: Served) -> None:
        self.name = f"cache {served.storage}"
        self._storage = storage
        self._served = served
        self._prefix = keys.prefix(served.storage)
        self._values: dict[str, tuple[bytes, int]] = {}
        self._keys = SortedKeys()
        self._decoded: dict[str, Object] = {}
        self._outline_callbacks: list[Callable[[str, str, Outline | None], None]] = []
        self._callbacks: list[Callable[[ObjectChange], None]] = []
        self._indexes: dict[str, _Index] = {}
        self._synced = asyncio.Event()
        self._stale = asyncio.Event()
        self._stale.set()
        self._listed = 0
        """Events up to here are in the list."""
        self._listing = False
        self._deleted: dict[str, int] = {}
        """What went while a list was being read, which may still have it."""
        feed.listen(self._observe, self._stale.set)

    # --- running

    async def run(self) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            self._listing = True
            try:
                await self._relist()
            except BaseException:
                self._stale.set()
                raise
            finally:
                self._listing = False

    async def _relist(self) -> None:
        found: dict[str, tuple[bytes, int]] = {}
        self._deleted.clear()
        after, revision = "", None
        while True:
            page = await self._storage.page(self._prefix, after=after, revision=revision)
            revision = int(page.revision)
            for entry in page.entries:
                found[entry.key] = (entry.value, int(entry.revision))
            if not page.more:
                break
            after = page.entries[-1].key
        for key in [key for key in self._values if key not in found and self._values[key][1] <= revision]:
            self._set(key, None, revision)
        for number, (key, (value, at)) in enumerate(found.items()):
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
            present = self._values.get(key)
            if (present is None or present[1] < at) and self._deleted.get(key, 0) < at:
                self._set(key, value, at)
        self._listed = revision
        self._deleted.clear()
        self._synced.set()

    def _observe(self, event: FeedEvent) -> None:
        if event.revision > self._listed:
            if event.value is None and self._listing:
                self._deleted[event.key] = event.revision
            self._set(event.key, event.value, event.revision)

    def _set(self, key: str, value: bytes | None, revision: int) -> None:
        told = bool(self._callbacks or self._indexes)
        gone = value is None and key not in self._values
        old = self._object(key) if told and key in self._values else None
        if gone:
            return
        if value is None:
            del self._values[key]
            self._keys.remove(key)
            self._decoded.pop(key, None)
        else:
            if key not in self._values:
                self._keys.add(key)
            self._values[key] = (value, revision)
            self._decoded.pop(key, None)
        if self._outline_callbacks:
            self._tell_outline(key, value, self._outline_callbacks)
        if not told:
            return
        new = None if value is None else self._object(key)
        for index in self._indexes.values():
            index.set(key, new)
        change = ObjectChange(old, new)
        for callback in self._callbacks:
            self._call(callback, change)

    def _call(self, callback: Callable[[ObjectChange], None], change: ObjectChange) -> None:
        try:
            callback(change)
        except Exception:
            log.bug("handler of changes failed", cache=self.name)

    def _object(self, key: str) -> Object:
        found = self._decoded.get(key)
        if found is None:
            value, revision = self._values[key]
            kept = self._served.kept_as
            found = codec.decode(value, revision, kept.api_version, kept.kind)
            if len(self._decoded) >= DECODED:
                del self._decoded[next(iter(self._decoded))]
            self._decoded[key] = found
        return found

    # --- the Protocol

    def __len__(self) -> int:
        return len(self._values)

    @property
    def is_synced(self) -> bool:
        return self._synced.is_set()

    async def synced(self) -> None:
        await self._synced.wait()

    def get(self, namespace: str, name: str) -> Object | None:
        key = keys.key(self._served.storage, namespace, name)
        return self._object(key) if key in self._values else None

    def all(self, namespace: str | None = None) -> list[Object]:
        if not self._values:  # of most kinds that admission asks about there are none
            return []
        prefix = keys.prefix(self._served.storage, namespace)
        return [self._object(key) for key in self._keys.under(prefix)]

    def on_change(self, callback: Callable[[ObjectChange], None]) -> None:
        self._callbacks.append(callback)
        for key in list(self._keys.under(self._prefix)):
            self._call(callback, ObjectChange(None, self._object(key)))

    def on_metadata(self, callback: Callable[[str, str, Metadata | None], None]) -> None:
        def tell(namespace: str, name: str, outline: Outline | None) -> None:
            callback(namespace, name, None if outline is None else outline.metadata)

        self.on_outline(tell)

    def on_outline(self, callback: Callable[[str, str, Outline | None], None]) -> None:
        self._outline_callbacks.append(callback)
        for key in list(self._keys.under(self._prefix)):
            self._tell_outline(key, self._values[key][0], [callback])

    def _tell_outline(
        self, key: str, value: bytes | None, callbacks: Sequence[Callable[[str, str, Outline | None], None]]
    ) -> None:
        namespace, _, name = key[len(self._prefix) :].rpartition("/")
        outline = None if value is None else _OUTLINE.decode(value)
        for callback in callbacks:
            try:
                callback(namespace, name, outline)
            except Exception:
                log.bug("handler of changes failed", cache=self.name)

    def index(self, name: str, keys: Callable[[Object], Iterable[str]]) -> None:
        if name in self._indexes:
            return
        made = self._indexes[name] = _Index(keys)
        for key in self._values:
            made.set(key, self._object(key))

    def by_index(self, name: str, key: str) -> list[Object]:
        return [self._object(found) for found in self._indexes[name].found.get(key, ())]
