"""The task reconciler: reads what is so, does what the task's state calls for, and moves its record on.

Level-triggered over the task's record, its interface claim and its host's last status. Every effect may be repeated and
a crash between any two writes is mended by the next run, because each effect is decided from records alone:

- the host was chosen, durably, before anything else (RunTask), so a workload's key never changes;
- claim and workload are created under keys of the task's own id, once;
- a state is entered only after the effects of the state before it.

It stops nothing by itself: a workload gets `STOP` only once the task's `desired` is STOPPED.
"""

from __future__ import annotations

from collections.abc import Iterable

from ropewalk.base.log import logger
from ropewalk.model.ids import MachineId, SecurityGroupId, SubnetId
from ropewalk.model.network import InterfaceClaim
from ropewalk.model.status import WorkloadPhase, WorkloadStatus
from ropewalk.model.workload import Desire, Generation, Workload
from ropewalk.runtime.controller import DONE, Controller, RequeueAfter, Result
from ropewalk.runtime.informer import Change
from ropewalk.services.ecs import lowering
from ropewalk.services.ecs.records import Task, TaskHead, definition_key, head_of
from ropewalk.services.ecs.slice import Ecs
from ropewalk.services.ecs.task_definitions import reconcile_deletion
from ropewalk.services.ecs.task_states import STATES, Facts, advance
from ropewalk.store.protocol import KeyExists, KeyMissing, WrongRevision

log = logger(__name__)

WORKERS = 4
_LOG_GROUP_MISSING = (
    "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to "
    "create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. "
    "(log group '{group}') : exit status 1"
)


