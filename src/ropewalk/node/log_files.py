"""Reading the log files that a runtime writes: lines `<RFC 3339> <stdout|stderr> <F|P> <text>`, P for a partial line.

Pure parsing and one blocking read; where it stands is a `Cursor`, which the pump keeps in the journal.
"""

from __future__ import annotations

import os
from pathlib import Path

from ropewalk.model.agent import LogLine
from ropewalk.model.workload import Record
from ropewalk.node.shapes import from_rfc3339

MAX_MESSAGE = 256 * 1024 - 26
"""Bytes of one event: CloudWatch Logs' limit less its own 26 bytes; longer lines are cut into several."""
CHUNK = 256 * 1024
"""Bytes a read. A line costs at least 46 of them, so a read stays within one call's 10,000 events and 1 MiB."""


class Cursor(Record, frozen=True):
    """How far a container's output has been read and taken."""

    attempt: int = 0
    inode: int = 0
    offset: int = 0
    """In the present file."""
    position: int = 0
    """Bytes of all files of the container so far: never goes back, however files are rotated."""


class Read(Record, frozen=True):
    lines: tuple[LogLine, ...]
    cursor: Cursor
    """After the last of them."""
    more: bool
    """Whether the file had more to give."""


def find(path: Path, inode: int) -> Path | None:
    """The file the cursor stands in: the path itself, or the one it was rotated to."""
    for candidate in (path, rotated(path)):
        try:
            if os.stat(candidate).st_ino == inode:
                return candidate
        except FileNotFoundError:
            continue
    return None


def rotated(path: Path) -> Path:
    return path.with_name(path.name + ".1")


def read(path: Path, cursor: Cursor, *, final: bool) -> Read | None:
    """Whole lines from the cursor on, at most `CHUNK` bytes of them; None where there is nothing new.

    A line without its end is left for the next read, unless the container is gone (`final`).
    """
    try:
        with path.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            if cursor.inode and inode != cursor.inode:
                return None
            file.seek(cursor.offset)
            data = file.read(CHUNK)
    except FileNotFoundError:
        return None
    used = _whole(data, final and len(data) < CHUNK)
    if not used:
        return None
    lines = parse(data[:used])
    after = Cursor(cursor.attempt, inode, cursor.offset + used, cursor.position + used)
    return Read(tuple(lines), after, more=len(data) == CHUNK)


def _whole(data: bytes, final: bool) -> int:
    """How many bytes to take: up to the end of the last full ("F") line, so that parts are joined."""
    if final:
        return len(data)
    end = len(data)
    while (end := data.rfind(b"\n", 0, end)) >= 0:
        start = data.rfind(b"\n", 0, end) + 1
        if _tag(data[start:end]) != b"P":
            return end + 1
    # Nothing but parts of one line: take them once they fill a whole read.
    return data.rfind(b"\n") + 1 if len(data) == CHUNK else 0


def _tag(line: bytes) -> bytes:
    fields = line.split(b" ", 3)
    return fields[2][:1] if len(fields) > 2 else b""


def parse(data: bytes) -> list[LogLine]:
    """Lines of the file as events: parts joined, over-long ones cut; what is not in the format is taken whole."""
    found: list[LogLine] = []
    pending: dict[bytes, tuple[int, bytes]] = {}
    last_stamp = 0
    for raw in data.splitlines():
        fields = raw.split(b" ", 3)
        if len(fields) < 3 or fields[1] not in (b"stdout", b"stderr"):
            found.extend(_cut(last_stamp, raw))
            continue
        text = fields[3] if len(fields) > 3 else b""
        try:
            stamp = int(from_rfc3339(fields[0].decode("ascii")) * 1000)
        except (ValueError, UnicodeDecodeError):
            stamp = last_stamp
        last_stamp = stamp
        first, before = pending.pop(fields[1], (stamp, b""))
        if fields[2].startswith(b"P"):
            pending[fields[1]] = (first, before + text)
        else:
            found.extend(_cut(first, before + text))
    for first, rest in pending.values():
        found.extend(_cut(first, rest))
    return found


def _cut(stamp: int, text: bytes) -> list[LogLine]:
    if len(text) <= MAX_MESSAGE:
        return [LogLine(stamp, text.decode(errors="replace"))]
    pieces = (text[i : i + MAX_MESSAGE] for i in range(0, len(text), MAX_MESSAGE))
    return [LogLine(stamp, piece.decode(errors="replace")) for piece in pieces]
