"""The priority classes that a server comes with."""

from __future__ import annotations

from ropewalk.kube.kinds.scheduling.bootstrap import PRIORITY_CLASSES
from ropewalk.kube.machinery.objects import name_of


def test_nodes_come_before_the_cluster() -> None:
    assert {name_of(obj): obj["value"] for obj in PRIORITY_CLASSES} == {
        "system-node-critical": 2_000_001_000,
        "system-cluster-critical": 2_000_000_000,
    }
