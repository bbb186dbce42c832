"""Persistent volumes and claims."""

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.kube.kinds.core.persistent_volume_claims import PersistentVolumeClaims, grows
from ropewalk.kube.kinds.core.persistent_volumes import PersistentVolumes
from ropewalk.kube.machinery.objects import Json, Object, copied
from unit.kube.kinds.verdicts import cells, changed, created, creation, status_update, update, updated

VOLUMES, CLAIMS = PersistentVolumes(VirtualClock(1767225600.0)), PersistentVolumeClaims()
VOLUME: Object = {
    "metadata": {"name": "one"},
    "spec": {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "csi": {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1"},
    },
}
CLAIM: Object = {
    "metadata": {"name": "one", "resourceVersion": "1"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def test_a_new_volume_is_pending_from_its_first_moment() -> None:
    made = created(VOLUMES, VOLUME)
    assert made["status"] == {"phase": "Pending", "lastPhaseTransitionTime": "2026-01-01T00:00:00Z"}
    assert made["spec"]["persistentVolumeReclaimPolicy"] == "Retain" and made["spec"]["volumeMode"] == "Filesystem"
    assert creation(VOLUMES, VOLUME) == []


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        (("capacity",), {}, ["spec.capacity: Required value",
                             'spec.capacity: Unsupported value: {}: supported values: "storage"']),
        (("capacity", "storage"), "0", ['spec.capacity[storage]: Invalid value: "0": must be greater than zero']),
        (("accessModes",), [], ["spec.accessModes: Required value"]),
        (("accessModes",), ["ReadWriteOncePod", "ReadOnlyMany"],
         ["spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"]),
        (("accessModes",), ["Some"],
         ['spec.accessModes: Unsupported value: "Some": supported values: "ReadOnlyMany", "ReadWriteMany",'
          ' "ReadWriteOnce", "ReadWriteOncePod"']),
        (("persistentVolumeReclaimPolicy",), "Burn",
         ['spec.persistentVolumeReclaimPolicy: Unsupported value: "Burn": supported values: "Delete", "Recycle",'
          ' "Retain"']),
        (("csi",), None, ["spec: Required value: must specify a volume type"]),
        (("csi", "volumeHandle"), None, ["spec.csi.volumeHandle: Required value"]),
        (("csi", "nodeExpandSecretRef"), {"name": "a"}, ["spec.csi.nodeExpandSecretRef.namespace: Required value"]),
        (("nfs",), {"server": "a", "path": "/b"}, ["spec.csi: Forbidden: may not specify more than 1 volume type"]),
        (("nodeAffinity",), {}, ["spec.nodeAffinity.required: Required value: must specify required node constraints"]),
        (("volumeMode",), "Tape",
         ['spec.volumeMode: Unsupported value: "Tape": supported values: "Block", "Filesystem"']),
        (("volumeAttributesClassName",), "",
         ["spec.volumeAttributesClassName: Required value: an empty string is disallowed"]),
    ],
)  # fmt: skip
def test_rules_of_volumes(path: tuple[str, ...], value: Json, wrong: list[str]) -> None:
    assert creation(VOLUMES, changed(VOLUME, "spec", *path, value)) == wrong


def with_source(**source: Json) -> Object:
    spec = {key: value for key, value in VOLUME["spec"].items() if key != "csi"}
    return {**VOLUME, "spec": {**spec, **source}}


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ({"hostPath": {"path": "/data"}}, []),
        ({"hostPath": {"path": "/"}, "persistentVolumeReclaimPolicy": "Recycle"},
         ["spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"]),
        ({"local": {"path": "/a"}}, ["spec.nodeAffinity: Required value: Local volume requires node affinity"]),
        ({"local": {"path": "/a/../b"}, "nodeAffinity": {"required": {"nodeSelectorTerms": [{}]}}},
         ['spec.local.path: Invalid value: "/a/../b": must not contain \'..\'']),
        ({"glusterfs": {"endpoints": "a", "path": "b", "endpointsNamespace": ""}},
         ['spec.glusterfs.endpointsNamespace: Invalid value: "": if the endpointnamespace is set, it must be a valid'
          " namespace name"]),
        ({"azureFile": {"secretName": "a", "shareName": "b", "secretNamespace": ""}},
         ["spec.azureFile.secretNamespace: Required value"]),
        ({"flexVolume": {"driver": "a", "options": {"x.k8s.io/a": "b"}}},
         ['spec.flexVolume.options[x.k8s.io/a]: Invalid value: "x.k8s.io/a": kubernetes.io and k8s.io namespaces are'
          " reserved"]),
        ({"cinder": {"volumeID": "a", "secretRef": {}}},
         ["spec.cinder.secretRef.name: Required value", "spec.cinder.secretRef.namespace: Required value"]),
    ],
)  # fmt: skip
def test_sources_of_volumes(source: Object, wrong: list[str]) -> None:
    assert creation(VOLUMES, with_source(**source)) == wrong


