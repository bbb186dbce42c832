"""Limits for both cgroup versions, on folders that stand for the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.model.workload import Resources
from ropewalk.node.cri.cgroups import Cgroups, Usage, Version, clamped, limits, shares_to_weight

FARGATE = Resources(cpu_millis=250, memory_bytes=512 << 20)


def written(version: Version, resources: Resources) -> list[tuple[str, str]]:
    return [(write.file, write.value) for write in limits(version, resources)]


def test_version_one_gets_quota_and_memory_without_swap() -> None:
    assert written(Version.ONE, FARGATE) == [
        ("cpu.cfs_period_us", "100000"),
        ("cpu.cfs_quota_us", "25000"),
        ("memory.memsw.limit_in_bytes", "-1"),
        ("memory.limit_in_bytes", str(512 << 20)),
        ("memory.memsw.limit_in_bytes", str(512 << 20)),
    ]


def test_version_two_gets_the_same_in_its_words() -> None:
    assert written(Version.TWO, FARGATE) == [
        ("cpu.max", "25000 100000"),
        ("memory.max", str(512 << 20)),
        ("memory.swap.max", "0"),
    ]
    assert written(Version.TWO, Resources(cpu_shares=1024, memory_reservation_bytes=7)) == [
        ("cpu.weight", "39"),
        ("memory.low", "7"),
    ]


@pytest.mark.parametrize("version", list(Version))
def test_no_limit_writes_nothing(version: Version) -> None:
    assert limits(version, Resources()) == ()


@given(st.integers(0, 1 << 20), st.integers(0, 1 << 20))
def test_weights_keep_the_order_of_shares(one: int, other: int) -> None:
    assert 1 <= shares_to_weight(one) <= 10_000
    assert (shares_to_weight(one) <= shares_to_weight(other)) or one > other


amounts = st.integers(0, 1 << 40)


@given(amounts, amounts, amounts, amounts)
def test_a_container_never_gets_more_than_its_workload(
    cpu: int, memory: int, whole_cpu: int, whole_memory: int
) -> None:
    part = clamped(
        Resources(cpu_millis=cpu, memory_bytes=memory), Resources(cpu_millis=whole_cpu, memory_bytes=whole_memory)
    )
    assert part.cpu_millis <= cpu and part.memory_bytes <= memory
    if whole_cpu:
        assert part.cpu_millis <= whole_cpu
    if cpu and memory:
        assert part.cpu_millis or not whole_cpu  # a limit never turns into none
    assert bool(part.memory_bytes) == bool(memory)


def kernel_one(root: Path) -> Cgroups:
    for controller in ("cpu", "memory", "pids", "cpuacct", "blkio"):
        (root / controller).mkdir()
    return Cgroups("/ropewalk/m", root)


def kernel_two(root: Path) -> Cgroups:
    (root / "cgroup.controllers").write_text("cpu memory pids\n")
    return Cgroups("/ropewalk/m", root)


def test_version_one_is_written_to_its_hierarchies(tmp_path: Path) -> None:
    groups = kernel_one(tmp_path)
    assert groups.version is Version.ONE
    assert groups.create("w", FARGATE) == "/ropewalk/m/w"
    assert (tmp_path / "memory/ropewalk/m/w/memory.limit_in_bytes").read_text() == str(512 << 20)
    assert not (tmp_path / "memory/ropewalk/m/w/memory.memsw.limit_in_bytes").exists()  # the kernel has no such file
    assert not (tmp_path / "cpu/ropewalk/m/w/cpu.cfs_quota_us").exists()
    groups.limit_cpu("w", 250)
    assert (tmp_path / "cpu/ropewalk/m/w/cpu.cfs_quota_us").read_text() == "25000"
    groups.limit_cpu("gone", 250)
    assert groups.names() == {"w"}


def test_version_two_enables_controllers_on_the_way_down(tmp_path: Path) -> None:
    groups = kernel_two(tmp_path)
    for path in ("ropewalk/m",):
        (tmp_path / path).mkdir(parents=True)
    for path in ("ropewalk", "ropewalk/m"):
        (tmp_path / path / "cgroup.controllers").write_text("cpu memory\n")
    groups.create("w", FARGATE)
    groups.limit_cpu("w", 250)
    for path in ("", "ropewalk", "ropewalk/m"):
        assert (tmp_path / path / "cgroup.subtree_control").exists()
    assert (tmp_path / "ropewalk/m/w/cpu.max").read_text() == "25000 100000"
    assert (tmp_path / "ropewalk/m/w/memory.max").read_text() == str(512 << 20)


def test_a_group_is_removed_from_every_hierarchy(tmp_path: Path) -> None:
    groups = kernel_one(tmp_path)
    for controller in ("cpu", "pids"):
        (tmp_path / controller / "ropewalk/m/w/container").mkdir(parents=True)
    assert groups.remove("w") and groups.remove("w")
    groups.remove_parent()
    assert list(tmp_path.glob("*/ropewalk")) == []
    (tmp_path / "cpu/ropewalk/m/busy").mkdir(parents=True)
    (tmp_path / "cpu/ropewalk/m/busy/tasks").write_text(
        "1"
    )  # rmdir refuses, as the kernel does while a process is in it
    assert not groups.remove("busy")
    groups.remove_parent()
    assert (tmp_path / "cpu/ropewalk/m/busy").exists()


def test_usage_is_read_in_version_one(tmp_path: Path) -> None:
    groups = kernel_one(tmp_path)
    files = {
        "memory/g/memory.usage_in_bytes": "1000",
        "memory/g/memory.limit_in_bytes": "9223372036854771712",
        "memory/g/memory.stat": "total_inactive_file 300\ntotal_cache 400\n",
        "memory/g/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        "cpuacct/g/cpuacct.usage": "77\n",
        "pids/g/pids.current": "3",
        "blkio/g/blkio.throttle.io_service_bytes_recursive": "8:0 Read 10\n8:0 Write 20\n8:16 Read 1\nTotal 31\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert groups.usage("/g") == Usage(77, 700, 400, 0, 3, 11, 20)
    assert groups.out_of_memory_kills("/g") == 2
    assert groups.usage("/gone") is None and groups.out_of_memory_kills("/gone") is None


def test_usage_is_read_in_version_two(tmp_path: Path) -> None:
    groups = kernel_two(tmp_path)
    files = {
        "memory.current": "1000",
        "memory.max": "max",
        "memory.stat": "inactive_file 300\nfile 400\n",
        "memory.events": "low 0\noom_kill 1\n",
        "cpu.stat": "usage_usec 77\n",
        "pids.current": "3",
        "io.stat": "8:0 rbytes=10 wbytes=20 rios=1\n8:16 rbytes=1 wbytes=0\n",
    }
    (tmp_path / "g").mkdir()
    for name, text in files.items():
        (tmp_path / "g" / name).write_text(text)
    assert groups.usage("/g") == Usage(77_000, 700, 400, 0, 3, 11, 20)
    assert groups.out_of_memory_kills("/g") == 1
