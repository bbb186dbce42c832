"""Component statuses: how the parts of a control plane are, as an API that has been deprecated since 1.19 tells it.
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/component-status-v1/
"""

from __future__ import annotations

from collections.abc import Mapping

from ropewalk.kube.kinds.cells import NAME
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.strategy import Column, Strategy

DEPRECATION = "v1 ComponentStatus is deprecated in v1.19+"
"""Warned about at every request."""
COMPONENTS = ("scheduler", "controller-manager", "etcd-0")


def _condition(obj: Object) -> Object:
    found = (entry for entry in obj.get("conditions") or () if entry.get("type") == "Healthy")
    return next(found, {})


def _status(obj: Object, now: float) -> str:
    value = _condition(obj).get("status")
    if value is None:
        return "Unknown"
    return "Healthy" if value == "True" else "Unhealthy"


def _of_condition(name: str) -> Column:
    def cell(obj: Object, now: float) -> Json:
        return _condition(obj).get(name, "")

    return Column(name.capitalize(), cell)


class ComponentStatuses(Strategy):
    """Only read, and computed where it is asked for (`Served.computed`): nothing of it is ever stored."""

    columns = (NAME, Column("Status", _status), _of_condition("message"), _of_condition("error"))


def component_statuses(problems: Mapping[str, str] | None = None) -> list[Object]:
    """`problems`: component → what is wrong with it, where something is.

    kube-apiserver asks the health pages of other processes. Here the components are parts of the one that answers, so
    that its answer is their sign of life; what is known to be wrong with one has to be told.
    """
    return [
        {
            "apiVersion": "v1",
            "kind": "ComponentStatus",
            "metadata": {"name": name},
            "conditions": [
                {"type": "Healthy", "status": "False", "message": problem}
                if (problem := (problems or {}).get(name, ""))
                else {"type": "Healthy", "status": "True", "message": "ok"}
            ],
        }
        for name in COMPONENTS
    ]
