"""The pure parts of simulated nodes: what a pod lowers to."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.pods.lowering import lower
from ropewalk.kube.pods.references import expanded
from ropewalk.kube.pods.refusals import Refused
from ropewalk.kube.pods.sources import Place, Sources
from ropewalk.model.ids import Owner
from ropewalk.model.workload import Dependency, Port, RestartRule, StartCondition, decode, encode


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "a", "namespace": "ns", "uid": "u-1", "labels": {"app": "x"}},
        "spec": {"nodeName": "n-1", "containers": list(containers)} | spec,
    }


def lowered(what: dict[str, Any]) -> Any:
    return lower(what, Place(Owner("c"), "10.1.1.1", "10.0.0.1"), Sources())


def test_a_pod_becomes_a_workload() -> None:
    web = {
        "name": "web",
        "image": "nginx:1",
        "command": ["run", "$(A)-$(B)", "$$(A)"],
        "args": ["$(POD)"],
        "env": [
            {"name": "A", "value": "1"},
            {"name": "B", "value": "$(A)2"},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
        "ports": [{"containerPort": 80, "protocol": "TCP", "name": "http"}],
        "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "250m"}},
        "stdin": True,
    }
    made = lowered(pod(web, terminationGracePeriodSeconds=7))
    (container,) = made.containers
    assert (made.uid, made.machine, made.name, made.hostname) == ("u-1", "n-1", "ns/a", "a")
    assert container.command == ("run", "1-12", "$(A)") and container.arguments == ("a",)
    assert [(v.name, v.value) for v in container.environment][2:] == [("POD", "a"), ("APP", "x"), ("IP", "10.1.1.1")]
    assert container.ports == (Port(80, "tcp", 0, "http"),)
    assert (container.resources.cpu_millis, container.resources.cpu_shares) == (500, 256)
    assert container.resources.memory_bytes == 64 << 20
    assert (container.restart, container.essential, container.stop_timeout) == (RestartRule.ALWAYS, False, 7.0)
    assert container.interactive and decode(encode(made)) == made


def test_init_containers_wait_for_each_other_and_sidecars_only_for_a_start() -> None:
    inits = [{"name": "i1"}, {"name": "side", "restartPolicy": "Always"}, {"name": "i2"}]
    made = lowered(pod({"name": "web"}, initContainers=inits, restartPolicy="Never"))
    rules = {container.name: container.restart for container in made.containers}
    assert rules == dict.fromkeys(("i1", "i2", "web"), RestartRule.NEVER) | {"side": RestartRule.ALWAYS}
    assert made.container("web").depends_on == (
        Dependency("i1", StartCondition.SUCCEEDED),
        Dependency("side", StartCondition.STARTED),
        Dependency("i2", StartCondition.SUCCEEDED),
    )
    assert made.container("i1").depends_on == ()


@pytest.mark.parametrize("policy", ["Always", "OnFailure"])
def test_an_init_container_is_not_repeated_once_it_succeeded(policy: str) -> None:
    made = lowered(pod({"name": "web"}, initContainers=[{"name": "i"}], restartPolicy=policy))
    assert made.container("i").restart is RestartRule.ON_FAILURE


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"env": [{"name": "A", "valueFrom": {"fileKeyRef": {"key": "k"}}}]}, "fileKeyRef"),
        ({"livenessProbe": {"httpGet": {"port": "http"}}}, "couldn't find port: http"),
        ({"restartPolicyRules": [{"action": "RestartAllContainers"}]}, "restartPolicyRules"),
    ],
)
def test_what_would_change_a_container_and_cannot_be_carried_over_is_refused(fields: Any, named: str) -> None:
    with pytest.raises(Refused, match=named) as refused:
        lowered(pod({"name": "web"} | fields))
    assert refused.value.container == "web"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("$(A)$(A)", "11"), ("$(B)", "$(B)"), ("$$(A)", "$(A)"), ("$$$(A)", "$1"), ("$A (A)", "$A (A)"), ("$(", "$(")],
)
def test_references(text: str, expected: str) -> None:
    assert expanded(text, {"A": "1"}) == expected
