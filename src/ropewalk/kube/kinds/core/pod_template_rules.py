"""Pod templates: what every kind that makes pods asks of the template it keeps.
https://kubernetes.io/docs/concepts/workloads/pods/#pod-templates
"""

from __future__ import annotations

import orjson

from ropewalk.kube.kinds.core.pod_annotations import check_profiles_agree, validate_pod_annotations
from ropewalk.kube.kinds.core.pod_spec import default_pod_template
from ropewalk.kube.kinds.core.pod_spec_rules import validate_pod_spec
from ropewalk.kube.kinds.core.pod_warnings import template_warnings
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.remembered import Remembered

__all__ = ["default_pod_template", "template_warnings", "validate_controlled", "validate_pod_template"]


def validate_pod_template(
    template: Object, path: Path, errors: FieldErrors, *, old: Object | None = None, controller: str = ""
) -> None:
    """`old`: the template as it stands; where nothing changed nothing is judged again. `controller`: the kind whose
    pods must always restart and have no deadline ("ReplicaSet" also for a Deployment, "DaemonSet", …).
    """
    if old is None or template != old:
        spelled = _spelled(template)
        if spelled is None or _good.get(spelled) is None:
            before = len(errors.causes)
            _validate(template, path, errors)
            if spelled is not None and len(errors.causes) == before:
                _good.keep(spelled, True)
    if controller:
        validate_controlled(template, controller, path, errors)


_good: Remembered[bool] = Remembered()
"""Templates that break no rule: what is applied again, scaled or rolled back has been judged before."""


def _spelled(template: Object) -> bytes | None:
    try:
        return orjson.dumps(template)
    except TypeError:  # no JSON: a string that is no UTF-8
        return None


def _validate(template: Object, path: Path, errors: FieldErrors) -> None:
    metadata = template.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    spec = template.get("spec") or {}
    if labels := metadata.get("labels"):
        names.labels(labels, path / "labels", errors)
    if annotations:
        names.annotations(annotations, path / "annotations", errors)
        validate_pod_annotations(annotations, spec, path / "annotations", errors)
    validate_pod_spec(spec, path / "spec", errors)
    check_profiles_agree(annotations, spec, path / "spec", errors)
    if spec.get("ephemeralContainers"):
        text = "ephemeral containers not allowed in pod template"
        errors.forbidden(path / "spec" / "ephemeralContainers", text)


def validate_controlled(template: Object, controller: str, path: Path, errors: FieldErrors) -> None:
    """Of templates whose pods a controller keeps running."""
    spec = template.get("spec") or {}
    if spec.get("restartPolicy") != "Always":
        errors.not_supported(path / "spec" / "restartPolicy", spec.get("restartPolicy", ""), ["Always"])
    if spec.get("activeDeadlineSeconds") is not None:
        text = f"activeDeadlineSeconds in {controller} is not Supported"
        errors.forbidden(path / "spec" / "activeDeadlineSeconds", text)
