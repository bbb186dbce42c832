"""A server as it is put together: what one alone does not show."""

from __future__ import annotations

from pathlib import Path

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.apiserver import ApiServer, ClusterConfig
from ropewalk.store.memory import MemoryStore


async def test_all_that_runs_in_one_process_has_a_name_of_its_own(tmp_path: Path) -> None:
    """A supervisor refuses two of a name: the leader's controllers would not start."""
    entropy = SeededEntropy(1)
    server = ApiServer.build(
        ClusterConfig("one", tmp_path / "pki", tmp_path / "log"), MemoryStore(entropy), VirtualClock(1.8e9), entropy
    )
    names = [runnable.name for runnable in (*server.runnables, *server.led)]
    assert len(names) > 20
    assert sorted(set(names)) == sorted(names)
    server.close()
