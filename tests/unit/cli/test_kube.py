"""`ropewalk kube` as a shell meets it, without a cluster: refusals in one line, what is listed, what is forgotten."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from ropewalk.cli.main import main
from ropewalk.daemon import kube_clusters, kube_forks
from ropewalk.daemon.installation import save_settings
from ropewalk.daemon.kube_clusters import KubeCluster

Run = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROPEWALK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def run(home: Path) -> Run:
    def ropewalk(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["kube", *arguments], catch_exceptions=False)

    return ropewalk


def stopped(home: Path, name: str, port: int = 6443) -> Path:
    """A cluster as a stopped one leaves it."""
    settings = kube_clusters.settings_of(home, name)
    save_settings(settings)
    kube_clusters.cluster_file(settings.home).write_bytes(msgspec.json.encode(KubeCluster(name, port)))
    kube_clusters.kubeconfig_file(settings.home).write_text("{}")
    return settings.home


def test_it_says_which_kind_of_cluster_there_is(run: Run) -> None:
    result = run()
    assert result.exit_code == 1
    assert "ropewalk kube --standalone" in result.output


@pytest.mark.parametrize("name", ["", "Upper", "a_b", "-a", "a" * 64, "a/../b"])
def test_a_bad_name_is_refused_before_anything_is_made(run: Run, home: Path, name: str) -> None:
    result = run("--standalone", "--name", name, "--detach")
    assert result.exit_code == 1
    assert "is no cluster name" in result.output
    assert not home.exists()


def test_several_servers_need_a_store_to_share(run: Run, home: Path) -> None:
    result = run("--standalone", "--replicas", "2", "--detach")
    assert result.exit_code == 1
    assert "add --etcd" in result.output
    assert not home.exists()


def test_a_busy_port_is_named_with_another_to_take(run: Run, home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("--standalone", "--port", str(port), "--detach")
    assert result.exit_code == 1
    assert f"Port {port} is taken by" in result.output
    assert f"--port {port + 1}" in result.output


def test_a_policy_that_is_none_is_refused_with_its_path(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("kind: Policy\napiVersion: audit.k8s.io/v1\nrules: [{level: Everything}]\n")
    result = run("--standalone", "--audit-policy", str(path), "--detach")
    assert result.exit_code == 2
    assert str(path) in result.output
    assert run("--standalone", "--audit-policy", str(tmp_path / "none"), "--detach").exit_code == 2


def test_clusters_are_listed_for_people_and_for_programs(run: Run, home: Path) -> None:
    assert run("list").output == ""
    stopped(home, "one")
    stopped(home, "two", 6500)
    assert json.loads(run("list", "--output", "json").output) == [
        {"name": "one", "port": 6443, "running": False},
        {"name": "two", "port": 6500, "running": False},
    ]
    assert [line.split() for line in run("list").output.splitlines()] == [
        ["one", "127.0.0.1:6443", "stopped"],
        ["two", "127.0.0.1:6500", "stopped"],
    ]


def test_the_kubeconfig_is_named_where_there_is_one(run: Run, home: Path) -> None:
    assert "has no kubeconfig" in run("config").output
    folder = stopped(home, "ropewalk")
    assert run("config").output.strip() == str(folder / "kubeconfig")


def test_down_knows_its_clusters_and_forgets_when_told(run: Run, home: Path) -> None:
    assert "There is no cluster nobody" in run("down", "nobody").output
    one, two = stopped(home, "one"), stopped(home, "two")
    assert run("down", "one").exit_code == 0
    assert one.is_dir()
    assert run("down", "--all", "--forget").exit_code == 0
    assert not one.exists()
    assert not two.exists()


def test_the_nursery_ends_with_all_clusters(home: Path, run: Run) -> None:
    assert run("nursery").exit_code == 0
    assert kube_forks.is_open(home)
    assert run("down", "--all").exit_code == 0
    assert not kube_forks.is_open(home)


def test_replicas_share_the_keys_of_the_first(home: Path) -> None:
    first = kube_clusters.replica_settings(home, "a", 0)
    third = kube_clusters.replica_settings(home, "a", 2)
    cluster = KubeCluster("a", 6443)
    assert kube_clusters.keys_folder(first, cluster) == first.home / "pki"
    assert kube_clusters.keys_folder(third, msgspec.structs.replace(cluster, replica=2)) == first.home / "pki"
