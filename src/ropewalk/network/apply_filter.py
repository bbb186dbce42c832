"""Bring a router's nftables table to the ruleset that is wanted. The only place that runs `nft`.

One process a transaction: 4 ms with its start, measured the same as a long-lived `nft -i`, whose errors cannot be told
apart. Changes that come while one runs are made together in the next.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from ropewalk.base.errors import Retryable
from ropewalk.base.log import logger
from ropewalk.network.command import Command
from ropewalk.network.namespaces import inside, open_namespace
from ropewalk.network.ruleset import TABLE, Ruleset, replacement, transaction
from ropewalk.network.workers import Workers

log = logger(__name__)
_TIMEOUT = 30.0


class FilterRefused(Retryable):
    """The kernel or nft refused a transaction: nothing of it took effect."""


def run_nft(command: Command, namespace: Path, text: str) -> None:
    """One transaction inside a namespace, in a worker thread. Raises FilterRefused with nft's own words."""
    descriptor = open_namespace(namespace)
    try:
        with inside(descriptor):
            done = subprocess.run(
                [*command.argv, "-f", "-"],
                input=text,
                env={**os.environ, **command.environment},
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
                check=False,
            )
    finally:
        os.close(descriptor)
    if done.returncode != 0:
        raise FilterRefused(f"nft: {done.stderr.strip()[:2000]}")


class FilterApplier:
    """Keeps one router's table as `desired()` says."""

    __slots__ = ("_applied", "_asked", "_command", "_desired", "_lock", "_namespace", "_present", "_workers", "changes")

    def __init__(self, command: Command, namespace: Path, desired: Callable[[], Ruleset], workers: Workers) -> None:
        self._command = command
        self._namespace = namespace
        self._desired = desired
        self._workers = workers
        self._lock = asyncio.Lock()
        self._asked = 0
        self._applied = 0
        self._present: Ruleset | None = None
        self.changes = 0
        """Transactions run: an unchanged ruleset runs none."""

    async def converge(self) -> None:
        """Return once a ruleset at least as new as now is in force.

        The first transaction of a process replaces the whole table at once (tracked flows go on): that adopts and
        heals whatever an earlier process left. Raises FilterRefused.
        """
        self._asked += 1
        ticket = self._asked
        async with self._lock:
            if self._applied >= ticket:
                return
            covered = self._asked
            desired = self._desired()
            await self._apply(desired)
            self._present = desired
            self._applied = covered

    async def _apply(self, desired: Ruleset) -> None:
        if self._present is not None:
            text = transaction(self._present, desired)
            if not text:
                return
            self._present, before = None, self._present
            try:
                await self._run(text)
            except FilterRefused as refused:
                log.warning("filter differs from what was applied, replacing it", table=TABLE, reason=refused.reason)
            else:
                self._present = before
                return
        await self._run(replacement(desired))

    async def _run(self, text: str) -> None:
        self.changes += 1
        await self._workers.quick(lambda: run_nft(self._command, self._namespace, text))
