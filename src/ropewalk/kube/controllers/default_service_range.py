"""The ServiceCIDR `kubernetes`, which says what range the cluster was configured with: made at start, and again
whenever it is gone. It is never changed to follow the configuration, but for a second family that comes to the first.
https://kubernetes.io/docs/reference/networking/virtual-ips/#ip-address-objects
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.base.clock import Clock
from ropewalk.kube.controllers.following import ensure, found
from ropewalk.kube.controllers.service_cidrs import found_ready, ready_condition, set_ready
from ropewalk.kube.kinds.core.service_addresses import SERVICE_CIDRS
from ropewalk.kube.kinds.core.service_ranges import DEFAULT_CIDR
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, copied, metadata
from ropewalk.kube.machinery.recorder import Recorder

EVERY_SECONDS = 10.0
READY = "Kubernetes default Service CIDR is ready"


class DefaultServiceRange:
    """A `Runnable`, of every server."""

    name = "default service range"

    def __init__(self, api: Api, ranges: Sequence[str], recorder: Recorder, clock: Clock) -> None:
        self._api = api
        self._ranges = list(ranges)
        self._recorder = recorder
        self._clock = clock
        self._told: set[str] = set()

    async def run(self) -> None:
        while True:
            await self._clock.sleep(EVERY_SECONDS)
            await self.sync()

    async def sync(self) -> None:
        """Make it be there and say that it is ready."""
        wanted: Object = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "ServiceCIDR",
            "metadata": {"name": DEFAULT_CIDR},
            "spec": {"cidrs": self._ranges},
        }
        await ensure(self._api, SERVICE_CIDRS, wanted)
        present = await found(self._api, SERVICE_CIDRS, "", DEFAULT_CIDR)
        if present is None or metadata(present).get("deletionTimestamp"):
            return
        try:
            await self._settle(present)
        except StatusFault as fault:
            if fault.status not in (404, 409):  # another server was quicker, or it went meanwhile
                raise

    async def _settle(self, present: Object) -> None:
        cidrs = at(present, "spec", "cidrs") or []
        if len(self._ranges) == 2 and cidrs == self._ranges[:1]:
            changed = copied(present)
            changed["spec"]["cidrs"] = self._ranges
            await self._api.update(SERVICE_CIDRS, changed)
            return
        condition = found_ready(present)
        if cidrs != self._ranges:
            there, ours = (f"[{' '.join(ranges)}]" for ranges in (cidrs, self._ranges))
            note = f"The default ServiceCIDR {there} does not match the controller flag configurations {ours}"
            self._tell_once(present, "KubernetesDefaultServiceCIDRInconsistent", note)
        elif condition is None:
            await set_ready(self._api, present, ready_condition("True", "", READY), self._clock.wall())
        elif condition.get("status") == "False":
            note = f"Configuration matches, but {condition.get('message', '')}"
            self._tell_once(present, condition.get("reason", ""), note)

    def _tell_once(self, present: Object, reason: str, note: str) -> None:
        """Both are for people to mend; saying so every ten seconds would not help them."""
        if reason not in self._told:
            self._told.add(reason)
            self._recorder.record(present, reason, note, warning=True)
