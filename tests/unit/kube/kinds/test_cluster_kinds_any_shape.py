"""Objects that decode but make no sense: every part of a full object taken away, or emptied, in turn. Whatever the
rules say of it, they say it; nothing raises.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest

from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.kinds.coordination import STRATEGIES as COORDINATION
from ropewalk.kube.kinds.core import STRATEGIES as CORE
from ropewalk.kube.kinds.core.service_addresses import ServiceAddresses
from ropewalk.kube.kinds.core.services import Services
from ropewalk.kube.kinds.discovery import STRATEGIES as DISCOVERY
from ropewalk.kube.kinds.events import STRATEGIES as EVENTS
from ropewalk.kube.kinds.networking import STRATEGIES as NETWORKING
from ropewalk.kube.kinds.node import STRATEGIES as NODE
from ropewalk.kube.kinds.scheduling import STRATEGIES as SCHEDULING
from ropewalk.kube.kinds.storage import STRATEGIES as STORAGE
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Json, Object, copied
from ropewalk.kube.machinery.strategy import Strategy
from ropewalk.store.memory import MemoryStore
from support.kube_api import MemoryApi

QUANTITY = re.compile("[0-9]+(Gi)?")
"""Amounts and times have been read before a kind sees them: they are never no amount, no time."""
META = {"name": "one", "namespace": "here", "labels": {"a": "b"}, "annotations": {"a": "b"}, "resourceVersion": "1",
        "creationTimestamp": "2026-01-01T00:00:00Z", "uid": "u"}  # fmt: skip
SELECTOR = {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "In", "values": ["d"]}]}
REFERENCE = {"apiGroup": "a.example.com", "kind": "Thing", "name": "one"}
POD = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "main", "image": "busybox"}]}}
TOLERATION = {"key": "a", "operator": "Equal", "value": "b", "effect": "NoSchedule"}
PEER = {"podSelector": SELECTOR, "namespaceSelector": SELECTOR}
BLOCK = {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}
TAINT = {"key": "a", "value": "b", "effect": "NoSchedule"}
CLASS = {"storageClassName": "slow", "volumeAttributesClassName": "fast", "volumeMode": "Filesystem"}
TERM = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}]}
SECRET = {"name": "a", "namespace": "b"}
SERVICE = {
    "type": "LoadBalancer", "selector": {"a": "b"}, "sessionAffinity": "ClientIP",
    "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}, "externalIPs": ["1.2.3.4"],
    "externalTrafficPolicy": "Local", "healthCheckNodePort": 30001,
    "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"],
    "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "loadBalancerSourceRanges": ["10.0.0.0/8"],
    "loadBalancerClass": "a/b", "loadBalancerIP": "1.2.3.4", "externalName": "a.b",
    "trafficDistribution": "PreferClose",
    "ports": [{"name": "a", "port": 80, "nodePort": 30002, "targetPort": "web", "appProtocol": "a/b"}],
}  # fmt: skip
RANGES = ServiceAddresses(["10.96.0.0/24"], MemoryStore(SeededEntropy(1)), SeededEntropy(1))
BALANCER = {"loadBalancer": {"ingress": [{"ip": "1.2.3.4", "hostname": "a.b", "ipMode": "VIP"}]}}
BACKEND = {"service": {"name": "web", "port": {"name": "http", "number": 80}}}

OBJECTS: dict[str, tuple[Strategy, Object]] = {
    "leases": (COORDINATION["leases"], {"spec": {"holderIdentity": "a", "leaseDurationSeconds": 5, "strategy": "x"}}),
    "configmaps": (CORE["configmaps"], {"data": {"a": "b"}, "binaryData": {"c": "YQ=="}, "immutable": True}),
    "secrets": (CORE["secrets"], {"type": "kubernetes.io/tls", "data": {"tls.crt": "YQ==", "tls.key": "YQ=="},
                                  "stringData": {"a": "b"}, "immutable": True}),
    "serviceaccounts": (CORE["serviceaccounts"], {"secrets": [{"name": "a", "kind": "Secret"}]}),
    "namespaces": (CORE["namespaces"], {
        "spec": {"finalizers": ["kubernetes", "a.b/c"]}, "status": {"phase": "Active"}}),
    "endpoints": (CORE["endpoints"], {"subsets": [{
        "addresses": [{"ip": "1.2.3.4", "hostname": "a", "nodeName": "n"}], "notReadyAddresses": [{"ip": "1.2.3.5"}],
        "ports": [{"name": "a", "port": 80, "appProtocol": "a/b"}]}]}),
    "events": (CORE["events"], {
        "involvedObject": {"kind": "Pod", "name": "a", "namespace": "here"}, "reason": "A", "message": "b",
        "source": {"component": "a", "host": "b"}, "firstTimestamp": "2026-01-01T00:00:00Z", "count": 2,
        "lastTimestamp": "2026-01-01T00:00:00Z", "type": "Normal", "eventTime": "2026-01-01T00:00:00.000000Z",
        "series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}, "reportingComponent": "a/b",
        "reportingInstance": "b", "action": "c"}),
    "events.events.k8s.io": (EVENTS["events"], {
        "regarding": {"kind": "Pod", "name": "a", "namespace": "here"}, "reason": "A", "note": "b", "type": "Normal",
        "deprecatedSource": {"component": "a", "host": "b"}, "eventTime": "2026-01-01T00:00:00.000000Z",
        "series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}, "reportingController": "a/b",
        "reportingInstance": "b", "action": "c"}),
    "nodes": (CORE["nodes"], {
        "spec": {"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24", "fd00::/64"], "taints": [TAINT, TAINT],
                 "providerID": "a", "unschedulable": True, "externalID": "a"},
        "status": {"capacity": {"cpu": "1", "a.b/c": "2"}, "allocatable": {"cpu": "1"},
                   "addresses": [{"type": "InternalIP", "address": "1.2.3.4"}],
                   "conditions": [{"type": "Ready", "status": "True"}],
                   "nodeInfo": {"kubeletVersion": "v1", "swap": {"capacity": 1}}}}),
    "limitranges": (CORE["limitranges"], {"spec": {"limits": [
        {"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1"}, "default": {"cpu": "1"},
         "defaultRequest": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "2"}},
        {"type": "PersistentVolumeClaim", "max": {"storage": "2Gi"}}]}}),
    "resourcequotas": (CORE["resourcequotas"], {
        "spec": {"hard": {"pods": "1", "requests.cpu": "2", "limits.cpu": "1"}, "scopes": ["BestEffort"],
                 "scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In",
                                                         "values": ["a"]}]}},
        "status": {"hard": {"pods": "1"}, "used": {"pods": "1"}}}),
    "replicationcontrollers": (CORE["replicationcontrollers"], {
        "spec": {"replicas": 1, "selector": {"a": "b"}, "template": POD, "minReadySeconds": 1},
        "status": {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1}}),
    "persistentvolumes": (CORE["persistentvolumes"], {
        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], **CLASS, "claimRef": SECRET,
                 "persistentVolumeReclaimPolicy": "Retain", "nodeAffinity": {"required": TERM},
                 "csi": {"driver": "a.b", "volumeHandle": "c", "nodePublishSecretRef": SECRET}},
        "status": {"phase": "Bound"}}),
    "persistentvolumeclaims": (CORE["persistentvolumeclaims"], {
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "selector": SELECTOR,
                 **CLASS, "volumeName": "v", "dataSource": REFERENCE, "dataSourceRef": REFERENCE},
        "status": {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"},
                   "allocatedResources": {"storage": "1Gi"}, "currentVolumeAttributesClassName": "fast",
                   "allocatedResourceStatuses": {"storage": "NodeResizePending"}}}),
    "services": (Services(RANGES), {"spec": SERVICE, "status": BALANCER}),
    "componentstatuses": (CORE["componentstatuses"], {"conditions": [{"type": "Healthy", "status": "True"}]}),
    "endpointslices": (DISCOVERY["endpointslices"], {
        "addressType": "IPv4", "ports": [{"name": "a", "port": 80, "appProtocol": "a/b"}],
        "endpoints": [{"addresses": ["1.2.3.4"], "nodeName": "n", "hostname": "h", "deprecatedTopology": {"a": "b"},
                       "hints": {"forZones": [{"name": "z"}], "forNodes": [{"name": "n"}]}}]}),
    "networkpolicies": (NETWORKING["networkpolicies"], {"spec": {
        "podSelector": SELECTOR, "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [{"port": 80, "endPort": 90}, {"port": "web"}], "from": [PEER, BLOCK]}],
        "egress": [{"ports": [{"protocol": "UDP"}], "to": [BLOCK]}]}}),
    "ingresses": (NETWORKING["ingresses"], {
        "spec": {"ingressClassName": "a", "defaultBackend": {"resource": REFERENCE},
                 "tls": [{"hosts": ["*.a.b"], "secretName": "s"}],
                 "rules": [{"host": "*.a.b", "http": {"paths": [
                     {"path": "/a", "pathType": "Prefix", "backend": BACKEND}]}}]},
        "status": BALANCER}),
    "ingressclasses": (NETWORKING["ingressclasses"], {"spec": {
        "controller": "a.b/c", "parameters": {**REFERENCE, "scope": "Namespace", "namespace": "n"}}}),
    "ipaddresses": (NETWORKING["ipaddresses"], {"spec": {"parentRef": {
        "group": "a.b", "resource": "services", "namespace": "n", "name": "a"}}}),
    "servicecidrs": (NETWORKING["servicecidrs"], {"spec": {"cidrs": ["10.0.0.0/8", "fd00::/64"]}, "status": {}}),
    "runtimeclasses": (NODE["runtimeclasses"], {
        "handler": "runc", "overhead": {"podFixed": {"cpu": "1"}},
        "scheduling": {"nodeSelector": {"a": "b"}, "tolerations": [TOLERATION, TOLERATION]}}),
    "priorityclasses": (SCHEDULING["priorityclasses"], {
        "value": 5, "globalDefault": True, "preemptionPolicy": "Never"}),
    "storageclasses": (STORAGE["storageclasses"], {
        "provisioner": "a.b/c", "parameters": {"a": "b"}, "reclaimPolicy": "Delete", "allowVolumeExpansion": True,
        "volumeBindingMode": "Immediate",
        "allowedTopologies": [{"matchLabelExpressions": [{"key": "a", "values": ["b", "c"]}]}]}),
    "csidrivers": (STORAGE["csidrivers"], {"spec": {
        "tokenRequests": [{"audience": "a", "expirationSeconds": 700}], "fsGroupPolicy": "File",
        "volumeLifecycleModes": ["Ephemeral"], "serviceAccountTokenInSecrets": True,
        "nodeAllocatableUpdatePeriodSeconds": 20}}),
    "csinodes": (STORAGE["csinodes"], {"spec": {"drivers": [
        {"name": "a.b", "nodeID": "n", "topologyKeys": ["a/b"], "allocatable": {"count": 1}}]}}),
    "csistoragecapacities": (STORAGE["csistoragecapacities"], {
        "storageClassName": "a", "nodeTopology": SELECTOR, "capacity": "1Gi"}),
    "volumeattachments": (STORAGE["volumeattachments"], {
        "spec": {"attacher": "a.b", "nodeName": "n", "source": {"inlineVolumeSpec": {
            "csi": {"driver": "a.b", "volumeHandle": "c"}, "accessModes": ["ReadWriteOnce"]}}},
        "status": {"attached": True, "attachError": {"message": "m", "errorCode": 1}}}),
    "volumeattributesclasses": (STORAGE["volumeattributesclasses"], {"driverName": "a.b", "parameters": {"a": "b"}}),
}  # fmt: skip


def shapes(value: Json) -> Iterator[Json]:
    """The value with one part gone or emptied, every part in turn."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield {other: kept for other, kept in value.items() if other != key}
            for shape in shapes(part):
                yield {**value, key: shape}
    elif isinstance(value, list):
        yield []
        yield [*value, *value]
        for index, part in enumerate(value):
            for shape in shapes(part):
                yield [*value[:index], shape, *value[index + 1 :]]
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (0, -1, 2**31 - 1)
    elif QUANTITY.fullmatch(value):
        yield from ("0", "-1", "1500m", "100Gi")
    elif value.endswith("0Z"):
        yield "0001-01-01T00:00:00Z"
    else:
        yield from ("", "!", "a" * 300)


