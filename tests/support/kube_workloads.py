"""What happens to pods outside their controllers, for tests: a scheduler that never minds and a kubelet that may fail.

`Hands` acts through a server's API as users, schedulers and kubelets do: pods are bound, become ready, fail, and are
gone once they were asked to go.
"""

from __future__ import annotations

from typing import Any

from ropewalk.base.clock import VirtualClock
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.admission import AdmitAll
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.pod_subresources import PodSubresources
from support.kube_front import Server

PODS = GroupResource("", "pods")
EVENTS = GroupResource("", "events")


def workload_server(**given: Any) -> Server:
    """A server on which pods can be bound."""
    creators: dict[Any, Any] = {}
    server = Server(**given, subresources={"creators": creators})
    pods = PodSubresources(server.api, server.registry.writer, AdmitAll(), server.clock)
    creators[PODS, "binding"] = pods.bind
    return server


class Hands:
    def __init__(self, api: Api, clock: VirtualClock) -> None:
        self.api = api
        self.clock = clock

    async def pods(self, namespace: str = "default") -> list[dict[str, Any]]:
        return await self.api.list(PODS, namespace)

    async def bind(self, pod: dict[str, Any], node: str = "n-1") -> None:
        meta = {key: pod["metadata"][key] for key in ("name", "namespace", "uid")}
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": meta, "target": target}
        await self.api.create(PODS, binding, namespace=meta["namespace"], subresource="binding", name=meta["name"])

    async def report(self, pod: dict[str, Any], phase: str = "Running", *, ready: bool = True, **more: Any) -> None:
        since = next((c for c in pod["status"].get("conditions", ()) if c["type"] == "Ready"), {})
        status = "True" if ready else "False"
        now = times.rfc3339(self.clock.wall())
        at = since["lastTransitionTime"] if since.get("status") == status else now
        condition = {"type": "Ready", "status": status, "lastTransitionTime": at}
        address = {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]}
        patch = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"phase": phase, "conditions": [condition]}}
        patch["status"] |= address | more
        await self._try(self.api.patch(PODS, *_place(pod), patch, subresource="status"))

    async def finish(self, pod: dict[str, Any]) -> None:
        """What was asked to go is gone."""
        await self._try(self.api.delete(PODS, *_place(pod), uid=pod["metadata"]["uid"], grace_seconds=0))

    async def advance_all(self, *, node: str = "n-1") -> None:
        """Every pod takes one step of its life."""
        for pod in await self.pods():
            await self.step(pod, node=node)

    async def step(self, pod: dict[str, Any], *, node: str = "n-1") -> None:
        if "deletionTimestamp" in pod["metadata"]:
            await self.finish(pod)
        elif "nodeName" not in pod["spec"]:
            await self._try(self.bind(pod, node))
        elif pod["status"].get("phase") not in ("Failed", "Succeeded"):
            await self.report(pod)

    async def settle(self, rounds: int = 6) -> None:
        """Pods live and controllers follow until nothing more happens."""
        for _ in range(rounds):
            await self.clock.advance(1.0)
            await self.advance_all()
        await self.clock.advance(1.0)

    async def told(self) -> list[tuple[str, str]]:
        """(reason, message) of each event, in order."""
        await self.clock.advance(0.1)
        events = await self.api.list(EVENTS, "default")
        return [(event["reason"], event["message"]) for event in sorted(events, key=_order)]

    async def _try(self, step: Any) -> None:
        try:
            await step
        except StatusFault as fault:
            if fault.reason not in ("NotFound", "Conflict"):
                raise


def _order(event: dict[str, Any]) -> int:
    return int(event["metadata"]["name"].rsplit(".", 1)[1], 16)


def _place(pod: dict[str, Any]) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]