def test_what_a_volume_is_made_of_stays() -> None:
    old = created(VOLUMES, VOLUME)
    assert update(VOLUMES, changed(old, "spec", "capacity", "storage", "2Gi"), old) == []
    assert update(VOLUMES, changed(old, "spec", "csi", "controllerExpandSecretRef", {"name": "a", "namespace": "b"}),
                  old) == []  # fmt: skip
    found = update(VOLUMES, changed(old, "spec", "csi", "volumeHandle", "vol-2"), old)
    assert len(found) == 1 and found[0].startswith(
        "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n"
    )
    assert '-  "VolumeHandle": "vol-1",\n+  "VolumeHandle": "vol-2",\n   "ReadOnly": false,\n' in found[0]
    assert update(VOLUMES, changed(old, "spec", "volumeMode", "Block"), old) == [
        'volumeMode: Invalid value: "Block": field is immutable'
    ]


def test_the_nodes_of_a_volume_stay_but_for_names_of_labels() -> None:
    def at_zone(label: str, zone: str) -> Object:
        expression = {"key": label, "operator": "In", "values": [zone]}
        return {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}

    beta, present = "failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"
    old = created(VOLUMES, changed(VOLUME, "spec", "nodeAffinity", at_zone(beta, "a")))
    assert update(VOLUMES, changed(old, "spec", "nodeAffinity", at_zone(present, "a")), old) == []
    found = update(VOLUMES, changed(old, "spec", "nodeAffinity", at_zone(present, "b")), old)
    assert found[0].endswith("field is immutable, except for updating from beta label to GA")


def test_the_time_of_a_phase_is_when_it_began() -> None:
    old = created(VOLUMES, VOLUME)
    old["status"]["lastPhaseTransitionTime"] = "2025-12-01T00:00:00Z"

    def after(status: Object) -> str:
        new = {**copied(old), "status": status}
        VOLUMES.prepare_status_update(new, old)
        return str(new["status"]["lastPhaseTransitionTime"])

    assert after({"phase": "Pending"}) == "2025-12-01T00:00:00Z"
    assert after({"phase": "Bound"}) == "2026-01-01T00:00:00Z"
    assert after({"phase": "Bound", "lastPhaseTransitionTime": "2025-12-24T00:00:00Z"}) == "2025-12-24T00:00:00Z"


def test_columns_of_volumes() -> None:
    made = created(VOLUMES, changed(VOLUME, "spec", "claimRef", {"namespace": "a", "name": "b"}))
    made["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    shown = cells(VOLUMES, made)
    assert [shown[name] for name in ("Capacity", "Access Modes", "Reclaim Policy", "Status", "Claim")] == [
        "1Gi", "RWO", "Retain", "Terminating", "a/b",
    ]  # fmt: skip
    assert (shown["StorageClass"], shown["VolumeAttributesClass"]) == ("", "<unset>")


def test_warnings_of_volumes() -> None:
    old = with_source(rbd={"monitors": ["a"], "image": "b"}, persistentVolumeReclaimPolicy="Recycle")
    old["metadata"] = {"annotations": {"volume.beta.kubernetes.io/storage-class": "a"}}
    assert VOLUMES.warnings(old, None) == [
        "metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use"
        ' "storageClassName" attribute instead',
        "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended"
        " approach is to use dynamic provisioning.",
        "spec.rbd: deprecated in v1.28, non-functional in v1.31+",
    ]


# --- claims


def test_a_new_claim_is_pending() -> None:
    made = created(CLAIMS, CLAIM)
    assert made["status"] == {"phase": "Pending"} and made["spec"]["volumeMode"] == "Filesystem"
    assert creation(CLAIMS, CLAIM) == []


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        (("accessModes",), None, ["spec.accessModes: Required value: at least 1 access mode is required"]),
        (("resources",), None, ["spec.resources[storage]: Required value"]),
        (("resources", "requests", "storage"), "0",
         ['spec.resources[storage]: Invalid value: "0": must be greater than zero']),
        (("dataSourceRef",), {"kind": "Thing", "name": "a"},
         ["spec.dataSource: Invalid value: \"Thing\": must be 'PersistentVolumeClaim' when referencing the default"
          " apiGroup",
          "spec.dataSourceRef: Invalid value: \"Thing\": must be 'PersistentVolumeClaim' when referencing the default"
          " apiGroup"]),
        (("dataSource",), {"kind": "PersistentVolumeClaim"},
         ["spec.dataSource.name: Required value", "spec.dataSourceRef.name: Required value"]),
    ],
)  # fmt: skip
def test_rules_of_claims(path: tuple[str, ...], value: Json, wrong: list[str]) -> None:
    assert creation(CLAIMS, changed(CLAIM, "spec", *path, value)) == wrong


