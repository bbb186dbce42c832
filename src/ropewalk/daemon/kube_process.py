"""The kube process: one cluster's API server and the controllers that make it whole, in one event loop.

The listener opens before the cluster's own objects are made, so that `/readyz` can say what is missing; the kubeconfig
is written last of all.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from ropewalk import __version__
from ropewalk.base.clock import Clock, SystemClock
from ropewalk.base.entropy import Entropy, SystemEntropy
from ropewalk.base.errors import Fault
from ropewalk.base.http.server import HttpServer, Limits
from ropewalk.base.settings import Settings
from ropewalk.daemon.kube_clusters import KubeCluster, give_to_invoker, keys_folder, kubeconfig_file, load
from ropewalk.kube.apiserver import ApiServer, ClusterConfig
from ropewalk.kube.machinery.http import answers
from ropewalk.kube.machinery.http.bodies import BODY_BYTES
from ropewalk.kube.security.audit_policy import DEFAULT, AuditPolicy, parse_policy
from ropewalk.kube.security.pki import kubeconfig, write_private
from ropewalk.runtime.controller import Runnable
from ropewalk.runtime.election import LeaderElection
from ropewalk.runtime.supervisor import Supervisor
from ropewalk.store.opening import open_store
from ropewalk.store.protocol import Store

STORE_FILE = "kube.db"
LEASE = "kube/leader"
"""Of the one replica whose controllers work."""
CONNECTIONS = 16_384


async def serve(settings: Settings) -> None:
    cluster = load(settings.home)
    if cluster is None:
        raise Fault("NotStarted", f"There is no cluster in {settings.home}")
    clock, entropy = SystemClock(), SystemEntropy()
    store = await open_store(cluster.store or f"sqlite:{settings.home / STORE_FILE}", entropy, clock)
    try:
        await serve_cluster(settings, cluster, store, clock, entropy)
    finally:
        await store.close()


async def serve_cluster(settings: Settings, cluster: KubeCluster, store: Store, clock: Clock, entropy: Entropy) -> None:
    config = ClusterConfig(
        cluster.name,
        keys_folder(settings, cluster),
        settings.logs,
        service_range=cluster.service_range,
        advertised=cluster.advertised,
        port=cluster.port,
        audit_policy=_audit_policy(cluster),
    )
    server = ApiServer.build(config, store, clock, entropy)
    led = [*server.led, *_machines(cluster, server, store)]

    async def lead(term: int) -> None:
        await Supervisor(clock).run(led)

    # A name that stays: a replica that was killed and comes back goes on leading, instead of waiting for itself.
    election = LeaderElection(store, LEASE, f"replica-{cluster.replica}", lead, clock=clock)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Supervisor(clock).run([*server.runnables, election]))
        tasks.create_task(_listen(settings, cluster, server, clock))


def _audit_policy(cluster: KubeCluster) -> AuditPolicy:
    return parse_policy(Path(cluster.audit_policy).read_bytes()) if cluster.audit_policy else DEFAULT


def _machines(cluster: KubeCluster, server: ApiServer, store: Store) -> list[Runnable]:
    """Fake nodes, and the fake machines behind them."""
    if not cluster.simulated_nodes:
        return []
    from ropewalk.kube.simulated_nodes import SimulatedNodes, named
    from ropewalk.node.simulated import SimulatedMachines

    clock, entropy, owner = SystemClock(), SystemEntropy(), server.config.owner
    nodes = named(cluster.simulated_nodes)
    names = [node.name for node in nodes]
    return [
        SimulatedMachines(names, owner, server.gateway.handle, clock, entropy, __version__),
        SimulatedNodes(nodes, server.api.acting_as("kubelet"), store, owner, clock, entropy),
    ]


async def _listen(settings: Settings, cluster: KubeCluster, server: ApiServer, clock: Clock) -> None:
    limits = Limits(connections=CONNECTIONS, body_bytes=BODY_BYTES)
    http = HttpServer(server.front.handle, name="kube", clock=clock, limits=limits, refuse=answers.refusal)
    await http.serve_tcp("127.0.0.1", cluster.port, tls=server.keys.server_context())
    try:
        await server.start()
        path = kubeconfig_file(settings.home)
        write_private(path, kubeconfig(server.keys, f"https://127.0.0.1:{cluster.port}", cluster.name))
        give_to_invoker(path)
        await asyncio.get_running_loop().create_future()
    finally:
        server.close()
        await http.close()
