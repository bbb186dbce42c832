import pytest

from ropewalk.kube.kinds.core.nodes import Nodes
from ropewalk.kube.machinery.objects import Json, Object
from unit.kube.kinds.verdicts import cells, changed, created, creation, status_update, update, updated

KIND = Nodes()
TAINT = {"key": "dedicated", "value": "x", "effect": "NoSchedule"}


def test_a_node_is_made_with_its_status() -> None:
    made = created(KIND, {"status": {"capacity": {"cpu": "1.0005"}, "config": {}, "declaredFeatures": ["A"]}})
    assert made["status"] == {"capacity": {"cpu": "1001m"}, "allocatable": {"cpu": "1001m"}}


def test_an_update_of_the_node_leaves_its_status_and_the_other_way_round() -> None:
    old = created(KIND, {"status": {"capacity": {"cpu": "1"}}})
    new = updated(KIND, changed(old, "status", {"capacity": {"cpu": "9"}}), old)
    assert new["status"] == old["status"]
    tainted = changed(old, "spec", "taints", [TAINT])
    tainted["metadata"]["labels"] = {"a": "b"}
    KIND.prepare_status_update(tainted, old)
    assert "taints" not in tainted.get("spec", {}) and tainted["metadata"]["labels"] == {"a": "b"}


@pytest.mark.parametrize(
    ("spec", "ranges"),
    [
        ({"podCIDR": "10.0.0.0/24"}, ("10.0.0.0/24", ["10.0.0.0/24"])),
        ({"podCIDRs": ["10.0.0.0/24", "fd00::/64"]}, ("10.0.0.0/24", ["10.0.0.0/24", "fd00::/64"])),
        ({"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.0.0.0/24", "fd00::/64"]}, ("10.1.0.0/24", ["10.1.0.0/24"])),
    ],
)
def test_both_fields_for_ranges_agree(spec: Object, ranges: tuple[str, list[str]]) -> None:
    made = created(KIND, {"spec": spec})["spec"]
    assert (made["podCIDR"], made["podCIDRs"]) == ranges


@pytest.mark.parametrize(
    ("node", "wrong"),
    [
        ({}, []),
        ({"spec": {"taints": [TAINT, {**TAINT, "effect": "NoExecute"}]}}, []),
        (
            {"spec": {"taints": [TAINT, {**TAINT, "value": "y"}]}},
            [
                "metadata.taints[1]: Duplicate value:"
                ' {"Key":"dedicated","Value":"y","Effect":"NoSchedule","TimeAdded":null}: taints'
                " must be unique by key and effect pair"
            ],
        ),
        ({"spec": {"taints": [{"key": "a"}]}}, ["metadata.taints[0].effect: Required value"]),
        (
            {"spec": {"taints": [{"key": "a", "effect": "Never"}]}},
            [
                'metadata.taints[0].effect: Unsupported value: "Never": supported values: "NoSchedule",'
                ' "PreferNoSchedule", "NoExecute"'
            ],
        ),
        (
            {"spec": {"podCIDRs": ["10.0.0.0/24", "10.0.1.0/24"]}},
            [
                'spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: may specify no more than one CIDR for'
                " each IP family"
            ],
        ),
        (
            {"spec": {"podCIDRs": ["10.0.0.0"]}},
            [
                'spec.podCIDRs[0]: Invalid value: "10.0.0.0": must be a valid CIDR value, (e.g. 10.9.8.0/24 or'
                " 2001:db8::/64)"
            ],
        ),
        (
            {"status": {"capacity": {"pods": "1500m", "cpu": "-1", "example.com/gpu": "1"}}},
            [
                'status.capacity.pods: Invalid value: "1500m": must be an integer',
                'status.capacity.cpu: Invalid value: "-1": must be greater than or equal to 0',
                'status.allocatable.pods: Invalid value: "1500m": must be an integer',
                'status.allocatable.cpu: Invalid value: "-1": must be greater than or equal to 0',
            ],
        ),
    ],
)
def test_rules(node: Object, wrong: list[str]) -> None:
    assert creation(KIND, node) == wrong


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("podCIDRs", ["10.9.0.0/24"], ['spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to'
                                       " valid"]),
        ("providerID", "b", ['spec.providerID: Forbidden: node updates may not change providerID except from "" to'
                             " valid"]),
        ("unschedulable", True, []),
    ],
)  # fmt: skip
def test_what_stays(name: str, value: Json, wrong: list[str]) -> None:
    old = created(KIND, {"spec": {"podCIDRs": ["10.0.0.0/24"], "providerID": "a"}})
    new = changed(old, "spec", name, value)
    new["spec"].pop("podCIDR")
    assert update(KIND, new, old) == wrong


def test_addresses_are_told_once() -> None:
    address = {"type": "InternalIP", "address": "10.0.0.1"}
    assert status_update(KIND, {"addresses": [address, address]}, created(KIND, {})) == [
        'status.addresses[1]: Duplicate value: {"Type":"InternalIP","Address":"10.0.0.1"}'
    ]


@pytest.mark.parametrize(
    ("conditions", "spec", "shown"),
    [
        ([], {}, "Unknown"),
        ([{"type": "Ready", "status": "True"}], {}, "Ready"),
        ([{"type": "Ready", "status": "Unknown"}], {"unschedulable": True}, "NotReady,SchedulingDisabled"),
    ],
)
def test_the_status_column(conditions: list[Object], spec: Object, shown: str) -> None:
    assert cells(KIND, {"spec": spec, "status": {"conditions": conditions}})["Status"] == shown


def test_the_other_columns() -> None:
    labels = {"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "edge", "node-role.kubernetes.io/": ""}
    shown = cells(KIND, {"metadata": {"labels": labels}, "status": {"addresses": [
        {"type": "ExternalIP", "address": "1.2.3.4"}]}}, wide=True)  # fmt: skip
    assert shown["Roles"] == "edge,worker"
    assert (shown["Internal-IP"], shown["External-IP"], shown["OS-Image"]) == ("<none>", "1.2.3.4", "<unknown>")
    assert cells(KIND, {})["Roles"] == "<none>"


def test_whether_one_can_be_scheduled_on_is_selectable() -> None:
    select = KIND.selectable_fields["spec.unschedulable"]
    assert (select({}), select({"spec": {"unschedulable": True}})) == ("false", "true")


def test_warnings() -> None:
    node = {"spec": {"externalID": "a", "configSource": {}, "podCIDRs": ["10.0.0.1/24"]}}
    assert KIND.warnings(node, None) == [
        "spec.configSource: the feature is removed",
        "spec.externalID: this field is deprecated, and is unused by Kubernetes",
        'spec.podCIDRs[0]: CIDR value "10.0.0.1/24" is ambiguous in this context (should be "10.0.0.0/24" or'
        ' "10.0.0.1/32"?)',
    ]
