"""Threads for what blocks: kernel calls of some milliseconds, and child processes. Bounded, one set a host agent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Workers:
    """Deleting a veth holds its thread for 15 to 25 ms: attaches have threads of their own beside it."""

    __slots__ = ("_quick", "_slow")

    def __init__(self, quick: int = 4, slow: int = 2) -> None:
        self._quick = ThreadPoolExecutor(quick, "host-network")
        self._slow = ThreadPoolExecutor(slow, "host-network-slow")

    async def quick(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._quick, work)

    async def slow(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._slow, work)

    def close(self) -> None:
        self._quick.shutdown()
        self._slow.shutdown()
