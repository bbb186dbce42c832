"""The ecs slice's centre: what its handlers and reconcilers hold, and the table of its operations.

Other slices are seen only through the readers of `model/readers.py` and through the store. Resource modules import this
one and add their operations; the package's `__init__` imports them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ropewalk.aws.operations import Operations
from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.settings import Settings
from ropewalk.model.agent import MACHINES, STATUSES, WORKLOADS, MachineFacts
from ropewalk.model.ids import MachineId
from ropewalk.model.network import INTERFACE_CLAIMS, InterfaceClaim
from ropewalk.model.readers import LogGroupReader, NetworkReader, RoleReader
from ropewalk.model.status import WorkloadStatus
from ropewalk.model.workload import Workload
from ropewalk.runtime.controller import Turn, at_once
from ropewalk.runtime.informer import Change, Informer
from ropewalk.runtime.table import Table
from ropewalk.services.ecs.index import DefinitionIndex, TaskIndex
from ropewalk.services.ecs.locks import KeyedLocks
from ropewalk.services.ecs.names import Arns
from ropewalk.services.ecs.records import (
    CLUSTERS,
    DEFINITIONS,
    FAMILIES,
    TASKS,
    Cluster,
    DefinitionHead,
    Family,
    Task,
    TaskDefinition,
    TaskHead,
)
from ropewalk.store.protocol import Store


@dataclass(frozen=True, slots=True)
class Ecs:
    """Everything the slice needs. Make one with `assemble`; run its `informers` before serving."""

    store: Store
    clock: Clock
    entropy: Entropy
    settings: Settings
    network: NetworkReader
    roles: RoleReader
    log_groups: LogGroupReader
    connected: Callable[[MachineId], bool]
    """Whether a machine's agent holds a session now: new tasks go only to such machines."""
    arns: Arns
    clusters: Table[Cluster]
    definitions: Table[TaskDefinition]
    families: Table[Family]
    tasks: Table[Task]
    claim_table: Table[InterfaceClaim]
    workloads: Table[Workload]
    status_table: Table[WorkloadStatus]
    definition_heads: Informer[DefinitionHead]
    task_heads: Informer[TaskHead]
    claims: Informer[InterfaceClaim]
    statuses: Informer[WorkloadStatus]
    machines: Informer[MachineFacts]
    index: TaskIndex
    catalogue: DefinitionIndex
    client_tokens: KeyedLocks
    """Requests with one client token run one after the other."""
    turn: Turn
    """Awaited before each step of a task's life: requests go first."""

    async def synced(self) -> None:
        """Returns once the caches hold what the store held at the start: serve requests only then."""
        for informer in (self.definition_heads, self.task_heads, self.claims, self.statuses, self.machines):
            await informer.synced()


def _always(machine: MachineId) -> bool:
    return True


def assemble(
    store: Store,
    clock: Clock,
    entropy: Entropy,
    settings: Settings,
    network: NetworkReader,
    roles: RoleReader,
    log_groups: LogGroupReader,
    connected: Callable[[MachineId], bool] = _always,
    turn: Turn = at_once,
) -> Ecs:
    """The slice over a store. Nothing runs and nothing is read yet."""
    claims = Table(store, INTERFACE_CLAIMS, InterfaceClaim)
    statuses = Table(store, STATUSES, WorkloadStatus)
    definition_heads = Informer(Table(store, DEFINITIONS, DefinitionHead), clock)
    task_heads = Informer(Table(store, TASKS, TaskHead), clock)
    index, catalogue = TaskIndex(), DefinitionIndex()

    def task_changed(change: Change[TaskHead]) -> None:
        index.note(change.key, change.new)

    def definition_changed(change: Change[DefinitionHead]) -> None:
        catalogue.note(change.key, change.new)

    task_heads.on_change(task_changed)
    definition_heads.on_change(definition_changed)
    return Ecs(
        store=store,
        clock=clock,
        entropy=entropy,
        settings=settings,
        network=network,
        roles=roles,
        log_groups=log_groups,
        connected=connected,
        arns=Arns(settings.account, settings.region),
        clusters=Table(store, CLUSTERS, Cluster),
        definitions=Table(store, DEFINITIONS, TaskDefinition),
        families=Table(store, FAMILIES, Family),
        tasks=Table(store, TASKS, Task),
        claim_table=claims,
        workloads=Table(store, WORKLOADS, Workload),
        status_table=statuses,
        definition_heads=definition_heads,
        task_heads=task_heads,
        claims=Informer(claims, clock, reader="ecs"),
        statuses=Informer(statuses, clock, reader="ecs"),
        machines=Informer(Table(store, MACHINES, MachineFacts), clock),
        index=index,
        catalogue=catalogue,
        client_tokens=KeyedLocks(),
        turn=turn,
    )


operations: Operations[Ecs] = Operations("ecs")
