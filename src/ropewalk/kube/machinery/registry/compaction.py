"""History is kept for five to ten minutes, as kube-apiserver keeps it: older revisions are forgotten on a beat.

Clients rely on it in one way only: a continue token or a watch from before is answered 410, and they list again.
https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/ (--etcd-compaction-interval)
"""

from __future__ import annotations

from ropewalk.base.clock import Clock
from ropewalk.store.protocol import Revision, Store

INTERVAL_SECONDS = 300.0


class Compactor:
    """A `Runnable`, of the leader."""

    name = "compactor"

    def __init__(self, store: Store, clock: Clock, seconds: float = INTERVAL_SECONDS) -> None:
        self._store = store
        self._clock = clock
        self._seconds = seconds

    async def run(self) -> None:
        before = Revision(0)
        while True:
            await self._clock.sleep(self._seconds)
            if before:
                await self._store.compact(before)
            before = self._store.revision
