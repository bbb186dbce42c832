"""Parts of objects as Kubernetes spells them inside its messages. Its internal types have no JSON names, so that fields
appear under their Go names, in the order in which Go declares them, and what is absent appears as null or as a zero.

Only messages read this. Names and order are facts about the internal types of 1.35; what the published definitions and
`field_numbers` say of a type holds here too, unless the tables below say otherwise.
"""

from __future__ import annotations

import difflib
import json
from functools import lru_cache

from ropewalk.kube.kinds.definitions import definitions
from ropewalk.kube.kinds.field_numbers import field_numbers
from ropewalk.kube.kinds.go_types import ALWAYS, POINTERS, VALUES
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.schema import Schema, Shape

_API = "io.k8s.api."
_NONE: frozenset[str] = frozenset()

_NAMES = {
    "apiGroup": "APIGroup",
    "apiGroups": "APIGroups",
    "apiVersion": "APIVersion",
    "apiVersions": "APIVersions",
    "awsElasticBlockStore": "AWSElasticBlockStore",
    "caBundle": "CABundle",
    "cel": "CEL",
    "cephfs": "CephFS",
    "cidr": "CIDR",
    "cidrs": "CIDRs",
    "csi": "CSI",
    "dnsConfig": "DNSConfig",
    "dnsPolicy": "DNSPolicy",
    "fc": "FC",
    "fsGroup": "FSGroup",
    "fsGroupChangePolicy": "FSGroupChangePolicy",
    "fsGroupPolicy": "FSGroupPolicy",
    "fsType": "FSType",
    "gcePersistentDisk": "GCEPersistentDisk",
    "gid": "GID",
    "gmsaCredentialSpec": "GMSACredentialSpec",
    "gmsaCredentialSpecName": "GMSACredentialSpecName",
    "grpc": "GRPC",
    "http": "HTTP",
    "httpGet": "HTTPGet",
    "httpHeaders": "HTTPHeaders",
    "ip": "IP",
    "ipBlock": "IPBlock",
    "ipFamilies": "IPFamilies",
    "ipFamilyPolicy": "IPFamilyPolicy",
    "ipMode": "IPMode",
    "ips": "IPs",
    "iqn": "IQN",
    "iscsi": "ISCSI",
    "iscsiInterface": "ISCSIInterface",
    "nfs": "NFS",
    "os": "OS",
    "osImage": "OSImage",
    "pdName": "PDName",
    "qosClass": "QOSClass",
    "rbd": "RBD",
    "seLinuxChangePolicy": "SELinuxChangePolicy",
    "seLinuxMount": "SELinuxMount",
    "seLinuxOptions": "SELinuxOptions",
    "sslEnabled": "SSLEnabled",
    "storageos": "StorageOS",
    "tcpSocket": "TCPSocket",
    "tls": "TLS",
    "ttlSecondsAfterFinished": "TTLSecondsAfterFinished",
    "tty": "TTY",
    "uid": "UID",
    "url": "URL",
    "wwids": "WWIDs",
}
"""Where the Go name is not the JSON name with a capital."""

_RBD = {"monitors": "CephMonitors", "image": "RBDImage", "pool": "RBDPool", "user": "RadosUser"}
_ISCSI = {"chapAuthDiscovery": "DiscoveryCHAPAuth", "chapAuthSession": "SessionCHAPAuth"}
_RENAMED: dict[str, dict[str, str]] = {
    "core.v1.AzureDiskVolumeSource": {"diskURI": "DataDiskURI"},
    "core.v1.GlusterfsPersistentVolumeSource": {"endpoints": "EndpointsName"},
    "core.v1.GlusterfsVolumeSource": {"endpoints": "EndpointsName"},
    "core.v1.ISCSIPersistentVolumeSource": _ISCSI,
    "core.v1.ISCSIVolumeSource": _ISCSI,
    "core.v1.RBDPersistentVolumeSource": _RBD,
    "core.v1.RBDVolumeSource": _RBD,
    "resource.v1.DeviceAttribute": {
        "int": "IntValue",
        "bool": "BoolValue",
        "string": "StringValue",
        "version": "VersionValue",
    },
}
"""Fields that the internal type calls otherwise."""

