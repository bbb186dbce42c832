"""The server's end of a SPDY/3.1 session as a pure state machine: bytes in and events out, calls in and bytes out.

Flow control as practised: the clients of Kubernetes (moby/spdystream) know no windows, neither keep to ours nor grant
any. So a peer's window binds us only once it has shown that it counts (a WINDOW_UPDATE, or the setting of an initial
window), and what a peer sends beyond ours is no fault: the driver stops reading instead.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Union

from ropewalk.kube.streams.spdy_frames import (
    CONTROL,
    FIN,
    HEAD_BYTES,
    INITIAL_WINDOW_SETTING,
    MAX_CONTROL,
    STREAM_MASK,
    VERSION,
    FrameType,
    GoAwayStatus,
    HeaderReader,
    HeaderWriter,
    ResetStatus,
    SpdyBroken,
    control,
    data,
    numbers,
)

INITIAL_WINDOW = 64 * 1024
MAX_WINDOW = (1 << 31) - 1
MAX_STREAMS = 1000
UNLIMITED = 1 << 40
"""What a peer that knows no windows may be sent."""


@dataclass(frozen=True, slots=True)
class Opened:
    stream: int
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Received:
    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Finished:
    """The peer sends nothing more on this stream."""

    stream: int


@dataclass(frozen=True, slots=True)
class Reset:
    stream: int


@dataclass(frozen=True, slots=True)
class Granted:
    """More may be sent than before, on some stream."""


@dataclass(frozen=True, slots=True)
class GoneAway:
    """The session is over: the peer said so, or broke it."""

    reason: str = ""


Event = Union[Opened, Received, Finished, Reset, Granted, GoneAway]


@dataclass(slots=True)
class _Stream:
    may_send: int
    received_all: bool = False
    sent_all: bool = False


class SpdyServer:
    """`receive` answers what happened; `outgoing` holds what is to be sent, in order, until it is taken."""

    def __init__(self) -> None:
        self.outgoing = bytearray()
        self._headers_in = HeaderReader()
        self._headers_out = HeaderWriter()
        self._rest = bytearray()
        self._data_left = 0
        self._data_stream = 0
        self._data_fin = False
        self._streams: dict[int, _Stream] = {}
        self._last_stream = 0
        self._counts = False
        self._may_send = INITIAL_WINDOW
        self._initial_window = INITIAL_WINDOW
        self._over = False

    # --- in

    def receive(self, incoming: bytes) -> list[Event]:
        """Never raises: a peer that breaks the protocol is told so, and the last event is `GoneAway`."""
        if self._over:
            return []
        self._rest += incoming
        found: list[Event] = []
        try:
            while self._step(found):
                pass
        except SpdyBroken as broken:
            self._end(GoAwayStatus.PROTOCOL_ERROR)
            found.append(GoneAway(str(broken)))
        return found

    def _step(self, found: list[Event]) -> bool:
        """One frame, or as much of a data frame as there is; whether there may be more."""
        if self._over:
            return False
        if self._data_left:
            return self._data_piece(found)
        if len(self._rest) < HEAD_BYTES:
            return False
        first, second = struct.unpack_from("!II", self._rest)
        flags, length = second >> 24, second & 0xFFFFFF
        if not first & CONTROL:
            del self._rest[:HEAD_BYTES]
            self._data_stream, self._data_left, self._data_fin = first, length, bool(flags & FIN)
            if first not in self._streams or self._streams[first].received_all:
                self._refuse_data(first)
            if length == 0:
                self._data_end(found)
            return True
        if length > MAX_CONTROL:
            raise SpdyBroken(f"a control frame of {length} bytes is too large")
        if (first >> 16) & 0x7FFF != VERSION:
            raise SpdyBroken(f"version {(first >> 16) & 0x7FFF} of SPDY is not spoken here")
        if len(self._rest) < HEAD_BYTES + length:
            return False
        payload = bytes(self._rest[HEAD_BYTES : HEAD_BYTES + length])
        del self._rest[: HEAD_BYTES + length]
        self._control(first & 0xFFFF, flags, payload, found)
        return True

    def _data_piece(self, found: list[Event]) -> bool:
        if not self._rest:
            return False
        piece = bytes(self._rest[: self._data_left])
        del self._rest[: len(piece)]
        self._data_left -= len(piece)
        stream = self._streams.get(self._data_stream)
        if stream is not None and not stream.received_all:
            found.append(Received(self._data_stream, piece))
        if not self._data_left:
            self._data_end(found)
        return True

    def _data_end(self, found: list[Event]) -> None:
        stream = self._streams.get(self._data_stream)
        if self._data_fin and stream is not None:
            self._finished(self._data_stream, stream, found)

    def _refuse_data(self, stream: int) -> None:
        if stream == 0 or stream > self._last_stream:
            raise SpdyBroken(f"data for stream {stream}, which was never opened")
        # One that is closed: the peer may not know it yet. The bytes are skipped.

    def _finished(self, identity: int, stream: _Stream, found: list[Event]) -> None:
        if not stream.received_all:
            stream.received_all = True
            found.append(Finished(identity))
            self._forget(identity, stream)

    def _control(self, kind: int, flags: int, payload: bytes, found: list[Event]) -> None:
        if kind == FrameType.SYN_STREAM:
            self._opened(flags, payload, found)
        elif kind in (FrameType.SYN_REPLY, FrameType.HEADERS):
            self._more_headers(flags, payload, found)
        elif kind == FrameType.RST_STREAM:
            identity = numbers(payload, 2)[0] & STREAM_MASK
            if self._streams.pop(identity, None) is not None:
                found.append(Reset(identity))
        elif kind == FrameType.SETTINGS:
            self._settings(payload, found)
        elif kind == FrameType.PING:
            (identity,) = numbers(payload, 1)
            if identity % 2:  # the client's own; an even one would answer one of ours
                self.outgoing += control(FrameType.PING, payload)
        elif kind == FrameType.GOAWAY:
            self._over = True
            found.append(GoneAway())
        elif kind == FrameType.WINDOW_UPDATE:
            self._window_update(payload, found)
        # Frames of other types are to be ignored (section 2.2.1).

    def _opened(self, flags: int, payload: bytes, found: list[Event]) -> None:
        if len(payload) < 10:
            raise SpdyBroken("SYN_STREAM is cut short")
        identity = struct.unpack_from("!I", payload)[0] & STREAM_MASK
        headers = self._headers_in.headers(payload[10:])  # unpacked even if refused: the context is shared
        if identity % 2 == 0 or identity <= self._last_stream:
            raise SpdyBroken(f"stream {identity} cannot be opened after {self._last_stream}")
        self._last_stream = identity
        if len(self._streams) >= MAX_STREAMS:
            self.outgoing += control(FrameType.RST_STREAM, struct.pack("!II", identity, ResetStatus.REFUSED_STREAM))
            return
        stream = self._streams[identity] = _Stream(self._initial_window)
        found.append(Opened(identity, headers))
        if flags & FIN:
            self._finished(identity, stream, found)

    def _more_headers(self, flags: int, payload: bytes, found: list[Event]) -> None:
        if len(payload) < 4:
            raise SpdyBroken("HEADERS is cut short")
        self._headers_in.headers(payload[4:])
        identity = struct.unpack_from("!I", payload)[0] & STREAM_MASK
        stream = self._streams.get(identity)
        if flags & FIN and stream is not None:
            self._finished(identity, stream, found)

    def _settings(self, payload: bytes, found: list[Event]) -> None:
        if len(payload) < 4 or len(payload) != 4 + 8 * struct.unpack_from("!I", payload)[0]:
            raise SpdyBroken("SETTINGS has the wrong size")
        for identity, value in struct.iter_unpack("!II", payload[4:]):
            if identity & 0xFFFFFF != INITIAL_WINDOW_SETTING:
                continue
            if value > MAX_WINDOW:
                raise SpdyBroken("SETTINGS: too large a window")
            self._counts = True
            for stream in self._streams.values():
                stream.may_send += value - self._initial_window
            self._initial_window = value
            found.append(Granted())

    def _window_update(self, payload: bytes, found: list[Event]) -> None:
        identity, delta = (number & STREAM_MASK for number in numbers(payload, 2))
        self._counts = True
        if identity == 0:
            self._may_send = min(self._may_send + delta, MAX_WINDOW)
        elif (stream := self._streams.get(identity)) is not None:
            stream.may_send = min(stream.may_send + delta, MAX_WINDOW)
        found.append(Granted())

    # --- out

    def reply(self, stream: int, headers: Mapping[str, str] | None = None) -> None:
        """Accept a stream that the peer opened."""
        if stream in self._streams:
            block = self._headers_out.block(headers or {})
            self.outgoing += control(FrameType.SYN_REPLY, struct.pack("!I", stream) + block)

    def sendable(self, stream: int) -> int:
        """How many bytes the peer takes on this stream now."""
        known = self._streams.get(stream)
        if known is None or known.sent_all or self._over:
            return 0
        return max(0, min(known.may_send, self._may_send)) if self._counts else UNLIMITED

    def alive(self, stream: int) -> bool:
        """Whether anything may still be sent on it."""
        known = self._streams.get(stream)
        return known is not None and not known.sent_all and not self._over

    def send(self, stream: int, payload: bytes, *, fin: bool = False) -> None:
        """At most `sendable` bytes; nothing happens on a stream that is gone."""
        known = self._streams.get(stream)
        if known is None or known.sent_all or self._over:
            return
        known.may_send -= len(payload)
        self._may_send -= len(payload)
        self.outgoing += data(stream, payload, fin=fin)
        if fin:
            known.sent_all = True
            self._forget(stream, known)

    def taken(self, stream: int, count: int) -> None:
        """So many received bytes have found their reader: grant the peer as many again."""
        for identity in (0, stream):
            if not self._over and (identity == 0 or self._still_receives(identity)):
                self.outgoing += control(FrameType.WINDOW_UPDATE, struct.pack("!II", identity, count))

    def reset(self, stream: int, status: ResetStatus = ResetStatus.CANCEL) -> None:
        if self._streams.pop(stream, None) is not None and not self._over:
            self.outgoing += control(FrameType.RST_STREAM, struct.pack("!II", stream, status))

    def go_away(self) -> None:
        if not self._over:
            self._end(GoAwayStatus.OK)

    def _end(self, status: GoAwayStatus) -> None:
        self._over = True
        self.outgoing += control(FrameType.GOAWAY, struct.pack("!II", self._last_stream, status))

    def _still_receives(self, stream: int) -> bool:
        known = self._streams.get(stream)
        return known is not None and not known.received_all

    def _forget(self, identity: int, stream: _Stream) -> None:
        if stream.received_all and stream.sent_all:
            self._streams.pop(identity, None)
