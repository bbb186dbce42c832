"""What kubectl shows: tables, documents, descriptions, explanations, watches."""

from __future__ import annotations

import json
import re
from itertools import islice

import pytest
import yaml

from support.installation import eventually
from support.kube_process import Cluster, Space, config_map, definition, deployment, pod


def rows(table: str) -> list[list[str]]:
    """A table's cells: columns are two or more spaces apart."""
    return [re.split(r" {2,}", line.strip()) for line in table.splitlines() if line.strip()]


def test_pods_in_a_table_and_a_wide_one(space: Space) -> None:
    space.apply(pod("web", labels={"app": "web", "tier": "front"}))
    space.wait("pod/web", "condition=Ready")
    narrow = rows(space("get", "pods"))
    assert narrow[0] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert narrow[1][:4] == ["web", "1/1", "Running", "0"]
    wide = rows(space("get", "pods", "-o", "wide"))
    assert wide[0][5:] == ["IP", "NODE", "NOMINATED NODE", "READINESS GATES"]
    assert re.fullmatch(r"simulated-[01]", wide[1][6]) and wide[1][7:] == ["<none>", "<none>"]
    labelled = rows(space("get", "pods", "--show-labels", "-L", "tier"))
    assert labelled[1][5] == "front" and labelled[1][6].startswith("app=web,tier=front,topology.kubernetes.io/")
    assert "No resources found" in space.attempt("get", "pods", "-l", "tier=back").stderr


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("nodes", "NAME STATUS ROLES AGE VERSION"),
        ("namespaces", "NAME STATUS AGE"),
        ("deployments", "NAME READY UP-TO-DATE AVAILABLE AGE"),
        ("services", "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE"),
        ("configmaps", "NAME DATA AGE"),
        ("secrets", "NAME TYPE DATA AGE"),
        ("serviceaccounts", "NAME AGE"),
        ("ingresses", "NAME CLASS HOSTS ADDRESS PORTS AGE"),
        ("persistentvolumeclaims", "NAME STATUS VOLUME CAPACITY ACCESS MODES STORAGECLASS VOLUMEATTRIBUTESCLASS AGE"),
        ("jobs", "NAME STATUS COMPLETIONS DURATION AGE"),
        ("cronjobs", "NAME SCHEDULE TIMEZONE SUSPEND ACTIVE LAST SCHEDULE AGE"),
        ("horizontalpodautoscalers", "NAME REFERENCE TARGETS MINPODS MAXPODS REPLICAS AGE"),
        ("storageclasses", "NAME PROVISIONER RECLAIMPOLICY VOLUMEBINDINGMODE ALLOWVOLUMEEXPANSION AGE"),
        ("customresourcedefinitions", "NAME CREATED AT"),
        ("clusterroles", "NAME CREATED AT"),
        ("rolebindings", "NAME ROLE AGE"),
        ("priorityclasses", "NAME VALUE GLOBAL-DEFAULT AGE PREEMPTIONPOLICY"),
    ],
)
def test_the_columns_of(kind: str, columns: str, space: Space) -> None:
    """Of an empty list too: the Table is the server's, and kubectl prints no heading for no rows."""
    resource = space("get", kind, "--output", "name", "--ignore-not-found").split()
    if not resource:
        space.create(*EXAMPLES[kind])
    heading = space("get", kind).splitlines()[0]
    assert " ".join(heading.split()) == columns


EXAMPLES = {
    "deployments": [deployment("web")],
    "services": [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}},
    ],
    "configmaps": [config_map("one", a="1")],
    "secrets": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "one"}, "stringData": {"a": "1"}}],
    "serviceaccounts": [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "one"}}],
    "ingresses": [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": "web"},
            "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}},
        }
    ],
    "persistentvolumeclaims": [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "disk"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
    ],
    "jobs": [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "sum"},
            "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}},
        }
    ],
    "cronjobs": [
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": "nightly"},
            "spec": {
                "schedule": "0 3 * * *",
                "jobTemplate": {
                    "spec": {
                        "template": {
                            "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]},
                        }
                    }
                },
            },
        }
    ],
    "horizontalpodautoscalers": [
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web"},
            "spec": {
                "maxReplicas": 3,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            },
        }
    ],
    "storageclasses": [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "columns"},
            "provisioner": "example.com/none",
        }
    ],
    "customresourcedefinitions": [
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "columns.read.example.com"},
            "spec": {
                "group": "read.example.com",
                "scope": "Namespaced",
                "names": {"plural": "columns", "kind": "Column"},
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": {"type": "object"}},
                    }
                ],
            },
        }
    ],
    "rolebindings": [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "viewers"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        }
    ],
}


