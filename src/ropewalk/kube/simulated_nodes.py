"""Simulated nodes: `Node` objects that are Ready, their leases, and what runs pods on them. One `Runnable` for all.

Only the API's side stands here. The machines themselves are agents with fake runtimes (`node/simulated.py`) that speak
the production protocol with the cluster's gateway; this writes their workloads, reads their statuses and answers for
their nodes. One loop renews all leases, one after another, rather than a task a node.
https://kubernetes.io/docs/concepts/architecture/nodes/
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.log import logger
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, copied, uid_of
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.simulated_pods import PodRunner
from ropewalk.model.ids import Owner
from ropewalk.store.protocol import Store

log = logger(__name__)

NODES = GroupResource("", "nodes")
LEASES = GroupResource("coordination.k8s.io", "leases")
LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
RENEW_SECONDS = 10.0
"""The kubelet's lease duration and how often it renews it."""
RETRY_SECONDS = 1.0
CPU, MEMORY, STORAGE, PODS_A_NODE = "8", "32Gi", "100Gi", "110"
READY = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}
HEALTHY = (
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)


@dataclass(frozen=True, slots=True)
class SimulatedNode:
    """What one node is called and where it stands."""

    name: str
    number: int
    """From 0: its addresses follow from it."""
    zone: str
    region: str

    @property
    def address(self) -> str:
        return f"10.{192 + self.number // 62500}.{self.number // 250 % 250}.{self.number % 250 + 1}"

    @property
    def pod_range(self) -> str:
        """First three bytes of its pods' addresses."""
        return f"10.{200 + self.number // 256}.{self.number % 256}"


def named(count: int, zones: Sequence[str] = ("us-east-1a", "us-east-1b", "us-east-1c")) -> list[SimulatedNode]:
    """`simulated-0` and so on, over the zones in turn."""
    if not 0 <= count <= 5000:
        raise ValueError(f"a cluster has at most 5,000 nodes, not {count}")
    return [
        SimulatedNode(f"simulated-{n}", n, zones[n % len(zones)], zones[n % len(zones)].rstrip("abcdefghij"))
        for n in range(count)
    ]


class SimulatedNodes:
    """A `Runnable`. `owner` is the cluster, as its gateway and the machines' agents call it."""

    name = "simulated-nodes"

    def __init__(
        self, nodes: Sequence[SimulatedNode], api: Api, store: Store, owner: Owner, clock: Clock, entropy: Entropy
    ) -> None:
        self._nodes = tuple(nodes)
        self._api = api
        self._clock = clock
        self._entropy = entropy
        self._leases: dict[str, Object] = {}
        hosts = {node.name: node.address for node in nodes}
        ranges = {node.name: node.pod_range for node in nodes}
        self.pods = PodRunner(hosts, ranges, api, store, owner, clock, entropy)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.pods.run())
            group.create_task(self._keep_nodes())

    async def _keep_nodes(self) -> None:
        for node in self._nodes:
            await self._insist(node)
        while True:
            for node in self._nodes:
                await self._clock.sleep(RENEW_SECONDS / len(self._nodes))
                try:
                    await self._renew(node)
                except StatusFault as fault:
                    log.warning("a simulated node's lease was not renewed", node=node.name, reason=fault.message)
            if not self._nodes:
                await self._clock.sleep(RENEW_SECONDS)

    async def _insist(self, node: SimulatedNode) -> None:
        """Register until it worked: namespaces and admission may come up a moment later."""
        while True:
            try:
                await self._register(node)
                return
            except StatusFault as fault:
                log.warning("a simulated node was not registered yet", node=node.name, reason=fault.message)
                await self._clock.sleep(RETRY_SECONDS)

    async def _register(self, node: SimulatedNode) -> None:
        made = node_object(node, self._clock.wall(), self._entropy)
        status = made.pop("status")
        try:
            present = await self._api.create(NODES, made)
        except StatusFault as fault:
            if fault.reason != "AlreadyExists":
                raise
            present = await self._api.get(NODES, "", node.name)
        if at(present, "status", "nodeInfo", "bootID"):  # a restart of ours is none of the node's
            status["nodeInfo"] = present["status"]["nodeInfo"]
        await self._api.patch(NODES, "", node.name, {"status": status}, subresource="status")
        await self._renew(node, uid_of(present))

    async def _renew(self, node: SimulatedNode, node_uid: str = "") -> None:
        now = times.rfc3339_micro(self._clock.wall())
        lease = self._leases.get(node.name)
        if lease is None:
            lease = await self._lease(node, node_uid, now)
        renewed = copied(lease)
        renewed["spec"] |= {"holderIdentity": node.name, "renewTime": now}
        try:
            self._leases[node.name] = await self._api.update(LEASES, renewed)
        except StatusFault:
            self._leases.pop(node.name, None)  # changed or removed by others: read it anew next time
            raise

    async def _lease(self, node: SimulatedNode, node_uid: str, now: str) -> Object:
        if not node_uid:
            node_uid = uid_of(await self._api.get(NODES, "", node.name))
        owner = {"apiVersion": "v1", "kind": "Node", "name": node.name, "uid": node_uid}
        made = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": node.name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]},
            "spec": {"holderIdentity": node.name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now},
        }
        try:
            return await self._api.create(LEASES, made, namespace=LEASE_NAMESPACE)
        except StatusFault as fault:
            if fault.reason != "AlreadyExists":
                raise
            return await self._api.get(LEASES, LEASE_NAMESPACE, node.name)


def node_object(node: SimulatedNode, now: float, entropy: Entropy) -> Object:
    """The node as its kubelet would register it, status included."""
    stamp = times.rfc3339(now)
    room = {"cpu": CPU, "memory": MEMORY, "ephemeral-storage": STORAGE, "pods": PODS_A_NODE}
    labels = {
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": node.zone,
        "topology.kubernetes.io/region": node.region,
    }
    times_of_condition = {"lastHeartbeatTime": stamp, "lastTransitionTime": stamp}
    conditions = [
        {"type": kind, "status": "False", "reason": reason, "message": message} | times_of_condition
        for kind, reason, message in HEALTHY
    ]
    cidr = f"{node.pod_range}.0/24"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": labels},
        "spec": {"podCIDR": cidr, "podCIDRs": [cidr], "providerID": f"simulated://{node.zone}/{node.name}"},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": node.address},
                {"type": "Hostname", "address": node.name},
            ],
            "capacity": room,
            "allocatable": dict(room),
            "conditions": [*conditions, READY | times_of_condition],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": entropy.uuid(),
                "containerRuntimeVersion": "fake://1",
                "kernelVersion": "simulated",
                "kubeProxyVersion": "",
                "kubeletVersion": "v1.35.4",
                "machineID": entropy.hex(32),
                "operatingSystem": "linux",
                "osImage": "Ropewalk simulated node",
                "systemUUID": entropy.uuid(),
            },
        },
    }
