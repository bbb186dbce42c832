"""What only etcd can get wrong: its server going away, several clients, several installations in one etcd."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest

from ropewalk.base.entropy import SystemEntropy
from ropewalk.store.etcd.store import EtcdStore
from ropewalk.store.protocol import Identity, Revision, StoreError, StoreUnavailable
from support.etcd import EtcdServer, etcd_server

DEADLINE = 20.0
ENTROPY = SystemEntropy()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
    with etcd_server(tmp_path_factory.mktemp("etcd")) as started:
        yield started


async def opened(server: EtcdServer, prefix: str) -> EtcdStore:
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                return await EtcdStore.open(server.address, prefix, ENTROPY)
            except StoreError:
                await asyncio.sleep(0.05)


@pytest.fixture
async def store(server: EtcdServer, request: pytest.FixtureRequest) -> AsyncIterator[EtcdStore]:
    store = await opened(server, f"/{request.node.name}")
    yield store
    await store.close()


async def test_installations_do_not_see_each_other(store: EtcdStore, server: EtcdServer) -> None:
    # one's prefix is the beginning of the other's
    other = await opened(server, f"/{test_installations_do_not_see_each_other.__name__}2")
    try:
        assert store.identity.store_id != other.identity.store_id
        start = store.revision
        await other.create("/a", b"theirs")
        await other.acquire("leader", "they", 60)
        mine = await store.create("/a", b"mine")
        assert (await store.acquire("leader", "me", 60)).holder == "me"
        assert [entry.value for entry in (await store.list("")).entries] == [b"mine"]
        async with asyncio.timeout(DEADLINE), aclosing(store.watch("", start)) as events:
            assert (await anext(events)).revision == mine
    finally:
        await other.close()


async def test_clients_of_one_store_share_identity_epoch_and_keys(store: EtcdStore, server: EtcdServer) -> None:
    second = await opened(server, f"/{test_clients_of_one_store_share_identity_epoch_and_keys.__name__}")
    try:
        assert second.identity == store.identity
        start = second.revision
        async with asyncio.timeout(DEADLINE), aclosing(second.watch("/", start)) as events:
            revision = await store.create("/a", b"x")
            assert (await anext(events)).revision == revision
        await store.bump_epoch()
        wanted = Identity(store.identity.store_id, 2)
        async with asyncio.timeout(DEADLINE):
            while True:
                if second.identity == wanted:
                    break
                await asyncio.sleep(0.02)
        assert store.identity == wanted
    finally:
        await second.close()


async def test_a_watch_outlives_its_server(store: EtcdStore, server: EtcdServer) -> None:
    start = await store.create("/a", b"before")
    async with asyncio.timeout(DEADLINE), aclosing(store.watch("/", Revision(start - 1))) as events:
        assert (await anext(events)).value == b"before"
        waiting = asyncio.ensure_future(anext(events))
        server.stop()
        with pytest.raises(StoreUnavailable):
            await store.get("/a")
        assert not waiting.done()
        server.start()
        while True:
            try:
                revision = await store.create("/b", b"after")
                break
            except StoreUnavailable:
                await asyncio.sleep(0.05)
        event = await waiting
        assert (event.key, event.value, event.revision) == ("/b", b"after", revision)
    entry = await store.get("/a")
    assert entry is not None and entry.value == b"before"


async def test_an_address_without_a_server_says_so() -> None:
    with pytest.raises(StoreUnavailable):
        await EtcdStore.open("127.0.0.1:1", "/x", ENTROPY)
