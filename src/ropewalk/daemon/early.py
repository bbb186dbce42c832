"""A process, begun before the command that wants it has read its options: imports take longer than reading.

`begin` needs next to nothing imported, so that it can be a command's first act. The process imports what it is made of
and then waits on its standard input for the home to serve. None comes where the command refuses, or attaches to what
runs already: its input ends, and so does it, without a word.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ropewalk.daemon.environment import passed_on

if TYPE_CHECKING:
    from pathlib import Path

    from ropewalk.daemon.processes import DetachedProcess

TOLD_LATER = "-"
"""In place of the home on the command line."""

_begun: tuple[int, int, tuple[str, ...]] | None = None
"""Pid, our end of its standard input, and its command."""


def begin(name: str) -> None:
    """Start the process of that name (see `entry`) in a session of its own, printing nowhere until it knows its log."""
    global _begun  # noqa: PLW0603 - a command has one early process, begun before there is anything to keep it in
    command = (sys.executable, "-m", "ropewalk.daemon.entry", name, TOLD_LATER)
    read, write = os.pipe()
    pid = os.posix_spawn(
        command[0],
        command,
        passed_on(os.environ),
        file_actions=[
            (os.POSIX_SPAWN_DUP2, read, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ],
        setsid=True,
    )
    os.close(read)
    _begun = pid, write, command


def hand_over(process: DetachedProcess, home: Path) -> bool:
    """Make the early process `process`, serving `home`. False where none was begun, or it has ended."""
    global _begun
    if _begun is None:
        return False
    (pid, write, command), _begun = _begun, None
    process.make_folders()
    try:
        os.write(write, f"{home}\n".encode())
    except BrokenPipeError:
        return False
    finally:
        os.close(write)
    process.remember(pid, command)
    return True


def wait_for_home() -> str:
    """In the process itself: the home it is to serve, "" where it is not wanted."""
    home = sys.stdin.readline().rstrip("\n")
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.chdir("/")
    return home


def print_to(log: Path) -> None:
    """In the process itself: standard output and error go to the log from here on."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