def test_documents_of_every_form(space: Space) -> None:
    space.apply(config_map("a", {"order": "2"}, key="value"), config_map("b", {"order": "1"}))
    as_yaml = yaml.safe_load(space("get", "cm", "a", "-o", "yaml"))
    assert as_yaml == space.get("cm", "a") and as_yaml["data"] == {"key": "value"}
    assert "managedFields" not in as_yaml["metadata"]
    shown = json.loads(space("get", "cm", "a", "-o", "json", "--show-managed-fields"))["metadata"]["managedFields"]
    assert shown[0]["manager"] == "kubectl-client-side-apply" and shown[0]["operation"] == "Update"
    assert space("get", "cm", "-l", "order", "-o", "jsonpath={.items[*].metadata.name}") == "a b"
    assert space("get", "cm", "-l", "order", "-o", "name").split() == ["configmap/a", "configmap/b"]
    custom = space("get", "cm", "-l", "order", "-o", "custom-columns=WHO:.metadata.name,KEY:.data.key")
    assert rows(custom) == [["WHO", "KEY"], ["a", "value"], ["b", "<none>"]]
    assert space("get", "cm", "a", "-o", "go-template={{.data.key}}") == "value"
    backwards = space("get", "cm", "-l", "order", "--sort-by={.metadata.labels.order}", "--no-headers").split("\n")
    assert [line.split()[0] for line in backwards if line] == ["b", "a"]


def test_several_kinds_and_selectors(space: Space) -> None:
    space.apply(config_map("a", {"app": "x"}), deployment("web", replicas=0), pod("lone", labels={"app": "x"}))
    space.wait("pod/lone", "condition=Ready")
    assert space.names("cm,pods", "-l", "app=x") == ["configmap/a", "pod/lone"]
    eventually(lambda: len(space.names("all")) == 3, "the deployment has its set")
    assert space.names("all")[:2] == ["pod/lone", "deployment.apps/web"]
    assert space.names("all")[2].startswith("replicaset.apps/web-")
    assert space.names("cm", "--field-selector", "metadata.name=a") == ["configmap/a"]
    assert space.names("pods", "--field-selector", "status.phase=Running,spec.nodeName!=") == ["pod/lone"]
    assert space.names("cm", "-l", "app in (x, y),!zone") == ["configmap/a"]
    refused = space.refused("get", "cm", "--field-selector", "data.a=b")
    assert '"data.a" is not a known field selector' in refused
    assert space.names("pods", "-l", "app=none") == []
    assert 'configmaps "nope" not found' in space.refused("get", "cm", "nope")
    assert "the server doesn't have a resource type" in space.refused("get", "nonsense")


def test_lists_come_in_chunks(space: Space) -> None:
    space.create(*(config_map(f"c-{n:02}", {"part": "x"}) for n in range(12)))
    assert len(space.names("cm", "-l", "part=x", "--chunk-size=5")) == 12
    path = f"/api/v1/namespaces/{space.name}/configmaps?limit=5"
    first = json.loads(space("get", "--raw", path))
    assert first["metadata"]["remainingItemCount"] == 8, "12 and kube-root-ca.crt"
    space("delete", "cm", "c-07")
    token = first["metadata"]["continue"]
    second = json.loads(space("get", "--raw", f"{path}&continue={token}"))
    assert [item["metadata"]["name"] for item in second["items"]] == [f"c-{n:02}" for n in range(5, 10)]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"], "one state of the list"


def test_a_watch_shows_each_change(space: Space) -> None:
    space.apply(config_map("seen", a="1"))
    options = ("get", "cm", "seen", "--watch", "--output-watch-events", "-o", "json")
    with space.cluster.running_kubectl(*options, namespace=space.name) as watching:
        assert watching.stdout is not None
        events = map(json.loads, watching.stdout)
        assert next(events)["type"] == "ADDED"
        space("patch", "cm", "seen", "-p", '{"data": {"a": "2"}}')
        changed = next(events)
        assert (changed["type"], changed["object"]["data"]) == ("MODIFIED", {"a": "2"})
        space("delete", "cm", "seen")
        assert next(events)["type"] == "DELETED"


