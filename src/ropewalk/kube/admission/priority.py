"""Priority: a pod's class becomes its number.
https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
"""

from __future__ import annotations

from typing import ClassVar

from ropewalk.kube.admission.plugin import PODS, WRITES, Lookup, Plugin, forbidden
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.objects import Object, name_of
from ropewalk.kube.machinery.resources import GroupResource, ResourceInfo

CLASSES = GroupResource("scheduling.k8s.io", "priorityclasses")
DEFAULT_INDEX = "default"


class Priority(Plugin):
    name: ClassVar[str] = "Priority"
    operations: ClassVar[frozenset[str]] = WRITES

    def __init__(self, api: Api) -> None:
        self._classes = Lookup(api, CLASSES)
        self._indexed = False

    def concerns(self, info: ResourceInfo, subresource: str, operation: str) -> tuple[bool, bool]:
        concerned = not subresource and operation in self.operations
        return concerned and info.group_resource == PODS, concerned and info.group_resource == CLASSES

    async def mutate(self, admission: Admission) -> None:
        assert admission.object is not None
        spec = admission.object.setdefault("spec", {})
        if admission.operation == "UPDATE":
            old = (admission.old or {}).get("spec") or {}
            for field in ("priority", "preemptionPolicy"):
                if field not in spec and field in old:
                    spec[field] = old[field]
            return
        name = spec.get("priorityClassName")
        if name:
            found = (await self._classes()).get("", name)
            if found is None:
                raise forbidden(admission, f"no PriorityClass with name {name} was found")
        else:
            found = await self._default()
            if found is not None:
                spec["priorityClassName"] = name_of(found)
        priority = found.get("value", 0) if found is not None else 0
        policy = found.get("preemptionPolicy") if found is not None else "PreemptLowerPriority"
        _set(admission, spec, priority, policy)

    async def validate(self, admission: Admission) -> None:
        assert admission.object is not None
        if not admission.object.get("globalDefault"):
            return
        present = await self._default()
        if present is None or (admission.operation == "UPDATE" and name_of(present) == admission.name):
            return
        name = name_of(present)
        raise forbidden(admission, f"PriorityClass {name} is already marked as default. Only one default can exist")

    async def _default(self) -> Object | None:
        """The default class; the lowest where a race made several."""
        cache = await self._classes()
        if not self._indexed:
            cache.index(DEFAULT_INDEX, lambda found: ("",) if found.get("globalDefault") else ())
            self._indexed = True
        defaults = cache.by_index(DEFAULT_INDEX, "")
        return min(defaults, key=lambda found: int(found.get("value", 0))) if defaults else None


def _set(admission: Admission, spec: Object, priority: int, policy: str | None) -> None:
    given = spec.get("priority")
    computed = "must not be provided in pod spec; priority admission controller computed"
    if given is not None and given != priority:
        why = f"the integer value of priority ({given}) {computed} {priority} from the given PriorityClass name"
        raise forbidden(admission, why)
    spec["priority"] = priority
    if policy is None:
        return
    stated = spec.get("preemptionPolicy")
    if stated is not None and stated != policy:
        why = f"the string value of PreemptionPolicy ({stated}) {computed} {policy} from the given PriorityClass name"
        raise forbidden(admission, why)
    spec["preemptionPolicy"] = policy
