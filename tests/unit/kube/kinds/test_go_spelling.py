"""How Kubernetes spells parts of objects inside its messages. The texts expected here were printed by its own types."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ropewalk.kube.kinds.definitions import definitions
from ropewalk.kube.kinds.field_numbers import field_numbers
from ropewalk.kube.kinds.go_spelling import difference, go_printed
from ropewalk.kube.machinery.structs import Struct

API = "io.k8s.api."
PUBLISHED = [
    name.removeprefix(API)
    for name in definitions().published.names
    if name.startswith(API) and field_numbers(name) and isinstance(definitions().schema_named(name), Struct)
]
ELSEWHERE = {
    "core.v1.PodSpec": {"serviceAccount", "hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers"}
}
"""Published fields that the internal type does not have, or has below another one."""
MOVED = 5
"""So many fields has a pod's security context from its spec."""


def printed(value: Any, kind: str) -> str:
    return json.dumps(go_printed(value, kind), separators=(",", ":"))


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (
            "core.v1.Toleration",
            {"key": "a", "operator": "Exists", "effect": "NoSchedule"},
            '{"Key":"a","Operator":"Exists","Value":"","Effect":"NoSchedule","TolerationSeconds":null}',
        ),
        (
            "core.v1.ObjectReference",
            {},
            '{"Kind":"","Namespace":"","Name":"","UID":"","APIVersion":"","ResourceVersion":"","FieldPath":""}',
        ),
        ("core.v1.EventSource", {"host": "h"}, '{"Component":"","Host":"h"}'),
        (
            "core.v1.ServicePort",
            {"port": 80},
            '{"Name":"","Protocol":"","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}',
        ),
        ("networking.v1.ServiceCIDRSpec", {"cidrs": ["a"]}, '{"CIDRs":["a"]}'),
        (
            "policy.v1.PodDisruptionBudgetSpec",
            {"minAvailable": 1, "maxUnavailable": "10%", "selector": {"matchLabels": {"b": "1", "a": "2"}}},
            '{"MinAvailable":1,"Selector":{"matchLabels":{"a":"2","b":"1"}},"MaxUnavailable":"10%",'
            '"UnhealthyPodEvictionPolicy":null}',
        ),
        (
            "core.v1.ISCSIVolumeSource",
            {"targetPortal": "p", "iqn": "q", "chapAuthSession": True},
            '{"TargetPortal":"p","IQN":"q","Lun":0,"ISCSIInterface":"","FSType":"","ReadOnly":false,"Portals":null,'
            '"DiscoveryCHAPAuth":false,"SessionCHAPAuth":true,"SecretRef":null,"InitiatorName":null}',
        ),
        (
            "storage.v1.VolumeAttachmentSpec",
            {
                "attacher": "a",
                "nodeName": "n",
                "source": {
                    "inlineVolumeSpec": {"capacity": {"storage": "1Gi"}, "csi": {"driver": "d", "volumeHandle": "h"}}
                },
            },
            '{"Attacher":"a","Source":{"PersistentVolumeName":null,"InlineVolumeSpec":{"Capacity":{"storage":"1Gi"},'
            '"GCEPersistentDisk":null,"AWSElasticBlockStore":null,"HostPath":null,"Glusterfs":null,"NFS":null,'
            '"RBD":null,"Quobyte":null,"ISCSI":null,"FlexVolume":null,"Cinder":null,"CephFS":null,"FC":null,'
            '"Flocker":null,"AzureFile":null,"VsphereVolume":null,"AzureDisk":null,"PhotonPersistentDisk":null,'
            '"PortworxVolume":null,"ScaleIO":null,"Local":null,"StorageOS":null,"CSI":{"Driver":"d","VolumeHandle":"h",'
            '"ReadOnly":false,"FSType":"","VolumeAttributes":null,"ControllerPublishSecretRef":null,'
            '"NodeStageSecretRef":null,"NodePublishSecretRef":null,"ControllerExpandSecretRef":null,'
            '"NodeExpandSecretRef":null},"AccessModes":null,"ClaimRef":null,"PersistentVolumeReclaimPolicy":"",'
            '"StorageClassName":"","MountOptions":null,"VolumeMode":null,"NodeAffinity":null,'
            '"VolumeAttributesClassName":null}},"NodeName":"n"}',
        ),
        (
            "core.v1.ContainerPort",
            [{"containerPort": 80}, {"containerPort": 81}],
            '[{"Name":"","HostPort":0,"ContainerPort":80,"Protocol":"","HostIP":""},'
            '{"Name":"","HostPort":0,"ContainerPort":81,"Protocol":"","HostIP":""}]',
        ),
        ("core.v1.Toleration", None, "null"),
    ],
)
def test_texts(kind: str, value: Any, text: str) -> None:
    assert printed(value, kind) == text


def test_a_template_has_its_metadata_laid_flat_and_the_network_in_the_security_context() -> None:
    template = {
        "metadata": {"labels": {"b": "1", "a": "2"}},
        "spec": {
            "hostNetwork": True,
            "containers": [{"name": "c", "resources": {"limits": {"memory": "1", "cpu": "2"}}}],
        },
    }
    found = go_printed(template, "core.v1.PodTemplateSpec")
    assert list(found) == ["labels", "Spec"] and list(found["labels"]) == ["a", "b"]
    assert found["Spec"]["SecurityContext"]["HostNetwork"] is True
    assert found["Spec"]["SecurityContext"]["HostUsers"] is None
    assert found["Spec"]["Containers"][0]["Resources"] == {
        "Limits": {"cpu": "2", "memory": "1"},
        "Requests": None,
        "Claims": None,
    }


@pytest.mark.parametrize("kind", PUBLISHED)
def test_every_field_is_spelled_once(kind: str) -> None:
    """The orders written down have every field of their type."""
    found = go_printed({}, kind)
    published = set(definitions().schema_named(API + kind).fields)
    if "metadata" in published:  # an object of its own: it says its kind nowhere
        published -= {"apiVersion", "kind", "metadata"}
    extra = MOVED if kind == "core.v1.PodSecurityContext" else 0
    assert len(found) == len(published - ELSEWHERE.get(kind, set())) + extra


def test_differences_are_unified_diffs() -> None:
    assert difference({"key": "a"}, {"key": "b"}, "core.v1.Toleration") == (
        '@@ -1,5 +1,5 @@\n {\n- "Key": "a",\n+ "Key": "b",\n  "Operator": "",\n  "Value": "",\n  "Effect": "",\n'
    )