@pytest.mark.parametrize(
    ("spec", "source"),
    [
        (
            {"dataSource": {"kind": "PersistentVolumeClaim", "name": "a"}},
            {"kind": "PersistentVolumeClaim", "name": "a"},
        ),
        ({"dataSource": {"apiGroup": "a.b", "kind": "Thing", "name": "a"}}, None),
        (
            {"dataSourceRef": {"apiGroup": "a.b", "kind": "Thing", "name": "a"}},
            {"apiGroup": "a.b", "kind": "Thing", "name": "a"},
        ),
        ({"dataSourceRef": {"apiGroup": "a.b", "kind": "Thing", "name": "a", "namespace": "b"}}, None),
    ],
)
def test_both_fields_for_sources_agree(spec: Object, source: Object | None) -> None:
    made = created(CLAIMS, {**CLAIM, "spec": {**CLAIM["spec"], **spec}})["spec"]
    assert (made.get("dataSource"), made.get("dataSourceRef")) == (source, source)


def bound(**spec: Json) -> Object:
    claim = created(CLAIMS, {**CLAIM, "spec": {**CLAIM["spec"], "volumeName": "v", **spec}})
    claim["status"] = {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
    return claim


def test_a_claim_is_bound_once() -> None:
    old = created(CLAIMS, CLAIM)
    assert update(CLAIMS, changed(old, "spec", "volumeName", "v"), old) == []
    found = update(CLAIMS, changed(bound(), "spec", "volumeName", "w"), bound())
    assert len(found) == 1 and found[0].startswith("spec: Forbidden: spec is immutable after creation except")


@pytest.mark.parametrize(
    ("old", "size", "wrong"),
    [
        (bound(), "2Gi", []),
        (bound(), "1024Mi", []),
        (bound(), "512Mi", ["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"]),
    ],
)
def test_only_a_bound_claim_grows(old: Object, size: str, wrong: list[str]) -> None:
    assert update(CLAIMS, changed(old, "spec", "resources", "requests", "storage", size), old) == wrong


def test_a_failed_expansion_may_be_taken_back() -> None:
    old = bound(resources={"requests": {"storage": "10Gi"}})
    new = changed(old, "spec", "resources", "requests", "storage", "2Gi")
    assert update(CLAIMS, new, old) == []
    assert (grows(new, old), grows(old, new), grows(old, old)) == (-1, 1, 0)


def test_a_claim_that_is_not_bound_does_not_grow() -> None:
    old = created(CLAIMS, CLAIM)
    found = update(CLAIMS, changed(old, "spec", "resources", "requests", "storage", "2Gi"), old)
    assert len(found) == 1 and '-   "storage": "1Gi"\n+   "storage": "2Gi"\n' in found[0]


def test_a_claim_without_class_may_be_given_one_once() -> None:
    old = created(CLAIMS, CLAIM)
    with_class = changed(old, "spec", "storageClassName", "gp3")
    assert update(CLAIMS, with_class, old) == []
    assert len(update(CLAIMS, changed(with_class, "spec", "storageClassName", "gp2"), with_class)) == 1


def test_the_status_of_a_claim() -> None:
    old = bound()
    assert status_update(CLAIMS, {"allocatedResourceStatuses": {"cpu": "Odd"}}, old) == [
        'status.allocatedResourceStatuses: Unsupported value: "cpu": supported values: "storage"',
        'status.allocatedResourceStatuses: Unsupported value: "cpu": supported values: "ControllerResizeInProgress",'
        ' "ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizeInfeasible", "NodeResizePending"',
    ]
    assert status_update(CLAIMS, {"phase": "Bound", "allocatedResources": {"storage": "2Gi"}}, old) == []


def test_columns_of_claims() -> None:
    shown = cells(CLAIMS, created(CLAIMS, CLAIM))
    assert [shown[name] for name in ("Status", "Volume", "Capacity", "Access Modes")] == ["Pending", "", "", ""]
    shown = cells(CLAIMS, bound(storageClassName="gp3"))
    assert [shown[name] for name in ("Status", "Volume", "Capacity", "Access Modes", "StorageClass")] == [
        "Bound", "v", "1Gi", "RWO", "gp3",
    ]  # fmt: skip


def test_a_claim_of_part_of_a_byte_is_warned_about() -> None:
    claim = updated(CLAIMS, changed(CLAIM, "spec", "resources", "requests", "storage", "1500m"), bound())
    assert CLAIMS.warnings(claim, None) == [
        'spec.resources.requests[storage]: fractional byte value "1500m" is invalid, must be an integer'
    ]
