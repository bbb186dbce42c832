"""How kinds of the smaller groups may be written and deleted: the switches of kube-apiserver's strategies.
(`registry/<group>/<kind>/strategy.go` has them: AllowCreateOnUpdate, AllowUnconditionalUpdate, ReturnDeletedObject.)
"""

from __future__ import annotations

import importlib

import pytest

from ropewalk.kube.kinds.catalogue import PACKAGES
from ropewalk.kube.machinery.strategy import Strategy

EXPECTED = {
    "coordination.k8s.io": {"leases": "created"},
    "discovery.k8s.io": {"endpointslices": "unconditionally generation"},
    "events.k8s.io": {"events": "created unconditionally"},
    "networking.k8s.io": {
        "ingressclasses": "unconditionally generation",
        "ingresses": "unconditionally generation status",
        "ipaddresses": "unconditionally",
        "networkpolicies": "unconditionally generation",
        "servicecidrs": "unconditionally",
    },
    "node.k8s.io": {"runtimeclasses": "created"},
    "scheduling.k8s.io": {"priorityclasses": "unconditionally"},
    "storage.k8s.io": {
        "csidrivers": "returned",
        "csinodes": "returned",
        "csistoragecapacities": "",
        "storageclasses": "unconditionally returned",
        "volumeattachments": "returned status",
        "volumeattributesclasses": "unconditionally returned",
    },
}
"""Group → kind → what holds of it: PUT creates, PUT needs no version, the generation counts, DELETE answers the object,
the status has a door of its own.
"""


KINDS = [(group, plural) for group, kinds in EXPECTED.items() for plural in kinds]


def _strategies(group: str) -> dict[str, Strategy]:
    found: dict[str, Strategy] = importlib.import_module(PACKAGES[group]).STRATEGIES
    return found


@pytest.mark.parametrize("group", EXPECTED)
def test_every_kind_is_there(group: str) -> None:
    assert _strategies(group).keys() == EXPECTED[group].keys()


@pytest.mark.parametrize(("group", "plural"), KINDS)
def test_switches(group: str, plural: str) -> None:
    strategy = _strategies(group)[plural]
    found = {
        "created": strategy.allow_create_on_update,
        "unconditionally": strategy.allow_unconditional_update,
        "generation": strategy.has_generation,
        "returned": strategy.returns_deleted,
        "status": strategy.has_status,
    }
    assert {name for name, holds in found.items() if holds} == set(EXPECTED[group][plural].split())
