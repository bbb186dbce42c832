"""Storage is measured as it is taken, and a workload that takes too much is stopped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.model.workload import EnvironmentVariable, Volume, Workload
from ropewalk.node.disk_use import DiskUse
from ropewalk.node.fake_runtime import FakeRuntime
from ropewalk.node.folders import Folders
from ropewalk.node.runtime import ContainerSetup
from ropewalk.node.storage import StorageWatch
from ropewalk.planning import lifecycle
from ropewalk.planning import lifecycle_records as words
from support.workloads import container, workload

MANY = 10_000


def write(path: Path, size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))
    return path


def used(folder: Path) -> int:
    use = DiskUse(folder)
    assert use.step(MANY) < MANY
    return use.used


def test_allocated_blocks_are_counted_once(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    big = write(inside / "deep" / "er" / "big", 1 << 20)
    before = used(inside)
    assert 1 << 20 <= before < (1 << 20) + (64 << 10)
    os.link(big, inside / "the same")
    with (inside / "hole").open("wb") as hole:
        hole.truncate(1 << 40)
    assert used(inside) - before < 64 << 10, "a second name and a hole take nothing"


def test_links_lead_nowhere(tmp_path: Path) -> None:
    write(tmp_path / "out" / "big", 1 << 20)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    assert used(tmp_path / "in") < 64 << 10


def test_what_is_not_there_takes_nothing(tmp_path: Path) -> None:
    assert used(tmp_path / "nothing") == 0


def test_a_large_tree_is_counted_over_several_steps(tmp_path: Path) -> None:
    for number in range(20):
        write(tmp_path / f"{number % 3}" / f"{number}", 4096)
    whole = used(tmp_path)
    use = DiskUse(tmp_path)
    seen = []
    for _ in range(5):
        use.step(5)
        seen.append(use.used)
    assert seen == sorted(seen) and seen[0] < whole and seen[-1] == whole
    for number in range(20):
        (tmp_path / f"{number % 3}" / f"{number}").unlink()
    for _ in range(5):
        use.step(5)
    assert use.used < whole, "what was removed is noticed at the end of a walk"


class Held:
    """Stands in for a runner: a state, and what it is told."""

    def __init__(self, what: Workload, runtime_id: str = "id") -> None:
        state = lifecycle.begin(what, 1.0)
        for event in (
            words.SandboxReady("box"),
            words.Pulled("app", "sha256:1"),
            words.Started("app", 0, runtime_id, 7, 1.0),
        ):
            state, _ = lifecycle.step(state, event, 1.0)
        self.state = state
        self.told: list[words.Event] = []

    @property
    def uid(self) -> str:
        return self.state.workload.uid

    def post(self, event: words.Event) -> None:
        self.told.append(event)
        self.state, _ = lifecycle.step(self.state, event, 2.0)


class Bench:
    def __init__(self, root: Path | None, what: Workload) -> None:
        self.clock = VirtualClock()
        self.runtime = FakeRuntime(self.clock)
        self.folders = Folders(root)
        self.held = Held(what)
        runners: Any = lambda: [self.held]  # noqa: E731 - stands in for the agent's runners
        self.watch = StorageWatch(runtime=self.runtime, clock=self.clock, folders=self.folders, runners=runners)


async def test_volumes_and_logs_count_towards_the_limit(tmp_path: Path) -> None:
    volumes = (Volume("v", "scratch"), Volume("h", "host", str(tmp_path / "host")))
    bench = Bench(tmp_path / "root", workload(volumes=volumes, ephemeral_storage_bytes=3 << 20))
    write(Path(bench.folders.volumes(bench.held.state.workload)["v"]) / "a", 1 << 20)
    write(Path(bench.folders.logs("w-1")) / "app" / "0.log", 1 << 20)
    write(tmp_path / "host" / "foreign", 8 << 20)
    await bench.watch.look()
    assert bench.held.told == []
    write(Path(bench.folders.volumes(bench.held.state.workload)["v"]) / "b", 1 << 20)
    await bench.watch.look()
    [told] = bench.held.told
    assert isinstance(told, words.StorageExceeded) and "volumes 2 MiB" in told.reason and "logs 1 MiB" in told.reason
    await bench.watch.look()
    assert len(bench.held.told) == 1, "one that stops is told nothing more"


async def test_a_volume_is_held_to_its_own_limit(tmp_path: Path) -> None:
    bench = Bench(tmp_path, workload(volumes=(Volume("v", "scratch", size_bytes=1 << 20),)))
    write(Path(bench.folders.volumes(bench.held.state.workload)["v"]) / "a", (1 << 20) + 4096)
    await bench.watch.look()
    [told] = bench.held.told
    assert isinstance(told, words.StorageExceeded) and told.reason.startswith("Usage of volume v (1 MiB) exceeds")


@pytest.mark.parametrize(("limit", "stops"), [(1 << 20, False), ((1 << 20) - 1, True)])
async def test_layers_count_where_there_are_no_files(limit: int, stops: bool) -> None:
    writes = (EnvironmentVariable("ROPEWALK_SIMULATE", f"storage={1 << 20}"),)
    what = workload("w-1", container(environment=writes), ephemeral_storage_bytes=limit)
    bench = Bench(None, what)
    image = await bench.runtime.pull("nginx:latest", None)
    box = await bench.runtime.create_sandbox(what, "")
    identity = await bench.runtime.create_container(box.id, what, what.containers[0], image, 0, ContainerSetup())
    await bench.runtime.start(identity)
    bench.held = Held(what, identity)
    bench.runtime.available = False
    await bench.watch.look()
    assert bench.held.told == [], "what cannot be measured stops nothing"
    bench.runtime.available = True
    await bench.watch.look()
    assert bool(bench.held.told) is stops