def put_through(strategy: Strategy, obj: Object, old: Object | None) -> None:
    errors = FieldErrors()
    obj = {**obj, "metadata": copied(META)}
    strategy.default(obj)
    again = copied(obj)
    strategy.default(again)
    assert again == obj, "defaulting twice is defaulting once"
    api = MemoryApi()
    try:
        if old is None:
            strategy.prepare_create(obj)
            finish = asyncio.run(strategy.before_create(obj, api, dry_run=True))
            strategy.validate_create(obj, errors)
        else:
            status = copied(obj)
            strategy.prepare_status_update(status, old)
            strategy.validate_status_update(status, old, errors)
            strategy.prepare_update(obj, old)
            finish = asyncio.run(strategy.before_update(obj, old, api, dry_run=True))
            strategy.validate_update(obj, old, errors)
        assert finish is None, "a dry run claims nothing"
    except StatusFault as fault:
        assert fault.status in (400, 422) or "port" in fault.message
        return
    strategy.warnings(obj, old)
    for column in strategy.columns:
        column.cell(obj, 1767225600.0)
    for select in strategy.selectable_fields.values():
        assert isinstance(select(obj), str)
    if errors:
        assert str(errors.fault("Kind", "group", "one"))


@pytest.mark.parametrize("name", OBJECTS)
def test_no_shape_of_an_object_raises(name: str) -> None:
    strategy, whole = OBJECTS[name]
    full: Object = {**copied(whole), "metadata": copied(META)}
    strategy.default(full)
    for shape in shapes(whole):
        put_through(strategy, copied(shape), None)
        put_through(strategy, copied(shape), full)
        old: Object = {**copied(shape), "metadata": copied(META)}
        strategy.default(old)
        put_through(strategy, copied(whole), old)
