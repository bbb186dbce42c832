"""Probes and hooks as pods write them, in the waist's terms."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.pods.checks import hook, probe
from ropewalk.kube.pods.refusals import Refused
from ropewalk.model.workload import GrpcHealth, HttpGet, Pause, Probe, RunCommand, TcpConnect

PORTS = [{"name": "http", "containerPort": 8080}]


def web(**fields: Any) -> dict[str, Any]:
    return {"name": "web", "ports": PORTS} | fields


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"exec": {"command": ["cat", "$(A)", "$(B)"]}}, {"command": ("cat", "1", "$(B)")}),
        ({"httpGet": {"port": "http"}}, {"question": HttpGet(8080)}),
        (
            {"httpGet": {"port": 443, "path": "/x", "scheme": "HTTPS", "httpHeaders": [{"name": "A", "value": "b"}]}},
            {"question": HttpGet(443, "/x", "", True, (("A", "b"),))},
        ),
        ({"tcpSocket": {"port": "9", "host": "h"}}, {"question": TcpConnect(9, "h")}),
        ({"grpc": {"port": 9, "service": "s"}}, {"question": GrpcHealth(9, "s")}),
    ],
)
def test_what_is_asked(given: Any, expected: Any) -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    plain = {"delay": 0.0, "interval": 10.0, "timeout": 1.0}
    assert probe(web(livenessProbe=given, env=env), "livenessProbe") == Probe(**plain | expected)


def test_the_numbers_of_a_probe() -> None:
    numbers = {"initialDelaySeconds": 5, "periodSeconds": 2, "timeoutSeconds": 3, "failureThreshold": 4}
    given = {"tcpSocket": {"port": 9}, "successThreshold": 6, "terminationGracePeriodSeconds": 7} | numbers
    made = probe(web(readinessProbe=given), "readinessProbe")
    assert made == Probe((), 2.0, 3.0, 4, 0.0, TcpConnect(9), 5.0, 6, 7.0)
    assert probe(web(), "readinessProbe") is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"exec": {"command": ["a", "b"]}}, RunCommand(("a", "b"))),
        ({"httpGet": {"port": "http", "path": "/bye"}}, HttpGet(8080, "/bye")),
        ({"sleep": {"seconds": 5}}, Pause(5.0)),
        ({"tcpSocket": {"port": 1}}, RunCommand(())),
        (None, None),
    ],
)
def test_hooks(given: Any, expected: Any) -> None:
    assert hook(web(lifecycle={"preStop": given}), "preStop") == expected


@pytest.mark.parametrize("port", ["none", 0, 70000, "70000"])
def test_a_port_that_is_none_is_refused(port: object) -> None:
    with pytest.raises(Refused):
        probe(web(livenessProbe={"tcpSocket": {"port": port}}), "livenessProbe")