def test_a_watch_of_tables(space: Space) -> None:
    space.apply(pod("early"))
    with space.cluster.running_kubectl("get", "pods", "--watch", namespace=space.name) as watching:
        assert watching.stdout is not None
        assert [watching.stdout.readline().split()[0] for _ in range(2)] == ["NAME", "early"]
        space.apply(pod("short", "sh", "-c", "exit 0", restartPolicy="Never"))
        states: list[str] = []
        for line in islice(watching.stdout, 30):
            states += [line.split()[2]] if line.startswith("short") else []
            if "Completed" in line:
                break
        assert states[0] == "Pending" and states[-1] == "Completed", states


def test_explain_of_built_in_kinds(space: Space) -> None:
    explained = space("explain", "deployment.spec.template.spec.containers.resources.limits")
    assert re.search(r"^GROUP: +apps$", explained, re.M) and re.search(r"^VERSION: +v1$", explained, re.M)
    assert re.search(r"^FIELD: limits <map\[string\]Quantity>$", explained, re.M)
    for kind, line in (
        ("pods", r"^ +hostNetwork\t<boolean>"),
        ("deployments", r"^ +maxSurge\t<IntOrString>"),
        ("services", r"^ +nodePort\t<integer>"),
        ("ingresses", r"^ +pathType\t<string> -required-"),
        ("customresourcedefinitions", r"^ +x-kubernetes-validations\t"),
        ("horizontalpodautoscalers --api-version=autoscaling/v1", r"^ +targetCPUUtilizationPercentage\t<integer>"),
    ):
        assert re.search(line, space("explain", *kind.split(), "--recursive"), re.M), kind
    assert "ENUM:\n    ClusterIP\n    ExternalName\n    LoadBalancer\n    NodePort\n" in space(
        "explain", "service.spec.type"
    )
    assert 'field "nope" does not exist' in space.refused("explain", "pods.spec.nope")


def test_a_kind_of_ones_own(space: Space) -> None:
    spec = {
        "type": "object",
        "description": "What is wanted of it.",
        "required": ["length"],
        "properties": {
            "length": {"type": "integer", "description": "In metres."},
            "rig": {"type": "string", "enum": ["sloop", "ketch"], "default": "sloop"},
        },
    }
    columns = [{"name": "Length", "type": "integer", "jsonPath": ".spec.length"}]
    made = definition("yachts", "Yacht", "read.example.com", {"spec": spec}, additionalPrinterColumns=columns)
    made["spec"]["names"] |= {"shortNames": ["yt"], "categories": ["all"]}
    made["spec"]["versions"][0]["selectableFields"] = [{"jsonPath": ".spec.rig"}]
    space.create(made)
    try:
        space.wait("crd/yachts.read.example.com", "condition=Established")
        text = space("explain", "yacht.spec", "--recursive")
        assert re.search(r"^GROUP: +read.example.com$", text, re.M) and "What is wanted of it." in text
        assert re.search(r"^ +length\t<integer> -required-$", text, re.M)
        assert "sloop" in space("explain", "yt.spec.rig")
        yacht = {"apiVersion": "read.example.com/v1", "kind": "Yacht", "metadata": {"name": "a"}, "spec": {"length": 9}}
        space.apply(yacht)
        table = rows(space("get", "yt"))
        assert (table[0], table[1][:2]) == (["NAME", "LENGTH"], ["a", "9"])
        assert space.names("all") == ["yacht.read.example.com/a"]
        assert space.names("yachts", "--field-selector", "spec.rig=ketch") == []
        assert re.search(r"^ +Rig: +sloop$", space("describe", "yacht", "a"), re.M)
        refused = space.refused("patch", "yt", "a", "--type=merge", "-p", '{"spec": {"rig": "square"}}')
        assert 'spec.rig: Unsupported value: "square": supported values: "sloop", "ketch"' in refused
        assert "yachts" in space("api-resources", "--api-group=read.example.com")
    finally:
        space("delete", "crd", "yachts.read.example.com")
    assert "the server could not find the requested resource" in space.refused("get", "yachts")


