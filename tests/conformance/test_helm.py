"""helm 4: a release's life, with hooks that are ConfigMaps and Pods, and with a custom resource of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.kube_process import Space

CHART = Path(__file__).parent / "chart"
CRD = "boats.harbour.example.com"


class Helm:
    def __init__(self, space: Space) -> None:
        self.space = space

    def attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["helm", "--namespace", self.space.name, *arguments]
        return self.space.cluster.run(command, folder=self.space.folder, seconds=60)

    def __call__(self, *arguments: str) -> str:
        done = self.attempt(*arguments)
        assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def release(self, name: str) -> dict[str, Any]:
        (found,) = [one for one in json.loads(self("list", "-o", "json")) if one["name"] == name]
        return dict(found)

    def data(self, name: str) -> dict[str, str]:
        found: dict[str, str] = self.space.get("cm", name)["data"]
        return found


@pytest.fixture
def helm(space: Space) -> Iterator[Helm]:
    yield Helm(space)
    space("delete", "crd", CRD, "--ignore-not-found")


def test_a_release_lives(helm: Helm) -> None:
    space = helm.space
    helm("install", "one", str(CHART), "--wait", "--timeout=30s")
    assert helm.release("one")["status"] == "deployed"
    assert helm.data("one") == {"greeting": "ahoy", "revision": "1", "lookup": space.name, "policies": "true"}
    assert space.get("boat", "one")["spec"] == {"length": 12, "flag": "white"}
    assert space.get("pod", "one-migrate")["status"]["phase"] == "Succeeded", "the hook was waited for"
    assert space.get("pod", "one")["status"]["phase"] == "Running", "and so was the pod"
    address = space.get("service", "one")["spec"]["clusterIP"]

    helm("upgrade", "one", str(CHART), "--set", "greeting=hello", "--wait", "--timeout=30s")
    assert (helm.data("one")["greeting"], helm.data("one-before")["revision"]) == ("hello", "2")
    assert space.get("service", "one")["spec"]["clusterIP"] == address

    helm("rollback", "one", "1", "--wait", "--timeout=30s")
    assert helm.data("one")["greeting"] == "ahoy"
    history = json.loads(helm("history", "one", "-o", "json"))
    assert [(entry["revision"], entry["status"]) for entry in history] == [
        (1, "superseded"),
        (2, "superseded"),
        (3, "deployed"),
    ]
    assert "Phase:          Succeeded" in helm("test", "one", "--timeout=30s")
    assert 'greeting: "ahoy"' in helm("get", "manifest", "one")
    assert 'release "one" uninstalled' in helm("uninstall", "one", "--wait", "--timeout=30s")
    assert json.loads(helm("list", "-o", "json")) == []
    kept = {"configmap/kube-root-ca.crt", "configmap/one-before", "configmap/one-farewell"}
    assert set(space.names("cm")) == kept, "hooks are nobody's"
    assert space.names("boats") == [] and space("get", "crd", CRD, "-o", "name"), "definitions stay"
    secrets = space.names("secrets", "--field-selector", "type=helm.sh/release.v1")
    assert secrets == [], "nor is its history kept"


def test_a_hook_that_fails_stops_a_release(helm: Helm) -> None:
    failed = helm.attempt("install", "one", str(CHART), "--set", "hooks=fails", "--timeout=30s")
    assert failed.returncode != 0 and "failed pre-install" in failed.stderr
    assert helm.release("one")["status"] == "failed"
    assert "not found" in helm.space.refused("get", "pod", "one"), "nothing after the hook"
    helm("upgrade", "--install", "one", str(CHART), "--set", "hooks=works", "--wait", "--timeout=30s")
    assert helm.release("one")["status"] == "deployed"


def test_a_test_that_fails_is_told(helm: Helm) -> None:
    helm("install", "one", str(CHART), "--set", "test=fails")
    failed = helm.attempt("test", "one", "--timeout=30s")
    assert failed.returncode != 0 and "Phase:          Failed" in failed.stdout


def test_rollback_on_failure(helm: Helm) -> None:
    helm("install", "one", str(CHART), "--wait", "--timeout=30s")
    failed = helm.attempt(
        "upgrade", "one", str(CHART), "--set", "hooks=fails", "--rollback-on-failure", "--timeout=20s"
    )
    assert failed.returncode != 0
    assert helm.release("one")["status"] == "deployed" and helm.release("one")["revision"] == "3"


def test_somebody_elses_object_is_not_taken(helm: Helm) -> None:
    helm.space("create", "configmap", "one")
    refused = helm.attempt("install", "one", str(CHART))
    assert refused.returncode != 0 and "cannot be imported into the current release" in refused.stderr
    helm("install", "one", str(CHART), "--take-ownership")
    assert helm.data("one")["greeting"] == "ahoy"


def test_the_chart_that_helm_creates(helm: Helm) -> None:
    """Its Deployment waits for its controller; all of it is made, and the server's dry run finds no fault."""
    helm("create", "demo")
    helm("lint", "demo")
    shown = helm("install", "one", "demo", "--dry-run=server", "--set", "ingress.enabled=true,autoscaling.enabled=true")
    assert "kind: Ingress" in shown and helm.space.names("ingresses") == []
    helm("install", "one", "demo", "--set", "ingress.enabled=true,autoscaling.enabled=true")
    made = helm.space.names(
        "deployments,services,serviceaccounts,ingresses,hpa", "-l", "app.kubernetes.io/instance=one"
    )
    assert sorted(made) == [
        "deployment.apps/one-demo",
        "horizontalpodautoscaler.autoscaling/one-demo",
        "ingress.networking.k8s.io/one-demo",
        "service/one-demo",
        "serviceaccount/one-demo",
    ]
    helm("upgrade", "one", "demo", "--set", "image.tag=2", "--server-side=false")
    helm("uninstall", "one")
    assert helm.space.names("deployments") == []
