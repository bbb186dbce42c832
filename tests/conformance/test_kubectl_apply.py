"""kubectl apply: client-side and server-side, who owns which field, what would change."""

from __future__ import annotations

import json
from typing import Any

import yaml

from support.kube_process import Space, config_map, deployment, manifest


def managers(space: Space, kind: str, name: str) -> list[tuple[str, str, str]]:
    """(manager, operation, subresource) of each entry."""
    text = space("get", kind, name, "-o", "json", "--show-managed-fields")
    entries = json.loads(text)["metadata"]["managedFields"]
    return [(entry["manager"], entry["operation"], entry.get("subresource", "")) for entry in entries]


def test_client_side_apply_merges_three_ways(space: Space) -> None:
    assert space.apply(config_map("a", one="1", two="2")) == "configmap/a created\n"
    space("patch", "cm", "a", "-p", '{"data": {"three": "3"}}')
    assert space.apply(config_map("a", one="1", two="2")) == "configmap/a unchanged\n"
    assert space.apply(config_map("a", one="changed")) == "configmap/a configured\n"
    assert space.get("cm", "a")["data"] == {"one": "changed", "three": "3"}, "two was ours, three was not"


def test_client_side_apply_keeps_what_the_server_defaulted(space: Space) -> None:
    space.apply(deployment("web"))
    before = space.get("deployment", "web")
    assert before["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    changed = deployment("web", image="nginx:1.28")
    changed["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "busybox"})
    assert space.apply(changed) == "deployment.apps/web configured\n"
    after = space.get("deployment", "web")
    assert [one["image"] for one in after["spec"]["template"]["spec"]["containers"]] == ["nginx:1.28", "busybox"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert space.apply(deployment("web")) == "deployment.apps/web configured\n"
    names = [one["name"] for one in space.get("deployment", "web")["spec"]["template"]["spec"]["containers"]]
    assert names == ["web"], "the side container was applied, and is applied no more"


def test_server_side_apply_conflicts_and_takes_over_by_force(space: Space) -> None:
    server = ("--server-side",)
    assert space.apply(config_map("a", key="one"), options=server) == "configmap/a serverside-applied\n"
    assert managers(space, "cm", "a") == [("kubectl", "Apply", "")]
    other = (*server, "--field-manager=other")
    refused = space.refused("apply", "-f", "-", *other, stdin=manifest(config_map("a", key="two")))
    assert 'conflict with "kubectl": .data.key' in refused and "--force-conflicts" in refused
    space.apply(config_map("a", key="one"), options=other)
    assert {manager for manager, *_ in managers(space, "cm", "a")} == {"kubectl", "other"}, "the same value is shared"
    space.apply(config_map("a", key="two"), options=(*other, "--force-conflicts"))
    assert space.get("cm", "a")["data"] == {"key": "two"}
    space.apply(config_map("a", mine="x"), options=server)
    assert space.get("cm", "a")["data"] == {"key": "two", "mine": "x"}, "kubectl no longer owned it"
    space.apply(config_map("a"), options=other)
    assert space.get("cm", "a")["data"] == {"mine": "x"}


def test_from_client_side_to_server_side(space: Space) -> None:
    space.apply(deployment("web"))
    space.apply(deployment("web", image="nginx:1.28"), options=("--server-side",))
    annotations = space.get("deployment", "web")["metadata"].get("annotations", {})
    assert json.loads(annotations["kubectl.kubernetes.io/last-applied-configuration"])["spec"]["template"]["spec"][
        "containers"
    ][0]["image"] == ("nginx:1.28"), "kubectl keeps it in step, for those who go back"
    without = deployment("web", image="nginx:1.28")
    del without["spec"]["replicas"]
    space.apply(without, options=("--server-side",))
    assert space.get("deployment", "web")["spec"]["replicas"] == 1, "the field was taken along, and is given up now"


def test_server_side_apply_of_lists_by_key(space: Space) -> None:
    def applied(*env: tuple[str, str]) -> dict[str, Any]:
        made = deployment("web")
        del made["spec"]["replicas"]
        made["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": n, "value": v} for n, v in env]
        return made

    space.apply(applied(("A", "1"), ("B", "2")), options=("--server-side", "--field-manager=first"))
    second = applied(("C", "3"))
    space.apply(second, options=("--server-side", "--field-manager=second"))
    container = space.get("deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert [(one["name"], one["value"]) for one in container["env"]] == [("A", "1"), ("B", "2"), ("C", "3")]
    space.apply(applied(("B", "2")), options=("--server-side", "--field-manager=first"))
    container = space.get("deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert [one["name"] for one in container["env"]] == ["B", "C"]


def test_diff(space: Space) -> None:
    path = str(space.file("a.yaml", config_map("a", key="one")))
    new = space.attempt("diff", "-f", path)
    assert new.returncode == 1 and "+  key: one" in new.stdout
    space("apply", "-f", path)
    assert space.attempt("diff", "-f", path).returncode == 0
    space.file("a.yaml", config_map("a", key="two"))
    for mode in ((), ("--server-side",)):
        changed = space.attempt("diff", "-f", path, *mode, *(("--force-conflicts",) if mode else ()))
        assert changed.returncode == 1, changed
        assert "-  key: one" in changed.stdout and "+  key: two" in changed.stdout
    assert space.get("cm", "a")["data"] == {"key": "one"}, "a diff changes nothing"


def test_last_applied_can_be_seen_and_set(space: Space) -> None:
    space.apply(config_map("a", key="one"))
    seen = yaml.safe_load(space("apply", "view-last-applied", "cm/a"))
    assert seen["data"] == {"key": "one"}
    path = str(space.file("a.yaml", config_map("a", key="two")))
    space("apply", "set-last-applied", "-f", path)
    assert yaml.safe_load(space("apply", "view-last-applied", "cm/a"))["data"] == {"key": "two"}
    assert space.get("cm", "a")["data"] == {"key": "one"}


def test_prune_deletes_what_is_applied_no_more(space: Space) -> None:
    label = {"set": "x"}
    prune = ("--prune", "-l", "set=x", "--prune-allowlist=core/v1/ConfigMap")
    space.apply(config_map("a", label, x="1"), config_map("b", label, x="1"), options=prune)
    said = space.apply(config_map("a", label, x="1"), options=prune)
    assert said.splitlines() == ["configmap/a unchanged", "configmap/b pruned"]
    assert space.names("cm", "-l", "set=x") == ["configmap/a"]


def test_a_kustomization(space: Space) -> None:
    space.file("web.yaml", deployment("web"))
    parts = {"resources": ["web.yaml"], "namePrefix": "my-", "images": [{"name": "nginx", "newTag": "1.29"}]}
    (space.folder / "kustomization.yaml").write_text(yaml.safe_dump(parts))
    assert space("apply", "-k", str(space.folder)) == "deployment.apps/my-web created\n"
    made = space.get("deployment", "my-web")
    assert made["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1.29"


def test_what_the_server_would_say(space: Space) -> None:
    said = space.apply(deployment("web"), options=("--dry-run=server",))
    assert said == "deployment.apps/web created (server dry run)\n"
    shown = yaml.safe_load(space.apply(deployment("web"), options=("--dry-run=server", "-o", "yaml")))
    assert shown["spec"]["progressDeadlineSeconds"] == 600, "defaults are in it"
    assert space.names("deployments") == []
    wrong = deployment("web")
    wrong["spec"]["template"]["metadata"]["labels"] = {"other": "label"}
    refused = space.refused("apply", "-f", "-", "--dry-run=server", stdin=manifest(wrong))
    assert "`selector` does not match template `labels`" in refused


def test_unknown_and_duplicate_fields_are_told(space: Space) -> None:
    strange = {**config_map("a"), "dato": {"a": "b"}}
    refused = space.refused("apply", "-f", "-", stdin=manifest(strange))
    assert 'strict decoding error: unknown field "dato"' in refused
    warned = space.attempt("apply", "-f", "-", "--validate=warn", stdin=manifest(strange))
    assert warned.returncode == 0 and 'Warning: unknown field "dato"' in warned.stderr
    quiet = space.attempt("apply", "-f", "-", "--validate=ignore", stdin=manifest(config_map("b") | {"dato": 1}))
    assert quiet.returncode == 0 and "Warning" not in quiet.stderr


def test_a_bad_object_is_refused_with_every_reason(space: Space) -> None:
    bad = deployment("Web_1")
    bad["spec"]["replicas"] = -1
    bad["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    said = space.refused("apply", "-f", "-", stdin=manifest(bad))
    assert 'The Deployment "Web_1" is invalid:' in said
    for reason in (
        '* metadata.name: Invalid value: "Web_1": a lowercase RFC 1123 subdomain must consist of',
        "* spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        '* spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    ):
        assert reason in said, said


def test_an_immutable_field_stays(space: Space) -> None:
    space.apply(deployment("web"))
    other = deployment("web")
    other["spec"]["selector"]["matchLabels"] = {"app": "other"}
    other["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    said = space.refused("apply", "-f", "-", stdin=manifest(other))
    assert "spec.selector: Invalid value:" in said and "field is immutable" in said
    frozen = {**config_map("still", a="1"), "immutable": True}
    space.apply(frozen)
    said = space.refused("apply", "-f", "-", stdin=manifest({**frozen, "data": {"a": "2"}}))
    assert "data: Forbidden: field is immutable when `immutable` is set" in said
