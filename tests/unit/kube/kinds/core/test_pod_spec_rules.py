"""A row a rule: what is wrong with the rest of a pod's spec, where, in which words."""

from __future__ import annotations

from typing import Any

import pytest

from unit.kube.kinds.core.pod_kit import GONE, LABEL, QUALIFIED, SUBDOMAIN, Complaints, complaints, of_spec

C, F = "containers.0", "containers[0]"
R, L = f"{C}.resources.requests", f"{C}.resources.limits"
BAD_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
ID = "must be between 0 and 2147483647, inclusive"
S = "securityContext"
WIN = "Forbidden: cannot be set for a windows pod"
NODES = "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
LIKED = "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution"
PODS = "affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution"
AWAY = "affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution"


def term(**requirement: Any) -> dict[str, Any]:
    return {NODES: {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", **requirement}]}]}}


def resources(limits: dict[str, Any], requests: dict[str, Any] | None = None) -> dict[str, Any]:
    return {f"{C}.resources": {"limits": limits, "requests": requests or {}}}


def user(name: str) -> dict[str, Any]:
    return {f"{C}.{S}": {"windowsOptions": {"runAsUserName": name}}}


def said_of_user(name: str, text: str) -> Complaints:
    return [(f"{F}.{S}.windowsOptions.runAsUserName", f'Invalid value: "{name}": runAsUserName{text}')]


ADMIN = '{"Add":["CAP_SYS_ADMIN"],"Drop":null}'


def context(capabilities: str, privileged: str) -> str:
    """A container's security context that forbids escalation, as Go prints it."""
    return (
        f'{{"Capabilities":{capabilities},"Privileged":{privileged},"SELinuxOptions":null,"WindowsOptions":null,'
        '"RunAsUser":null,"RunAsGroup":null,"RunAsNonRoot":null,"ReadOnlyRootFilesystem":null,'
        '"AllowPrivilegeEscalation":false,"ProcMount":null,"SeccompProfile":null,"AppArmorProfile":null}'
    )


def spread(*changes: dict[str, Any]) -> dict[str, Any]:
    whole = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
    return {"topologySpreadConstraints": [{**whole, **change} for change in changes]}


RESOURCES: list[tuple[dict[str, Any], Complaints]] = [
    (
        {f"{R}.cpu": "1"},
        [(f"{F}.resources.requests", 'Invalid value: "1": must be less than or equal to cpu limit of 500m')],
    ),
    ({f"{R}.cpu": "-1"}, [(f"{F}.resources.requests[cpu]", 'Invalid value: "-1": must be greater than or equal to 0')]),
    (
        resources({"disk": "1"}),
        [
            (f"{F}.resources.{kind}[disk]", f'Invalid value: "disk": {text}')
            for kind in ("limits", "requests")
            for text in (
                "must be a standard resource type or fully qualified",
                "must be a standard resource for containers",
            )
        ],
    ),
    (
        resources({"pods": "1"}),
        [
            (f"{F}.resources.{kind}[pods]", 'Invalid value: "pods": must be a standard resource for containers')
            for kind in ("limits", "requests")
        ],
    ),
    (resources({"example.com/gpu": "1"}), []),
    (
        resources({"requests.example.com/gpu": "1"}),
        [
            (
                f"{F}.resources.{kind}[requests.example.com/gpu]",
                'Invalid value: "requests.example.com/gpu": doesn\'t follow extended resource name standard',
            )
            for kind in ("limits", "requests")
        ],
    ),
    (
        resources({"example.com/gpu": "1500m"}),
        [
            (f"{F}.resources.{kind}[example.com/gpu]", 'Invalid value: "1500m": must be an integer')
            for kind in ("limits", "requests")
        ],
    ),
    (
        resources({"example.com/gpu": "2"}, {"example.com/gpu": "1"}),
        [(f"{F}.resources.requests", 'Invalid value: "1": must be equal to example.com/gpu limit of 2')],
    ),
    (
        resources({}, {"example.com/gpu": "1"}),
        [(f"{F}.resources.limits", "Required value: Limit must be set for non overcommitable resources")],
    ),
    (
        resources({"hugepages-2Mi": "2Mi"}),
        [(f"{F}.resources", "Forbidden: HugePages require cpu or memory")],
    ),
    (resources({"hugepages-2Mi": "4Mi", "cpu": "1"}), []),
    (
        resources({"hugepages-2Mi": "3Mi", "cpu": "1"}),
        [
            (
                f"{F}.resources.{kind}[hugepages-2Mi]",
                'Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi',
            )
            for kind in ("limits", "requests")
        ],
    ),
    (
        {f"{C}.resources.claims": [{"name": "gpu"}]},
        [
            (
                f"{F}.resources.claims[0]",
                'Not found: "gpu": must be one of the names in pod.spec.resourceClaims which is empty',
            )
        ],
    ),
    (
        {
            f"{C}.resources.claims": [{"name": "a", "request": "x"}, {"name": "a"}, {"name": "b"}],
            "resourceClaims": [{"name": "a", "resourceClaimName": "a"}],
        },
        [
            (f"{F}.resources.claims[1]", 'Duplicate value: "a"'),
            (f"{F}.resources.claims[2]", 'Not found: "b": must be one of the names in pod.spec.resourceClaims: a'),
        ],
    ),
    (
        {"resourceClaims": [{"name": "a"}]},
        [
            (
                "resourceClaims[0]",
                'Invalid value: {"Name":"a","ResourceClaimName":null,"ResourceClaimTemplateName":null}: must specify'
                " one of: `resourceClaimName`, `resourceClaimTemplateName`",
            )
        ],
    ),
    (
        {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "50m"}}},
        [
            (
                "resources.requests[cpu]",
                'Invalid value: "50m": must be greater than or equal to aggregate container requests of 100m',
            )
        ],
    ),
    (
        {"resources": {"limits": {"cpu": "200m"}}},
        [
            (
                "resources.containers[0][cpu].limits",
                'Invalid value: "500m": must be less than or equal to pod limits of 200m',
            )
        ],
    ),
    (
        {"resources": {"limits": {"ephemeral-storage": "1Gi"}}},
        [
            (
                "resources.limits[ephemeral-storage]",
                'Unsupported value: "ephemeral-storage": supported values: "cpu", "hugepages-", "memory"',
            )
        ],
    ),
    (
        {"overhead": {"cpu": "-1"}},
        [("overhead.limits[cpu]", 'Invalid value: "-1": must be greater than or equal to 0')],
    ),
]

