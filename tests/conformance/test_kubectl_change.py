"""What kubectl changes: patches, edits, labels, scales, images, deletions, conditions to wait for."""

from __future__ import annotations

import json
import stat
import subprocess
from typing import Any

import pytest
import yaml

from support.kube_process import Space, config_map, deployment, manifest, pod

UNPROCESSABLE = "The request is invalid: the server rejected our request due to an error in our request"
"""All that kubectl shows of a JSON patch which does not apply."""
PATCHES = [
    ("strategic", '{"data": {"a": null, "c": "3"}}', {"b": "2", "c": "3"}),
    ("merge", '{"data": {"b": "changed"}}', {"a": "1", "b": "changed"}),
    ("json", '[{"op": "remove", "path": "/data/a"}, {"op": "add", "path": "/data/z", "value": "26"}]', None),
]


@pytest.mark.parametrize(("how", "patch", "data"), PATCHES)
def test_patch_of_each_type(how: str, patch: str, data: dict[str, str] | None, space: Space) -> None:
    space.create(config_map("a", a="1", b="2"))
    assert space("patch", "cm", "a", f"--type={how}", "-p", patch) == "configmap/a patched\n"
    assert space.get("cm", "a")["data"] == (data or {"b": "2", "z": "26"})
    again = space("patch", "cm", "a", "--type=merge", "-p", "{}")
    assert again == "configmap/a patched (no change)\n"


