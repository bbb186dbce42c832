"""`ropewalk kube` itself: a cluster's process, as a user starts, finds and stops it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
import requests

from support.kube_process import NAME, SECONDS, Cluster

TO_STOP = 4.0
"""Seconds; measured 1 to 1.5 on two busy cores. This only sees an end that waits for somebody."""


@pytest.fixture
def own() -> Iterator[Cluster]:
    made = Cluster()
    try:
        yield made
    finally:
        made.discard()


def test_its_life(own: Cluster) -> None:
    own.start()
    first = own.pid
    own.start()
    assert own.pid == first, "the second start attaches"
    listed = json.loads(own.ropewalk("kube", "list", "--output", "json"))
    assert listed == [{"name": NAME, "port": own.port, "running": True}]
    assert own.ropewalk("kube", "config", NAME).strip() == str(own.kubeconfig)
    assert own.kubeconfig.stat().st_mode & 0o077 == 0, "it holds a key"
    other = own.run(["ropewalk", "kube", "--standalone", "--name", NAME, "--port", str(own.port + 1), "--detach"])
    assert other.returncode == 1 and "runs with other options" in other.stderr
    own.kubectl("create", "configmap", "kept")
    own.stop()
    assert json.loads(own.ropewalk("kube", "list", "--output", "json"))[0]["running"] is False
    assert own.try_kubectl("get", "configmaps").returncode != 0
    own.start()
    assert own.pid != first and own.kubectl("get", "configmap", "kept", "-o", "name") == "configmap/kept\n"
    own.forget()
    assert json.loads(own.ropewalk("kube", "list", "--output", "json")) == []


def test_nobody_who_is_connected_delays_its_end(own: Cluster) -> None:
    own.start()
    keys = own.folder / "pki"
    with requests.Session() as idle, own.running_kubectl("get", "configmaps", "--watch") as watching:
        idle.trust_env = False
        idle.cert, idle.verify = (str(keys / "admin.crt"), str(keys / "admin.key")), str(keys / "ca.crt")
        assert idle.get(f"{own.server}/api", timeout=SECONDS).status_code == 200
        assert watching.stdout is not None and watching.stdout.readline().startswith("NAME")
        begun = time.monotonic()
        own.stop()
        assert time.monotonic() - begun < TO_STOP
    own.start()
    own.forget()
