"""E5: SIGKILL to each process while a task is in each of its states; the task's life goes on and ends as it should."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from support.installation import LECTURE, Installation, address_of, curl, eventually

PROCESSES = ("aws", "host-agent", "machine-agent", "containerd")
ON_THE_WAY_UP = ("PROVISIONING", "PENDING", "ACTIVATING")
ON_THE_WAY_DOWN = ("DEACTIVATING", "STOPPING", "DEPROVISIONING")


@pytest.fixture(scope="module", autouse=True)
def definition(installation: Installation) -> None:
    text = (LECTURE / "ecs-task-definition-webapp.json").read_text()
    installation.aws("ecs", "register-task-definition", "--cli-input-json", text)


def kill(installation: Installation, name: str) -> int:
    pid = installation.pids()[name]
    os.kill(pid, signal.SIGKILL)
    return pid


def healed(installation: Installation, name: str, killed: int) -> None:
    eventually(lambda: installation.pids().get(name) not in (None, killed), f"{name} is started again")
    eventually(lambda: installation.status()["ready"], "all is well again")


def reach(installation: Installation, arn: str, state: str, beyond: tuple[str, ...]) -> None:
    """Return as soon as the task is seen in `state` or past it: some states last a few milliseconds."""
    ecs = installation.client("ecs")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if ecs.describe_tasks(tasks=[arn])["tasks"][0]["lastStatus"] in (state, *beyond):
            return
    raise AssertionError(f"the task never reached {state}")


def nginx_masters() -> int:
    found = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found += b"nginx: master" in (entry / "cmdline").read_bytes()
            except OSError:
                continue
    return found


@pytest.mark.parametrize("state", ON_THE_WAY_UP)
@pytest.mark.parametrize("name", PROCESSES)
def test_killed_while_a_task_starts(installation: Installation, web_group: str, name: str, state: str) -> None:
    others = nginx_masters()
    arn = installation.run_task("webapp", web_group)["taskArn"]
    if state != "PROVISIONING":
        reach(installation, arn, state, (*ON_THE_WAY_UP, "RUNNING")[ON_THE_WAY_UP.index(state) + 1 :])
    killed = kill(installation, name)
    healed(installation, name, killed)
    task = installation.wait_task(arn, "RUNNING", 60)
    eventually(lambda: curl(f"http://{address_of(task)}/").returncode == 0, "nginx answers")
    assert nginx_masters() == others + 1, "one task, one nginx"
    assert installation.stop_task(arn)["containers"][0]["exitCode"] == 0


@pytest.mark.parametrize("state", ON_THE_WAY_DOWN)
@pytest.mark.parametrize("name", PROCESSES)
def test_killed_while_a_task_stops(installation: Installation, web_group: str, name: str, state: str) -> None:
    others = nginx_masters()
    arn = installation.run_task("webapp", web_group)["taskArn"]
    address = address_of(installation.wait_task(arn, "RUNNING"))
    installation.client("ecs").stop_task(task=arn, reason="told so")
    reach(installation, arn, state, (*ON_THE_WAY_DOWN, "STOPPED")[ON_THE_WAY_DOWN.index(state) + 1 :])
    killed = kill(installation, name)
    healed(installation, name, killed)
    task = eventually(
        lambda: (found := installation.task(arn))["lastStatus"] == "STOPPED" and found, "the task stops", 60
    )
    assert task["stoppedReason"] == "told so"
    assert nginx_masters() == others
    free = installation.client("ec2").describe_network_interfaces(
        Filters=[{"Name": "private-ip-address", "Values": [address]}]
    )
    assert free["NetworkInterfaces"] == []
