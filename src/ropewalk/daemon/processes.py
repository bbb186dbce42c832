"""Processes that outlive whoever started them: started in a session of their own, found again by pid and start time.

A pid alone may have been reused; a pid with its start time (field 22 of /proc/PID/stat) names one process for ever. The
record is written to `<run>/<name>.pid` as JSON. Nothing here knows what the process does.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ropewalk.daemon.environment import passed_on


class ProcessRecord(msgspec.Struct, frozen=True):
    pid: int
    start_time: int
    """Clock ticks since boot, as /proc gives it."""
    command: tuple[str, ...] = ()


def own_command(name: str, home: Path) -> tuple[str, ...]:
    """The command of one of our own processes; `daemon/entry.py` knows their names."""
    return sys.executable, "-m", "ropewalk.daemon.entry", name, str(home)


def start_time(pid: int) -> int | None:
    """When the process began, in ticks since boot; None where there is none or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])


@dataclass(frozen=True, slots=True)
class DetachedProcess:
    """A named process of this installation."""

    name: str
    run: Path
    logs: Path

    @property
    def pid_file(self) -> Path:
        return self.run / f"{self.name}.pid"

    @property
    def log_file(self) -> Path:
        return self.logs / f"{self.name}.log"

    def record(self) -> ProcessRecord | None:
        """The recorded process, if it is still alive and still the same one."""
        try:
            found = msgspec.json.decode(self.pid_file.read_bytes(), type=ProcessRecord)
        except (OSError, msgspec.MsgspecError):
            return None
        return found if start_time(found.pid) == found.start_time else None

    def make_folders(self) -> None:
        """Where its pid file and its log go."""
        self.run.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(parents=True, exist_ok=True)

    def start(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> ProcessRecord:
        """Start it, unless it runs already. Its output is appended to the log file."""
        if (running := self.record()) is not None:
            return running
        self.make_folders()
        with open(self.log_file, "ab") as log:
            child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=passed_on(os.environ if environment is None else environment),
                start_new_session=True,
            )
        return self.remember(child.pid, tuple(command))

    def remember(self, pid: int, command: tuple[str, ...]) -> ProcessRecord:
        record = ProcessRecord(pid, start_time(pid) or 0, command)
        scratch = self.pid_file.with_suffix(".new")
        scratch.write_bytes(msgspec.json.encode(record))
        scratch.replace(self.pid_file)
        return record

    def forget(self) -> None:
        self.pid_file.unlink(missing_ok=True)

    def send(self, number: int) -> bool:
        """Whether it was alive to receive the signal."""
        record = self.record()
        if record is None:
            return False
        try:
            os.kill(record.pid, number)
        except ProcessLookupError:
            return False
        return True

    def stop(self, grace: float = 10.0, first: int = signal.SIGTERM) -> None:
        """Ask it to end, then make it; returns once it is gone. Blocking: call from a thread inside a loop."""
        record = self.record()
        if record is not None:
            with contextlib.suppress(ProcessLookupError):
                descriptor = os.pidfd_open(record.pid)
                try:
                    self._end(descriptor, first, grace)
                finally:
                    os.close(descriptor)
        self.forget()

    @staticmethod
    def _end(descriptor: int, first: int, grace: float) -> None:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        signal.pidfd_send_signal(descriptor, first)
        if not poller.poll(grace * 1000):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            poller.poll(5_000)

    def tail(self, lines: int = 20) -> str:
        """The last lines of its log, for an error message."""
        try:
            with open(self.log_file, "rb") as log:
                log.seek(0, os.SEEK_END)
                log.seek(max(0, log.tell() - 16_384))
                return b"\n".join(log.read().splitlines()[-lines:]).decode(errors="replace")
        except OSError:
            return ""


async def ended(record: ProcessRecord) -> None:
    """Return once the process is gone. Works for processes that are not our children."""
    import asyncio  # here, since commands that only look at processes should not pay for a loop at their start

    try:
        descriptor = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return
    if start_time(record.pid) != record.start_time:
        os.close(descriptor)
        return
    loop = asyncio.get_running_loop()
    gone: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not gone.done():
            gone.set_result(None)

    loop.add_reader(descriptor, wake)
    try:
        await gone
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def reap(record: ProcessRecord) -> None:
    """Take the end of a process that was our child, so that no zombie stays; nothing to do for an adopted one."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(record.pid, os.WNOHANG)