def test_a_strategic_patch_merges_lists_by_key(space: Space) -> None:
    space.create(deployment("web"))
    add = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "busybox"}]}}}}
    space("patch", "deployment", "web", "-p", json.dumps(add))
    assert _containers(space) == ["side", "web"]
    drop = {"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}}
    space("patch", "deployment", "web", "-p", json.dumps(drop))
    assert _containers(space) == ["web"]


def _containers(space: Space) -> list[str]:
    return [one["name"] for one in space.get("deployment", "web")["spec"]["template"]["spec"]["containers"]]


def test_patches_that_cannot_be(space: Space) -> None:
    space.create(config_map("a", a="1"))
    for how, patch, said in (
        ("json", '[{"op": "test", "path": "/data/a", "value": "2"}]', UNPROCESSABLE),
        ("json", '[{"op": "remove", "path": "/data/zz"}]', UNPROCESSABLE),
        ("merge", '{"metadata": {"name": "b"}}', "the name of the object (b) does not match the name on the URL (a)"),
        ("merge", '{"metadata": {"resourceVersion": "1"}}', "the object has been modified"),
        ("merge", '{"data": {"a": 1}}', "cannot unmarshal number into Go struct field ConfigMap.data of type string"),
    ):
        assert said in space.refused("patch", "cm", "a", f"--type={how}", "-p", patch), (how, patch)
    assert 'configmaps "nope" not found' in space.refused("patch", "cm", "nope", "-p", "{}")


def test_edit_through_the_editor(space: Space) -> None:
    space.create(config_map("a", key="one"))
    editor = space.folder / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/key: one/key: two/' \"$1\"\n")
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    command = ["kubectl", "-n", space.name, "edit", "cm", "a"]
    assert space.cluster.succeed(command, environment={"EDITOR": str(editor)}) == "configmap/a edited\n"
    assert space.get("cm", "a")["data"] == {"key": "two"}
    unchanged = space.cluster.run(command, environment={"EDITOR": "true"})
    assert "Edit cancelled, no changes made." in unchanged.stderr


def test_edit_is_asked_again_after_a_refusal(space: Space) -> None:
    """kubectl puts the server's words above the text; the second time it is left alone, and kubectl gives up."""
    space.create(deployment("web"))
    editor = space.folder / "editor"
    seen = space.folder / "seen"
    editor.write_text(f"#!/bin/sh\ncp $1 {seen}\nsed -i 's/replicas: 2/replicas: -1/' $1\n")
    editor.chmod(0o755)
    command = ["kubectl", "-n", space.name, "edit", "deployment", "web"]
    done = space.cluster.run(command, environment={"EDITOR": str(editor)})
    assert done.returncode == 1
    assert 'deployments.apps "web" is invalid' in done.stderr
    reasons = [line for line in seen.read_text().splitlines() if line.startswith("# * ")]
    assert reasons == ["# * spec.replicas: Invalid value: -1: must be greater than or equal to 0"]
    assert space.get("deployment", "web")["spec"]["replicas"] == 2


def test_label_and_annotate(space: Space) -> None:
    space.create(config_map("a", {"tier": "front"}), config_map("b", {"tier": "front"}))
    assert space("label", "cm", "a", "zone=one") == "configmap/a labeled\n"
    assert "already has a value (one), and --overwrite is false" in space.refused("label", "cm", "a", "zone=two")
    space("label", "cm", "a", "zone=two", "tier-", "--overwrite")
    assert space.get("cm", "a")["metadata"]["labels"] == {"zone": "two"}
    space("annotate", "cm", "-l", "tier=front", "note=all of you")
    assert space.get("cm", "b")["metadata"]["annotations"] == {"note": "all of you"}
    refused = space.refused("annotate", "cm", "a", "no spaces=x")
    assert "name part must consist of alphanumeric characters" in refused


def test_replace(space: Space) -> None:
    space.create(config_map("a", key="one"))
    held = space.get("cm", "a")
    space("replace", "-f", "-", stdin=manifest(config_map("a", key="two")))
    stale = space.refused("replace", "-f", "-", stdin=json.dumps(held))
    assert "the object has been modified; please apply your changes to the latest version and try again" in stale
    space("replace", "--force", "-f", "-", stdin=manifest(config_map("a", key="three")))
    now = space.get("cm", "a")
    assert now["data"] == {"key": "three"} and now["metadata"]["uid"] != held["metadata"]["uid"]
    assert "not found" in space.refused("replace", "-f", "-", stdin=manifest(config_map("nope")))


def test_scale(space: Space) -> None:
    space.create(deployment("web"))
    assert space("scale", "deployment/web", "--replicas=5") == "deployment.apps/web scaled\n"
    assert space.get("deployment", "web")["spec"]["replicas"] == 5
    refused = space.refused("scale", "deployment/web", "--current-replicas=2", "--replicas=1")
    assert "Expected replicas to be 2, was 5" in refused
    scale = json.loads(space("get", "deployment", "web", "--subresource=scale", "-o", "json"))
    assert (scale["kind"], scale["spec"]["replicas"], scale["status"]["selector"]) == ("Scale", 5, "app=web")


def test_autoscale_and_expose(space: Space) -> None:
    space.create(deployment("web"))
    space("autoscale", "deployment", "web", "--min=2", "--max=7", "--cpu=60%")
    spec = space.get("hpa", "web")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 7)
    assert spec["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 60}
    old = json.loads(space("get", "horizontalpodautoscalers.v1.autoscaling", "web", "-o", "json"))
    assert old["spec"]["targetCPUUtilizationPercentage"] == 60
    space("expose", "deployment", "web", "--port=80", "--target-port=8080", "--type=NodePort")
    service = space.get("service", "web")["spec"]
    assert service["selector"] == {"app": "web"} and service["ports"][0]["targetPort"] == 8080
    assert 30000 <= service["ports"][0]["nodePort"] <= 32767 and service["clusterIP"].startswith("10.96.")


def test_set(space: Space) -> None:
    space.create(deployment("web"), config_map("more", WORD="x"))
    space("set", "image", "deployment/web", "web=nginx:1.28")
    space("set", "env", "deployment/web", "A=1", "B=2")
    space("set", "env", "deployment/web", "--from=configmap/more")
    space("set", "env", "deployment/web", "B-")
    space("set", "resources", "deployment/web", "--limits=cpu=200m,memory=64Mi", "--requests=cpu=100m")
    space("set", "serviceaccount", "deployment/web", "default")
    container = space.get("deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "nginx:1.28"
    assert [one["name"] for one in container["env"]] == ["A", "WORD"]
    assert container["resources"] == {"limits": {"cpu": "200m", "memory": "64Mi"}, "requests": {"cpu": "100m"}}
    assert space("set", "env", "deployment/web", "--list").splitlines()[1:2] == ["A=1"]
    space("create", "-f", "-", stdin=manifest(SERVICE))
    space("set", "selector", "service", "web", "app=other")
    assert space.get("service", "web")["spec"]["selector"] == {"app": "other"}


SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}},
}


def _owned(space: Space) -> None:
    """A ConfigMap that owns another."""
    space.create(config_map("owner"))
    uid = space.get("cm", "owner")["metadata"]["uid"]
    owned = config_map("owned")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid, "blockOwnerDeletion": True}
    owned["metadata"]["ownerReferences"] = [reference]
    space.create(owned)


@pytest.mark.parametrize("cascade", ["background", "foreground"])
def test_what_is_owned_goes_too(cascade: str, space: Space) -> None:
    _owned(space)
    said = space("delete", "cm", "owner", f"--cascade={cascade}")
    assert said == f'configmap "owner" deleted from {space.name} namespace\n'
    if cascade == "background":
        space.wait("cm/owned", "delete")
    assert "not found" in space.refused("get", "cm", "owned"), "in the foreground what is owned goes first"


def test_orphans_stay(space: Space) -> None:
    _owned(space)
    space("delete", "cm", "owner", "--cascade=orphan")
    assert "ownerReferences" not in space.get("cm", "owned")["metadata"]


