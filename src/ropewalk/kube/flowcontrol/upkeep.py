"""Keeps the objects of priority and fairness: those a server comes with, and what a flow schema's status says.

https://kubernetes.io/docs/concepts/cluster-administration/flow-control/#defaults
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.base.log import logger
from ropewalk.kube.flowcontrol.configuration import level_setting
from ropewalk.kube.flowcontrol.control import FLOW_SCHEMAS, PRIORITY_LEVELS
from ropewalk.kube.kinds.flowcontrol import bootstrap as ours
from ropewalk.kube.machinery import conditions, times
from ropewalk.kube.machinery.api import Api, ObjectChange
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, copied, metadata, name_of
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.runtime.controller import DONE, Controller, Result

log = logger(__name__)

UPKEEP_SECONDS = 60.0
DANGLING = "Dangling"


async def bootstrap(api: Api) -> None:
    """Make what is missing, bring what follows this server up to date. Levels first: schemas refer to them. Safe with
    several replicas: what another changed in between is left for the next time.
    """
    await _reconcile(api, PRIORITY_LEVELS, ours.MANDATORY_LEVELS, ours.SUGGESTED_LEVELS)
    await _reconcile(api, FLOW_SCHEMAS, ours.MANDATORY_SCHEMAS, ours.SUGGESTED_SCHEMAS)


async def _reconcile(
    api: Api, resource: GroupResource, mandatory: Sequence[Object], suggested: Sequence[Object]
) -> None:
    present = {name_of(obj): obj for obj in await api.list(resource)}
    changes = ours.reconcile(mandatory, suggested, present)
    try:
        await asyncio.gather(*(api.create(resource, obj) for obj in changes.create))
        for obj in changes.update:
            await api.update(resource, obj)
        for name in changes.delete:
            await api.delete(
                resource, "", name, resource_version=str(metadata(present[name]).get("resourceVersion", ""))
            )
    except StatusFault as fault:
        if fault.status not in (404, 409):
            raise


class FlowControlUpkeep:
    """A `Runnable`, of the leader. `bootstrap` once a minute, and the condition Dangling of every flow schema."""

    name = "flow control upkeep"

    def __init__(self, api: Api, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._clock = clock
        self._controller = Controller(self.name, self._tell, clock=clock, entropy=entropy)

    async def run(self) -> None:
        self._api.cache(FLOW_SCHEMAS).on_change(self._schema_changed)
        self._api.cache(PRIORITY_LEVELS).on_change(self._level_changed)
        self._controller.enqueue("")
        await self._controller.run()

    def _schema_changed(self, change: ObjectChange) -> None:
        if change.new is not None:
            self._controller.enqueue(name_of(change.new))

    def _level_changed(self, change: ObjectChange) -> None:
        if change.old is not None and change.new is not None:
            return
        level = name_of(change.present)
        for schema in self._api.cache(FLOW_SCHEMAS).all():
            if at(schema, "spec", "priorityLevelConfiguration", "name") == level:
                self._controller.enqueue(name_of(schema))

    async def _tell(self, name: str) -> Result:
        if not name:
            await bootstrap(self._api)
            self._controller.enqueue_after("", UPKEEP_SECONDS)
            return DONE
        schema = self._api.cache(FLOW_SCHEMAS).get("", name)
        if schema is None:
            return DONE
        level = at(schema, "spec", "priorityLevelConfiguration", "name") or ""
        found = self._api.cache(PRIORITY_LEVELS).get("", level)
        revised = with_condition(
            schema, exists=found is not None and level_setting(found) is not None, now=times.rfc3339(self._clock.wall())
        )
        if revised is None:
            return DONE
        try:
            await self._api.update(FLOW_SCHEMAS, revised, subresource="status")
        except StatusFault as fault:
            if fault.reason == "Conflict":
                raise Retryable(fault.message, after=0.2) from fault
            if fault.status != 404:
                raise
        return DONE


def with_condition(schema: Object, *, exists: bool, now: str) -> Object | None:
    """The schema with its condition as it should be; None where it is."""
    level = at(schema, "spec", "priorityLevelConfiguration", "name") or ""
    names = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}"'
    condition = {
        "type": DANGLING,
        "status": "False" if exists else "True",
        "lastTransitionTime": now,
        "reason": "Found" if exists else "NotFound",
        "message": f"{names} and it exists" if exists else f"{names} but there is no such object",
    }
    present = at(schema, "status", "conditions")
    old: Object = conditions.find(present, DANGLING) or {}
    if all(old.get(key) == condition[key] for key in ("status", "reason", "message")):
        return None
    revised: Object = copied(schema)
    revised.setdefault("status", {})["conditions"] = [*copied(conditions.without(present, DANGLING)), condition]
    return revised