class TaskReconciler:
    """`reconcile(task id)`, and the wiring that enqueues ids when anything about a task changes."""

    def __init__(self, ecs: Ecs) -> None:
        self._ecs = ecs
        self._status_keys: dict[str, str] = {}
        self._settled: dict[str, int] = {}
        """The version at which a task was last left with nothing to do: its own echo calls for no second look."""
        self.controller = Controller(
            "ecs tasks",
            self.reconcile,
            clock=ecs.clock,
            entropy=ecs.entropy,
            workers=WORKERS,
            everything=self._everything,
            turn=ecs.turn,
        )
        ecs.task_heads.on_change(self._task_changed)
        ecs.claims.on_change(self._claim_changed)
        ecs.statuses.on_change(self._status_changed)

    def _everything(self) -> Iterable[str]:
        return [key for key, _ in self._ecs.task_heads.items()]

    def _task_changed(self, change: Change[TaskHead]) -> None:
        if change.new is None:
            self._settled.pop(change.key, None)
        elif self._settled.get(change.key) != change.new.version:
            self.controller.enqueue(change.key)

    def _claim_changed(self, change: Change[InterfaceClaim]) -> None:
        requester, _, task = change.key.partition("/")
        claim = change.new
        if requester == "ecs" and (claim is None or claim.interface or claim.failure):
            self.controller.enqueue(task)

    def _status_changed(self, change: Change[WorkloadStatus]) -> None:
        uid = change.key.rpartition("/")[2]
        if change.new is None:
            self._status_keys.pop(uid, None)
        else:
            self._status_keys[uid] = change.key
            self.controller.enqueue(uid)

    async def reconcile(self, task_id: str) -> Result:
        ecs = self._ecs
        found = await ecs.tasks.find(task_id)
        if found is None:
            await self._forget_remains(task_id)
            return DONE
        task, revision = found.record, found.revision
        for _ in range(len(STATES) + 1):
            facts = await self._act(task)
            moved = advance(task, facts)
            if moved is None:
                self._settled[task_id] = task.version
                break
            try:
                revision = await ecs.tasks.update(task_id, moved, revision)
            except (WrongRevision, KeyMissing):
                return RequeueAfter(0)
            ecs.index.note(task_id, head_of(moved))
            task = moved
        return await self._retire(task) if task.status == "STOPPED" else DONE

    async def _act(self, task: Task) -> Facts:
        """Do what the state asks for; answer what is known then."""
        ecs = self._ecs
        now = ecs.clock.wall()
        claim = ecs.claims.get(task.claim_key)
        status = ecs.statuses.get(task.workload_key)
        wanted = task.desired == "RUNNING"
        match task.status:
            case "PROVISIONING" if wanted and claim is None:
                await self._claim_interface(task)
            case "PENDING" if wanted and status is None:
                failure = await self._hand_out(task)
                return Facts(now, claim, status, failure=failure)
            case "STOPPING" if status is None or status.phase is not WorkloadPhase.STOPPED:
                return Facts(now, claim, status, gone=not await self._ask_to_stop(task))
            case "DEPROVISIONING":
                await ecs.claim_table.delete(task.claim_key)
                return Facts(now, claim, status, released=True)
        return Facts(now, claim, status)

    async def _claim_interface(self, task: Task) -> None:
        ecs = self._ecs
        claim = InterfaceClaim(
            subnet=SubnetId(task.subnet),
            groups=tuple(SecurityGroupId(group) for group in task.security_groups),
            description=f"{ecs.arns.prefix}attachment/{task.attachment}",
            requester="ecs",
            owner_arn=ecs.arns.task(task.cluster, task.id),
            machine=MachineId(task.machine),
        )
        try:
            await ecs.claim_table.create(task.claim_key, claim)
        except KeyExists:
            return

    async def _hand_out(self, task: Task) -> str:
        """Write the task's workload for its host, unless that has been done. Answers why it cannot start."""
        ecs = self._ecs
        if task.interface is None or await ecs.workloads.get(task.workload_key) is not None:
            return ""
        definition = await ecs.definitions.get(task.definition_key)
        if definition is None:
            return f"ResourceInitializationError: task definition {task.family}:{task.revision} has been deleted"
        subnet = await ecs.network.subnet(SubnetId(task.subnet))
        if subnet is None:
            return f"ResourceInitializationError: subnet {task.subnet} has been deleted"
        for group in lowering.log_groups_needed(definition.document):
            if not await ecs.log_groups.log_group_exists(group):
                return _LOG_GROUP_MISSING.format(group=group)
        workload = lowering.lower(task, definition.document, task.interface, subnet, ecs.arns, self._generation())
        try:
            await ecs.workloads.create(task.workload_key, workload)
        except KeyExists:
            return ""
        return ""

    async def _ask_to_stop(self, task: Task) -> bool:
        """Tell the host. Answers whether the host has, or may have, anything to stop."""
        generation = self._generation()

        def stop(workload: Workload) -> Workload | None:
            if workload.desire is Desire.STOP:
                return None
            return lowering.stopped(workload, task.stopped_reason, generation)

        return await self._ecs.workloads.mutate(task.workload_key, stop) is not None

    def _generation(self) -> Generation:
        """At least the revision of every write before it: what is written later is never older."""
        identity = self._ecs.store.identity
        return Generation(identity.store_id, identity.epoch, int(self._ecs.store.revision))

    async def _retire(self, task: Task) -> Result:
        """A stopped task: its host may forget it at once; its record goes once it has been kept long enough."""
        ecs = self._ecs
        await ecs.workloads.delete(task.workload_key)
        left = task.stopped_at + ecs.settings.timings.stopped_task_retention - ecs.clock.wall()
        if left > 0:
            return RequeueAfter(left)
        await ecs.status_table.delete(task.workload_key)
        await ecs.tasks.delete(task.id)
        ecs.index.note(task.id, None)
        self._settled.pop(task.id, None)
        return DONE

    async def _forget_remains(self, task_id: str) -> None:
        """What a vanished task left behind. A workload that nobody accounts for is left alone: absence is no stop."""
        ecs = self._ecs
        ecs.index.note(task_id, None)
        await ecs.claim_table.delete(f"ecs/{task_id}")
        key = self._status_keys.get(task_id)
        if key is None:
            return
        status = ecs.statuses.get(key)
        if status is not None and status.phase is WorkloadPhase.STOPPED and await ecs.workloads.get(key) is None:
            await ecs.status_table.delete(key)


class DefinitionReconciler:
    """Finishes the deletion of task definitions once nothing uses them."""

    def __init__(self, ecs: Ecs) -> None:
        async def reconcile(key: str) -> Result:
            return await reconcile_deletion(ecs, key)

        self._ecs = ecs
        self.controller = Controller("ecs task definitions", reconcile, clock=ecs.clock, entropy=ecs.entropy)
        ecs.definition_heads.on_change(lambda change: self._changed(change.key))
        ecs.task_heads.on_change(self._task_changed)

    def _changed(self, key: str) -> None:
        head = self._ecs.definition_heads.get(key)
        if head is not None and head.status == "DELETE_IN_PROGRESS":
            self.controller.enqueue(key)

    def _task_changed(self, change: Change[TaskHead]) -> None:
        head = change.new or change.old
        if head is not None and (change.new is None or head.status == "STOPPED"):
            self._changed(definition_key(head.family, head.revision))
