"""The audit log's file: written in order, bounded in memory and on disk."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ropewalk.base.clock import VirtualClock
from ropewalk.kube.security.audit_log import GATHERED_SECONDS, AuditLog


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines() if path.exists() else []


async def until(path: Path, wanted: list[bytes], clock: VirtualClock) -> None:
    """The disk is written by a thread: wait for what comes of it."""
    for _ in range(500):
        await clock.advance(GATHERED_SECONDS)
        if lines(path) == wanted:
            return
        await asyncio.to_thread(path.exists)
    raise AssertionError(lines(path))


async def test_lines_come_to_the_file_in_order(tmp_path: Path) -> None:
    clock, path = VirtualClock(), tmp_path / "logs" / "audit.log"
    log = AuditLog(path, clock)
    running = asyncio.create_task(log.run())
    log.put(b"1")
    log.put(b"2")
    await until(path, [b"1", b"2"], clock)
    log.put(b"3")
    await until(path, [b"1", b"2", b"3"], clock)
    assert path.stat().st_mode & 0o777 == 0o600
    log.put(b"last")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert lines(path)[-1] == b"last"


async def test_an_idle_log_does_not_wake(tmp_path: Path) -> None:
    clock = VirtualClock()
    running = asyncio.create_task(AuditLog(tmp_path / "audit.log", clock).run())
    await clock.settle()
    assert clock.next_deadline() is None
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_does_not_fit_is_dropped_and_counted(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.log", VirtualClock(), buffer_bytes=10)
    for _ in range(5):
        log.put(b"1234")
    assert log.dropped == 3
    log.flush()
    assert lines(tmp_path / "audit.log") == [b"1234", b"1234"]
    log.put(b"5678")
    assert log.dropped == 3


async def test_a_full_file_is_put_aside_and_the_oldest_go(tmp_path: Path) -> None:
    clock, path = VirtualClock(), tmp_path / "audit.log"
    log = AuditLog(path, clock, file_bytes=10, kept_files=2)
    for number in range(5):
        log.put(b"%08d" % number)
        log.flush()
        await clock.advance(1)
    assert lines(path) == [b"00000004"]
    aside = sorted(tmp_path.glob("audit-*.log"))
    assert [lines(one) for one in aside] == [[b"00000002"], [b"00000003"]]
    assert aside[0].name == "audit-2023-11-14T22-13-23.000000.log"


async def test_a_disk_that_refuses_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = AuditLog(tmp_path / "file" / "audit.log", VirtualClock())
    log.put(b"1")
    log.flush()
    assert log.dropped == 0