SECURITY: list[tuple[dict[str, Any], Complaints]] = [
    ({f"{S}.runAsUser": -1}, [(f"{S}.runAsUser", f"Invalid value: -1: {ID}")]),
    ({f"{S}.fsGroup": 2**31}, [(f"{S}.fsGroup", f"Invalid value: 2147483648: {ID}")]),
    ({f"{S}.supplementalGroups": [-5]}, [(f"{S}.supplementalGroups[0]", f"Invalid value: -5: {ID}")]),
    (
        {"shareProcessNamespace": True, "hostPID": True},
        [
            (
                f"{S}.shareProcessNamespace",
                "Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled",
            )
        ],
    ),
    ({f"{S}.sysctls": [{"name": "net.core.somaxconn", "value": "1"}]}, []),
    (
        {f"{S}.sysctls": [{"name": "Net", "value": "1"}]},
        [
            (
                f"{S}.sysctls[0].name",
                'Invalid value: "Net": must have at most 253 characters and match regex'
                r" ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
            )
        ],
    ),
    (
        {f"{S}.sysctls": [{"name": "kernel.shmmax"}, {"name": "kernel.shmmax"}], "hostIPC": True},
        [
            (f"{S}.sysctls[0].name", "Invalid value: \"kernel.shmmax\": may not be specified when 'hostIPC' is true"),
            (f"{S}.sysctls[1].name", 'Duplicate value: "kernel.shmmax"'),
            (f"{S}.sysctls[1].name", "Invalid value: \"kernel.shmmax\": may not be specified when 'hostIPC' is true"),
        ],
    ),
    (
        {f"{S}.sysctls": [{"name": "net/ipv4/ip_forward"}], "hostNetwork": True},
        [
            (
                f"{S}.sysctls[0].name",
                "Invalid value: \"net/ipv4/ip_forward\": may not be specified when 'hostNetwork' is true",
            )
        ],
    ),
    (
        {f"{S}.fsGroupChangePolicy": "Never"},
        [(f"{S}.fsGroupChangePolicy", 'Unsupported value: "Never": supported values: "Always", "OnRootMismatch"')],
    ),
    (
        {f"{S}.seLinuxChangePolicy": "MountOption"},
        [(f"{S}.seLinuxChangePolicy", 'Unsupported value: "MountOption": supported values: "Recursive"')],
    ),
    (
        {f"{S}.supplementalGroupsPolicy": "Some"},
        [(f"{S}.supplementalGroupsPolicy", 'Unsupported value: "Some": supported values: "Merge", "Strict"')],
    ),
    (
        {f"{S}.seccompProfile": {"type": "Localhost"}},
        [(f"{S}.seccompProfile.localhostProfile", "Required value: must be set when seccomp type is Localhost")],
    ),
    (
        {f"{S}.seccompProfile": {"type": "Odd"}},
        [
            (
                f"{S}.seccompProfile.type",
                'Unsupported value: "Odd": supported values: "Localhost", "RuntimeDefault", "Unconfined"',
            )
        ],
    ),
    (
        {f"{S}.seccompProfile": {"type": "Unconfined", "localhostProfile": "a"}},
        [
            (
                f"{S}.seccompProfile.localhostProfile",
                'Invalid value: {"Type":"Unconfined","LocalhostProfile":"a"}: can only be set when seccomp type is'
                " Localhost",
            )
        ],
    ),
    (
        {f"{S}.appArmorProfile": {"type": "Localhost", "localhostProfile": " a"}},
        [(f"{S}.appArmorProfile.localhostProfile", 'Invalid value: " a": must not be padded with whitespace')],
    ),
    (
        {f"{S}.appArmorProfile": {"localhostProfile": "a"}},
        [(f"{S}.appArmorProfile.type", "Required value: type is required when appArmorProfile is set")],
    ),
    (
        {f"{C}.{S}": {"procMount": "Open"}},
        [(f"{F}.{S}.procMount", 'Unsupported value: "Open": supported values: "Default", "Unmasked"')],
    ),
    (
        {f"{C}.{S}": {"procMount": "Unmasked"}},
        [(f"{F}.{S}.procMount", 'Invalid value: "Unmasked": `hostUsers` must be false to use `Unmasked`')],
    ),
    ({f"{C}.{S}": {"procMount": "Unmasked"}, "hostUsers": False}, []),
    (
        {f"{C}.{S}": {"allowPrivilegeEscalation": False, "privileged": True}},
        [
            (
                f"{F}.{S}",
                f"Invalid value: {context('null', 'true')}: cannot set"
                " `allowPrivilegeEscalation` to false and `privileged` to true",
            )
        ],
    ),
    (
        {f"{C}.{S}": {"allowPrivilegeEscalation": False, "capabilities": {"add": ["CAP_SYS_ADMIN"]}}},
        [
            (
                f"{F}.{S}",
                f"Invalid value: {context(ADMIN, 'null')}: cannot set"
                " `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
            )
        ],
    ),
    (
        {"hostUsers": False, "hostNetwork": True, "hostPID": True, "hostIPC": True},
        [(step, "Forbidden: when `hostUsers` is false") for step in ("hostNetwork", "HostPID", "HostIPC")],
    ),
    (user(""), said_of_user("", " cannot be an empty string")),
    (user("a\\b\\c"), said_of_user("a\\\\b\\\\c", " cannot contain more than one backslash")),
    (user("NT AUTHORITY\\NETWORK SERVICE"), []),
    (user("a.b*\\c"), said_of_user("a.b*\\\\c", "'s Domain doesn't match the NetBios nor the DNS format")),
    (user("a\\"), said_of_user("a\\\\", "'s User cannot be empty")),
    (user(". ."), said_of_user(". .", "'s User cannot contain only periods or spaces")),
    (user("u" * 105), said_of_user("u" * 105, "'s User length must not be longer than 104 characters")),
    (
        user("a/b"),
        said_of_user("a/b", "'s User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"),
    ),
    (
        {f"{C}.{S}": {"windowsOptions": {"hostProcess": True}}},
        [
            (
                "<nil>",
                'Invalid value: "": If pod contains any hostProcess containers then all containers must be HostProcess'
                " containers",
            ),
            (
                "hostNetwork",
                "Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers",
            ),
        ],
    ),
]