_ZERO: dict[str, frozenset[str]] = {
    "apps.v1.RollingUpdateDaemonSet": frozenset({"maxSurge", "maxUnavailable"}),
    "apps.v1.RollingUpdateDeployment": frozenset({"maxSurge", "maxUnavailable"}),
    "apps.v1.RollingUpdateStatefulSetStrategy": frozenset({"partition"}),
    "core.v1.HTTPGetAction": frozenset({"port"}),
    "core.v1.ServiceAccountTokenProjection": frozenset({"expirationSeconds"}),
    "core.v1.ServicePort": frozenset({"targetPort"}),
    "core.v1.TCPSocketAction": frozenset({"port"}),
    "flowcontrol.v1.LimitedPriorityLevelConfiguration": frozenset({"nominalConcurrencyShares"}),
}
"""Numbers that are pointers in the published type and none in the internal one: 0 where absent."""

_CONTAINER = (
    "name image command args workingDir ports envFrom env resources resizePolicy restartPolicy restartPolicyRules"
    " volumeMounts volumeDevices livenessProbe readinessProbe startupProbe lifecycle terminationMessagePath"
    " terminationMessagePolicy imagePullPolicy securityContext stdin stdinOnce tty"
)
_ISCSI_ORDER = (
    "targetPortal iqn lun iscsiInterface fsType readOnly portals chapAuthDiscovery chapAuthSession secretRef"
    " initiatorName"
)
_ORDER = {
    "autoscaling.v2.MetricSpec": "type object pods resource containerResource external",
    "core.v1.ClusterTrustBundleProjection": "name signerName labelSelector optional path",
    "core.v1.Container": _CONTAINER,
    "core.v1.EphemeralContainer": f"{_CONTAINER} targetContainerName",
    "core.v1.ISCSIPersistentVolumeSource": _ISCSI_ORDER,
    "core.v1.ISCSIVolumeSource": _ISCSI_ORDER,
    "core.v1.PersistentVolumeClaimSpec": (
        "accessModes selector resources volumeName storageClassName volumeMode dataSource dataSourceRef"
        " volumeAttributesClassName"
    ),
    "core.v1.PersistentVolumeSource": (
        "gcePersistentDisk awsElasticBlockStore hostPath glusterfs nfs rbd quobyte iscsi flexVolume cinder cephfs fc"
        " flocker azureFile vsphereVolume azureDisk photonPersistentDisk portworxVolume scaleIO local storageos csi"
    ),
    "core.v1.PodSecurityContext": (
        "hostNetwork hostPID hostIPC shareProcessNamespace hostUsers seLinuxOptions windowsOptions runAsUser runAsGroup"
        " runAsNonRoot supplementalGroups supplementalGroupsPolicy fsGroup fsGroupChangePolicy sysctls seccompProfile"
        " appArmorProfile seLinuxChangePolicy"
    ),
    "core.v1.PodSpec": (
        "volumes initContainers containers ephemeralContainers restartPolicy terminationGracePeriodSeconds"
        " activeDeadlineSeconds dnsPolicy nodeSelector serviceAccountName automountServiceAccountToken nodeName"
        " securityContext imagePullSecrets hostname subdomain setHostnameAsFQDN affinity schedulerName tolerations"
        " hostAliases priorityClassName priority preemptionPolicy dnsConfig readinessGates runtimeClassName overhead"
        " enableServiceLinks topologySpreadConstraints os schedulingGates resourceClaims resources hostnameOverride"
        " workloadRef"
    ),
    "core.v1.SecurityContext": (
        "capabilities privileged seLinuxOptions windowsOptions runAsUser runAsGroup runAsNonRoot readOnlyRootFilesystem"
        " allowPrivilegeEscalation procMount seccompProfile appArmorProfile"
    ),
    "core.v1.ServicePort": "name protocol appProtocol port targetPort nodePort",
    "core.v1.VolumeMount": "name readOnly recursiveReadOnly mountPath subPath mountPropagation subPathExpr",
    "core.v1.VolumeSource": (
        "hostPath emptyDir gcePersistentDisk awsElasticBlockStore gitRepo secret nfs iscsi glusterfs"
        " persistentVolumeClaim rbd quobyte flexVolume cinder cephfs flocker downwardAPI fc azureFile configMap"
        " vsphereVolume azureDisk photonPersistentDisk projected portworxVolume scaleIO storageos csi ephemeral image"
    ),
    "networking.v1.HTTPIngressPath": "path pathType backend",
    "networking.v1.IngressBackend": "service resource",
    "networking.v1.IngressSpec": "ingressClassName defaultBackend tls rules",
    "resource.v1.AllocatedDeviceStatus": "driver pool device shareID conditions data networkData",
}
"""Where Go declares fields in another order than that of their numbers: those types that messages print."""

