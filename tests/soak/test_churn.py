"""Tasks come and go for a long time: what the control plane holds stays bounded. ROPEWALK_SOAK_MINUTES, default 10."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from support.installation import Installation, eventually

MINUTES = float(os.environ.get("ROPEWALK_SOAK_MINUTES", "10"))
AT_ONCE = 10


@pytest.fixture
def simulated() -> Iterator[Installation]:
    made = Installation("--simulated", "--time-scale", "360")
    try:
        made.up()
        yield made
        made.down()
    finally:
        made.discard()


def resident_kib(installation: Installation) -> int:
    with open(f"/proc/{installation.pids()['aws']}/smaps_rollup") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def state_bytes(installation: Installation) -> int:
    return sum(path.stat().st_size for path in installation.home.glob("aws.db*"))


@pytest.mark.timeout(int(MINUTES * 60 + 300))
def test_memory_and_disk_stay_bounded_under_churn(simulated: Installation) -> None:
    """Stopped tasks are kept for ten seconds here (an hour, 360 times shortened), so that forgetting shows as well."""
    ecs = simulated.client("ecs")
    ecs.register_task_definition(
        family="churn",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        containerDefinitions=[{"name": "main", "image": "busybox:latest"}],
    )
    group = simulated.group("churn")
    deadline = time.monotonic() + MINUTES * 60
    memory, disk, rounds = [], [], 0
    while time.monotonic() < deadline:
        tasks = simulated.run_task("churn", group, count=AT_ONCE)
        del tasks
        arns = ecs.list_tasks(desiredStatus="RUNNING")["taskArns"]
        for arn in arns:
            ecs.stop_task(task=arn)
        eventually(lambda: not ecs.list_tasks(desiredStatus="RUNNING")["taskArns"], "every task stops", 30)
        rounds += 1
        memory.append(resident_kib(simulated))
        disk.append(state_bytes(simulated))
    assert rounds > 10
    third = rounds // 3
    assert max(memory[-third:]) < 1.3 * max(memory[third : 2 * third]) + 4096, "memory grows with every round"
    assert max(disk[-third:]) < 2 * max(disk[third : 2 * third]) + (1 << 20), "the store grows with every round"
