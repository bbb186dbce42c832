"""Binding a pod to a node: what the scheduler asks for.
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/binding-v1/
"""

from __future__ import annotations

from ropewalk.kube.kinds.core.pod_status import set_condition
from ropewalk.kube.machinery.errors import StatusFault, bad_request, conflict, unmet_precondition
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object, copied, metadata, name_of, namespace_of, uid_of
from ropewalk.kube.machinery.registry.keys import told

TOPOLOGY = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")
"""Labels of its node that a pod gets when it is bound."""
_RESOURCE = "pods/binding"


def check_binding(name: str, binding: Object) -> None:
    """`name`: the pod of the URL. Raises `BadRequest` or, as kube-apiserver does here, an untyped failure's 400."""
    if name_of(binding) != name:
        raise bad_request("name in URL does not match name in Binding object")
    errors = FieldErrors()
    target = binding.get("target") or {}
    if target.get("kind") not in (None, "", "Node"):
        errors.not_supported(ROOT / "target" / "kind", target["kind"], ["Node", "<empty>"])
    if not target.get("name"):
        errors.required(ROOT / "target" / "name")
    if errors:
        texts = [f"{cause.field}: {cause.message}" for cause in errors.causes]
        raise bad_request(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")


def bind(pod: Object, binding: Object, now: str) -> Object:
    """The pod as bound. `now`: RFC 3339, for the condition. Raises `StatusFault` where this pod cannot be bound so.

    The binding's uid and resourceVersion, where given, are preconditions; its annotations and labels go to the pod.
    """
    name = name_of(pod)
    _check_preconditions(pod, binding)
    spec = pod.get("spec") or {}
    if metadata(pod).get("deletionTimestamp") is not None:
        raise _refused(name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise _refused(name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise _refused(name, f"pod {name} has non-empty .spec.schedulingGates")
    bound: Object = copied(pod)
    bound["spec"]["nodeName"] = binding["target"]["name"]
    for kind in ("annotations", "labels"):
        if given := metadata(binding).get(kind):
            bound["metadata"].setdefault(kind, {}).update(given)
    status = bound.setdefault("status", {})
    status.pop("nominatedNodeName", None)
    set_condition(status, {"type": "PodScheduled", "status": "True"}, now)
    return bound


def _check_preconditions(pod: Object, binding: Object) -> None:
    wanted = uid_of(binding)
    if wanted and wanted != uid_of(pod):
        raise _unmet(pod, "UID", wanted, uid_of(pod))
    version, present = metadata(binding).get("resourceVersion"), metadata(pod).get("resourceVersion")
    if version and version != present:
        raise _unmet(pod, "ResourceVersion", version, present)


def _unmet(pod: Object, what: str, wanted: str, present: str | None) -> StatusFault:
    name = name_of(pod)
    return unmet_precondition("pods", "", name, told("pods", namespace_of(pod), name), what, wanted, present or "")


def _refused(name: str, why: str) -> StatusFault:
    return conflict(_RESOURCE, "", name, why)
