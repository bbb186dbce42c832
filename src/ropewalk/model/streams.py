"""Streams between a control plane and an agent: one neutral framing for exec, attach, port-forward and logs.

An agent dials back on a one-time id (`model/agent.py`) and speaks frames over the bare connection, whatever the client
in front of the control plane speaks. A frame is one byte of kind, three of length, then the payload:

    down  OPEN first, then STDIN or PORT data, END, RESIZE
    up    ACCEPT or REFUSE first, then STDOUT, STDERR or PORT data, END, EXIT last
    both  WINDOW: so many more bytes of data may be sent

Data is sent only against credit, so that a resize is never stuck behind input that nobody reads; all else is small and
free. END says that one kind of data ends while the rest goes on; a connection that ends without EXIT was cut off.
Pure: bytes in and frames out, and the counting of credit. `model/stream_carrier.py` moves the bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import Enum, IntEnum
from typing import NamedTuple, TypeVar

import msgspec

from ropewalk.model.ids import WorkloadUid
from ropewalk.model.workload import Record

STREAM_VERSION = 1
MAX_PAYLOAD = 64 * 1024
WINDOW_BYTES = 256 * 1024
"""Data that may be under way in one direction before the other end says that it has taken some."""
_HEAD = struct.Struct("!I")
_SIZE = struct.Struct("!HH")
_CREDIT = struct.Struct("!I")


class StreamBroken(Exception):
    """The other end speaks wrongly: the stream is over."""


class FrameKind(IntEnum):
    OPEN = 0
    ACCEPT = 1
    REFUSE = 2
    STDIN = 3
    STDOUT = 4
    STDERR = 5
    PORT = 6
    END = 7
    RESIZE = 8
    EXIT = 9
    WINDOW = 10


DATA = frozenset((FrameKind.STDIN, FrameKind.STDOUT, FrameKind.STDERR, FrameKind.PORT))


class Frame(NamedTuple):
    kind: FrameKind
    payload: bytes = b""


class StreamKind(Enum):
    EXEC = "exec"
    ATTACH = "attach"
    PORT = "port"
    LOGS = "logs"


class LogQuery(Record, frozen=True):
    """Which of a container's lines, and how they are shown."""

    previous: bool = False
    """Of the run before the present one."""
    follow: bool = False
    since: float = 0.0
    """Wall time; 0 is from the beginning."""
    timestamps: bool = False
    tail_lines: int = -1
    """-1: all."""
    limit_bytes: int = 0
    """0: none."""
    stdout: bool = True
    stderr: bool = True


class Opening(Record, frozen=True):
    """What the control plane wants of a workload. Fields that a kind does not use keep their defaults."""

    kind: StreamKind
    workload: WorkloadUid
    container: str = ""
    command: tuple[str, ...] = ()
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False
    port: int = 0
    logs: LogQuery = LogQuery()
    version: int = STREAM_VERSION


class RefusalCode(Enum):
    """Why a stream cannot be had."""

    AWAY = "away"
    """The machine's agent holds no session now, or does not answer in time."""
    NOT_OFFERED = "not-offered"
    """This agent, or its runtime, has no such streams."""
    BUSY = "busy"
    NO_CONTAINER = "no-container"
    """No such workload or container on the machine."""
    NOT_RUNNING = "not-running"
    FAILED = "failed"


class Refusal(Record, frozen=True):
    code: RefusalCode
    message: str


class Exit(Record, frozen=True):
    """How it ended. `failure` set: the command could not be run, the port not reached, or its output was lost."""

    code: int = 0
    failure: str = ""


R = TypeVar("R", bound=msgspec.Struct)


def record(frame: Frame, kind: type[R]) -> R:
    """The record that a frame of kind OPEN, REFUSE or EXIT holds."""
    try:
        return msgspec.json.decode(frame.payload, type=kind)
    except msgspec.DecodeError as broken:
        raise StreamBroken(f"{frame.kind.name}: {broken}") from broken


def opening(wanted: Opening) -> Frame:
    return Frame(FrameKind.OPEN, msgspec.json.encode(wanted))


def refusal(why: Refusal) -> Frame:
    return Frame(FrameKind.REFUSE, msgspec.json.encode(why))


def ending(exit: Exit) -> Frame:
    return Frame(FrameKind.EXIT, msgspec.json.encode(exit))


def resize(width: int, height: int) -> Frame:
    """Columns and rows; what no terminal can be is cut to 65,535."""
    return Frame(FrameKind.RESIZE, _SIZE.pack(min(max(width, 0), 0xFFFF), min(max(height, 0), 0xFFFF)))


def size_of(frame: Frame) -> tuple[int, int]:
    if len(frame.payload) != _SIZE.size:
        raise StreamBroken("RESIZE: not a size")
    width, height = _SIZE.unpack(frame.payload)
    return width, height


def end_of(kind: FrameKind) -> Frame:
    """No more data of this kind will come."""
    return Frame(FrameKind.END, bytes((kind,)))


def ended(frame: Frame) -> FrameKind:
    if len(frame.payload) == 1 and frame.payload[0] in DATA:
        return FrameKind(frame.payload[0])
    raise StreamBroken("END: of nothing that has an end")


def encode(frame: Frame) -> bytes:
    if len(frame.payload) > MAX_PAYLOAD:
        raise ValueError(f"a frame holds at most {MAX_PAYLOAD} bytes, not {len(frame.payload)}")
    return _HEAD.pack(frame.kind << 24 | len(frame.payload)) + frame.payload


def pieces(kind: FrameKind, data: bytes) -> Iterator[Frame]:
    """Data of any length as frames."""
    for start in range(0, len(data), MAX_PAYLOAD):
        yield Frame(kind, data[start : start + MAX_PAYLOAD])


class FrameReader:
    """Bytes in, whole frames out. Holds at most one unfinished frame beyond what one `feed` brings."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Raises `StreamBroken`."""
        self._rest += data
        found: list[Frame] = []
        at = 0
        while len(self._rest) - at >= _HEAD.size:
            (head,) = _HEAD.unpack_from(self._rest, at)
            kind, length = head >> 24, head & 0xFFFFFF
            if kind > FrameKind.WINDOW or length > MAX_PAYLOAD:
                raise StreamBroken(f"no such frame: kind {kind}, {length} bytes")
            start = at + _HEAD.size
            if len(self._rest) < start + length:
                break
            at = start + length
            found.append(Frame(FrameKind(kind), bytes(self._rest[start:at])))
        del self._rest[:at]
        return found


class Windows:
    """The credit of both directions, as one end counts it."""

    def __init__(self) -> None:
        self.may_send = WINDOW_BYTES
        self._may_receive = WINDOW_BYTES
        self._taken = 0

    def sent(self, count: int) -> None:
        self.may_send -= count

    def granted(self, frame: Frame) -> None:
        """The other end took some: WINDOW."""
        if len(frame.payload) != _CREDIT.size:
            raise StreamBroken("WINDOW: not a number")
        self.may_send += _CREDIT.unpack(frame.payload)[0]
        if self.may_send > WINDOW_BYTES:
            raise StreamBroken("WINDOW: more than was sent")

    def received(self, count: int) -> None:
        self._may_receive -= count
        if self._may_receive < 0:
            raise StreamBroken("data beyond the window")

    def taken(self, count: int) -> Frame | None:
        """So much of what was received has found its reader: what to tell the other end, if it is worth a frame."""
        self._taken += count
        if self._taken < WINDOW_BYTES // 2:
            return None
        credit, self._taken = self._taken, 0
        self._may_receive += credit
        return Frame(FrameKind.WINDOW, _CREDIT.pack(credit))