DESCRIBED = {
    "pod/web": [r"^Name: +web$", r"^Node: +simulated-[01]/10\.", r"^Status: +Running$", r"Ready +True", r"^QoS Class:"],
    "deployment/web": [r"^Selector: +app=web$", r"^Replicas: +2 desired", r"^StrategyType: +RollingUpdate$"],
    "service/web": [r"^IP: +10\.96\.", r"^Port: +<unset> +80/TCP$", r"^Session Affinity: +None$"],
    "secret/hidden": [r"^Type: +Opaque$", r"^word: +6 bytes$"],
    "configmap/plain": [r"^key:\n----\nvalue$"],
    "serviceaccount/default": [r"^Image pull secrets: +<none>$"],
    "ingress/web": [r"^Default backend: +web:80"],
    "persistentvolumeclaim/disk": [r"^Status: +Pending$", r"^VolumeMode: +Filesystem$"],
    "job/sum": [r"^Parallelism: +1$", r"^Completions: +1$"],
    "cronjob/nightly": [r"^Schedule: +0 3 \* \* \*$", r"^Concurrency Policy: +Allow$"],
    "hpa/web": [r"^Max replicas: +3$", r"^Reference: +Deployment/web$"],
    "rolebinding/viewers": [r"^ +Kind: +ClusterRole$"],
}


def test_describe(space: Space) -> None:
    objects = {kind: EXAMPLES[kind] for kind in EXAMPLES if kind not in ("storageclasses", "customresourcedefinitions")}
    del objects["serviceaccounts"], objects["configmaps"], objects["secrets"]
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hidden"}, "stringData": {"word": "secret"}}
    plain = config_map("plain", key="value")
    space.create(pod("web"), secret, plain, *(one for kind in objects.values() for one in kind))
    space.wait("pod/web", "condition=Ready")
    for what, patterns in DESCRIBED.items():
        text = space("describe", what)
        for pattern in patterns:
            assert re.search(pattern, text, re.M), f"{what}: {pattern}\n{text}"


def test_describe_of_what_belongs_to_the_cluster(space: Space) -> None:
    node = space("describe", "node", "simulated-0")
    for pattern in (r"^Taints: +<none>", r"Ready +True", r"^Allocatable:", r"^Non-terminated Pods:", r"Lease:"):
        assert re.search(pattern, node, re.M), f"{pattern}\n{node}"
    assert re.search(r"^Status: +Active$", space("describe", "namespace", space.name), re.M)
    assert re.search(r"pods +\[\] +\[\] +\[", space("describe", "clusterrole", "view"))
    assert re.search(r"^Value: +2000001000$", space("describe", "priorityclass", "system-node-critical"), re.M)


def test_events_are_listed_by_what_they_are_about(space: Space) -> None:
    space.apply(pod("told"))
    uid = space.get("pod", "told")["metadata"]["uid"]
    about = {"apiVersion": "v1", "kind": "Pod", "name": "told", "namespace": space.name, "uid": uid}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "told.1"},
        "involvedObject": about,
        "reason": "Testing",
        "message": "something happened",
        "type": "Normal",
        "firstTimestamp": "2026-01-02T03:04:05Z",
        "lastTimestamp": "2026-01-02T03:04:05Z",
        "count": 3,
        "source": {"component": "tests"},
    }
    space.create(event)
    told = space("events", "--for", "pod/told")
    assert "Testing" in told and "something happened" in told
    assert re.search(r"Normal +Testing .*something happened", space("describe", "pod", "told"))
    listed = rows(space("get", "events", "--field-selector", "involvedObject.name=told,reason=Testing"))
    assert listed[0] == ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert listed[1][1:] == ["Normal", "Testing", "pod/told", "something happened"]


def test_what_the_cluster_says_of_itself(cluster: Cluster) -> None:
    version = json.loads(cluster.kubectl("version", "-o", "json"))["serverVersion"]
    assert (version["major"], version["minor"]) == ("1", "35") and version["gitVersion"].startswith("v1.35.")
    assert f"control plane is running at {cluster.server}" in re.sub(
        r"\x1b\[[\d;]*m", "", cluster.kubectl("cluster-info")
    )
    shown = yaml.safe_load(cluster.kubectl("config", "view", "--minify"))
    assert shown["clusters"][0]["cluster"]["server"] == cluster.server
    assert shown["clusters"][0]["cluster"]["certificate-authority-data"] == "DATA+OMITTED"
    assert cluster.kubectl("config", "current-context").strip() == shown["contexts"][0]["name"]
    versions = cluster.kubectl("api-versions").split()
    assert {"v1", "apps/v1", "batch/v1", "rbac.authorization.k8s.io/v1", "resource.k8s.io/v1"} <= set(versions)
    assert cluster.kubectl("get", "--raw", "/readyz") == "ok"
    assert "[+]ping ok" in cluster.kubectl("get", "--raw", "/livez?verbose")
    assert "apiserver_request_total{" in cluster.kubectl("get", "--raw", "/metrics")


