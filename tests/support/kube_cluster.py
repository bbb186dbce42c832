"""A cluster in memory: the real registry over a memory store, simulated nodes, their agents and the gateway between."""

from __future__ import annotations

import asyncio
from typing import Any

from ropewalk.agents.gateway import Gateway
from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.bootstrap import Address, bootstrap
from ropewalk.kube.kinds.catalogue import catalogue
from ropewalk.kube.kinds.core.bindings import bind, check_binding
from ropewalk.kube.kinds.core.pods import Pods
from ropewalk.kube.kinds.definitions import definitions
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.admission import AdmitAll
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.recorder import Events
from ropewalk.kube.machinery.registry.aspects import Aspect, nothing
from ropewalk.kube.machinery.registry.inside import InsideApi
from ropewalk.kube.machinery.registry.registry import Registry
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.registry.subresources import Subresources
from ropewalk.kube.machinery.registry.writing import Proposal
from ropewalk.kube.machinery.requests import Call
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.machinery.strategy import Strategy
from ropewalk.kube.scheduler.scheduler import Scheduler
from ropewalk.kube.simulated_nodes import SimulatedNodes, named
from ropewalk.model.agent import STATUSES, WORKLOADS
from ropewalk.model.ids import Owner
from ropewalk.model.status import WorkloadStatus
from ropewalk.model.workload import Workload
from ropewalk.node.simulated import SimulatedMachines
from ropewalk.runtime.controller import Runnable
from ropewalk.runtime.table import Table
from ropewalk.store.memory import MemoryStore
from support.agents import MemoryLogSink, Roles

PODS, NODES = GroupResource("", "pods"), GroupResource("", "nodes")
SERVICE_ACCOUNTS = GroupResource("", "serviceaccounts")
OWNER = Owner("cluster-1")


class _Plain(Strategy):
    has_status = True

    def name_problems(self, name: str, *, prefix: bool) -> list[str]:
        return []


class _Strategies(dict[GroupResource, Strategy]):
    """Pods by their own rules, everything else by none."""

    def __missing__(self, resource: GroupResource) -> Strategy:
        return _Plain()


class Cluster:
    def __init__(self, nodes: int = 2, zones: tuple[str, ...] = ("us-east-1a", "us-east-1b")) -> None:
        self.clock = VirtualClock(settle_rounds=300)
        self.entropy = SeededEntropy(1)
        self.store = MemoryStore(self.entropy, clock=self.clock)
        self.registry = Registry(self.store, self.clock, self.entropy)
        self.registry.serve(catalogue(definitions(), _Strategies({PODS: Pods()})))
        creators = {(PODS, "binding"): self._bind, (SERVICE_ACCOUNTS, "token"): self._give_token}
        self.api = InsideApi(self.registry, Subresources(creators=creators))
        self.registry.admit_through(AdmitAll(), self.api)
        self.gateway = Gateway(
            self.store,
            OWNER,
            clock=self.clock,
            entropy=self.entropy,
            log_sink=MemoryLogSink(),
            role_sessions=Roles(self.clock),
        )
        self.events = Events(self.api, self.clock)
        self.scheduler = Scheduler(self.api, self.events.recorder("default-scheduler"), self.clock, seed=1)
        made = named(nodes, zones)
        self.nodes = SimulatedNodes(made, self.api, self.store, OWNER, self.clock, self.entropy)
        self.machines = SimulatedMachines(
            [node.name for node in made], OWNER, self.gateway.handle, self.clock, self.entropy
        )
        self.workloads = Table(self.store, WORKLOADS, Workload)
        self.statuses = Table(self.store, STATUSES, WorkloadStatus)
        self.tokens: list[dict[str, Any]] = []
        """Every request for one."""
        self._tasks: list[asyncio.Task[None]] = []
        self._runnables: list[Runnable] = [
            *(self.registry.feeds, self.gateway, self.machines, self.nodes, self.events, self.scheduler)
        ]

    async def _bind(self, served: Served, namespace: str, name: str, body: Object, call: Call) -> Object:
        check_binding(name, body)

        async def bound(old: Object) -> Proposal:
            return Proposal(bind(old, body, times.rfc3339(self.clock.wall())))

        door = Aspect("binding", nothing, nothing, lambda strategy, new, old, errors: None)
        await self.registry.writer.update(served, namespace, name, bound, call, {}, aspect=door)
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

    async def _give_token(self, served: Served, namespace: str, name: str, body: Object, call: Call) -> Object:
        self.tokens.append(body)
        until = times.rfc3339(self.clock.wall() + body["spec"]["expirationSeconds"])
        return body | {"status": {"token": f"{name}-{len(self.tokens)}", "expirationTimestamp": until}}

    async def up(self) -> Cluster:
        for runnable in self._runnables:
            self._tasks.append(asyncio.get_running_loop().create_task(runnable.run()))
        await bootstrap(self.api, Address("10.96.0.1", "", 6443), {})
        await self.clock.advance(3.0)
        return self

    async def again(self, runnable: Runnable) -> None:
        """Its run is ended, and begun once more."""
        number = self._runnables.index(runnable)
        self._tasks[number].cancel()
        await asyncio.gather(self._tasks[number], return_exceptions=True)
        self._tasks[number] = asyncio.get_running_loop().create_task(runnable.run())

    async def down(self) -> None:
        self.gateway.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.registry.close()

    async def run(self, name: str, *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
        """Create a pod and let half a second pass."""
        await self.create(name, *containers, **spec)
        await self.clock.advance(0.5)
        return await self.pod(name)

    async def create(self, name: str, *containers: dict[str, Any], **spec: Any) -> None:
        made = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"containers": list(containers or [web()])} | spec,
        }
        await self.api.create(PODS, made, namespace="default")

    async def pod(self, name: str) -> dict[str, Any]:
        return await self.api.get(PODS, "default", name)


def web(name: str = "web", *command: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "nginx"} | ({"command": list(command)} if command else {}) | fields


def condition(obj: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(each for each in obj["status"]["conditions"] if each["type"] == kind)