SCHEDULING: list[tuple[dict[str, Any], Complaints]] = [
    (term(operator="In", values=["b"]), []),
    (
        term(operator="In"),
        [
            (
                f"{NODES}.nodeSelectorTerms[0].matchExpressions[0].values",
                "Required value: must be specified when `operator` is 'In' or 'NotIn'",
            )
        ],
    ),
    (
        term(operator="Exists", values=["b"]),
        [
            (
                f"{NODES}.nodeSelectorTerms[0].matchExpressions[0].values",
                "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )
        ],
    ),
    (
        term(operator="Gt", values=["1", "2"]),
        [
            (
                f"{NODES}.nodeSelectorTerms[0].matchExpressions[0].values",
                "Required value: must be specified single value when `operator` is 'Lt' or 'Gt'",
            )
        ],
    ),
    (
        term(operator="Is"),
        [
            (
                f"{NODES}.nodeSelectorTerms[0].matchExpressions[0].operator",
                'Invalid value: "Is": not a valid selector operator',
            )
        ],
    ),
    (
        {NODES: {"nodeSelectorTerms": []}},
        [(f"{NODES}.nodeSelectorTerms", "Required value: must have at least one node selector term")],
    ),
    (
        {NODES: {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.uid", "operator": "In", "values": []}]}]}},
        [
            (
                f"{NODES}.nodeSelectorTerms[0].matchFields[0].values",
                "Required value: must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
            ),
            (
                f"{NODES}.nodeSelectorTerms[0].matchFields[0].key",
                'Invalid value: "metadata.uid": not a valid field selector key',
            ),
        ],
    ),
    (
        {LIKED: [{"weight": 101, "preference": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}]},
        [(f"{LIKED}[0].weight", "Invalid value: 101: must be in the range 1-100")],
    ),
    (
        {PODS: [{"labelSelector": {}}]},
        [
            (f"{PODS}[0].topologyKey", "Required value: can not be empty"),
            (f"{PODS}[0].topologyKey", 'Invalid value: "": name part must be non-empty'),
            (f"{PODS}[0].topologyKey", f'Invalid value: "": {QUALIFIED}'),
        ],
    ),
    (
        {PODS: [{"topologyKey": "zone", "namespaces": ["A"]}]},
        [(f"{PODS}[0].namespace", f'Invalid value: "A": {LABEL}')],
    ),
    (
        {PODS: [{"topologyKey": "zone", "matchLabelKeys": ["app"]}]},
        [(f"{PODS}[0].matchLabelKeys", "Forbidden: must not be specified when labelSelector is not set")],
    ),
    (
        {PODS: [{"topologyKey": "zone", "labelSelector": {}, "matchLabelKeys": ["x"], "mismatchLabelKeys": ["x"]}]},
        [(f"{PODS}[0].matchLabelKeys[0]", 'Invalid value: "x": exists in both matchLabelKeys and mismatchLabelKeys')],
    ),
    (
        {PODS: [{"topologyKey": "z", "labelSelector": {"matchLabels": {"app": "web"}}, "matchLabelKeys": ["app"]}]},
        [(f"{PODS}[0][0]", 'Invalid value: "app": exists in both matchLabelKeys and labelSelector')],
    ),
    (
        {AWAY: [{"weight": 0, "podAffinityTerm": {"topologyKey": "zone"}}]},
        [(f"{AWAY}[0].weight", "Invalid value: 0: must be in the range 1-100")],
    ),
    (
        {"tolerations": [{"operator": "Equal"}]},
        [
            (
                "tolerations[0].operator",
                'Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and'
                ' all keys"',
            )
        ],
    ),
    (
        {"tolerations": [{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 1}]},
        [
            (
                "tolerations[0].effect",
                "Invalid value: \"NoSchedule\": effect must be 'NoExecute' when `tolerationSeconds` is set",
            )
        ],
    ),
    (
        {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
        [("tolerations[0].operator", "Invalid value: \"b\": value must be empty when `operator` is 'Exists'")],
    ),
    (
        {"tolerations": [{"key": "a", "operator": "Gt", "value": "1"}]},
        [("tolerations[0].operator", 'Unsupported value: "Gt": supported values: "Equal", "Exists", "Lt", "Gt"')],
    ),
    (
        {"tolerations": [{"key": "a", "effect": "Go"}]},
        [
            (
                "tolerations[0].effect",
                'Unsupported value: "Go": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
            )
        ],
    ),
    (spread({}, {"topologyKey": "host"}), []),
    (spread({"maxSkew": 0}), [("topologySpreadConstraints[0].maxSkew", "Invalid value: 0: must be greater than zero")]),
    (spread({"topologyKey": ""}), [("topologySpreadConstraints[0].topologyKey", "Required value: can not be empty")]),
    (
        spread({"whenUnsatisfiable": "Cry"}),
        [
            (
                "topologySpreadConstraints[0].whenUnsatisfiable",
                'Unsupported value: "Cry": supported values: "DoNotSchedule", "ScheduleAnyway"',
            )
        ],
    ),
    (
        spread({}, {}),
        [
            (
                "topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}",
                'Duplicate value: "{zone, DoNotSchedule}"',
            )
        ],
    ),
    (
        spread({"whenUnsatisfiable": "ScheduleAnyway", "minDomains": 1}),
        [
            (
                "topologySpreadConstraints[0].minDomains",
                "Invalid value: 1: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway",
            )
        ],
    ),
    (
        spread({"nodeTaintsPolicy": "Maybe"}),
        [
            (
                "topologySpreadConstraints[0].nodeTaintsPolicy",
                'Unsupported value: "Maybe": supported values: "Honor", "Ignore"',
            )
        ],
    ),
    ({"schedulingGates": [{"name": "a"}, {"name": "a"}]}, [("schedulingGates[1]", 'Duplicate value: "a"')]),
    (
        {"schedulingGates": [{"name": "a"}], "nodeName": "n"},
        [("nodeName", "Forbidden: cannot be set until all schedulingGates have been cleared")],
    ),
    (
        {"preemptionPolicy": "Always"},
        [("preemptionPolicy", 'Unsupported value: "Always": supported values: "PreemptLowerPriority", "Never"')],
    ),
    ({"priorityClassName": "A"}, [("priorityClassName", f'Invalid value: "A": {SUBDOMAIN}')]),
    ({"nodeName": "N"}, [("nodeName", f'Invalid value: "N": {SUBDOMAIN}')]),
    ({"runtimeClassName": "R"}, [("runtimeClassName", f'Invalid value: "R": {SUBDOMAIN}')]),
]

REST: list[tuple[dict[str, Any], Complaints]] = [
    (
        {"restartPolicy": "Maybe"},
        [("restartPolicy", 'Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"')],
    ),
    (
        {"dnsPolicy": "Own"},
        [
            (
                "dnsPolicy",
                'Unsupported value: "Own": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default",'
                ' "None"',
            )
        ],
    ),
    ({"dnsPolicy": "None"}, [("dnsConfig", "Required value: must provide `dnsConfig` when `dnsPolicy` is None")]),
    (
        {"dnsPolicy": "None", "dnsConfig": {}},
        [
            (
                "dnsConfig.nameservers",
                "Required value: must provide at least one DNS nameserver when `dnsPolicy` is None",
            )
        ],
    ),
    (
        {"dnsConfig.nameservers": ["10.0.0.300"]},
        [("dnsConfig.nameservers[0]", f'Invalid value: "10.0.0.300": {BAD_IP}')],
    ),
    ({"dnsConfig.nameservers": ["010.0.0.1", "fd00::1"]}, []),
    (
        {"dnsConfig.nameservers": ["1.1.1.1"] * 4},
        [
            (
                "dnsConfig.nameservers",
                'Invalid value: ["1.1.1.1","1.1.1.1","1.1.1.1","1.1.1.1"]: must not have more than 3 nameservers',
            )
        ],
    ),
    ({"dnsConfig.searches": ["a_b.c.", "."]}, []),
    (
        {"dnsConfig.searches": ["a__"]},
        [
            (
                "dnsConfig.searches[0]",
                'Invalid value: "a__": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric'
                " characters, '_', '-' or '.', and must start and end with an alphanumeric character (e.g."
                " 'example.com', regex used for validation is"
                r" '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')",
            )
        ],
    ),
    ({"dnsConfig.options": [{"value": "1"}]}, [("dnsConfig.options[0]", "Required value: must not be empty")]),
    ({"hostAliases": [{"ip": "x", "hostnames": ["a"]}]}, [("hostAliases[0].ip", f'Invalid value: "x": {BAD_IP}')]),
    (
        {"hostAliases": [{"ip": "1.1.1.1", "hostnames": ["A"]}]},
        [("hostAliases[0].hostnames[0]", f'Invalid value: "A": {SUBDOMAIN}')],
    ),
    (
        {"activeDeadlineSeconds": 0},
        [("activeDeadlineSeconds", "Invalid value: 0: must be between 1 and 2147483647, inclusive")],
    ),
    ({"hostname": "a.b"}, [("hostname", 'Invalid value: "a.b": must not contain dots')]),
    ({"subdomain": "A"}, [("subdomain", f'Invalid value: "A": {LABEL}')]),
    ({"serviceAccountName": "A"}, [("serviceAccountName", f'Invalid value: "A": {SUBDOMAIN}')]),
    (
        {"hostnameOverride": "a", "hostNetwork": True, "setHostnameAsFQDN": True},
        [
            ("hostnameOverride", "Forbidden: may not be specified when setHostnameAsFQDN is true"),
            ("hostnameOverride", "Forbidden: may not be specified when hostNetwork is true"),
        ],
    ),
    ({"hostnameOverride": "a" * 65}, [("hostnameOverride", "Too long: may not be more than 64 bytes")]),
    (
        {"hostNetwork": True, f"{C}.ports.0.hostPort": 9},
        [(f"{F}.ports[0].hostPort", "Invalid value: 9: must match `containerPort` when `hostNetwork` is true")],
    ),
    (
        {"readinessGates": [{"conditionType": "a/b/c"}]},
        [
            (
                "readinessGates[0].conditionType",
                "Invalid value: \"a/b/c\": a valid label key must consist of alphanumeric characters, '-', '_' or '.',"
                " and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc',"
                " regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS"
                " subdomain prefix and '/' (e.g. 'example.com/MyName')",
            )
        ],
    ),
    ({"os": {}}, [("os.name", "Required value")]),
    ({"os": {"name": "plan9"}}, [("os", 'Unsupported value: "plan9": supported values: "linux", "windows"')]),
    (
        {"os": {"name": "linux"}, f"{C}.{S}": {"windowsOptions": {}}},
        [(f"{F}.{S}.windowsOptions", "Forbidden: windows options cannot be set for a linux pod")],
    ),
    (
        {"os": {"name": "windows"}, "hostPID": True, S: {"runAsUser": 1}, f"{C}.{S}": {"privileged": False}},
        [("hostPID", WIN), (f"{S}.runAsUser", WIN), (f"{F}.{S}.privileged", WIN)],
    ),
    (
        {"ephemeralContainers": [{"name": "d", "image": "d"}]},
        [("ephemeralContainers", "Forbidden: cannot be set on create")],
    ),
    (
        {
            "ephemeralContainers": [
                {
                    "name": "web",
                    "image": "d",
                    "targetContainerName": "none",
                    "ports": [{"containerPort": 1}],
                    "volumeMounts": [{"name": "config", "mountPath": "/a", "subPath": "b"}],
                }
            ]
        },
        [
            ("ephemeralContainers[0].name", 'Duplicate value: "web"'),
            ("ephemeralContainers[0].targetContainerName", 'Not found: "none"'),
            ("ephemeralContainers[0].ports", "Forbidden: cannot be set for an Ephemeral Container"),
            ("ephemeralContainers[0].volumeMounts[0].subPath", "Forbidden: cannot be set for an Ephemeral Container"),
            ("ephemeralContainers", "Forbidden: cannot be set on create"),
        ],
    ),
]
ROWS = [*RESOURCES, *SECURITY, *SCHEDULING, *REST]


@pytest.mark.parametrize(("changes", "expected"), ROWS, ids=[str(number) for number in range(len(ROWS))])
def test_what_is_said_of_a_spec(changes: dict[str, Any], expected: Complaints) -> None:
    whole = [("spec" if field == "<nil>" else field, message) for field, message in expected]
    assert of_spec(changes) == whole


A = "metadata/annotations"
ANNOTATIONS: list[tuple[dict[str, Any], Complaints]] = [
    (
        {f"{A}/kubernetes.io|config.mirror": "x"},
        [
            (
                "metadata.annotations[kubernetes.io/config.mirror]",
                'Invalid value: "x": must set spec.nodeName if mirror pod annotation is set',
            )
        ],
    ),
    (
        {f"{A}/controller.kubernetes.io|pod-deletion-cost": "+1"},
        [
            (
                "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]",
                'Invalid value: "+1": must be a 32bit integer',
            )
        ],
    ),
    ({f"{A}/controller.kubernetes.io|pod-deletion-cost": "-10"}, []),
    (
        {f"{A}/seccomp.security.alpha.kubernetes.io|pod": "odd"},
        [
            (
                "metadata.annotations.seccomp.security.alpha.kubernetes.io/pod",
                'Invalid value: "odd": must be a valid seccomp profile',
            )
        ],
    ),
    (
        {f"{A}/container.apparmor.security.beta.kubernetes.io|none": "odd"},
        [
            (
                "metadata.annotations[container.apparmor.security.beta.kubernetes.io/none]",
                'Invalid value: "none": container not found',
            ),
            (
                "metadata.annotations[container.apparmor.security.beta.kubernetes.io/none]",
                'Invalid value: "odd": invalid AppArmor profile name: "odd"',
            ),
        ],
    ),
    (
        {
            f"{A}/container.apparmor.security.beta.kubernetes.io|web": "unconfined",
            "spec/containers/0/securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}},
        },
        [
            (
                "spec.containers[0].securityContext.appArmorProfile.type",
                "Forbidden: apparmor type in annotation and field must match",
            )
        ],
    ),
    (
        {
            f"{A}/seccomp.security.alpha.kubernetes.io|pod": "localhost/a",
            "spec/securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "b"}},
        },
        [
            (
                "spec.securityContext.seccompProfile.localhostProfile",
                "Forbidden: seccomp profile in annotation and field must match",
            )
        ],
    ),
]


@pytest.mark.parametrize(("changes", "expected"), ANNOTATIONS, ids=[str(number) for number in range(len(ANNOTATIONS))])
def test_what_is_said_of_annotations(changes: dict[str, Any], expected: Complaints) -> None:
    annotations = {
        path.removeprefix(f"{A}/").replace("|", "/"): value for path, value in changes.items() if "|" in path
    }
    rest = {path: value for path, value in changes.items() if "|" not in path}
    assert (
        complaints({"metadata.annotations": annotations, **{p.replace("/", "."): v for p, v in rest.items()}})
        == expected
    )


def test_a_pod_without_annotations_is_fine() -> None:
    assert complaints({"metadata.annotations": GONE}) == []
