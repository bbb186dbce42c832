"""Random requests from the server's own OpenAPI: none is answered with a 5xx, none leaves a traceback.

ROPEWALK_FUZZ says how many (2,000 by default), ROPEWALK_FUZZ_SEED which. 100,000 take about an hour.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from support.kube_fuzz import NAME, NAMESPACE, Fuzzer
from support.kube_process import Cluster, config_map, definition, deployment, manifest, pod

COUNT = int(os.environ.get("ROPEWALK_FUZZ", "2000"))
SEED = int(os.environ.get("ROPEWALK_FUZZ_SEED", "1"))


@pytest.fixture
def target() -> Iterator[Cluster]:
    """A cluster that nobody else needs, with something in it."""
    made = Cluster("--simulated-nodes", "2")
    try:
        made.start()
        made.kubectl("create", "namespace", NAMESPACE)
        made.kubectl("create", "namespace", NAME)
        made.kubectl("create", "-f", "-", "-n", NAMESPACE, stdin=manifest(*_something()))
        yield made
        made.forget()
    finally:
        made.discard()


def _something() -> list[dict[str, Any]]:
    named = {"name": NAME}
    job = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}}
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    rbac = "rbac.authorization.k8s.io"
    return [
        config_map(NAME, key="value"),
        pod(NAME),
        deployment(NAME),
        {"apiVersion": "v1", "kind": "Service", "metadata": named, "spec": {"ports": [{"port": 80}]}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": named, "stringData": {"a": "b"}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named},
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": named, "spec": job},
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": named,
            "spec": {"schedule": "@daily", "jobTemplate": {"spec": job}},
        },
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": named, "rules": rules},
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": named, "rules": rules},
        definition("rocks", "Rock", "fuzz.example.com", {"spec": {"type": "object", "properties": {}}}),
    ]


@pytest.mark.timeout(max(300, COUNT))
def test_no_request_breaks_the_server(target: Cluster) -> None:
    report = Fuzzer(target, SEED).run(COUNT)
    said = target.log()
    tracebacks = ["Traceback" + part[:4000] for part in said.split("Traceback")[1:6]]
    assert report.faults == [], "\n".join([*report.faults[:20], *tracebacks])
    assert report.sent >= COUNT and report.statuses[200] + report.statuses[201] > COUNT / 50, report.statuses
    assert tracebacks == [], "\n".join(tracebacks)
    assert target.kubectl("get", "--raw", "/readyz") == "ok"
    print(report.statuses)
