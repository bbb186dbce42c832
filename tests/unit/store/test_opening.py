"""Addresses of stores."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.store.memory import MemoryStore
from ropewalk.store.opening import open_store
from ropewalk.store.protocol import StoreError, StoreUnavailable
from ropewalk.store.sqlite import SqliteStore


async def test_an_address_names_its_backend(tmp_path: Path) -> None:
    memory = await open_store("memory:", SeededEntropy(1), VirtualClock())
    assert isinstance(memory, MemoryStore)
    sqlite = await open_store(f"sqlite:{tmp_path}/a%20b.db", SeededEntropy(1), VirtualClock())
    assert isinstance(sqlite, SqliteStore)
    await sqlite.close()
    assert {path.name for path in _files(tmp_path)} >= {"a b.db"}
    with pytest.raises(StoreUnavailable):
        await open_store("etcd://127.0.0.1:1/ropewalk", SeededEntropy(1), VirtualClock())
    assert "ropewalk.store.etcd.store" in sys.modules


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.mark.parametrize(
    "address", ["", "memory", "sqlite:", "sqlite://host/x", "etcd://h:1", "etcd:/x", "redis://h/x"]
)
async def test_an_address_that_names_none_is_refused(address: str) -> None:
    with pytest.raises(StoreError, match="names no store"):
        await open_store(address, SeededEntropy(1), VirtualClock())
