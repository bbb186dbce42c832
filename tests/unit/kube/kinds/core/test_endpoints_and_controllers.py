"""Endpoints, replication controllers, component statuses."""

import pytest

from ropewalk.kube.kinds.core.component_statuses import ComponentStatuses, component_statuses
from ropewalk.kube.kinds.core.endpoints import Endpoints
from ropewalk.kube.kinds.core.replication_controllers import ReplicationControllers
from ropewalk.kube.machinery.objects import Json, Object
from unit.kube.kinds.verdicts import cells, changed, created, creation, status_update, update, updated

ENDPOINTS, CONTROLLERS = Endpoints(), ReplicationControllers()
SUBSET: Object = {"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80, "protocol": "TCP"}]}


@pytest.mark.parametrize(
    ("subset", "wrong"),
    [
        (SUBSET, []),
        ({}, ["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"]),
        (
            {"notReadyAddresses": [{"ip": "x"}]},
            [
                'subsets[0].notReadyAddresses[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or'
                " 2001:db8::ffff)",
                'subsets[0].notReadyAddresses[0].ip: Invalid value: "x": must be a valid IP address',
            ],
        ),
        (
            {"addresses": [{"ip": "169.254.0.1"}, {"ip": "0.0.0.0"}, {"ip": "224.0.0.1"}]},
            [
                'subsets[0].addresses[0].ip: Invalid value: "169.254.0.1": may not be in the link-local range'
                " (169.254.0.0/16, fe80::/10)",
                'subsets[0].addresses[1].ip: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)',
                'subsets[0].addresses[2].ip: Invalid value: "224.0.0.1": may not be in the link-local multicast range'
                " (224.0.0.0/24, ff02::/10)",
            ],
        ),
        (
            {**SUBSET, "ports": [{"port": 80}, {"port": 81, "name": "b"}]},
            ["subsets[0].ports[0].name: Required value"],
        ),
        (
            {**SUBSET, "ports": [{"port": 80, "protocol": "ICMP"}]},
            ['subsets[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"'],
        ),
    ],
)
def test_endpoints(subset: Object, wrong: list[str]) -> None:
    assert creation(ENDPOINTS, {"subsets": [subset]}) == wrong


def test_endpoints_that_did_not_change_are_not_judged_again() -> None:
    old = created(ENDPOINTS, {"subsets": [{"addresses": [{"ip": "127.0.0.1"}]}]})
    assert update(ENDPOINTS, {**old, "metadata": {"name": "one", "labels": {"a": "b"}}}, old) == []
    assert len(update(ENDPOINTS, {"subsets": [{"addresses": [{"ip": "127.0.0.2"}]}]}, old)) == 1


@pytest.mark.parametrize(
    ("subsets", "shown"),
    [
        ([], "<none>"),
        ([SUBSET], "10.0.0.1:80"),
        ([{"addresses": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], "ports": [{"port": 80}]}], "10.0.0.1:80,[fd00::1]:80"),
        ([{"addresses": [{"ip": "10.0.0.1"}]}], "10.0.0.1"),
        ([{"addresses": [{"ip": f"10.0.0.{last}"} for last in range(5)], "ports": [{"port": 1}]}],
         "10.0.0.0:1,10.0.0.1:1,10.0.0.2:1 + 2 more..."),
    ],
)  # fmt: skip
def test_the_column_of_endpoints(subsets: list[Object], shown: str) -> None:
    assert cells(ENDPOINTS, {"subsets": subsets})["Endpoints"] == shown


def test_addresses_of_people_are_warned_about_those_of_the_controller_are_not() -> None:
    given = {"subsets": [{"addresses": [{"ip": "010.0.0.1"}]}]}
    assert len(ENDPOINTS.warnings(given, None)) == 1
    labels = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}
    assert ENDPOINTS.warnings({**given, "metadata": {"labels": labels}}, None) == []


# --- replication controllers

TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "nginx"}]}}
CONTROLLER: Object = {"metadata": {"name": "one"}, "spec": {"template": TEMPLATE}}


def test_labels_of_the_template_are_the_selector_and_the_labels() -> None:
    made = created(CONTROLLERS, CONTROLLER)
    assert made["spec"]["selector"] == made["metadata"]["labels"] == {"app": "web"}
    assert made["spec"]["replicas"] == 1 and made["metadata"]["generation"] == 1
    assert made["status"] == {"replicas": 0}
    assert creation(CONTROLLERS, CONTROLLER) == []


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        (("replicas",), -1, ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]),
        (("selector",), {"app": "db"}, ['spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does'
                                        " not match template `labels`"]),
        (("template",), None, ["spec.selector: Required value", "spec.template: Required value"]),
        (("template", "spec", "restartPolicy"), "Never",
         ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"']),
        (("template", "spec", "activeDeadlineSeconds"), 5,
         ["spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicationController is not"
          " Supported"]),
    ],
)  # fmt: skip
def test_rules_of_replication_controllers(path: tuple[str, ...], value: Json, wrong: list[str]) -> None:
    assert creation(CONTROLLERS, changed(CONTROLLER, "spec", *path, value)) == wrong


def test_only_a_change_of_its_spec_is_counted() -> None:
    old = created(CONTROLLERS, CONTROLLER)
    labelled = updated(CONTROLLERS, changed(old, "metadata", "labels", "a", "b"), old)
    scaled = updated(CONTROLLERS, changed(old, "spec", "replicas", 3), old)
    assert (labelled["metadata"]["generation"], scaled["metadata"]["generation"]) == (1, 2)


def test_the_status_of_a_replication_controller() -> None:
    old = created(CONTROLLERS, CONTROLLER)
    assert status_update(CONTROLLERS, {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1}, old) == []
    assert status_update(CONTROLLERS, {"replicas": 1, "availableReplicas": 2}, old) == [
        "status.availableReplicas: Invalid value: 2: cannot be greater than status.replicas",
        "status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas",
    ]
    assert CONTROLLERS.selectable_fields["status.replicas"](old) == "0"


def test_columns_of_replication_controllers() -> None:
    shown = cells(CONTROLLERS, created(CONTROLLERS, CONTROLLER), wide=True)
    assert list(shown) == ["Name", "Desired", "Current", "Ready", "Age", "Containers", "Images", "Selector"]
    assert (shown["Desired"], shown["Images"], shown["Selector"]) == (1, "nginx", "app=web")


def test_a_name_that_no_pod_can_have_as_its_host_is_warned_about() -> None:
    made = created(CONTROLLERS, changed(CONTROLLER, "metadata", "name", "a.b"))
    assert CONTROLLERS.warnings(made, None)[0].startswith("metadata.name: this is used in Pod names and hostnames")
    assert CONTROLLERS.warnings(created(CONTROLLERS, CONTROLLER), None) == []


def test_component_statuses() -> None:
    bad, _, good = component_statuses({"scheduler": "connection refused"})
    kind = ComponentStatuses()
    assert cells(kind, good) == {"Name": "etcd-0", "Status": "Healthy", "Message": "ok", "Error": ""}
    assert cells(kind, bad)["Status"] == "Unhealthy"
    assert cells(kind, {"metadata": {"name": "other"}})["Status"] == "Unknown"
