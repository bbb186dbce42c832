"""F4: a task has exactly the CPU and memory it asked for: read from the kernel, and felt by what it runs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from support.installation import SLEEP, Installation, eventually

ROOT = Path("/sys/fs/cgroup")
MIB = 1 << 20


def value(task: str, controller: str, one: str, two: str, container: str = "") -> str:
    """A control file of a task's group, or of its one container's, under cgroup version 1 or 2."""
    second = (ROOT / "cgroup.controllers").exists()
    base = ROOT if second else ROOT / controller
    folder = base / "ropewalk" / "main" / task / container
    return (folder / (two if second else one)).read_text().strip()


def cpu_quota(task: str) -> float:
    """vCPUs."""
    text = value(task, "cpu", "cpu.cfs_quota_us", "cpu.max")
    period = text.split()[1] if " " in text else value(task, "cpu", "cpu.cfs_period_us", "cpu.max")
    return int(text.split()[0]) / int(period)


def memory_limit(task: str, container: str = "") -> int:
    return int(value(task, "memory", "memory.limit_in_bytes", "memory.max", container))


def cpu_used(task: str) -> float:
    """Seconds."""
    text = value(task, "cpuacct", "cpuacct.usage", "cpu.stat")
    return int(text) / 1e9 if text.isdigit() else int(text.split()[1]) / 1e6


@pytest.mark.parametrize(("cpu", "memory"), [("256", "512"), ("512", "3072"), ("1 vCPU", "2 GB")])
def test_the_kernel_holds_the_size_asked_for(installation: Installation, web_group: str, cpu: str, memory: str) -> None:
    installation.register(
        "sized",
        {"name": "main", "command": SLEEP, "memory": 128, "memoryReservation": 64},
        cpu=cpu,
        memory=memory,
    )
    arn = installation.run_task("sized", web_group)["taskArn"]
    task = installation.wait_task(arn, "RUNNING")
    identifier = arn.rpartition("/")[2]
    assert cpu_quota(identifier) * 1024 == pytest.approx(int(task["cpu"]), abs=1.1)
    assert memory_limit(identifier) == int(task["memory"]) * MIB
    assert memory_limit(identifier, task["containers"][0]["runtimeId"]) == 128 * MIB
    installation.stop_task(arn)


def test_a_task_gets_its_share_of_the_cpu_and_no_more(installation: Installation, web_group: str) -> None:
    """Two processes spin in a quarter of a vCPU; over at least two seconds they get that quarter, of two cores."""
    spin = "while :; do :; done & while :; do :; done"
    installation.register("spinner", {"name": "main", "command": ["sh", "-c", spin], "stopTimeout": 2})
    arn = installation.run_task("spinner", web_group)["taskArn"]
    installation.wait_task(arn, "RUNNING")
    task = arn.rpartition("/")[2]
    begun, before = time.monotonic(), cpu_used(task)
    used = eventually(lambda: time.monotonic() - begun > 2 and cpu_used(task) - before, "two seconds pass")
    seconds = time.monotonic() - begun
    assert used / seconds < 0.30, f"{used:.2f} s of CPU in {seconds:.2f} s"
    assert used > 0.1, "and it does run"
    installation.stop_task(arn)


def test_a_container_that_eats_memory_ends_and_says_why(installation: Installation, web_group: str) -> None:
    eat = "x=0123456789; while :; do x=$x$x; done"
    installation.register("glutton", {"name": "main", "command": ["sh", "-c", eat], "memory": 64})
    arn = installation.run_task("glutton", web_group)["taskArn"]
    task = installation.finish(arn)
    container = task["containers"][0]
    assert container["exitCode"] == 137
    assert container["reason"] == "OutOfMemoryError: Container killed due to memory usage"
    assert task["stopCode"] == "EssentialContainerExited"


def test_the_tasks_own_limit_holds_where_no_container_has_one(installation: Installation, web_group: str) -> None:
    eat = "x=0123456789; while :; do x=$x$x; done"
    installation.register("glutton", {"name": "main", "command": ["sh", "-c", eat]})
    container = installation.finish(installation.run_task("glutton", web_group)["taskArn"])["containers"][0]
    assert (container["exitCode"], container.get("reason", "")[:16]) == (137, "OutOfMemoryError"), container


def test_groups_go_with_their_task(installation: Installation) -> None:
    """Every task of this module has stopped."""
    found = eventually(lambda: not list(ROOT.rglob("ropewalk/main/*/cgroup.procs")), "no group is left", 5)
    assert found
