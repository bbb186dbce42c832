"""Events: what happened to an object, for people to read. `events.k8s.io` serves the same ones in another shape.
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ropewalk.kube.kinds.core.event_rules import COLUMNS, source_of, validate_event
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.strategy import Selectable, Strategy


def _involved(name: str) -> Selectable:
    return lambda event: str((event.get("involvedObject") or {}).get(name) or "")


def _own(name: str) -> Selectable:
    return lambda event: str(event.get(name) or "")


class Events(Strategy):
    allow_create_on_update = True
    columns = COLUMNS
    selectable_fields: ClassVar[Mapping[str, Selectable]] = {
        **{
            f"involvedObject.{name}": _involved(name)
            for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
        },
        "reason": _own("reason"),
        "reportingComponent": _own("reportingComponent"),
        "source": lambda event: source_of(event)[0] or event.get("reportingComponent", ""),
        "type": _own("type"),
    }

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        validate_event(obj, errors, reporting="reportingComponent")