_OF_SECURITY: dict[str, Json] = {
    "hostNetwork": False,
    "hostPID": False,
    "hostIPC": False,
    "shareProcessNamespace": None,
    "hostUsers": None,
}
"""Fields of a pod's spec that the internal type has in the security context, and what stands there where they do not.
"""


_WITHIN = {"core.v1.PersistentVolumeSource": "core.v1.PersistentVolumeSpec"}
"""Types that are published only as a part of another."""


def go_printed(value: Json, kind: str) -> Json:
    """`value`, a `core.v1.Toleration` or a list of them, as Go's encoder prints the internal type. None is null."""
    if isinstance(value, list):
        return [go_printed(part, kind) for part in value]
    return None if value is None else _struct(value, kind, definitions().schema_named(_API + _WITHIN.get(kind, kind)))


def difference(old: Json, new: Json, kind: str) -> str:
    """The unified diff of two values of a kind with which messages about forbidden changes end."""
    texts = [_lines(go_printed(value, kind)) for value in (old, new)]
    return "".join(list(difflib.unified_diff(texts[0], texts[1], n=3))[2:])


def _lines(value: Json) -> list[str]:
    return [f"{line}\n" for line in json.dumps(value, indent=1, ensure_ascii=False).split("\n")]


def _struct(value: Object, kind: str, schema: Schema) -> Json:
    if kind == "core.v1.PodSpec":
        value = {**value, "securityContext": {**(value.get("securityContext") or {}), **_moved(value)}}
    found: Object = {}
    for name in _order(kind):
        if name == "metadata":
            found.update(_object(value.get("metadata") or {}, schema.fields[name]))
        elif name in _OF_SECURITY:
            found[_named(kind, name)] = value.get(name, _OF_SECURITY[name])
        else:
            found[_named(kind, name)] = _part(value.get(name), name, schema)
    return found


def _object(value: Object, schema: Schema) -> Json:
    if not schema.definition.startswith(_API):
        return _shared(value, schema)
    return _struct(value, schema.definition.removeprefix(_API), schema)


def _moved(spec: Object) -> Object:
    return {name: spec[name] for name in _OF_SECURITY if name in spec}


def _named(kind: str, name: str) -> str:
    renamed = _RENAMED.get(kind, {}).get(name)
    return renamed or _NAMES.get(name) or name[:1].upper() + name[1:]


@lru_cache(maxsize=256)
def _order(kind: str) -> tuple[str, ...]:
    """The fields of a type, those of embedded types laid flat."""
    if kind in _ORDER:
        return tuple(_ORDER[kind].split())
    found: list[str] = []
    for _, name in field_numbers(_API + kind):
        found += _order(name.removeprefix("+" + _API)) if name.startswith("+") else (name,)
    return tuple(found)


def _shared(value: Object, schema: Schema) -> Json:
    """Types that all groups share have JSON names, and leave out what is absent."""
    order = [name for _, name in field_numbers(schema.definition)] or list(value)
    return {name: _given(value[name], schema.fields[name]) for name in order if name in value}


def _part(value: Json, name: str, holder: Schema) -> Json:
    schema = holder.fields[name]
    return _absent(name, schema, holder) if value is None else _given(value, schema)


def _given(value: Json, schema: Schema) -> Json:
    if isinstance(value, dict):
        if schema.shape is Shape.OBJECT:
            return _object(value, schema)
        return {key: _given(part, schema.items) for key, part in sorted(value.items())}
    if isinstance(value, list):
        return [_given(part, schema.items) for part in value]
    return value


def _absent(name: str, schema: Schema, holder: Schema) -> Json:
    definition = holder.definition
    if name in _ZERO.get(definition.removeprefix(_API), _NONE):
        return 0
    if schema.shape is Shape.OBJECT:
        return _object({}, schema) if name in VALUES.get(definition, _NONE) else None
    if name in POINTERS.get(definition, _NONE) or schema.format in ("byte", "date-time"):
        return None
    if schema.shape is Shape.QUANTITY:
        return "0" if name in holder.required or name in ALWAYS.get(definition, {}) else None
    return _ZEROS.get(schema.shape)


_ZEROS: dict[Shape, Json] = {Shape.STRING: "", Shape.INTEGER: 0, Shape.NUMBER: 0, Shape.BOOLEAN: False}
