"""The subresource `pods/resize`: changes the CPU and memory of containers in a pod that runs.
https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.kinds.core.ephemeral_containers import keep_metadata
from ropewalk.kube.kinds.core.pod_resources import is_sidecar, quality_of_service
from ropewalk.kube.kinds.core.pod_spec import default_pod
from ropewalk.kube.kinds.core.pod_spec_rules import MIRROR, NOWHERE
from ropewalk.kube.kinds.core.pod_updates import SPEC, validate_pod
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, annotations_of
from ropewalk.kube.machinery.strategy import Strategy, keep

_LISTS = ("containers", "initContainers")
_TAKEN = ("resources", "resizePolicy")
_RESIZABLE = ("cpu", "memory")
_POD_LEVEL = (
    "resize of pods with pod-level resources is forbidden when InPlacePodLevelResourcesVerticalScalingEnabled feature"
    " gate is disabled"
)


class PodResize(Strategy):
    """Takes the resources and resize policies of what is written and nothing else, unless its containers are others:
    then validation says so.
    """

    has_generation = True

    def default(self, obj: Object) -> None:
        default_pod(obj)

    def prepare_update(self, new: Object, old: Object) -> None:
        now, before = new.get("spec") or {}, old.get("spec") or {}
        if all(len(now.get(step) or ()) == len(before.get(step) or ()) for step in _LISTS):
            lists = {step: _resized(now[step], before[step]) for step in _LISTS if before.get(step)}
            new["spec"] = {**before, **lists}
            keep(new, old, "status")
            keep_metadata(new, old)
        self.count_generation(new, old)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        before, now = old.get("spec") or {}, new.get("spec") or {}
        if MIRROR in annotations_of(old):
            errors.forbidden(NOWHERE, "static pods cannot be resized")
            return
        if (before.get("os") or {}).get("name") == "windows":
            errors.forbidden(NOWHERE, "windows pods cannot be resized")
            return
        validate_pod(new, errors)
        served = (old.get("status") or {}).get("qosClass") or quality_of_service(old)
        if served != quality_of_service(new):
            told = (new.get("status") or {}).get("qosClass", "")
            errors.invalid(SPEC, told, "Pod QOS Class may not change as a result of resizing")
        if not _node_can_resize(old):
            errors.forbidden(SPEC, "Pod running on node without support for resize")
        if any((spec.get("resources") or {}).get(kind) for spec in (before, now) for kind in ("limits", "requests")):
            errors.forbidden(NOWHERE, _POD_LEVEL)
            return
        if _check_same_containers(now, before, errors):
            _check_only_resized(now, before, errors)


def _resized(new: Sequence[Object], old: Sequence[Object]) -> list[Object]:
    """The old containers with the new ones' resources; the new ones where they are not the same containers."""
    if any(now.get("name") != was.get("name") for now, was in zip(new, old, strict=True)):
        return list(new)
    merged: list[Object] = []
    for now, was in zip(new, old, strict=True):
        container = dict(was)
        for step in _TAKEN:
            keep(container, now, step)
        merged.append(container)
    return merged


def _node_can_resize(pod: Object) -> bool:
    """A node that can reports a running container's resources; of a pod that does not run nobody knows."""
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if (status.get("state") or {}).get("running") is not None:
            return status.get("resources") is not None
    return True


def _check_same_containers(new: Object, old: Object, errors: FieldErrors) -> bool:
    before = len(errors.causes)
    for step in _LISTS:
        now, was = new.get(step) or (), old.get(step) or ()
        if len(now) != len(was):
            errors.forbidden(SPEC / step, f"{step} may not be added or removed on resize")
            continue
        for index, (container, container_before) in enumerate(zip(now, was, strict=True)):
            if container.get("name") != container_before.get("name"):
                text = f"{step} may not be renamed or reordered on resize"
                errors.forbidden(SPEC / step / index / "name", text)
    return len(errors.causes) == before


def _check_only_resized(new: Object, old: Object, errors: FieldErrors) -> None:
    for step in ("initContainers", "containers"):
        for index, (now, was) in enumerate(zip(new.get(step) or (), old.get(step) or (), strict=True)):
            if step == "containers" or is_sidecar(was):
                _check_nothing_removed(now, was, SPEC / step / index / "resources", errors)
    for now, was in zip(new.get("containers") or (), old.get("containers") or (), strict=True):
        if _without_resizable(now, was) != _without_resizable(was, was):
            errors.forbidden(SPEC, "only cpu and memory resources are mutable")
    for now, was in zip(new.get("initContainers") or (), old.get("initContainers") or (), strict=True):
        if is_sidecar(now):
            if _without_resizable(now, was) != _without_resizable(was, was):
                errors.forbidden(SPEC, "only cpu and memory resources for sidecar containers are mutable")
        elif now != was:
            errors.forbidden(SPEC, "resources for non-sidecar init containers are immutable")
    if not errors and {**new, **{step: old.get(step) for step in _LISTS}} != {
        **old,
        **{step: old.get(step) for step in _LISTS},
    }:
        errors.forbidden(SPEC, "only cpu and memory resources are mutable")


def _check_nothing_removed(new: Object, old: Object, path: Path, errors: FieldErrors) -> None:
    for kind in ("requests", "limits"):
        now = (new.get("resources") or {}).get(kind) or {}
        if any(name not in now for name in (old.get("resources") or {}).get(kind) or {}):
            errors.forbidden(path / kind, f"resource {kind} cannot be removed")


def _without_resizable(container: Object, old: Object) -> Object:
    """The container with its CPU and memory as `old` has them; resource claims do not count."""
    resources: Object = {}
    for kind in ("limits", "requests"):
        listed = (container.get("resources") or {}).get(kind) or {}
        before = (old.get("resources") or {}).get(kind) or {}
        resources[kind] = {name: value for name, value in listed.items() if name not in _RESIZABLE}
        resources[kind] |= {name: before[name] for name in _RESIZABLE if name in before}
    return {**container, "resources": resources}
