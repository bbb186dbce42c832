"""Who holds too much of a machine's disk, and how it is told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ropewalk.model.workload import Volume
from ropewalk.planning import storage
from ropewalk.planning.storage import Usage
from support.workloads import workload

SIZES = st.integers(0, 1 << 40)


@given(SIZES, SIZES, SIZES, st.integers(1, 1 << 40))
def test_all_that_it_wrote_counts_together(layers: int, logs: int, volume: int, limit: int) -> None:
    what = workload(volumes=(Volume("v", "scratch"),), ephemeral_storage_bytes=limit)
    reason = storage.excess(what, Usage(layers, logs, {"v": volume}))
    assert bool(reason) == (layers + logs + volume > limit)


@given(SIZES, st.integers(0, 1 << 40))
def test_a_volume_has_a_limit_of_its_own(used: int, limit: int) -> None:
    what = workload(volumes=(Volume("v", "scratch", size_bytes=limit), Volume("w", "scratch")))
    reason = storage.excess(what, Usage(volumes={"v": used, "w": 1 << 50}))
    assert bool(reason) == (0 < limit < used) and (not reason or "volume v " in reason)


def test_without_a_limit_nothing_is_measured() -> None:
    assert not storage.limited(workload(volumes=(Volume("v", "scratch"),)))
    assert storage.limited(workload(ephemeral_storage_bytes=1))
    assert storage.limited(workload(volumes=(Volume("v", "scratch", size_bytes=1),)))
    assert storage.excess(workload(), Usage(1 << 60)) == ""


def test_a_reason_names_the_parts() -> None:
    what = workload(ephemeral_storage_bytes=20 << 30)
    assert storage.excess(what, Usage(21 << 30, 12, {"v": 3 << 19})) == (
        "Ephemeral storage usage (21 GiB) exceeds the limit of 20 GiB: "
        "containers 21 GiB, volumes 1.5 MiB, logs 12 bytes"
    )
