"""One reconcile of one deployment: its replica sets as they were found, and the writes that move them on.

Every write names the version it is based on, so a step taken on an old view fails and is taken again on a newer one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ropewalk.base.errors import Retryable
from ropewalk.kube.controllers import deployment_revisions as revisions
from ropewalk.kube.controllers import deployment_status as told
from ropewalk.kube.controllers.claims import AGAIN_SECONDS
from ropewalk.kube.controllers.deployment_revisions import replicas_of
from ropewalk.kube.controllers.following import found, is_terminating
from ropewalk.kube.controllers.replica_sets import REPLICA_SETS
from ropewalk.kube.machinery import conditions
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import (
    Object,
    annotations_of,
    at,
    controller_of,
    copied,
    name_of,
    namespace_of,
    uid_of,
)
from ropewalk.kube.machinery.recorder import Recorder
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.planning import rollout

DEPLOYMENTS = GroupResource("apps", "deployments")
SETS = REPLICA_SETS.resource


class Sync:
    """`deployment` is its own copy, and `sets` the sets it owns."""

    def __init__(
        self,
        api: Api,
        recorder: Recorder,
        deployment: Object,
        sets: Sequence[Object],
        now: float,
        wrote: Callable[[Object], None],
    ) -> None:
        """`wrote` is told each set that was written."""
        self._api = api
        self._recorder = recorder
        self._now = now
        self._wrote = wrote
        self.deployment = deployment
        self.limits = revisions.limits_of(deployment)
        self.new = revisions.new_of(deployment, sets)
        self.olds = [one for one in sets if self.new is None or uid_of(one) != uid_of(self.new)]

    @property
    def sets(self) -> list[Object]:
        return [*self.olds, *((self.new,) if self.new is not None else ())]

    # --- the new set

    async def agree(self) -> None:
        """The new set, where there is one, carries what the deployment says; the deployment its revision."""
        if self.new is None:
            return
        wanted = revisions.with_annotations(self.deployment, self.new, revisions.next_revision(self.olds), fresh=False)
        least = at(self.deployment, "spec", "minReadySeconds") or 0
        if wanted != annotations_of(self.new) or least != (at(self.new, "spec", "minReadySeconds") or 0):
            changed = copied(self.new)
            changed["metadata"]["annotations"] = wanted
            changed["spec"]["minReadySeconds"] = least
            self.new = await self._write(changed)
        news = self._took_revision(annotations_of(self.new).get(revisions.REVISION, ""))
        present = conditions.find(at(self.deployment, "status", "conditions"), told.PROGRESSING)
        if told.has_deadline(self.deployment) and present is None:
            self._say("True", "FoundNewReplicaSet", f'Found new replica set "{name_of(self.new)}"')
            news = True
        if news:
            await self._write_status(self.deployment.get("status") or {})

    async def make(self) -> Object:
        """The new set, made if it is not there."""
        if self.new is not None:
            return self.new
        revision = revisions.next_revision(self.olds)
        made = revisions.new_set(self.deployment)
        fresh = rollout.Group(name_of(made), 0)
        groups = [*revisions.groups_of(self.olds), fresh]
        rolling = revisions.is_rolling(self.deployment)
        size = rollout.grown(self.limits, groups, fresh) if rolling else self.limits.desired
        made["spec"]["replicas"] = size
        made["metadata"]["annotations"] = revisions.with_annotations(self.deployment, made, revision, fresh=True)
        is_fresh = True
        try:
            self.new = await self._api.create(SETS, made)
            self._wrote(self.new)
        except StatusFault as fault:
            if is_terminating(fault):
                raise Retryable(fault.message, after=5.0) from fault
            if fault.reason != "AlreadyExists":
                await self._tell_failure(name_of(made), fault)
            self.new, is_fresh = await self._met(made, fault), False
        name = name_of(self.new)
        if is_fresh and size:
            self._event(f"Scaled up replica set {name} from 0 to {size}")
        news = self._took_revision(str(revision))
        if is_fresh and told.has_deadline(self.deployment):
            self._say("True", "NewReplicaSetCreated", f'Created new replica set "{name}"')
            news = True
        if news:
            await self._write_status(self.deployment.get("status") or {})
        return self.new

    async def _met(self, made: Object, fault: StatusFault) -> Object:
        """The set that has the name already, if it is the one; else another name will be tried."""
        live = await found(self._api, SETS, namespace_of(made), name_of(made))
        template = at(self.deployment, "spec", "template") or {}
        if live is None:
            raise Retryable(fault.message, after=AGAIN_SECONDS) from fault
        owner = controller_of(live) or {}
        if owner.get("uid") == uid_of(self.deployment) and revisions.is_of_template(live, template):
            return live
        status = self.deployment.setdefault("status", {})
        status["collisionCount"] = status.get("collisionCount", 0) + 1
        await self._write_status(status)
        raise Retryable(fault.message, after=AGAIN_SECONDS) from fault

    async def _tell_failure(self, name: str, fault: StatusFault) -> None:
        message = f'Failed to create new replica set "{name}": {fault.message}'
        if told.has_deadline(self.deployment):
            self._say("False", "ReplicaSetCreateError", message)
            await self._write_status(self.deployment.get("status") or {})
        self._recorder.record(self.deployment, "ReplicaSetCreateError", message, warning=True)
        raise Retryable(message, after=1.0) from fault

    def _took_revision(self, revision: str) -> bool:
        """Whether that is news to the deployment."""
        if annotations_of(self.deployment).get(revisions.REVISION) == revision:
            return False
        self.deployment["metadata"].setdefault("annotations", {})[revisions.REVISION] = revision
        return True

    def _say(self, status: str, reason: str, message: str) -> None:
        made = told.condition(told.PROGRESSING, status, reason, message, self._now)
        told.set_condition(self.deployment.setdefault("status", {}), made)

    # --- sizes

    async def resize(self, sizes: Mapping[str, int], *, again: bool = False) -> bool:
        """Sets by name to new sizes; whether any changed. `again`: those that keep theirs learn the new sum."""
        any_changed = False
        for one in self.sets:
            size = sizes.get(name_of(one))
            if size is None:
                continue
            if size != replicas_of(one) or (again and not _knows_sizes(self.deployment, one)):
                any_changed |= await self._resize(one, size)
        return any_changed

    async def _resize(self, one: Object, size: int) -> bool:
        before = replicas_of(one)
        changed = copied(one)
        changed["spec"]["replicas"] = size
        changed["metadata"]["annotations"] = {**annotations_of(one), **revisions.size_annotations(self.deployment)}
        written = await self._write(changed)
        self.olds = [written if uid_of(old) == uid_of(one) else old for old in self.olds]
        if self.new is not None and uid_of(self.new) == uid_of(one):
            self.new = written
        if size != before:
            self._event(
                f"Scaled {'up' if size > before else 'down'} replica set {name_of(one)} from {before} to {size}"
            )
        return size != before

    async def scale(self) -> None:
        """The deployment was scaled, or is paused: sets change by their shares."""
        active = [one for one in self.sets if replicas_of(one)]
        desired = replicas_of(self.deployment)
        if len(active) <= 1:
            latest = active[0] if active else self.new or next(iter(reversed(revisions.by_age(self.olds))), None)
            if latest is not None:
                await self.resize({name_of(latest): desired}, again=True)
        elif revisions.is_saturated(self.deployment, self.new):
            await self.resize({name_of(one): 0 for one in self.olds if replicas_of(one)})
        elif revisions.is_rolling(self.deployment):
            present = at(self.deployment, "status", "replicas") or 0
            sizes = rollout.proportional(self.limits, revisions.groups_of(active), present)
            await self.resize(sizes, again=True)

    async def forget_old(self) -> None:
        """Remove sets that the history keeps no longer."""
        for one in revisions.to_forget(self.deployment, self.olds):
            try:
                await self._api.delete(SETS, namespace_of(one), name_of(one), uid=uid_of(one))
            except StatusFault as fault:
                if fault.status != 404:
                    raise

    # --- writes

    async def tell(self, *, of_rollout: bool) -> Object:
        """Bring the status up to date; answers it. `of_rollout`: with what is to be said of its progress."""
        make = told.of_rollout if of_rollout else told.counts
        status = make(self.deployment, self.sets, self.new, self._now)
        if status != (self.deployment.get("status") or {}):
            await self._write_status(status)
        return status

    async def say_pause(self) -> None:
        """So that nobody counts the time of a pause as lack of progress."""
        present = conditions.find(at(self.deployment, "status", "conditions"), told.PROGRESSING) or {}
        if not told.has_deadline(self.deployment) or present.get("reason") == told.TIMED_OUT:
            return
        is_paused, was_paused = (
            at(self.deployment, "spec", "paused") or False,
            present.get("reason") == "DeploymentPaused",
        )
        if is_paused == was_paused:
            return
        if is_paused:
            self._say("Unknown", "DeploymentPaused", "Deployment is paused")
        else:
            self._say("Unknown", "DeploymentResumed", "Deployment is resumed")
        await self._write_status(self.deployment["status"])

    async def _write(self, one: Object) -> Object:
        try:
            written = await self._api.update(SETS, one)
        except StatusFault as fault:
            raise _again(fault) from fault
        self._wrote(written)
        return written

    async def _write_status(self, status: Object) -> None:
        changed = {**self.deployment, "status": status}
        try:
            self.deployment = copied(await self._api.update(DEPLOYMENTS, changed, subresource="status"))
        except StatusFault as fault:
            raise _again(fault) from fault

    def _event(self, message: str) -> None:
        self._recorder.record(self.deployment, "ScalingReplicaSet", message)


def _knows_sizes(deployment: Object, one: Object) -> bool:
    return revisions.size_annotations(deployment).items() <= annotations_of(one).items()


def _again(fault: StatusFault) -> Exception:
    """What was written to has moved, or is gone: look anew."""
    if fault.reason == "Conflict" or fault.status == 404:
        return Retryable(fault.message, after=AGAIN_SECONDS)
    return fault
