"""Deployments, replica sets, daemon sets, stateful sets and controller revisions."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from ropewalk.kube.kinds.apps import STRATEGIES
from ropewalk.kube.kinds.apps.daemon_sets import GENERATION
from ropewalk.kube.machinery.objects import Object, annotations_of, copied
from unit.kube.kinds.verdicts import cells, changed, created, creation, status_update, update, updated

DEPLOYMENTS = STRATEGIES["deployments"]
REPLICA_SETS = STRATEGIES["replicasets"]
DAEMON_SETS = STRATEGIES["daemonsets"]
STATEFUL_SETS = STRATEGIES["statefulsets"]
REVISIONS = STRATEGIES["controllerrevisions"]
ALL = ("deployments", "replicasets", "daemonsets", "statefulsets")
ONE: Object = {
    "metadata": {"name": "one"},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web", "tier": "front"}},
            "spec": {"containers": [{"name": "main", "image": "nginx:1.27"}]},
        },
    },
}


def _with(**spec: Any) -> Object:
    return {**ONE, "spec": {**ONE["spec"], **spec}}


@pytest.mark.parametrize("kind", ALL)
def test_good(kind: str) -> None:
    assert creation(STRATEGIES[kind], ONE) == []


@pytest.mark.parametrize("kind", ALL)
def test_defaults_come_once(kind: str) -> None:
    made = created(STRATEGIES[kind], ONE)
    again: Object = copied(made)
    STRATEGIES[kind].default(again)
    assert again == made
    assert made["metadata"]["generation"] == 1


def test_defaults() -> None:
    assert _defaults("deployments") == {
        "replicas": 1,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    }
    assert _defaults("replicasets") == {"replicas": 1}
    assert _defaults("daemonsets") == {
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
        "revisionHistoryLimit": 10,
    }
    assert _defaults("statefulsets") == {
        "replicas": 1,
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "revisionHistoryLimit": 10,
    }


def _defaults(kind: str) -> Object:
    spec = created(STRATEGIES[kind], ONE)["spec"]
    return {key: value for key, value in spec.items() if key not in ONE["spec"]}


class TestSelectors:
    @pytest.mark.parametrize("kind", ALL)
    def test_must_match_the_template(self, kind: str) -> None:
        assert creation(STRATEGIES[kind], _with(selector={"matchLabels": {"app": "db"}})) == [
            'spec.template.metadata.labels: Invalid value: {"app":"web","tier":"front"}: `selector` does not match'
            " template `labels`"
        ]

    @pytest.mark.parametrize(
        ("kind", "named"),
        [
            ("deployments", "deployment"),
            ("replicasets", "deployment"),
            ("daemonsets", "daemonset"),
            ("statefulsets", "statefulset"),
        ],
    )
    def test_must_select(self, kind: str, named: str) -> None:
        assert creation(STRATEGIES[kind], _with(selector={})) == [
            f"spec.selector: Invalid value: {{}}: empty selector is invalid for {named}"
        ]

    @pytest.mark.parametrize("kind", ["deployments", "replicasets", "statefulsets"])
    def test_must_be_there(self, kind: str) -> None:
        spec = {"template": ONE["spec"]["template"]}
        found = creation(STRATEGIES[kind], {"spec": spec})
        assert found[0] == "spec.selector: Required value"
        assert "`selector` does not match template `labels`" in found[1]

    @pytest.mark.parametrize("kind", ALL)
    def test_that_cannot_be_read(self, kind: str) -> None:
        wrong = {"matchExpressions": [{"key": "a", "operator": "Like"}]}
        found = creation(STRATEGIES[kind], _with(selector=wrong))
        assert any("not a valid selector operator" in line for line in found)

    @pytest.mark.parametrize("kind", ["deployments", "replicasets", "daemonsets"])
    def test_stay(self, kind: str) -> None:
        old = created(STRATEGIES[kind], ONE)
        new = changed(old, "spec", "selector", {"matchLabels": {"tier": "front"}})
        assert update(STRATEGIES[kind], new, old) == [
            'spec.selector: Invalid value: {"matchLabels":{"tier":"front"}}: field is immutable'
        ]


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("deployments", "ReplicaSet"),
        ("replicasets", "ReplicaSet"),
        ("daemonsets", "DaemonSet"),
        ("statefulsets", "StatefulSet"),
    ],
)
def test_pods_are_to_last(kind: str, named: str) -> None:
    pod = {**ONE["spec"]["template"]["spec"], "restartPolicy": "Never", "activeDeadlineSeconds": 10}
    found = creation(STRATEGIES[kind], changed(ONE, "spec", "template", "spec", pod))
    path = "spec.template.spec"
    assert f'{path}.restartPolicy: Unsupported value: "Never": supported values: "Always"' in found
    assert f"{path}.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in {named} is not Supported" in found


def _rolling(**fields: Any) -> Object:
    return {"type": "RollingUpdate", "rollingUpdate": fields}


BAD = [
    ("deployments", _with(replicas=-1), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
    (
        "deployments",
        _with(strategy={"type": "Recreate", "rollingUpdate": {}}),
        "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
    ),
    ("deployments", _with(strategy={"type": "Slow"}), 'supported values: "Recreate", "RollingUpdate"'),
    (
        "deployments",
        _with(strategy=_rolling(maxUnavailable=0, maxSurge="0%")),
        "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
    ),
    ("deployments", _with(strategy=_rolling(maxUnavailable="101%")), "must not be greater than 100%"),
    ("deployments", _with(strategy=_rolling(maxSurge="many")), "a valid percent string must be a numeric string"),
    (
        "deployments",
        _with(minReadySeconds=600),
        "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds",
    ),
    ("deployments", _with(revisionHistoryLimit=-1), "must be greater than or equal to 0"),
    (
        "daemonsets",
        _with(updateStrategy={"type": "Slow"}),
        'spec.updateStrategy: Unsupported value: {"Type":"Slow","RollingUpdate":null}: supported values:'
        ' "RollingUpdate", "OnDelete"',
    ),
    (
        "daemonsets",
        _with(updateStrategy=_rolling(maxSurge=1)),
        "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
    ),
    ("daemonsets", _with(updateStrategy=_rolling(maxUnavailable=0)), "cannot be 0 when maxSurge is 0"),
    ("statefulsets", _with(podManagementPolicy="Any"), "must be 'OrderedReady' or 'Parallel'"),
    ("statefulsets", _with(updateStrategy={"type": "Slow"}), "must be 'RollingUpdate' or 'OnDelete'"),
    (
        "statefulsets",
        _with(updateStrategy={"type": "OnDelete", "rollingUpdate": {"partition": 1}}),
        "only allowed for updateStrategy 'RollingUpdate'",
    ),
    ("statefulsets", _with(updateStrategy=_rolling(partition=-1)), "must be greater than or equal to 0"),
    (
        "statefulsets",
        _with(persistentVolumeClaimRetentionPolicy={"whenScaled": "Keep"}),
        'whenScaled: Unsupported value: "Keep": supported values: "Retain", "Delete"',
    ),
    ("statefulsets", _with(ordinals={"start": -1}), "spec.ordinals.start: Invalid value: -1"),
    ("statefulsets", _with(serviceName="a.b"), "spec.serviceName: Invalid value"),
    ("statefulsets", changed(ONE, "metadata", "name", "a.b"), "metadata.name: Invalid value"),
]


@pytest.mark.parametrize(("kind", "obj", "complaint"), BAD, ids=range(len(BAD)))
def test_bad(kind: str, obj: Object, complaint: str) -> None:
    found = creation(STRATEGIES[kind], obj)
    assert any(complaint in line for line in found), found


class TestGenerations:
    @pytest.mark.parametrize("kind", ALL)
    def test_count_changes_of_the_spec(self, kind: str) -> None:
        old = created(STRATEGIES[kind], ONE)
        assert updated(STRATEGIES[kind], old, old)["metadata"]["generation"] == 1
        new = changed(old, "spec", "minReadySeconds", 3)
        assert updated(STRATEGIES[kind], new, old)["metadata"]["generation"] == 2

    def test_of_deployments_count_annotations(self) -> None:
        old = created(DEPLOYMENTS, ONE)
        new = changed(old, "metadata", "annotations", {"a": "b"})
        assert updated(DEPLOYMENTS, new, old)["metadata"]["generation"] == 2

    def test_of_templates_of_daemon_sets(self) -> None:
        old = created(DAEMON_SETS, ONE)
        assert annotations_of(old) == {GENERATION: "1"}
        same = updated(DAEMON_SETS, changed(old, "metadata", "annotations", {GENERATION: "9"}), old)
        assert annotations_of(same) == {GENERATION: "1"}
        new = changed(old, "spec", "template", "spec", "containers", 0, "image", "nginx:1.28")
        assert annotations_of(updated(DAEMON_SETS, new, old)) == {GENERATION: "2"}


class TestStatefulSets:
    storage = ("spec", "volumeClaimTemplates", 0, "spec", "resources", "requests", "storage")
    claim: ClassVar[Object] = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }

    def test_volumes_of_claims_are_known(self) -> None:
        mounts = [{"name": "data", "mountPath": "/data"}]
        obj = changed(
            _with(volumeClaimTemplates=[self.claim]),
            "spec",
            "template",
            "spec",
            "containers",
            0,
            "volumeMounts",
            mounts,
        )
        assert creation(STATEFUL_SETS, obj) == []
        assert created(STATEFUL_SETS, obj)["spec"]["volumeClaimTemplates"] == [
            {
                **self.claim,
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "spec": {**self.claim["spec"], "volumeMode": "Filesystem"},
                "status": {"phase": "Pending"},
            }
        ]

    def test_fractions_of_bytes_are_warned_of(self) -> None:
        obj = changed(_with(volumeClaimTemplates=[self.claim]), *self.storage, "100m")
        assert STATEFUL_SETS.warnings(created(STATEFUL_SETS, obj), None) == [
            'spec.volumeClaimTemplates[0].resources.requests[storage]: fractional byte value "100m" is invalid, must be'
            " an integer"
        ]

    @pytest.mark.parametrize("field", ["serviceName", "podManagementPolicy", "volumeClaimTemplates", "selector"])
    def test_what_may_not_change(self, field: str) -> None:
        values = {
            "serviceName": "web",
            "podManagementPolicy": "Parallel",
            "volumeClaimTemplates": [self.claim],
            "selector": {"matchLabels": {"tier": "front"}},
        }
        old = created(STATEFUL_SETS, ONE)
        (found,) = update(STATEFUL_SETS, changed(old, "spec", field, values[field]), old)
        assert found.startswith(
            "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals'"
        )

    def test_what_may(self) -> None:
        old = created(STATEFUL_SETS, ONE)
        new = changed(changed(old, "spec", "replicas", 3), "spec", "ordinals", {"start": 1})
        assert update(STATEFUL_SETS, new, old) == []

    def test_a_feature_that_is_off(self) -> None:
        made = created(STATEFUL_SETS, _with(updateStrategy=_rolling(maxUnavailable=2)))
        assert made["spec"]["updateStrategy"]["rollingUpdate"] == {"partition": 0}

    def test_negative_history_is_warned_of(self) -> None:
        made = created(STATEFUL_SETS, _with(revisionHistoryLimit=-1))
        assert STATEFUL_SETS.warnings(made, None) == [
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
        ]


@pytest.mark.parametrize(
    ("kind", "status", "complaint"),
    [
        ("deployments", {"replicas": -1}, "status.replicas: Invalid value: -1"),
        (
            "deployments",
            {"readyReplicas": 1},
            "status.readyReplicas: Invalid value: 1: cannot be greater than status.r",
        ),
        ("deployments", {"replicas": 1, "availableReplicas": 1}, "cannot be greater than readyReplicas"),
        ("replicasets", {"fullyLabeledReplicas": 1}, "cannot be greater than status.replicas"),
        ("statefulsets", {"replicas": 1, "availableReplicas": 1}, "cannot be greater than status.readyReplicas"),
        ("daemonsets", {"numberReady": -1}, "status.numberReady: Invalid value: -1"),
    ],
)
def test_bad_status(kind: str, status: Object, complaint: str) -> None:
    found = status_update(STRATEGIES[kind], status, created(STRATEGIES[kind], ONE))
    assert any(complaint in line for line in found), found


@pytest.mark.parametrize("kind", ["deployments", "daemonsets", "statefulsets"])
def test_collisions_are_not_forgotten(kind: str) -> None:
    old = changed(created(STRATEGIES[kind], ONE), "status", {"collisionCount": 2})
    assert status_update(STRATEGIES[kind], {}, old) == [
        "status.collisionCount: Invalid value: 0: cannot be decremented"
    ]


def test_labels_of_a_deployment_pass_by_its_status() -> None:
    old = created(DEPLOYMENTS, ONE)
    new = changed(changed(old, "metadata", "labels", {"a": "b"}), "metadata", "annotations", {"c": "d"})
    DEPLOYMENTS.prepare_status_update(new, old)
    assert "labels" not in new["metadata"]
    assert new["metadata"]["annotations"] == {"c": "d"}


def test_names_of_pods_are_labels() -> None:
    made = created(DEPLOYMENTS, changed(ONE, "metadata", "name", "a.b"))
    (warning,) = DEPLOYMENTS.warnings(made, None)
    assert warning.startswith("metadata.name: this is used in Pod names and hostnames, which can result in surprising")


def test_revisions() -> None:
    assert creation(REVISIONS, {"revision": 1, "data": {"a": 1}}) == []
    assert creation(REVISIONS, {"revision": 1}) == ["data: Required value: data is mandatory"]
    assert creation(REVISIONS, {"revision": -1, "data": [1]}) == [
        "revision: Invalid value: -1: must be greater than or equal to 0",
        "data: Required value: data must be a valid JSON object",
    ]
    old = created(REVISIONS, {"revision": 1, "data": {"a": 1}})
    assert update(REVISIONS, changed(old, "revision", 2), old) == []
    assert update(REVISIONS, changed(old, "data", {"a": 2}), old) == [
        'data: Invalid value: {"a":2}: field is immutable'
    ]
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "web", "controller": True}
    row = cells(REVISIONS, changed(old, "metadata", "ownerReferences", [owner]))
    assert row == {"Name": "one", "Controller": "daemonset.apps/web", "Revision": 1, "Age": "0s"}


def test_tables() -> None:
    made = changed(created(DEPLOYMENTS, _with(replicas=3)), "status", {"readyReplicas": 1, "updatedReplicas": 2})
    assert cells(DEPLOYMENTS, made, wide=True) == {
        "Name": "one",
        "Ready": "1/3",
        "Up-to-date": 2,
        "Available": 0,
        "Age": "0s",
        "Containers": "main",
        "Images": "nginx:1.27",
        "Selector": "app=web",
    }
    assert list(cells(REPLICA_SETS, created(REPLICA_SETS, ONE))) == ["Name", "Desired", "Current", "Ready", "Age"]
    assert cells(DAEMON_SETS, created(DAEMON_SETS, ONE))["Node Selector"] == "<none>"
    assert cells(STATEFUL_SETS, created(STATEFUL_SETS, ONE), wide=True) == {
        "Name": "one",
        "Ready": "0/1",
        "Age": "0s",
        "Containers": "main",
        "Images": "nginx:1.27",
    }


def test_what_scales() -> None:
    assert {kind for kind in STRATEGIES if STRATEGIES[kind].scale is not None} == {
        "deployments",
        "replicasets",
        "statefulsets",
    }
