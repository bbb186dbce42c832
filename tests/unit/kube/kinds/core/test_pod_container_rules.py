"""A row a rule: what is wrong with a container, where, in which words."""

from __future__ import annotations

from typing import Any

import pytest

from unit.kube.kinds.core.pod_kit import GONE, LABEL, SUBDOMAIN, Complaints, of_spec

C = "containers.0"
F = "containers[0]"
RANGE = "must be between 1 and 65535, inclusive"
BACK = "must not contain '..'"


def field(step: str, kind: str, value: Any, **more: Any) -> dict[str, Any]:
    return {f"{C}.env": [{"name": "A", "valueFrom": {kind: {step: value, **more}}}]}


def probe(kind: str, **fields: Any) -> dict[str, Any]:
    return {f"{C}.{kind}": {"exec": {"command": ["true"]}, **fields}}


def mount(**fields: Any) -> dict[str, Any]:
    return {f"{C}.volumeMounts": [{"name": "config", "mountPath": "/etc", **fields}]}


def device(*devices: dict[str, Any]) -> dict[str, Any]:
    return {f"{C}.volumeDevices": list(devices)}


ROWS: list[tuple[dict[str, Any], Complaints]] = [
    ({}, []),
    ({"containers": GONE}, [("containers", "Required value")]),
    ({f"{C}.name": ""}, [(f"{F}.name", "Required value")]),
    ({f"{C}.name": "Web"}, [(f"{F}.name", f'Invalid value: "Web": {LABEL}')]),
    ({"containers.1.name": "web"}, [("containers[1].name", 'Duplicate value: "web"')]),
    ({"initContainers.0.name": "web"}, [("initContainers[0].name", 'Duplicate value: "web"')]),
    ({"initContainers.0.name": "proxy"}, [("initContainers[1].name", 'Duplicate value: "proxy"')]),
    ({f"{C}.image": ""}, [(f"{F}.image", "Required value")]),
    (
        {f"{C}.image": " web"},
        [(f"{F}.image", 'Invalid value: " web": must not have leading or trailing whitespace')],
    ),
    (
        {f"{C}.imagePullPolicy": "Sometimes"},
        [
            (
                f"{F}.imagePullPolicy",
                'Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
            )
        ],
    ),
    (
        {f"{C}.terminationMessagePolicy": "Log"},
        [
            (
                f"{F}.terminationMessagePolicy",
                'Unsupported value: "Log": supported values: "File", "FallbackToLogsOnError"',
            )
        ],
    ),
    # ports
    ({f"{C}.ports.0.containerPort": 0}, [(f"{F}.ports[0].containerPort", "Required value")]),
    (
        {f"{C}.ports.0.containerPort": 65536},
        [(f"{F}.ports[0].containerPort", f"Invalid value: 65536: {RANGE}")],
    ),
    ({f"{C}.ports.0.hostPort": 70000}, [(f"{F}.ports[0].hostPort", f"Invalid value: 70000: {RANGE}")]),
    (
        {f"{C}.ports.0.protocol": "ICMP"},
        [(f"{F}.ports[0].protocol", 'Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"')],
    ),
    (
        {f"{C}.ports": [{"name": "a", "containerPort": 1}, {"name": "a", "containerPort": 2}]},
        [(f"{F}.ports[1].name", 'Duplicate value: "a"')],
    ),
    (
        {f"{C}.ports.0.hostPort": 80, "containers.1.ports": [{"containerPort": 1, "hostPort": 80}]},
        [("containers[1].ports[0].hostPort", 'Duplicate value: "TCP//80"')],
    ),
    (
        {f"{C}.ports.0.hostPort": 80, "initContainers.0.ports": [{"containerPort": 1, "hostPort": 80}]},
        [],
    ),
    # env
    ({f"{C}.env": [{"value": "1"}]}, [(f"{F}.env[0].name", "Required value")]),
    (
        {f"{C}.env": [{"name": "a=b"}]},
        [
            (
                f"{F}.env[0].name",
                'Invalid value: "a=b": a valid environment variable name must consist only of printable ASCII'
                " characters other than '='",
            )
        ],
    ),
    ({f"{C}.env": [{"name": "1.a b"}]}, []),
    (
        {f"{C}.env": [{"name": "A", "valueFrom": {}}]},
        [
            (
                f"{F}.env[0].valueFrom",
                'Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`,'
                " `secretKeyRef` or `fileKeyRef`",
            )
        ],
    ),
    (
        {f"{C}.env": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}]},
        [(f"{F}.env[0].valueFrom", 'Invalid value: "": may not be specified when `value` is not empty')],
    ),
    (
        {
            f"{C}.env": [
                {
                    "name": "A",
                    "valueFrom": {
                        "secretKeyRef": {"name": "s", "key": "k"},
                        "configMapKeyRef": {"name": "c", "key": "k"},
                    },
                }
            ]
        },
        [(f"{F}.env[0].valueFrom", 'Invalid value: "": may not have more than one field specified at a time')],
    ),
    (field("fieldPath", "fieldRef", ""), [(f"{F}.env[0].valueFrom.fieldRef.fieldPath", "Required value")]),
    (
        field("fieldPath", "fieldRef", "metadata.nonsense"),
        [
            (
                f"{F}.env[0].valueFrom.fieldRef.fieldPath",
                'Invalid value: "metadata.nonsense": error converting fieldPath: field label not supported:'
                " metadata.nonsense",
            )
        ],
    ),
    (
        field("fieldPath", "fieldRef", "metadata.labels"),
        [
            (
                f"{F}.env[0].valueFrom.fieldRef.fieldPath",
                'Unsupported value: "metadata.labels": supported values: "metadata.name", "metadata.namespace",'
                ' "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs",'
                ' "status.podIP", "status.podIPs"',
            )
        ],
    ),
    (field("fieldPath", "fieldRef", "metadata.labels['app']"), []),
    (field("fieldPath", "fieldRef", "spec.host"), []),
    (
        field("fieldPath", "fieldRef", "spec.nodeName['x']"),
        [
            (
                f"{F}.env[0].valueFrom.fieldRef.fieldPath",
                "Invalid value: \"spec.nodeName['x']\": error converting fieldPath: field label does not support"
                " subscript: spec.nodeName['x']",
            )
        ],
    ),
    (
        field("fieldPath", "fieldRef", "metadata.name", apiVersion="v2"),
        [
            (
                f"{F}.env[0].valueFrom.fieldRef.fieldPath",
                'Invalid value: "metadata.name": error converting fieldPath: unsupported pod version: v2',
            )
        ],
    ),
    (field("resource", "resourceFieldRef", "limits.cpu", divisor="1m"), []),
    (field("resource", "resourceFieldRef", "limits.hugepages-2Mi"), []),
    (
        field("resource", "resourceFieldRef", ""),
        [(f"{F}.env[0].valueFrom.resourceFieldRef.resource", "Required value")],
    ),
    (
        field("resource", "resourceFieldRef", "limits.gpu"),
        [
            (
                f"{F}.env[0].valueFrom.resourceFieldRef.resource",
                'Unsupported value: "limits.gpu": supported values: "limits.cpu", "limits.ephemeral-storage",'
                ' "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"',
            )
        ],
    ),
    (
        field("resource", "resourceFieldRef", "limits.cpu", divisor="2"),
        [
            (
                f"{F}.env[0].valueFrom.resourceFieldRef.divisor",
                'Invalid value: "limits.cpu": only divisor\'s values 1m and 1 are supported with the cpu resource',
            )
        ],
    ),
    (
        field("name", "secretKeyRef", "S_", key="k"),
        [(f"{F}.env[0].valueFrom.secretKeyRef.name", f'Invalid value: "S_": {SUBDOMAIN}')],
    ),
    (field("name", "configMapKeyRef", "c"), [(f"{F}.env[0].valueFrom.configMapKeyRef.key", "Required value")]),
    (
        field("key", "fileKeyRef", "K", volumeName="config", path="a"),
        [
            (
                f"{F}.env[0].valueFrom.fileKeyRef.volumeName",
                'Invalid value: "config": referenced volume must be of type emptyDir',
            )
        ],
    ),
    (field("key", "fileKeyRef", "K", volumeName="scratch", path="a"), []),
    (
        field("key", "fileKeyRef", "K", volumeName="none", path="../a"),
        [
            (f"{F}.env[0].valueFrom.fileKeyRef.path", f'Invalid value: "../a": {BACK}'),
            (f"{F}.env[0].valueFrom.fileKeyRef.volumeName", 'Not found: "none"'),
        ],
    ),
    # envFrom
    (
        {f"{C}.envFrom": [{}]},
        [(f"{F}.envFrom", 'Invalid value: "": must specify one of: `configMapRef` or `secretRef`')],
    ),
    (
        {f"{C}.envFrom": [{"configMapRef": {"name": "a"}, "secretRef": {"name": "b"}}]},
        [(f"{F}.envFrom", 'Invalid value: "": may not have more than one field specified at a time')],
    ),
    ({f"{C}.envFrom": [{"secretRef": {}}]}, [(f"{F}.envFrom[0].secretRef.name", "Required value")]),
    # mounts
    (mount(name="none"), [(f"{F}.volumeMounts[0].name", 'Not found: "none"')]),
    (mount(mountPath=""), [(f"{F}.volumeMounts[0].mountPath", "Required value")]),
    (
        {f"{C}.volumeMounts": [{"name": "config", "mountPath": "/a"}, {"name": "scratch", "mountPath": "/a"}]},
        [(f"{F}.volumeMounts[1].mountPath", 'Invalid value: "/a": must be unique')],
    ),
    (mount(subPath="/a"), [(f"{F}.volumeMounts.subPath", 'Invalid value: "/a": must be a relative path')]),
    (mount(subPath="a/../b"), [(f"{F}.volumeMounts.subPath", f'Invalid value: "a/../b": {BACK}')]),
    (
        mount(subPath="a", subPathExpr="b"),
        [
            (
                f"{F}.volumeMounts[0].subPathExpr",
                'Invalid value: "b": subPathExpr and subPath are mutually exclusive',
            )
        ],
    ),
    (
        mount(mountPropagation="Both"),
        [
            (
                f"{F}.volumeMounts.mountPropagation",
                'Unsupported value: "Both": supported values: "Bidirectional", "HostToContainer", "None"',
            )
        ],
    ),
    (
        mount(mountPropagation="Bidirectional"),
        [
            (
                f"{F}.volumeMounts.mountPropagation",
                "Forbidden: Bidirectional mount propagation is available only to privileged containers",
            )
        ],
    ),
    ({**mount(mountPropagation="Bidirectional"), f"{C}.securityContext": {"privileged": True}}, []),
    (
        mount(recursiveReadOnly="Enabled"),
        [(f"{F}.volumeMounts.recursiveReadOnly", "Forbidden: may only be specified when readOnly is true")],
    ),
    (
        mount(recursiveReadOnly="Enabled", readOnly=True, mountPropagation="HostToContainer"),
        [
            (
                f"{F}.volumeMounts.recursiveReadOnly",
                "Forbidden: may only be specified when mountPropagation is None or not specified",
            )
        ],
    ),
    (
        mount(recursiveReadOnly="Yes"),
        [
            (
                f"{F}.volumeMounts.recursiveReadOnly",
                'Unsupported value: "Yes": supported values: "Disabled", "Enabled", "IfPossible"',
            )
        ],
    ),
    # devices
    (device({"name": "data", "devicePath": "/dev/a"}), []),
    (
        device({"name": "config", "devicePath": "/dev/a"}),
        [
            (f"{F}.volumeMounts[0].name", 'Invalid value: "config": must not already exist in volumeDevices'),
            (
                f"{F}.volumeDevices[0].name",
                'Invalid value: "config": can only use volume source type of PersistentVolumeClaim or Ephemeral for'
                " block mode",
            ),
            (f"{F}.volumeDevices[0].name", 'Invalid value: "config": must not already exist in volumeMounts'),
        ],
    ),
    (
        device({"name": "data", "devicePath": "/etc/web"}),
        [
            (
                f"{F}.volumeMounts[0].mountPath",
                'Invalid value: "/etc/web": must not already exist as a path in volumeDevices',
            ),
            (
                f"{F}.volumeDevices[0].devicePath",
                'Invalid value: "/etc/web": must not already exist as a path in volumeMounts',
            ),
        ],
    ),
    (
        device({"name": "data", "devicePath": "/a"}, {"name": "data", "devicePath": "/a"}),
        [
            (f"{F}.volumeDevices[1].name", 'Invalid value: "data": must be unique'),
            (f"{F}.volumeDevices[1].devicePath", 'Invalid value: "/a": must be unique'),
        ],
    ),
    (
        device({"name": "data", "devicePath": "/a/../b"}),
        [(f"{F}.volumeDevices[0].devicePath", "Invalid value: \"/a/../b\": can not contain backsteps ('..')")],
    ),
    (device({"name": "data"}), [(f"{F}.volumeDevices[0].devicePath", "Required value")]),
    # probes and lifecycle
    ({f"{C}.livenessProbe": {}}, [(f"{F}.livenessProbe", "Required value: must specify a handler type")]),
    (
        probe("livenessProbe", tcpSocket={"port": 1}),
        [(f"{F}.livenessProbe.tcpSocket", "Forbidden: may not specify more than 1 handler type")],
    ),
    ({f"{C}.livenessProbe": {"exec": {}}}, [(f"{F}.livenessProbe.exec.command", "Required value")]),
    (
        {f"{C}.livenessProbe": {"httpGet": {"port": 0, "scheme": "FTP"}}},
        [
            (f"{F}.livenessProbe.httpGet.port", f"Invalid value: 0: {RANGE}"),
            (f"{F}.livenessProbe.httpGet.scheme", 'Unsupported value: "FTP": supported values: "HTTP", "HTTPS"'),
        ],
    ),
    ({f"{C}.livenessProbe": {"grpc": {"port": 0}}}, [(f"{F}.livenessProbe.grpc.port", f"Invalid value: 0: {RANGE}")]),
    (
        probe("livenessProbe", successThreshold=2),
        [(f"{F}.livenessProbe.successThreshold", "Invalid value: 2: must be 1")],
    ),
    (probe("readinessProbe", successThreshold=2), []),
    (
        probe("startupProbe", periodSeconds=-1),
        [(f"{F}.startupProbe.periodSeconds", "Invalid value: -1: must be greater than or equal to 0")],
    ),
    (
        probe("livenessProbe", terminationGracePeriodSeconds=0),
        [(f"{F}.livenessProbe.terminationGracePeriodSeconds", "Invalid value: 0: must be greater than 0")],
    ),
    (
        probe("readinessProbe", terminationGracePeriodSeconds=5),
        [
            (
                f"{F}.readinessProbe.terminationGracePeriodSeconds",
                "Invalid value: 5: must not be set for readinessProbes",
            )
        ],
    ),
    (
        {f"{C}.lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
        [
            (
                f"{F}.lifecycle.preStop.sleep",
                "Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
            )
        ],
    ),
    ({f"{C}.lifecycle": {"preStop": {"sleep": {"seconds": 0}}}}, []),
    (
        {f"{C}.lifecycle": {"postStart": {}}},
        [(f"{F}.lifecycle.postStart", "Required value: must specify a handler type")],
    ),
    # init containers and restarts
    (
        {"initContainers.0.livenessProbe": {"exec": {"command": ["true"]}}},
        [
            (
                "initContainers[0].livenessProbe",
                "Forbidden: may not be set for init containers without restartPolicy=Always",
            )
        ],
    ),
    ({"initContainers.1.livenessProbe": {"exec": {"command": ["true"]}}}, []),
    (
        {"initContainers.0.lifecycle": {"postStart": {"exec": {"command": ["true"]}}}},
        [
            (
                "initContainers[0].lifecycle",
                "Forbidden: may not be set for init containers without restartPolicy=Always",
            )
        ],
    ),
    (
        {"initContainers.0.restartPolicy": "Maybe"},
        [
            (
                "initContainers[0].restartPolicy",
                'Unsupported value: "Maybe": supported values: "Always", "Never", "OnFailure"',
            )
        ],
    ),
    (
        {"initContainers.1.restartPolicyRules": [{"action": "Restart"}]},
        [
            (
                "initContainers[1].restartPolicyRules",
                "Forbidden: restartPolicyRules are not allowed for init containers with restart policy Always",
            )
        ],
    ),
    (
        {f"{C}.restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}]},
        [(f"{F}.restartPolicy", "Required value: must specify restartPolicy when restart rules are used")],
    ),
    (
        {
            f"{C}.restartPolicy": "Never",
            f"{C}.restartPolicyRules": [{"action": "Stop", "exitCodes": {"operator": "Is"}}],
        },
        [
            (f"{F}.restartPolicyRules[0].action", 'Unsupported value: "Stop": supported values: "Restart"'),
            (
                f"{F}.restartPolicyRules[0].exitCodes.operator",
                'Unsupported value: "Is": supported values: "In", "NotIn"',
            ),
        ],
    ),
    (
        {f"{C}.restartPolicy": "Never", f"{C}.restartPolicyRules": [{"action": "Restart"}]},
        [(f"{F}.restartPolicyRules[0].exitCodes", "Required value: must be specified")],
    ),
    # resize policies
    (
        {f"{C}.resizePolicy": [{"resourceName": "disk", "restartPolicy": "NotRequired"}]},
        [(f"{F}.resizePolicy", 'Unsupported value: "disk": supported values: "cpu", "memory"')],
    ),
    (
        {
            f"{C}.resizePolicy": [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}],
            "restartPolicy": "Never",
        },
        [
            (
                f"{F}.resizePolicy",
                "Invalid value: \"RestartContainer\": must be 'NotRequired' when `restartPolicy` is 'Never'",
            )
        ],
    ),
    (
        {f"{C}.resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}] * 2},
        [(f"{F}.resizePolicy[1]", 'Duplicate value: "cpu"')],
    ),
]


@pytest.mark.parametrize(("changes", "expected"), ROWS, ids=[str(number) for number in range(len(ROWS))])
def test_what_is_said_of_a_container(changes: dict[str, Any], expected: Complaints) -> None:
    assert of_spec(changes) == expected
