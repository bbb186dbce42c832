"""`additionalPrinterColumns`: what `kubectl get` shows of a custom resource. Pure.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#additional-printer-columns
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.extension import causes, jsonpath
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.objects import Json, Object, metadata
from ropewalk.kube.machinery.strategy import Column

_NAME = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a"
    " client to request the generation of an appropriate name automatically. Name is primarily intended for creation"
    " idempotence and configuration definition. Cannot be updated. More info:"
    " https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
_AGE = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed"
    " to be set in happens-before order across separate operations. Clients may not set this value. It is represented"
    " in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info:"
    " https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)


def of_version(given: Sequence[Object] | None) -> tuple[Column, ...]:
    name = Column("Name", lambda obj, now: obj["metadata"]["name"], format="name", description=_NAME)
    if not given:
        return (name, Column("Age", _age, type="date", description=_AGE))
    found = [name]
    for one in given:
        try:
            found.append(_column(one))
        except ValueError:
            break  # from the first path that is none, nothing more is shown
    return tuple(found)


def _age(obj: Object, now: float) -> Json:
    return times.age(now, metadata(obj).get("creationTimestamp", ""))


def _column(given: Object) -> Column:
    path = jsonpath.parse(given["jsonPath"])
    kind = given["type"]

    def cell(obj: Object, now: float) -> Json:
        try:
            found = path.find(obj)
        except jsonpath.NotFollowed:
            return None
        return _cell(found[0], kind, now) if found else None

    return Column(
        given["name"],
        cell,
        kind,
        given.get("format", ""),
        given.get("description") or f"Custom resource definition column (in JSONPath format): {given['jsonPath']}",
        given.get("priority", 0),
    )


def _cell(value: Json, kind: str, now: float) -> Json:
    """A cell of the column's type; null where the object has something else there."""
    number = type(value) in (int, float)
    match kind:
        case "string":
            return text(value)
        case "integer":
            return int(value) if number else None
        case "number":
            return int(value) if number and float(value).is_integer() else value if number else None
        case "boolean":
            return value if type(value) is bool else None
        case "date":
            return _date(value, now) if type(value) is str else None
    return None


def _date(value: str, now: float) -> str:
    try:
        times.parse(value)
    except ValueError:
        return "<invalid>"
    return times.age(now, value)


def text(value: Json) -> str:
    """As Go prints a scalar; the rest as JSON."""
    if type(value) is str:
        return value
    if value is None:
        return "<nil>"
    return causes.shown(value)
