"""RuntimeClass: a pod of a class gets its overhead and its scheduling.
https://kubernetes.io/docs/concepts/containers/runtime-class/
"""

from __future__ import annotations

from typing import ClassVar

from ropewalk.kube.admission.plugin import CREATE, PODS, Plugin, forbidden, quoted, ready
from ropewalk.kube.machinery import quantities
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, copied
from ropewalk.kube.machinery.resources import GroupResource

RUNTIME_CLASSES = GroupResource("node.k8s.io", "runtimeclasses")


class RuntimeClass(Plugin):
    name: ClassVar[str] = "RuntimeClass"
    operations: ClassVar[frozenset[str]] = CREATE
    resources: ClassVar[frozenset[GroupResource] | None] = frozenset({PODS})
    mutates: ClassVar[bool] = True
    validates: ClassVar[bool] = True

    def __init__(self, api: Api) -> None:
        self._api = api

    async def mutate(self, admission: Admission) -> None:
        assert admission.object is not None
        spec = admission.object.get("spec") or {}
        name = spec.get("runtimeClassName")
        if name is None:
            return
        found = await self._class(admission, name)
        overhead = at(found, "overhead")
        if overhead is not None:
            fixed = overhead.get("podFixed") or {}
            if spec.get("overhead") and not same_amounts(fixed, spec["overhead"]):
                raise forbidden(admission, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
            spec["overhead"] = copied(fixed)
        scheduling = at(found, "scheduling")
        if scheduling is not None:
            _schedule(admission, spec, scheduling)

    async def validate(self, admission: Admission) -> None:
        assert admission.object is not None
        spec = admission.object.get("spec") or {}
        name, stated = spec.get("runtimeClassName"), spec.get("overhead")
        if name is None and stated is None:
            return
        found = await self._class(admission, name) if name is not None else {}
        overhead = at(found, "overhead")
        if overhead is None:
            if stated is not None:
                why = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
                raise forbidden(admission, why)
        elif not same_amounts(overhead.get("podFixed") or {}, stated or {}):
            raise forbidden(admission, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")

    async def _class(self, admission: Admission, name: str) -> Object:
        found = (await ready(self._api, RUNTIME_CLASSES)).get("", name)
        if found is not None:
            return found
        try:
            return await self._api.get(RUNTIME_CLASSES, "", name)
        except StatusFault as fault:
            if fault.reason != "NotFound":
                raise
        raise forbidden(admission, f"pod rejected: RuntimeClass {quoted(name)} not found")


def same_amounts(left: Object, right: Object) -> bool:
    return left.keys() == right.keys() and all(
        quantities.parse(left[name]) == quantities.parse(right[name]) for name in left
    )


def _schedule(admission: Admission, spec: Object, scheduling: Object) -> None:
    selector = dict(spec.get("nodeSelector") or {})
    for key, value in (scheduling.get("nodeSelector") or {}).items():
        if selector.get(key, value) != value:
            theirs, ours = f"runtimeClass.scheduling.nodeSelector[{key}]", f"pod.spec.nodeSelector[{key}]"
            raise forbidden(admission, f"conflict: {theirs} = {value}; {ours} = {selector[key]}")
        selector[key] = value
    if selector:
        spec["nodeSelector"] = selector
    merged = merge_tolerations(spec.get("tolerations") or [], copied(scheduling.get("tolerations") or []))
    if merged:
        spec["tolerations"] = merged


def merge_tolerations(first: list[Object], second: list[Object]) -> list[Object]:
    """Both, without those that another one covers."""
    everything = [*first, *second]
    merged: list[Object] = []
    for index, toleration in enumerate(everything):
        later = everything[index + 1 :]
        if any(_covers(kept, toleration) for kept in merged):
            continue
        if any(other != toleration and _covers(other, toleration) for other in later):
            continue
        merged.append(toleration)
    return merged


def _covers(wide: Object, narrow: Object) -> bool:
    if wide == narrow:
        return True
    operator = wide.get("operator", "")
    key = wide.get("key", "")
    if narrow.get("key", "") != key and not (key == "" and operator == "Exists"):
        return False
    effect = wide.get("effect", "")
    if effect not in ("", narrow.get("effect", "")):
        return False
    if effect == "NoExecute" and wide.get("tolerationSeconds") is not None:
        seconds = narrow.get("tolerationSeconds")
        if seconds is None or seconds > wide["tolerationSeconds"]:
            return False
    if operator == "Exists":
        return True
    return bool(narrow.get("operator") == "Equal" and narrow.get("value", "") == wide.get("value", ""))
