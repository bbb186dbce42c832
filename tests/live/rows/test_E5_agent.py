"""E5: control plane and agents can be killed at any moment without touching a running container."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from support.installation import LECTURE, Installation, address_of, curl, eventually

OURS = ("supervisor", "aws", "host-agent", "machine-agent")


@pytest.fixture(scope="module", autouse=True)
def definition(installation: Installation) -> None:
    text = (LECTURE / "ecs-task-definition-webapp.json").read_text()
    installation.aws("ecs", "register-task-definition", "--cli-input-json", text)


@pytest.fixture(scope="module")
def group(installation: Installation) -> str:
    return installation.group("web", 80)


def nginx_pid(address: str) -> int:
    """The pid of the nginx master whose network namespace owns the address."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "comm").read_text().strip() != "nginx":
                continue
            if b"master" not in (entry / "cmdline").read_bytes():
                continue
            if (
                f"/32 host {address}" in (entry / "net/fib_trie").read_text()
                or address in (entry / "net/fib_trie").read_text()
            ):
                return int(entry.name)
        except OSError:
            continue
    return 0


def kill(installation: Installation, *names: str) -> None:
    pids = installation.pids()
    for name in names:
        os.kill(pids[name], signal.SIGKILL)


def test_killing_every_process_leaves_the_container_running(installation: Installation, group: str) -> None:
    arn = installation.run_task("webapp", group)["taskArn"]
    address = address_of(installation.wait_task(arn, "RUNNING"))
    pid = eventually(lambda: nginx_pid(address), "nginx's process is found")
    kill(installation, *OURS)
    assert curl(f"http://{address}/").returncode == 0, "packets flow without any process of ours"
    installation.up()
    task = installation.wait_task(arn, "RUNNING")
    assert nginx_pid(address) == pid
    assert task["containers"][0]["lastStatus"] == "RUNNING"
    assert curl(f"http://{address}/").returncode == 0
    installation.stop_task(arn)


@pytest.mark.parametrize("name", ["aws", "host-agent", "machine-agent"])
def test_a_killed_process_comes_back_to_the_same_truth(installation: Installation, group: str, name: str) -> None:
    arn = installation.run_task("webapp", group)["taskArn"]
    address = address_of(installation.wait_task(arn, "RUNNING"))
    pid = eventually(lambda: nginx_pid(address), "nginx's process is found")
    before = installation.pids()[name]
    kill(installation, name)
    eventually(lambda: installation.pids()[name] != before, "the supervisor starts it again")
    eventually(lambda: installation.status()["ready"], "all is well again")
    assert nginx_pid(address) == pid
    assert installation.task(arn)["lastStatus"] == "RUNNING"
    assert installation.stop_task(arn)["containers"][0]["exitCode"] == 0


def test_an_exit_while_everything_is_dead_is_not_lost(installation: Installation, group: str) -> None:
    installation.client("ecs").register_task_definition(
        family="webapp-exit",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        containerDefinitions=[{"name": "main", "image": "busybox:latest", "command": ["sh", "-c", "sleep 2; exit 9"]}],
    )
    arn = installation.run_task("webapp-exit", group)["taskArn"]
    installation.wait_task(arn, "RUNNING")
    kill(installation, *OURS)
    eventually(lambda: not _alive_shells(), "the container has ended meanwhile", 10)
    installation.up()
    task = eventually(
        lambda: (found := installation.task(arn))["lastStatus"] == "STOPPED" and found, "the exit is told", 20
    )
    assert task["containers"][0]["exitCode"] == 9


def _alive_shells() -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if b"sleep 2; exit 9" in (entry / "cmdline").read_bytes():
                    found.append(entry.name)
            except OSError:
                continue
    return found


def store_files(home: Path) -> list[Path]:
    return sorted(home.glob("aws.db*"))


def test_an_older_store_stops_nothing(installation: Installation, group: str, tmp_path: Path) -> None:
    """A backup from before the task, put back: the task is unknown to it, and runs on."""
    kill(installation, *OURS)
    backup = [Path(shutil.copy2(path, tmp_path)) for path in store_files(installation.home) if path.suffix != ".mark"]
    installation.up()
    arn = installation.run_task("webapp", group)["taskArn"]
    address = address_of(installation.wait_task(arn, "RUNNING"))
    pid = eventually(lambda: nginx_pid(address), "nginx's process is found")
    kill(installation, *OURS)
    for path in store_files(installation.home):
        if path.suffix != ".mark":
            path.unlink()
    for path in backup:
        shutil.copy2(path, installation.home)
    installation.up()
    eventually(lambda: installation.status()["ready"], "all is well again")
    other = installation.run_task("webapp", group)["taskArn"]
    installation.wait_task(other, "RUNNING")
    installation.stop_task(other)
    assert nginx_pid(address) == pid
    assert curl(f"http://{address}/").returncode == 0
