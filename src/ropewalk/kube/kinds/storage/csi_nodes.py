"""CSI nodes: which drivers run on a node, by the node's name.
https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/csi-node-v1/
"""

from __future__ import annotations

from ropewalk.kube.kinds.cells import AGE, NAME
from ropewalk.kube.kinds.checks import non_negative, same
from ropewalk.kube.kinds.core.volume_sources import check_driver_name
from ropewalk.kube.kinds.go_spelling import go_printed
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.machinery.strategy import Column, Strategy

DRIVERS = ROOT / "spec" / "drivers"
LONGEST_NODE_ID = 256


class CSINodes(Strategy):
    allow_unconditional_update = False
    returns_deleted = True
    columns = (
        NAME,
        Column("Drivers", lambda obj, now: len(at(obj, "spec", "drivers") or ()), type="integer"),
        AGE,
    )

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        seen: set[str] = set()
        for index, driver in enumerate(at(obj, "spec", "drivers") or ()):
            _validate_driver(driver, seen, DRIVERS / index, errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        """A driver that stays keeps all but its number of volumes."""
        self.validate_create(new, errors)
        before = {driver.get("name"): driver for driver in at(old, "spec", "drivers") or ()}
        for driver in at(new, "spec", "drivers") or ():
            kept = before.get(driver.get("name"))
            if kept is not None and not same({**driver, "allocatable": None}, {**kept, "allocatable": None}):
                told = {key: value for key, value in driver.items() if key != "allocatable"}
                errors.immutable(DRIVERS, go_printed(told, "storage.v1.CSINodeDriver"))


def _validate_driver(driver: Object, seen: set[str], path: Path, errors: FieldErrors) -> None:
    name, node = driver.get("name", ""), driver.get("nodeID", "")
    check_driver_name(errors, path / "name", name)
    if not node:
        errors.required(path / "nodeID")
    if len(node.encode()) > LONGEST_NODE_ID:
        errors.invalid(path / "nodeID", node, f"must be {LONGEST_NODE_ID} characters or less")
    non_negative(at(driver, "allocatable", "count"), path / "allocatable" / "count", errors)
    if name in seen:
        errors.duplicate(path / "name", name)
    seen.add(name)
    keys = set()
    for key in driver.get("topologyKeys") or ():
        if not key:
            errors.required(path)
        if key in keys:
            errors.duplicate(path, key)
        keys.add(key)
        errors.messages(path, key, names.qualified_name(key))
