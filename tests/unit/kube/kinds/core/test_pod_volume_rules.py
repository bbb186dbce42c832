"""A row a rule: what is wrong with a volume, where, in which words."""

from __future__ import annotations

from typing import Any

import pytest

from unit.kube.kinds.core.pod_kit import SUBDOMAIN, Complaints, of_spec

V = "volumes[3]"
MODE = "must be a number between 0 and 0777 (octal), both inclusive"
ISCSI = {"targetPortal": "10.0.0.1:3260", "iqn": "iqn.2001-04.com.example:storage", "lun": 0}


def volume(what: str, /, named: str = "v", **source: Any) -> dict[str, Any]:
    """A fourth volume."""
    return {"volumes.3": {"name": named, what: source}}


def required(*steps: str) -> Complaints:
    return [(f"{V}.{step}", "Required value") for step in steps]


def projected(*sources: dict[str, Any]) -> dict[str, Any]:
    return {**volume("projected", sources=list(sources)), "serviceAccountName": "default"}


ROWS: list[tuple[dict[str, Any], Complaints]] = [
    (volume("emptyDir", named=""), required("name")),
    (volume("emptyDir", named="a.b"), [(f"{V}.name", 'Invalid value: "a.b": must not contain dots')]),
    (volume("emptyDir", named="data"), [(f"{V}.name", 'Duplicate value: "data"')]),
    (
        {"volumes.3": {"name": "v", "emptyDir": {}, "hostPath": {"path": "/a"}}},
        [(f"{V}.hostPath", "Forbidden: may not specify more than 1 volume type")],
    ),
    (
        volume("emptyDir", sizeLimit="-1"),
        [(f"{V}.emptyDir.sizeLimit", "Forbidden: SizeLimit field must be a valid resource quantity")],
    ),
    (volume("hostPath"), required("hostPath.path")),
    (volume("hostPath", path="/a/../b"), [(f"{V}.hostPath.path", "Invalid value: \"/a/../b\": must not contain '..'")]),
    (
        volume("hostPath", path="/a", type="Dir"),
        [
            (
                f"{V}.hostPath.type",
                'Unsupported value: "Dir": supported values: "", "BlockDevice", "CharDevice", "Directory",'
                ' "DirectoryOrCreate", "File", "FileOrCreate", "Socket"',
            )
        ],
    ),
    (volume("gitRepo"), required("gitRepo.repository")),
    (
        volume("gitRepo", repository="r", directory="/a"),
        [(f"{V}.gitRepo.directory", 'Invalid value: "/a": must be a relative path')],
    ),
    (volume("gcePersistentDisk"), required("persistentDisk.pdName")),
    (
        volume("awsElasticBlockStore", volumeID="v", partition=256),
        [(f"{V}.awsElasticBlockStore.partition", "Invalid value: 256: must be between 1 and 255, inclusive")],
    ),
    (volume("secret"), required("secret.secretName")),
    (volume("secret", secretName="s", defaultMode=512), [(f"{V}.secret.defaultMode", f"Invalid value: 512: {MODE}")]),
    (
        volume("configMap", name="c", items=[{"key": "", "path": ""}]),
        required("configMap.items[0].key", "configMap.items[0].path"),
    ),
    (
        volume("configMap", name="c", items=[{"key": "k", "path": "..a", "mode": -1}]),
        [
            (f"{V}.configMap.items[0].path", "Invalid value: \"..a\": must not start with '..'"),
            (f"{V}.configMap.items[0].mode", f"Invalid value: -1: {MODE}"),
        ],
    ),
    (volume("configMap", items=[]), required("configMap.name")),
    (
        volume("nfs"),
        [
            *required("nfs.server", "nfs.path"),
            (f"{V}.nfs.path", 'Invalid value: "": must be an absolute path'),
        ],
    ),
    (volume("iscsi", **ISCSI), []),
    (volume("iscsi"), required("iscsi.targetPortal", "iscsi.iqn")),
    (
        volume("iscsi", **{**ISCSI, "iqn": "disk"}),
        [(f"{V}.iscsi.iqn", 'Invalid value: "disk": must be valid format starting with iqn, eui, or naa')],
    ),
    (
        volume("iscsi", **{**ISCSI, "iqn": "eui.1", "lun": 256}),
        [
            (f"{V}.iscsi.iqn", 'Invalid value: "eui.1": must be valid format'),
            (f"{V}.iscsi.lun", "Invalid value: 256: must be between 0 and 255, inclusive"),
        ],
    ),
    (volume("iscsi", **ISCSI, chapAuthSession=True), required("iscsi.secretRef")),
    (
        volume("iscsi", named="v" * 51, **ISCSI, initiatorName="iqn.2001-04.com.example:i"),
        [
            (
                f"{V}.name",
                f'Invalid value: "{"v" * 51}": Total length of <volume name>:<iscsi.targetPortal> must be under 64'
                " characters if iscsi.initiatorName is specified.",
            )
        ],
    ),
    (volume("glusterfs"), required("glusterfs.endpoints", "glusterfs.path")),
    (
        volume("flocker"),
        [(f"{V}.flocker", "Required value: one of datasetName and datasetUUID is required")],
    ),
    (
        volume("flocker", datasetName="a/b", datasetUUID="u"),
        [
            (
                f"{V}.flocker",
                'Invalid value: "resource": datasetName and datasetUUID can not be specified simultaneously',
            ),
            (f"{V}.flocker.datasetName", "Invalid value: \"a/b\": must not contain '/'"),
        ],
    ),
    (volume("persistentVolumeClaim"), required("persistentVolumeClaim.claimName")),
    (volume("rbd"), required("rbd.monitors", "rbd.image")),
    (volume("cinder", secretRef={}), required("cinder.volumeID", "cinder.secretRef.name")),
    (volume("cephfs"), required("cephfs.monitors")),
    (
        volume("quobyte", registry="host", volume="v"),
        [
            (
                f"{V}.quobyte.registry",
                'Invalid value: "host": must be a host:port pair or multiple pairs separated by commas',
            )
        ],
    ),
    (volume("quobyte", registry="a:1,b:2", volume="v"), []),
    (
        volume("downwardAPI", items=[{"path": "a"}]),
        [(f"{V}.downwardAPI", "Required value: one of fieldRef and resourceFieldRef is required")],
    ),
    (volume("downwardAPI", items=[{"path": "a", "fieldRef": {"fieldPath": "metadata.labels"}}]), []),
    (
        volume("downwardAPI", items=[{"path": "a", "fieldRef": {"fieldPath": "status.podIP"}}]),
        [
            (
                f"{V}.downwardAPI.fieldRef.fieldPath",
                'Unsupported value: "status.podIP": supported values: "metadata.annotations", "metadata.labels",'
                ' "metadata.name", "metadata.namespace", "metadata.uid"',
            )
        ],
    ),
    (
        volume("downwardAPI", items=[{"path": "a", "resourceFieldRef": {"resource": "limits.cpu"}}]),
        required("downwardAPI.resourceFieldRef.containerName"),
    ),
    (
        volume("fc"),
        [(f"{V}.fc.targetWWNs", "Required value: must specify either targetWWNs or wwids, but not both")],
    ),
    (
        volume("fc", targetWWNs=["a"]),
        [(f"{V}.fc.lun", "Required value: lun is required if targetWWNs is specified")],
    ),
    (
        volume("fc", targetWWNs=["a"], wwids=["b"], lun=0),
        [
            (
                f"{V}.fc.targetWWNs",
                'Invalid value: ["a"]: targetWWNs and wwids can not be specified simultaneously',
            )
        ],
    ),
    (
        volume("flexVolume", driver="d", options={"kubernetes.io/a": "b"}),
        [
            (
                f"{V}.flexVolume.options[kubernetes.io/a]",
                'Invalid value: "kubernetes.io/a": kubernetes.io and k8s.io namespaces are reserved',
            )
        ],
    ),
    (volume("azureFile"), required("azureFile.secretName", "azureFile.shareName")),
    (volume("vsphereVolume"), required("vsphereVolume.volumePath")),
    (volume("photonPersistentDisk"), required("photonPersistentDisk.pdID")),
    (volume("portworxVolume"), required("portworxVolume.volumeID")),
    (
        volume("azureDisk", diskName="d", diskURI="u", cachingMode="Some", kind="Managed"),
        [
            (
                f"{V}.azureDisk.cachingMode",
                'Unsupported value: "Some": supported values: "None", "ReadOnly", "ReadWrite"',
            ),
            (
                f"{V}.azureDisk.diskURI",
                'Unsupported value: "u": supported values: "/subscriptions/{sub-id}/resourcegroups/{group-name}'
                '/providers/microsoft.compute/disks/{disk-id}"',
            ),
        ],
    ),
    (volume("storageos", secretRef={}), required("storageos.volumeName", "storageos.secretRef.name")),
    (volume("scaleIO"), required("scaleIO.gateway", "scaleIO.system", "scaleIO.volumeName")),
    (volume("csi"), required("csi.driver")),
    (volume("csi", driver="d" * 64), [(f"{V}.csi.driver", "Too long: may not be more than 63 bytes")]),
    (volume("csi", driver="a b"), [(f"{V}.csi.driver", f'Invalid value: "a b": {SUBDOMAIN}')]),
    (volume("csi", driver="EBS.csi.aws.com", nodePublishSecretRef={}), required("csi.nodePublishSecretRef.name")),
    (volume("image"), required("image.reference")),
    (volume("ephemeral"), required("ephemeral.volumeClaimTemplate")),
    (
        {
            "volumes.3": {
                "name": "v",
                "ephemeral": {
                    "volumeClaimTemplate": {
                        "metadata": {"name": "x"},
                        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
                    }
                },
            },
            "volumes.2.persistentVolumeClaim.claimName": "web-v",
        },
        [
            (
                "volumes[2].persistentVolumeClaim.claimName",
                'Invalid value: "web-v": must not reference a PVC that gets created for an ephemeral volume',
            ),
            (f"{V}.ephemeral.volumeClaimTemplate.metadata.name", "Forbidden: cannot be set"),
        ],
    ),
    # projected
    (projected({"secret": {}}), required("projected.sources[0].secret.name")),
    (
        projected({"secret": {"name": "s"}, "configMap": {"name": "c"}}),
        [(f"{V}.projected.sources[0]", "Forbidden: may not specify more than 1 volume type per source")],
    ),
    (
        projected(
            {"secret": {"name": "s", "items": [{"key": "k", "path": "p"}]}},
            {"configMap": {"name": "c", "items": [{"key": "k", "path": "p"}]}},
        ),
        [(f"{V}.projected", 'Invalid value: "c": conflicting duplicate paths')],
    ),
    (
        projected({"serviceAccountToken": {"path": "t", "expirationSeconds": 599}}),
        [
            (
                f"{V}.projected.sources[0].serviceAccountToken.expirationSeconds",
                "Invalid value: 599: may not specify a duration less than 10 minutes",
            )
        ],
    ),
    (
        projected({"serviceAccountToken": {"path": "t", "expirationSeconds": 2**32 + 1}}),
        [
            (
                f"{V}.projected.sources[0].serviceAccountToken.expirationSeconds",
                "Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds",
            )
        ],
    ),
    (projected({"serviceAccountToken": {}}), required("projected.path")),
    (
        volume("projected", sources=[{"serviceAccountToken": {"path": "t"}}]),
        [
            (
                f"{V}.projected.sources[0].serviceAccountToken",
                "Forbidden: must not be specified when serviceAccountName is not set",
            )
        ],
    ),
    (projected({"clusterTrustBundle": {"path": ""}}), []),
]


@pytest.mark.parametrize(("changes", "expected"), ROWS, ids=[str(number) for number in range(len(ROWS))])
def test_what_is_said_of_a_volume(changes: dict[str, Any], expected: Complaints) -> None:
    assert of_spec(changes) == expected