def test_api_resources(cluster: Cluster) -> None:
    table = cluster.kubectl("api-resources", "-o", "wide")
    line = next(line for line in table.splitlines() if line.startswith("deployments "))
    words = line.split()
    assert words[1:5] == ["deploy", "apps/v1", "true", "Deployment"]
    assert words[5] == "create,delete,deletecollection,get,list,patch,update,watch" and words[6] == "all"
    named = cluster.kubectl("api-resources", "--namespaced=false", "-o", "name").split()
    assert "nodes" in named and "clusterroles.rbac.authorization.k8s.io" in named and "pods" not in named
    grouped = cluster.kubectl("api-resources", "--api-group=batch", "--no-headers").split("\n")
    assert [line.split()[0] for line in grouped if line] == ["cronjobs", "jobs"]
    assert "serviceaccounts" in cluster.kubectl("api-resources", "--verbs=create,watch", "-o", "name")


def test_raw_requests(space: Space) -> None:
    path = f"/api/v1/namespaces/{space.name}/configmaps"
    made = json.loads(space("create", "--raw", path, "-f", "-", stdin=json.dumps(config_map("raw", a="b"))))
    assert made["metadata"]["uid"]
    changed = json.dumps({**made, "data": {"a": "c"}})
    assert json.loads(space("replace", "--raw", f"{path}/raw", "-f", "-", stdin=changed))["data"] == {"a": "c"}
    deleted = json.loads(space("delete", "--raw", f"{path}/raw"))
    assert deleted["status"] == "Success" and deleted["details"]["uid"] == made["metadata"]["uid"]
    assert "NotFound" in space.refused("get", "--raw", f"{path}/raw")


def test_objects_are_found_by_the_file_they_came_from(space: Space) -> None:
    path = space.file("both.yaml", config_map("a"), deployment("web"))
    space("create", "-f", str(path))
    assert space("get", "-f", str(path), "-o", "name").split() == ["configmap/a", "deployment.apps/web"]


def test_the_addresses_of_services_are_objects(space: Space) -> None:
    assert rows(space("get", "servicecidrs"))[0] == ["NAME", "CIDRS", "AGE"]
    default = space.get("servicecidr", "kubernetes")
    assert default["spec"] == {"cidrs": ["10.96.0.0/16"]}
    assert default["metadata"]["finalizers"] == ["networking.k8s.io/service-cidr-finalizer"]
    (condition,) = default["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["message"]) == (
        "Ready",
        "True",
        "Kubernetes Service CIDR is ready",
    )
    assert space("get", "ipaddress", "10.96.0.1", "--no-headers").split() == [
        "10.96.0.1",
        "services/default/kubernetes",
    ]
    space("create", "service", "clusterip", "web", "--tcp=80")
    address = space.get("service", "web")["spec"]["clusterIP"]
    assert rows(space("get", "ipaddresses", address)) == [
        ["NAME", "PARENTREF"],
        [address, f"services/{space.name}/web"],
    ]
    labels = "ipaddress.kubernetes.io/managed-by=ipallocator.k8s.io,ipaddress.kubernetes.io/ip-family=IPv4"
    assert f"ipaddress.networking.k8s.io/{address}" in space("get", "ipaddresses", "-l", labels, "-o", "name").split()
    taken = space.refused("create", "service", "clusterip", "other", "--tcp=80", f"--clusterip={address}")
    assert f"failed to allocate IP {address}: provided IP is already allocated" in taken
    space("create", "service", "clusterip", "dry", "--tcp=80", "--clusterip=10.96.0.77", "--dry-run=server")
    assert "NotFound" in space.refused("get", "ipaddress", "10.96.0.77")
    space("delete", "service", "web")
    assert "NotFound" in space.refused("get", "ipaddress", address)


def test_a_second_range_of_addresses_waits_for_its_services(space: Space) -> None:
    wider = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": f"{space.name}-wider"},
        "spec": {"cidrs": ["10.200.0.0/24"]},
    }
    space.create(wider)
    space.wait(f"servicecidr/{space.name}-wider", "condition=Ready")
    space("create", "service", "clusterip", "there", "--tcp=80", "--clusterip=10.200.0.7")
    space("delete", "servicecidr", f"{space.name}-wider", "--wait=false")
    space.wait(f"servicecidr/{space.name}-wider", "condition=Ready=false")
    (condition,) = space.get("servicecidr", f"{space.name}-wider")["status"]["conditions"]
    assert condition["reason"] == "Terminating"
    space("delete", "service", "there")
    space.wait(f"servicecidr/{space.name}-wider", "delete", 30)
