"""Detached processes: found again by pid and start time, never mistaken for another, gone once stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ropewalk.daemon.processes import DetachedProcess, ProcessRecord, ended, reap, start_time

WAIT = (sys.executable, "-c", "import signal; print('here', flush=True); signal.pause()")
DEAF = (
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()",
)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[DetachedProcess]:
    made = DetachedProcess("sleeper", tmp_path / "run", tmp_path / "log")
    yield made
    made.stop(grace=0)


def lines(process: DetachedProcess, wanted: str) -> str:
    """Its log, once it holds `wanted`: the process is up then."""
    record = process.record()
    while record is not None and wanted not in process.tail():
        assert start_time(record.pid) is not None, process.tail()
        os.sched_yield()
    return process.tail()


def test_it_runs_in_a_session_of_its_own_and_logs_to_its_file(process: DetachedProcess) -> None:
    record = process.start(WAIT)
    assert os.getsid(record.pid) == record.pid != os.getsid(0)
    assert lines(process, "here") == "here"
    assert process.record() == record == ProcessRecord(record.pid, start_time(record.pid) or 0, WAIT)


def test_a_second_start_adopts_what_runs(process: DetachedProcess) -> None:
    first = process.start(WAIT)
    again = DetachedProcess(process.name, process.run, process.logs)
    assert again.start(DEAF) == first, "the command is not even looked at"
    assert again.record() == first


def test_stop_ends_it_and_forgets_it(process: DetachedProcess) -> None:
    record = process.start(WAIT)
    process.stop()
    assert start_time(record.pid) is None
    assert process.record() is None and not process.pid_file.exists()
    process.stop()  # nothing there: no error


def test_what_does_not_listen_is_killed(process: DetachedProcess) -> None:
    record = process.start(DEAF)
    lines(process, "deaf")
    process.stop(grace=0.05)
    assert start_time(record.pid) is None


def test_a_pid_that_was_given_to_another_is_left_alone(process: DetachedProcess) -> None:
    """This very process stands for the other: were it mistaken, the test would not end."""
    mine = start_time(os.getpid())
    assert mine is not None
    process.run.mkdir()
    process.pid_file.write_bytes(msgspec.json.encode(ProcessRecord(os.getpid(), mine - 1)))
    assert process.record() is None
    assert not process.send(signal.SIGKILL)
    process.stop(first=signal.SIGKILL)
    assert not process.pid_file.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"123", b'{"pid": "x", "start_time": 1}'])
def test_a_broken_pid_file_names_nobody(process: DetachedProcess, content: bytes) -> None:
    process.run.mkdir()
    process.pid_file.write_bytes(content)
    assert process.record() is None
    assert process.start(WAIT).pid


def test_signals_go_to_the_living_only(process: DetachedProcess) -> None:
    assert not process.send(signal.SIGTERM)
    process.start(WAIT)
    assert process.send(0)


async def test_the_end_is_seen_whoever_caused_it(process: DetachedProcess) -> None:
    record = process.start(WAIT)
    waiting = asyncio.ensure_future(ended(record))
    await asyncio.sleep(0)
    assert not waiting.done()
    os.kill(record.pid, signal.SIGKILL)
    async with asyncio.timeout(5):
        await waiting
    assert process.record() is None, "a zombie is not alive"
    reap(record)
    assert str(record.pid) not in os.listdir("/proc")
    reap(record)
    await ended(record)  # of what has long gone: at once


async def test_the_end_of_a_pid_that_is_anothers_by_now_is_seen_at_once() -> None:
    async with asyncio.timeout(5):
        await ended(ProcessRecord(os.getpid(), 1))


def test_the_tail_is_the_end_of_the_log(process: DetachedProcess) -> None:
    assert process.tail() == ""
    process.logs.mkdir()
    process.log_file.write_text("".join(f"line {number}\n" for number in range(5000)))
    assert process.tail(2) == "line 4998\nline 4999"
