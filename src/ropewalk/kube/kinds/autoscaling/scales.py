"""Scale: what the `scale` subresource of any kind shows. A view, stored nowhere.
https://kubernetes.io/docs/reference/kubernetes-api/autoscaling-resources/scale-v1/
"""

from __future__ import annotations

from ropewalk.kube.kinds.cells import AGE, number
from ropewalk.kube.kinds.checks import non_negative
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object, at, metadata
from ropewalk.kube.machinery.strategy import Column

COLUMNS = (
    Column("Name", lambda obj, now: metadata(obj).get("name", "")),
    number("Desired", "spec", "replicas"),
    number("Available", "status", "replicas"),
    AGE,
)


def validate_scale(scale: Object, errors: FieldErrors) -> None:
    non_negative(at(scale, "spec", "replicas"), ROOT / "spec" / "replicas", errors)
