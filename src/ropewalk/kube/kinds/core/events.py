"""Events: what happened to an object, for people to read. `events.k8s.io` serves the same ones in another shape.
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ropewalk.kube.kinds.core.event_rules import COLUMNS, selectable, source_of, validate_event
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.strategy import Selectable, Strategy


class Events(Strategy):
    allow_create_on_update = True
    columns = COLUMNS
    selectable_fields: ClassVar[Mapping[str, Selectable]] = {
        **selectable("involvedObject", "reason", "reportingComponent", "type"),
        "source": lambda event: source_of(event)[0] or event.get("reportingComponent", ""),
    }

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        validate_event(obj, errors, reporting="reportingComponent")
