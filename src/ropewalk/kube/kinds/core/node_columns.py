"""What `kubectl get nodes` shows of a node."""

from __future__ import annotations

from ropewalk.kube.machinery.objects import Object, at, labels_of

ROLE_PREFIX, ROLE_LABEL = "node-role.kubernetes.io/", "kubernetes.io/role"


def status(node: Object) -> str:
    """`Ready`, `NotReady,SchedulingDisabled`, …"""
    found = [entry for entry in at(node, "status", "conditions") or () if entry.get("type") == "Ready"]
    words = ["Unknown"]
    if found:
        words = ["Ready" if found[-1].get("status") == "True" else "NotReady"]
    if at(node, "spec", "unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def roles(node: Object) -> str:
    found = set()
    for label, value in labels_of(node).items():
        if label.startswith(ROLE_PREFIX):
            found.add(label.removeprefix(ROLE_PREFIX))
        elif label == ROLE_LABEL:
            found.add(value)
    return ",".join(sorted(found - {""})) or "<none>"


def address(node: Object, kind: str) -> str:
    addresses = at(node, "status", "addresses") or ()
    return next((found.get("address", "") for found in addresses if found.get("type") == kind), "<none>")
