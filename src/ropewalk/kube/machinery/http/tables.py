"""Objects as rows: the columns of their kind, and as much of each object as was asked for. Pure but for the clock.

https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.base.clock import Clock
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.strategy import Column

NAME_DESCRIPTION = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a"
    " client to request the generation of an appropriate name automatically."
)

PLAIN = (
    Column("Name", lambda obj, now: obj["metadata"]["name"], format="name", description=NAME_DESCRIPTION),
    Column(
        "Created At",
        lambda obj, now: obj["metadata"].get("creationTimestamp", ""),
        type="date",
        description="CreationTimestamp is a timestamp representing the server time when this object was created.",
    ),
)
"""Of a kind without columns of its own."""


class Tables:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def table(
        self, served: Served, objects: Sequence[Object], metadata: Object, include: str, *, headers: bool = True
    ) -> Object:
        """A `meta.k8s.io/v1` Table."""
        columns = served.strategy.columns or PLAIN
        now = self._clock.wall()
        return {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "columnDefinitions": [_definition(column) for column in columns] if headers else [],
            "rows": [
                {"cells": [column.cell(obj, now) for column in columns], **_carried(obj, include)} for obj in objects
            ],
        }


def _definition(column: Column) -> Object:
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    }


def _carried(obj: Object, include: str) -> Object:
    if include == "None":
        return {}
    if include == "Object":
        return {"object": obj}
    return {"object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}}
