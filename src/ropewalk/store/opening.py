"""Which store an address names: the one door for whoever composes a process.

etcd's client is loaded only where it is asked for: gRPC costs a tenth of a second and 30 MB that most installations
never need.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.store.memory import MemoryStore
from ropewalk.store.protocol import Store, StoreError
from ropewalk.store.sqlite import SqliteStore


async def open_store(address: str, entropy: Entropy, clock: Clock, *, power_safe: bool = True) -> Store:
    """Open the store at `memory:`, `sqlite:PATH` or `etcd://HOST:PORT/PREFIX`.

    Raises `StoreError` where the address names none, `StoreClosed` where another process owns the file,
    `StoreUnavailable` where etcd does not answer. A plain etcd address is for loopback and trusted networks; for mutual
    TLS call `EtcdStore.open` with its `Credentials`. Without `power_safe` a SQLite file may not survive a power cut.
    """
    parts = urlsplit(address)
    if address == "memory:":
        return MemoryStore(entropy, clock=clock)
    if parts.scheme == "sqlite" and parts.path and not parts.netloc and not parts.query:
        return await SqliteStore.open(Path(unquote(parts.path)), entropy, clock=clock, power_safe=power_safe)
    if parts.scheme == "etcd" and parts.netloc and parts.path.strip("/") and not parts.query:
        from ropewalk.store.etcd.store import EtcdStore

        return await EtcdStore.open(parts.netloc, unquote(parts.path), entropy, clock=clock)
    raise StoreError(f"{address!r} names no store: write memory:, sqlite:PATH or etcd://HOST:PORT/PREFIX")
