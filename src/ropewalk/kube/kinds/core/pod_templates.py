"""PodTemplate: a pod template that stands alone, kept by no controller.
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-template-v1/
"""

from __future__ import annotations

from ropewalk.kube.kinds.core.pod_spec import default_pod_template
from ropewalk.kube.kinds.core.pod_template_rules import validate_pod_template
from ropewalk.kube.kinds.core.pod_warnings import template_warnings
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object, labels_of, name_of
from ropewalk.kube.machinery.strategy import Column, Strategy

TEMPLATE = ROOT / "template"


def _of_containers(field: str, obj: Object) -> str:
    containers = ((obj.get("template") or {}).get("spec") or {}).get("containers") or ()
    return ",".join(container.get(field, "") for container in containers)


def _labels(obj: Object) -> str:
    labels = labels_of(obj.get("template") or {})
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels)) or "<none>"


class PodTemplates(Strategy):
    has_generation = True
    columns = (
        Column("Name", lambda obj, now: name_of(obj), format="name", description="Name within its namespace."),
        Column("Containers", lambda obj, now: _of_containers("name", obj), description="Names of the containers."),
        Column("Images", lambda obj, now: _of_containers("image", obj), description="Images of the containers."),
        Column("Pod Labels", lambda obj, now: _labels(obj), description="Labels that the pods get."),
    )

    def default(self, obj: Object) -> None:
        default_pod_template(obj.setdefault("template", {}))

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        validate_pod_template(obj["template"], TEMPLATE, errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        validate_pod_template(new["template"], TEMPLATE, errors, old=old.get("template"))

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        if old is not None and new["template"] == old.get("template"):
            return []
        return template_warnings(new["template"], TEMPLATE, None if old is None else old.get("template"))
