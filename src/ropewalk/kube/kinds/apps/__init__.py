"""The group `apps`: what keeps pods running."""

from __future__ import annotations

from ropewalk.kube.kinds.apps.controller_revisions import ControllerRevisions
from ropewalk.kube.kinds.apps.daemon_sets import DaemonSets
from ropewalk.kube.kinds.apps.deployments import Deployments
from ropewalk.kube.kinds.apps.replica_sets import ReplicaSets
from ropewalk.kube.kinds.apps.stateful_sets import StatefulSets
from ropewalk.kube.machinery.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {
    "controllerrevisions": ControllerRevisions(),
    "daemonsets": DaemonSets(),
    "deployments": Deployments(),
    "replicasets": ReplicaSets(),
    "statefulsets": StatefulSets(),
}
