"""Events are kept an hour after they were last written, as kube-apiserver keeps them (--event-ttl)."""

from __future__ import annotations

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.kube.controllers.following import split
from ropewalk.kube.machinery.api import Api, Metadata
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.runtime.controller import DONE, Controller, RequeueAfter, Result

EVENTS = GroupResource("", "events")
KEPT_SECONDS = 3600.0


class EventExpiry:
    """A `Runnable`. After a restart every event counts from then."""

    name = "event expiry"

    def __init__(self, api: Api, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._clock = clock
        self._written: dict[str, float] = {}
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy)

    async def run(self) -> None:
        self._api.cache(EVENTS).on_metadata(self._observe)
        await self._controller.run()

    def _observe(self, namespace: str, name: str, found: Metadata | None) -> None:
        key = f"{namespace}/{name}"
        if found is None:
            self._written.pop(key, None)
            return
        if key not in self._written:
            self._controller.enqueue_after(key, KEPT_SECONDS)
        self._written[key] = self._clock.monotonic()

    async def _reconcile(self, key: str) -> Result:
        written = self._written.get(key)
        if written is None:
            return DONE
        left = written + KEPT_SECONDS - self._clock.monotonic()
        if left > 0:
            return RequeueAfter(left)
        namespace, name = split(key)
        try:
            await self._api.delete(EVENTS, namespace, name)
        except StatusFault as fault:
            if fault.status != 404:
                raise
        return DONE
