"""One cluster for all of these tests, each in a namespace of its own.

A test fails also where the server has logged a traceback meanwhile: whatever a client sends, that is a bug of ours.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.kube_process import Cluster, Space

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    made = Cluster("--simulated-nodes", "2")
    try:
        made.start()
        yield made
        made.forget()
    finally:
        made.discard()


@pytest.fixture(autouse=True)
def no_traceback(request: pytest.FixtureRequest) -> Iterator[None]:
    if "cluster" not in request.fixturenames:
        yield
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    before = len(cluster.log())
    yield
    said = cluster.log()[before:]
    assert "Traceback (most recent call last)" not in said, said[-6000:]


@pytest.fixture
def space(cluster: Cluster, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Space]:
    """A namespace named for its test. Its end is not waited for."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower()).strip("-")
    name = f"{words[:40].strip('-')}-{next(_numbers)}"
    cluster.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    yield Space(cluster, name, tmp_path)
    cluster.call("DELETE", f"/api/v1/namespaces/{name}")
