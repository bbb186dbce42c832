"""Two API servers on one etcd: clients of either see one cluster; when the leader is killed the other leads."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.etcd import etcd_server
from support.installation import eventually
from support.kube_process import Cluster


class Pair(Cluster):
    """The second server listens on the port after the first one's."""

    @property
    def second(self) -> str:
        return f"https://127.0.0.1:{self.port + 1}"

    def kill_leader(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        eventually(lambda: not self.is_running(), "the leader is dead")

    def second_pid(self) -> int:
        record = (self.folder / "replica-1" / "run" / "kube.pid").read_bytes()
        return int(json.loads(record)["pid"])


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with tempfile.TemporaryDirectory(prefix="rw-etcd-", dir="/tmp") as folder, etcd_server(Path(folder)) as etcd:
        made = Pair("--etcd", etcd.address, "--replicas", "2")
        try:
            made.start()
            yield made
            made.ropewalk("kube", "down", "black-box")
        finally:
            made.discard()


def test_what_one_writes_the_other_shows(pair: Pair) -> None:
    pair.kubectl("create", "configmap", "shared", "--from-literal=a=b")
    assert "shared" in pair.kubectl("--server", pair.second, "get", "configmap", "shared")


def test_a_watch_on_one_sees_writes_through_the_other(pair: Pair) -> None:
    with pair.running_kubectl("--server", pair.second, "get", "secrets", "--watch", "--output", "name") as watching:
        pair.kubectl("create", "secret", "generic", "told", "--from-literal=a=b")
        assert watching.stdout is not None
        assert watching.stdout.readline().strip() == "secret/told"


def test_no_address_or_port_is_given_by_both(pair: Pair) -> None:
    for what, told in (
        (("--node-port=30123",), "provided port is already allocated"),
        (("--clusterip=10.96.0.99",), "provided IP is already allocated"),
    ):
        kind = "nodeport" if "port" in what[0] else "clusterip"
        pair.kubectl("create", "service", kind, f"first-{kind}", "--tcp=80", *what)
        refused = pair.try_kubectl(
            "--server", pair.second, "create", "service", kind, f"second-{kind}", "--tcp=80", *what
        )
        assert told in refused.stderr


def test_when_the_leader_is_killed_the_other_goes_on_and_leads(pair: Pair) -> None:
    pair.kubectl("create", "namespace", "before")
    pair.kill_leader()
    assert "before" in pair.kubectl("--server", pair.second, "get", "namespaces")
    pair.kubectl("--server", pair.second, "create", "namespace", "after")

    def has_account() -> bool:
        return (
            pair.try_kubectl("--server", pair.second, "get", "serviceaccount", "default", "-n", "after").returncode == 0
        )

    eventually(has_account, "the other's controllers work", 60)
    os.kill(pair.second_pid(), 0)
