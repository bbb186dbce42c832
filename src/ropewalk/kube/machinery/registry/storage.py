"""The cluster's store as the registry uses it: resources' prefixes, values as they are read.

What is stored of some resources (secrets) is transformed on its way: encrypted at rest. Everybody above sees plain
values only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ropewalk.kube.machinery.registry import keys
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.store.protocol import MAX_PAGE, Entry, OutOfBounds, Page, Revision, Store


class Transformer(Protocol):
    """Between the value and what is stored of it. `key` binds a value to its place."""

    def seal(self, key: str, value: bytes) -> bytes: ...

    def open(self, key: str, stored: bytes) -> bytes:
        """Raises `ValueError` where the stored bytes are not what `seal` made for this key."""
        ...


class Storage:
    def __init__(self, store: Store, transformers: Mapping[GroupResource, Transformer] | None = None) -> None:
        self.store = store
        self._transformers = {keys.prefix(resource): found for resource, found in (transformers or {}).items()}

    @property
    def revision(self) -> Revision:
        return self.store.revision

    def opened(self, key: str, stored: bytes) -> bytes:
        transformer = self._transformer(key)
        return stored if transformer is None else transformer.open(key, stored)

    async def get(self, key: str) -> Entry | None:
        try:
            entry = await self.store.get(key)
        except OutOfBounds:
            return None  # clients ask for any name; nothing is stored under this one
        if entry is None or not self._transformers:
            return entry
        return self._plain(entry)

    async def page(self, prefix: str, *, after: str = "", limit: int = MAX_PAGE, revision: int | None = None) -> Page:
        page = await self.store.list(
            prefix, after=after, limit=limit, revision=None if revision is None else Revision(revision)
        )
        if not self._transformers or self._transformer(prefix) is None:
            return page
        return Page(tuple(self._plain(entry) for entry in page.entries), page.revision, page.remaining)

    async def create(self, key: str, value: bytes) -> Revision:
        return await self.store.create(key, self._sealed(key, value))

    async def update(self, key: str, value: bytes, expected: Revision) -> Revision:
        return await self.store.update(key, self._sealed(key, value), expected)

    async def delete(self, key: str, expected: Revision) -> Revision:
        return await self.store.delete(key, expected)

    def _plain(self, entry: Entry) -> Entry:
        value = self.opened(entry.key, entry.value)
        return entry if value is entry.value else Entry(entry.key, value, entry.revision, entry.created)

    def _sealed(self, key: str, value: bytes) -> bytes:
        transformer = self._transformer(key)
        return value if transformer is None else transformer.seal(key, value)

    def _transformer(self, key: str) -> Transformer | None:
        for prefix, transformer in self._transformers.items():
            if key.startswith(prefix):
                return transformer
        return None
