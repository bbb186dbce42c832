"""Pods: the kind that everything else is about. This file says what a write may do with one; the rules of its spec
stand in `pod_spec_rules`, its defaults in `pod_spec`, what a table shows in `pod_columns`.
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ropewalk.kube.kinds.core.affinity import merge_label_keys
from ropewalk.kube.kinds.core.checks import label_problems
from ropewalk.kube.kinds.core.ephemeral_containers import PodEphemeralContainers
from ropewalk.kube.kinds.core.pod_annotations import (
    check_annotation_updates,
    check_profiles_agree,
    take_over_app_armor,
)
from ropewalk.kube.kinds.core.pod_columns import COLUMNS, pod_ip
from ropewalk.kube.kinds.core.pod_likeness import likeness_of
from ropewalk.kube.kinds.core.pod_resize import PodResize
from ropewalk.kube.kinds.core.pod_resources import quality_of_service
from ropewalk.kube.kinds.core.pod_spec import default_pod
from ropewalk.kube.kinds.core.pod_status import (
    FINISHED,
    address_warnings,
    mirror_addresses,
    set_condition,
    settle_status,
    validate_status,
)
from ropewalk.kube.kinds.core.pod_updates import ANNOTATIONS, SPEC, validate_pod, validate_pod_update
from ropewalk.kube.kinds.core.pod_warnings import pod_warnings
from ropewalk.kube.machinery.apply.field_sets import LEAF, FieldSet
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object, annotations_of, metadata, name_of
from ropewalk.kube.machinery.remembered import Remembered
from ropewalk.kube.machinery.strategy import Selectable, Strategy

_good: Remembered[tuple[str, ...]] = Remembered()
"""Warnings about new pods that break no rule, by likeness."""
_GATED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
}


def _of_spec(name: str) -> Selectable:
    return lambda pod: str((pod.get("spec") or {}).get(name) or "")


def _of_status(name: str) -> Selectable:
    return lambda pod: str((pod.get("status") or {}).get(name) or "")


class Pods(Strategy):
    has_status = True
    status_keeps = ("deletionTimestamp", "ownerReferences")
    reset_fields: ClassVar[Mapping[str, FieldSet]] = {
        "status": {"f:metadata": {"f:deletionTimestamp": LEAF, "f:ownerReferences": LEAF}, "f:spec": LEAF}
    }
    has_generation = True
    columns = COLUMNS
    selectable_fields: ClassVar[Mapping[str, Selectable]] = {
        "spec.nodeName": _of_spec("nodeName"),
        "spec.host": _of_spec("nodeName"),
        "spec.restartPolicy": _of_spec("restartPolicy"),
        "spec.schedulerName": _of_spec("schedulerName"),
        "spec.serviceAccountName": _of_spec("serviceAccountName"),
        "spec.hostNetwork": lambda pod: "true" if (pod.get("spec") or {}).get("hostNetwork") else "false",
        "status.phase": _of_status("phase"),
        "status.podIP": pod_ip,
        "status.podIPs": lambda pod: "",
        "status.nominatedNodeName": _of_status("nominatedNodeName"),
    }
    """`status.podIPs` may be asked for and matches nothing, as in Kubernetes; `spec.host` is an old name."""

    def default(self, obj: Object) -> None:
        default_pod(obj)
        if status := obj.get("status"):
            mirror_addresses(status)

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        obj["status"] = {"phase": "Pending", "qosClass": quality_of_service(obj)}
        if obj["spec"].get("schedulingGates"):
            set_condition(obj["status"], _GATED, metadata(obj).get("creationTimestamp", ""))
        merge_label_keys(obj)
        take_over_app_armor(obj)

    def prepare_status_update(self, new: Object, old: Object) -> None:
        super().prepare_status_update(new, old)
        settle_status(new, old)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        likeness = likeness_of(obj)
        if likeness is None:
            self._validate(obj, errors)
        elif _good.get(likeness) is None:
            before = len(errors.causes)
            self._validate(obj, errors)
            if len(errors.causes) == before:
                _good.keep(likeness, tuple(pod_warnings(obj)))

    def _validate(self, obj: Object, errors: FieldErrors) -> None:
        validate_pod(obj, errors)
        spec = obj["spec"]
        if spec.get("ephemeralContainers"):
            errors.forbidden(SPEC / "ephemeralContainers", "cannot be set on create")
        if spec.get("nodeName") and spec.get("schedulingGates"):
            errors.forbidden(SPEC / "nodeName", "cannot be set until all schedulingGates have been cleared")
        check_profiles_agree(annotations_of(obj), spec, SPEC, errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        validate_pod_update(new, old, errors)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        check_annotation_updates(annotations_of(new), annotations_of(old), ANNOTATIONS, errors)
        validate_status(new, old, errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        """Only at creation: people do not change pods themselves."""
        if old is not None:
            return []
        likeness = likeness_of(new)
        known = None if likeness is None else _good.get(likeness)
        found = pod_warnings(new) if known is None else list(known)
        if problems := label_problems(name_of(new)):
            text = "this is used in the Pod's hostname, which can result in surprising behavior"
            found.insert(0, f"metadata.name: {text}; a DNS label is recommended: [{' '.join(problems)}]")
        return found

    def status_warnings(self, new: Object, old: Object) -> list[str]:
        return address_warnings(new)

    def grace_seconds(self, obj: Object, asked: int | None) -> int | None:
        """What the deleter asks, or else the pod; nothing where no kubelet has to stop anything."""
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        seconds: int = spec.get("terminationGracePeriodSeconds", 0) if asked is None else asked
        if not spec.get("nodeName") or status.get("phase") in FINISHED:
            return 0
        return 1 if seconds < 0 else seconds


SUBRESOURCES: dict[str, Strategy] = {"ephemeralcontainers": PodEphemeralContainers(), "resize": PodResize()}
"""Updates of these subresources of a pod; `status` is `Pods`' own, the others are not updates."""
