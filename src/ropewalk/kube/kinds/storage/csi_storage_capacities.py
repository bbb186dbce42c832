"""CSI storage capacities: how much room a driver has for a class, where.
https://kubernetes.io/docs/concepts/storage/storage-capacity/
"""

from __future__ import annotations

from ropewalk.kube.kinds.cells import NAME, field, text
from ropewalk.kube.kinds.checks import immutable
from ropewalk.kube.kinds.core.checks import NOT_NEGATIVE
from ropewalk.kube.kinds.core.pod_warnings import NODE_LABELS
from ropewalk.kube.kinds.core.resource_lists import amount
from ropewalk.kube.machinery import names, quantities, selectors
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.strategy import Strategy

TOPOLOGY = ROOT / "nodeTopology"


class CSIStorageCapacities(Strategy):
    allow_unconditional_update = False
    columns = (
        NAME,
        field("StorageClassName", "storageClassName"),
        text("Capacity", lambda obj: str(obj.get("capacity", "<unset>"))),
    )

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        name, capacity = obj.get("storageClassName", ""), obj.get("capacity")
        selectors.validate_label_selector(obj.get("nodeTopology"), TOPOLOGY, errors)
        errors.messages(ROOT / "storageClassName", name, names.dns1123_subdomain(name))
        if capacity is not None and amount(capacity) < 0:
            errors.invalid(ROOT / "capacity", quantities.canonical(capacity), NOT_NEGATIVE)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self.validate_create(new, errors)
        immutable(new.get("nodeTopology"), old.get("nodeTopology"), TOPOLOGY, errors)
        immutable(new.get("storageClassName", ""), old.get("storageClassName"), ROOT / "storageClassName", errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        topology = new.get("nodeTopology") or {}
        found = [
            f"{TOPOLOGY / 'matchExpressions' / index / 'key'}: {expression['key']} is {NODE_LABELS[expression['key']]}"
            for index, expression in enumerate(topology.get("matchExpressions") or ())
            if expression.get("key") in NODE_LABELS
        ]
        for label in topology.get("matchLabels") or {}:
            if label in NODE_LABELS:
                found.append(f"{TOPOLOGY / 'matchLabels' / label}: {NODE_LABELS[label]}")
        return found