def test_deletions(space: Space) -> None:
    space.create(*(config_map(name, {"set": "x"}) for name in "abc"), config_map("d"))
    space("delete", "cm", "a", "b")
    assert "--all" in space("delete", "--help")
    space("delete", "cm", "-l", "set=x")
    assert space.names("cm", "--field-selector", "metadata.name!=kube-root-ca.crt") == ["configmap/d"]
    held = config_map("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    space.create(held)
    space("delete", "cm", "held", "--wait=false")
    assert "deletionTimestamp" in space.get("cm", "held")["metadata"]
    space("patch", "cm", "held", "--type=json", "-p", '[{"op": "remove", "path": "/metadata/finalizers"}]')
    space.wait("cm/held", "delete")
    assert space("delete", "cm", "held", "--ignore-not-found") == ""
    space("delete", "cm", "d", "--dry-run=server")
    assert space.get("cm", "d")


def test_wait_for_conditions_values_and_ends(space: Space) -> None:
    space.create(pod("job", "sh", "-c", "sleep 0.2; exit 0", restartPolicy="Never"))
    space.wait("pod/job", "jsonpath={.status.phase}=Succeeded")
    space.create(pod("web"))
    assert space.wait("pod/web", "condition=Ready") == "pod/web condition met\n"
    timed = space.refused("wait", "pod/web", "--for=condition=Nothing", "--timeout=200ms")
    assert "timed out waiting for the condition on pods/web" in timed
    command = ["kubectl", "-n", space.name, "wait", "cm/later", "--for=create", "--timeout=15s"]
    with subprocess.Popen(
        command, env=space.cluster.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as waiting:
        space.create(config_map("later"))
        assert waiting.stdout is not None
        assert waiting.stdout.read() == "configmap/later condition met\n"
    space("delete", "pod", "web")
    space.wait("pod/web", "delete")


def test_run_and_its_end(space: Space) -> None:
    assert space("run", "web", "--image=nginx", "--port=80", "--labels=a=b", "--env=X=1") == "pod/web created\n"
    made = space.get("pod", "web")
    container = made["spec"]["containers"][0]
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}] and made["metadata"]["labels"]["a"] == "b"
    assert container["env"] == [{"name": "X", "value": "1"}] and made["spec"]["serviceAccountName"] == "default"
    space.wait("pod/web", "condition=Ready")
    shown = yaml.safe_load(space("run", "dry", "--image=nginx", "--dry-run=server", "-o", "yaml"))
    assert shown["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    space("delete", "pod", "web", "--now")
    assert "not found" in space.refused("get", "pod", "web")


GENERATED: list[tuple[tuple[str, ...], str, dict[str, Any]]] = [
    (("configmap", "c", "--from-literal=a=1"), "cm/c", {"data": {"a": "1"}}),
    (("secret", "generic", "s", "--from-literal=a=1"), "secret/s", {"type": "Opaque", "data": {"a": "MQ=="}}),
    (
        ("secret", "docker-registry", "d", "--docker-username=u", "--docker-password=p"),
        "secret/d",
        {"type": "kubernetes.io/dockerconfigjson"},
    ),
    (("serviceaccount", "a"), "sa/a", {}),
    (
        ("role", "r", "--verb=get,list", "--resource=pods,deployments.apps"),
        "role/r",
        {
            "rules": [
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
                {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]},
            ]
        },
    ),
    (
        ("rolebinding", "b", "--clusterrole=view", "--user=jane"),
        "rolebinding/b",
        {"subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}]},
    ),
    (("deployment", "d", "--image=nginx", "--replicas=3"), "deployment/d", {}),
    (("job", "j", "--image=busybox", "--", "true"), "job/j", {}),
    (("cronjob", "cj", "--image=busybox", "--schedule=* * * * *"), "cronjob/cj", {}),
    (("service", "clusterip", "ci", "--tcp=80:8080"), "service/ci", {}),
    (("service", "externalname", "en", "--external-name=example.com"), "service/en", {}),
    (("ingress", "i", "--rule=example.com/*=web:80"), "ingress/i", {}),
    (("poddisruptionbudget", "p", "--selector=app=x", "--min-available=1"), "pdb/p", {}),
    (("quota", "q", "--hard=pods=10"), "quota/q", {"spec": {"hard": {"pods": "10"}}}),
]


@pytest.mark.parametrize(("arguments", "made", "holds"), GENERATED, ids=[made for _, made, _ in GENERATED])
def test_create_by_generator(arguments: tuple[str, ...], made: str, holds: dict[str, Any], space: Space) -> None:
    """Most of these come as protobuf, whatever the kubeconfig says."""
    assert space("create", *arguments).endswith(" created\n")
    found = space.get(*made.split("/"))
    assert found["metadata"]["uid"]
    for key, value in holds.items():
        assert found[key] == value


def test_create_with_generated_names_and_twice(space: Space) -> None:
    named = config_map("x")
    named["metadata"] = {"generateName": "some-"}
    space.create(named)
    space.create(named)
    assert len([name for name in space.names("cm") if name.startswith("configmap/some-")]) == 2
    space.create(config_map("a"))
    assert 'configmaps "a" already exists' in space.refused("create", "-f", "-", stdin=manifest(config_map("a")))
