"""Temporary keys of workloads' roles: fetched from the control plane, kept until near their end, then fetched anew.

While the control plane is away, or gives no further keys (the role's trust was withdrawn), the keys at hand are given
as long as they are valid, as the ECS agent does.
"""

from __future__ import annotations

import asyncio

from ropewalk.base.clock import Clock
from ropewalk.base.log import logger
from ropewalk.model.ids import MachineId, WorkloadUid
from ropewalk.model.readers import TemporaryKeys
from ropewalk.node.transport import NotGiven, Transport, TransportFailure

log = logger(__name__)

ROTATE_BEFORE = 15 * 60.0
"""Seconds before their end at which keys are replaced: SDKs refresh theirs from five minutes before."""
ROTATE_SHARE = 0.25
"""Short-lived keys are replaced when this share of their time is left."""


class CredentialCache:
    def __init__(self, machine: MachineId, transport: Transport, clock: Clock) -> None:
        self._machine = machine
        self._transport = transport
        self._clock = clock
        self._held: dict[tuple[str, str], tuple[TemporaryKeys, float]] = {}
        """(workload, name) → keys and when to replace them."""
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    async def get(self, workload: WorkloadUid, name: str) -> TemporaryKeys:
        """Raises `NotGiven` or `TransportFailure` where nothing valid is at hand."""
        key = (workload, name)
        async with self._locks.setdefault(key, asyncio.Lock()):
            now = self._clock.wall()
            keys, replace_at = self._held.get(key, (None, 0.0))
            if keys is not None and now < replace_at:
                return keys
            try:
                fresh = await self._transport.credentials(self._machine, workload, name)
            except (NotGiven, TransportFailure) as refused:
                if keys is None or now >= keys.expires_at:
                    raise
                log.warning("keys are not replaced", workload=workload, credential=name, reason=refused)
                return keys
            lifetime = fresh.expires_at - now
            self._held[key] = (fresh, fresh.expires_at - min(ROTATE_BEFORE, lifetime * ROTATE_SHARE))
            return fresh

    def forget(self, workload: str) -> None:
        for key in [k for k in self._held if k[0] == workload]:
            del self._held[key]
        for key in [k for k in self._locks if k[0] == workload]:
            del self._locks[key]
