"""Controllers that are killed and hindered in their work: two servers on one store, in virtual time, by seed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.admission.namespace_lifecycle import NamespaceLifecycle
from ropewalk.kube.controllers.garbage_collector import GarbageCollector
from ropewalk.kube.controllers.namespace_contents import NamespaceContents
from ropewalk.kube.controllers.namespaces import NamespaceController
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.registry.inside import InsideApi
from ropewalk.runtime.controller import Runnable
from ropewalk.store.memory import MemoryStore
from ropewalk.store.protocol import (
    MAX_PAGE,
    Compacted,
    Entry,
    Event,
    Identity,
    Lease,
    Page,
    Revision,
    StoreUnavailable,
    WrongRevision,
)
from support.kube_front import Server


class Hindered:
    """A store as the controllers see it on bad days: what they write conflicts, fails, or happens without an answer."""

    def __init__(self, inner: MemoryStore, rng: random.Random) -> None:
        self.inner = inner
        self.random = rng
        self.badness = 0.0
        self.watches_keep_up = True
        self.loses_watches = False
        self.hearing = asyncio.Event()
        """Cleared, watches of `deaf_to` tell nothing; what they had to tell comes later."""
        self.deaf_to = "/"
        self.hearing.set()

    @property
    def identity(self) -> Identity:
        return self.inner.identity

    @property
    def revision(self) -> Revision:
        return self.inner.revision

    def _before(self, key: str) -> None:
        if self.random.random() < self.badness:
            if self.random.random() < 0.5:
                raise StoreUnavailable("not now", after=0.2)
            raise WrongRevision(key, 0, 0)

    def _after(self) -> None:
        if self.random.random() < self.badness / 2:
            raise StoreUnavailable("no answer came", after=0.2)

    async def bump_epoch(self) -> Identity:
        return await self.inner.bump_epoch()

    async def get(self, key: str) -> Entry | None:
        if self.random.random() < self.badness / 4:
            raise StoreUnavailable("not now", after=0.2)
        return await self.inner.get(key)

    async def list(
        self, prefix: str, *, after: str = "", limit: int = MAX_PAGE, revision: Revision | None = None
    ) -> Page:
        if self.random.random() < self.badness / 4:
            raise StoreUnavailable("not now", after=0.2)
        return await self.inner.list(prefix, after=after, limit=limit, revision=revision)

    async def create(self, key: str, value: bytes) -> Revision:
        made = await self.inner.create(key, value)
        self._after()
        return made

    async def update(self, key: str, value: bytes, expected: Revision) -> Revision:
        self._before(key)
        made = await self.inner.update(key, value, expected)
        self._after()
        return made

    async def delete(self, key: str, expected: Revision | None = None) -> Revision:
        self._before(key)
        made = await self.inner.delete(key, expected)
        self._after()
        return made

    async def watch(self, prefix: str, after: Revision) -> AsyncGenerator[Event, None]:
        async with aclosing(self.inner.watch(prefix, after)) as events:
            async for event in events:
                if prefix.startswith(self.deaf_to):
                    await self.hearing.wait()
                if self.loses_watches and self.random.random() < self.badness / 10:
                    raise Compacted(int(event.revision))
                yield event

    async def compact(self, before: Revision) -> None:
        await self.inner.compact(before)

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease:
        return await self.inner.acquire(name, holder, seconds)

    async def release(self, name: str, holder: str) -> None:
        await self.inner.release(name, holder)

    async def close(self) -> None:
        await self.inner.close()


class Lifecycle:
    """Admission: nothing new in a namespace that is going."""

    def __init__(self, api: InsideApi) -> None:
        self._plugin = NamespaceLifecycle(api)

    async def mutate(self, admission: Admission) -> None:
        if self._plugin.concerns(admission.info, admission.subresource, admission.operation)[0]:
            await self._plugin.mutate(admission)

    async def validate(self, admission: Admission) -> None: ...


class World:
    """Two servers on one store: the users' works, the controllers' is hindered and dies now and then."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = VirtualClock(settle_rounds=30)
        self.entropy = SeededEntropy(seed)
        self.store = MemoryStore(self.entropy, clock=self.clock)
        self.hindered = Hindered(self.store, random.Random(seed + 1))
        self.server = Server(self.store, self.clock, seed=seed + 2, chain=Lifecycle)
        self.controlling: Server
        self.lives = 0

    async def up(self) -> None:
        await self.server.start()
        made = await self.server.post("/api/v1/namespaces", {"metadata": {"name": "default"}})
        assert made.status == 201
        await self.begin_controllers()

    async def begin_controllers(self) -> None:
        self.lives += 1
        self.controlling = Server(self.hindered, self.clock, seed=self.lives, chain=Lifecycle)
        await self.controlling.start(*self.controllers(self.controlling.api, SeededEntropy(self.lives)))

    def controllers(self, api: InsideApi, entropy: SeededEntropy) -> list[Runnable]:
        """Those whose process it is."""
        return [
            GarbageCollector(api, self.clock, entropy),
            NamespaceController(api, self.clock, entropy),
            NamespaceContents(api, b"certificate", self.clock, entropy),
        ]

    async def restart(self) -> None:
        await self.controlling.stop()
        await self.clock.advance(self.random.choice((0.0, 1.0, 40.0)))
        await self.begin_controllers()

    async def down(self) -> None:
        await self.controlling.stop()
        await self.server.stop()
