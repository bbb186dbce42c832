"""The aws process's insides: every slice over one store, wired to each other through the Protocols they declare.

`build` makes and seeds them; `runnables` is what a supervisor keeps running. Which sockets it listens on, and whether
the machines are real, is the business of whoever calls.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import orjson

from ropewalk.agents.gateway import Gateway
from ropewalk.aws.front import Front, FrontSettings, Mount
from ropewalk.aws.identity import Identity
from ropewalk.aws.role_permissions import RolePermissions
from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.http.browsers import HostRules
from ropewalk.base.http.messages import Request, Response
from ropewalk.base.settings import DEFAULT_PORT, Settings
from ropewalk.daemon import admin
from ropewalk.daemon.installation import ClientKey
from ropewalk.model.host import AWS_ENDPOINT_ADDRESS
from ropewalk.model.ids import AWS_CONTROL_PLANE, MachineId
from ropewalk.runtime.controller import Runnable
from ropewalk.runtime.courtesy import Courtesy
from ropewalk.services import ec2, ecs, iam, logs, sts
from ropewalk.services.ecs.draining import stop_every_task
from ropewalk.store.protocol import Store

TASKS = "ecs-tasks.amazonaws.com"
"""Who assumes the roles of tasks."""


@dataclass(frozen=True, slots=True)
class ControlPlane:
    settings: Settings
    store: Store
    ec2: ec2.Ec2
    ecs: ecs.Ecs
    gateway: Gateway
    front: Front
    key: ClientKey
    """The administrator's, for `ropewalk env`."""
    courtesy: Courtesy
    """Requests of clients pass through its `first`, before the background work of earlier ones."""
    runnables: tuple[Runnable, ...]

    async def synced(self) -> None:
        """Returns once every cache holds what the store holds: answer requests only then."""
        await self.ecs.synced()
        await self.gateway.synced()

    async def handle_agents(self, request: Request) -> Response:
        """What the agents' socket answers: their protocol, and the administrator's door."""
        if not request.path.startswith("/admin/"):
            return await self.gateway.handle(request)
        if (request.method, request.path) == ("GET", admin.STATUS):
            return _json(self.status())
        if (request.method, request.path) == ("POST", admin.DRAIN):
            return _json({"remaining": await stop_every_task(self.ecs, "Ropewalk is going down")})
        return Response(404, {"content-type": "text/plain"}, b"no such route\n")

    def status(self) -> dict[str, Any]:
        """What `ropewalk status` shows of the control plane. `Any`: a document to print."""
        machines = [
            {
                "machine": facts.machine,
                "connected": self.gateway.connected(MachineId(facts.machine)),
                "cpu_millis": facts.cpu_millis,
                "memory_bytes": facts.memory_bytes,
                "runtime_version": facts.runtime_version,
                "isolations": list(facts.isolations),
            }
            for _, facts in self.ecs.machines.items()
        ]
        waiting_for = [] if any(m["connected"] for m in machines) else ["a machine agent"]
        if not self.settings.simulated and not self.gateway.hosts:
            waiting_for.append("the host agent")
        identity = self.store.identity
        return {
            "ready": not waiting_for,
            "waiting_for": ", ".join(waiting_for),
            "store": {"id": identity.store_id, "epoch": identity.epoch, "revision": self.store.revision},
            "machines": machines,
            "tasks": dict(Counter(head.status for _, head in self.ecs.task_heads.items())),
        }


def _json(document: object) -> Response:
    return Response(200, {"content-type": "application/json"}, orjson.dumps(document))


async def build(
    settings: Settings, store: Store, journal: logs.Journal, clock: Clock, entropy: Entropy
) -> ControlPlane:
    """Every slice, seeded. Nothing runs yet but what the store itself runs."""
    iam_slice = iam.Iam.over(store, clock, entropy, settings.account)
    admin_key = await iam.seed(iam_slice)
    sealer = await sts.load_sealer(store, entropy)
    identity = Identity(
        iam_slice.directory, sealer, settings.account, accept_any_credentials=settings.accept_any_credentials
    )
    sts_slice = sts.Sts(settings.account, clock, entropy, sealer, iam_slice.directory, identity)
    ec2_slice = ec2.Ec2.over(store, clock, entropy, settings)
    await ec2.seed(ec2_slice)
    logs_slice = logs.Logs.over(store, journal, clock, entropy, settings.region, settings.account)
    feed = ec2.FabricFeed(ec2_slice)
    courtesy = Courtesy(clock)
    gateway = Gateway(
        store,
        AWS_CONTROL_PLANE,
        clock=clock,
        entropy=entropy,
        log_sink=logs.JournalSink(logs_slice, RolePermissions(identity, clock, settings.region)),
        role_sessions=sts.WorkloadSessions(
            sts_slice, iam_slice.directory, TASKS, f"arn:aws:ecs:{settings.region}:{settings.account}:*"
        ),
        fabric_source=feed,
    )
    ecs_slice = ecs.assemble(
        store,
        clock,
        entropy,
        settings,
        network=ec2.NetworkViews(ec2_slice),
        roles=iam_slice.directory,
        log_groups=logs.GroupReader(logs_slice),
        connected=gateway.connected,
        turn=courtesy.turn,
    )
    await ecs.seed(ecs_slice)
    front = Front(
        [
            Mount("ecs", ecs.operations, ecs_slice),
            Mount("ec2", ec2.operations, ec2_slice),
            Mount("logs", logs.operations, logs_slice),
            Mount("iam", iam.operations, iam_slice),
            Mount("sts", sts.operations, sts_slice),
        ],
        authenticator=identity,
        authorizer=identity,
        clock=clock,
        entropy=entropy,
        settings=FrontSettings(
            region=settings.region,
            account=settings.account,
            hosts=HostRules(names=frozenset({AWS_ENDPOINT_ADDRESS}), ports=frozenset({settings.port, DEFAULT_PORT})),
        ),
    )
    runnables = (
        courtesy,
        *iam.controllers(iam_slice),
        *ec2.controllers(ec2_slice, feed),
        *logs.controllers(logs_slice),
        gateway,
        *ecs.controllers(ecs_slice),
    )
    key = ClientKey(admin_key.access_key_id, admin_key.secret_access_key)
    return ControlPlane(settings, store, ec2_slice, ecs_slice, gateway, front, key, courtesy, runnables)
