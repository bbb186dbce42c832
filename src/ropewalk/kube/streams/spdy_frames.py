"""SPDY/3.1 frames and header blocks as bytes. Pure; `spdy.py` gives them their meaning.

https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from enum import IntEnum

VERSION = 3
HEAD_BYTES = 8
MAX_CONTROL = 64 * 1024
"""Payload of a control frame, and of a header block once unpacked. Clients' headers have some hundred bytes."""
MAX_HEADERS = 100
FIN = 0x01
CONTROL = 0x80000000
STREAM_MASK = 0x7FFFFFFF
_U32 = struct.Struct("!I")


class FrameType(IntEnum):
    SYN_STREAM = 1
    SYN_REPLY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    HEADERS = 8
    WINDOW_UPDATE = 9


class ResetStatus(IntEnum):
    PROTOCOL_ERROR = 1
    INVALID_STREAM = 2
    REFUSED_STREAM = 3
    CANCEL = 5
    INTERNAL_ERROR = 6
    FLOW_CONTROL_ERROR = 7
    STREAM_ALREADY_CLOSED = 9


class GoAwayStatus(IntEnum):
    OK = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2


INITIAL_WINDOW_SETTING = 7


class SpdyBroken(Exception):
    """The peer does not speak SPDY/3.1, or not within our bounds: the session is over."""


# The dictionary that both ends give their compressor before the first block (section 2.6.10.1): names with their
# lengths, then text.
_NAMES = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow"
    " authorization cache-control connection content-base content-encoding content-language content-length"
    " content-location content-md5 content-range content-type date etag expect expires from host if-match"
    " if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma"
    " proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade"
    " user-agent vary via warning www-authenticate method get status"
)
_PAIRS = ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin")
_TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(_U32.pack(len(n)) + n.encode() for n in (*_NAMES.split(), *_PAIRS)) + _TEXT.encode()
DICTIONARY_ID = 0xE3C6A7C2
"""Its Adler-32, which zlib sends along."""


class HeaderWriter:
    """Header blocks out: one compression context a direction, for the whole connection."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(zdict=DICTIONARY)

    def block(self, headers: Mapping[str, str]) -> bytes:
        plain = [_U32.pack(len(headers))]
        for name, value in headers.items():
            for text in (name.lower().encode("latin-1"), value.encode("latin-1")):
                plain += (_U32.pack(len(text)), text)
        return self._compressor.compress(b"".join(plain)) + self._compressor.flush(zlib.Z_SYNC_FLUSH)


class HeaderReader:
    """Header blocks in. Raises `SpdyBroken`."""

    def __init__(self) -> None:
        self._decompressor = zlib.decompressobj(zdict=DICTIONARY)

    def headers(self, block: bytes) -> dict[str, str]:
        """Names in lower case; several values of one name are joined by a comma."""
        try:
            plain = self._decompressor.decompress(block, MAX_CONTROL)
        except zlib.error as broken:
            raise SpdyBroken(f"a header block cannot be unpacked: {broken}") from broken
        if self._decompressor.unconsumed_tail:
            raise SpdyBroken("a header block is too large")
        fields = _Fields(plain)
        count = fields.number()
        if count > MAX_HEADERS:
            raise SpdyBroken(f"{count} headers are too many")
        found: dict[str, str] = {}
        for _ in range(count):
            name, value = fields.text().lower(), fields.text().replace("\0", ",")
            found[name] = f"{found[name]},{value}" if name in found else value
        return found


class _Fields:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self) -> int:
        if len(self._data) - self._at < 4:
            raise SpdyBroken("a header block is cut short")
        (value,) = _U32.unpack_from(self._data, self._at)
        self._at += 4
        return int(value)

    def text(self) -> str:
        length = self.number()
        if len(self._data) - self._at < length:
            raise SpdyBroken("a header block is cut short")
        self._at += length
        return self._data[self._at - length : self._at].decode("latin-1")


def control(kind: FrameType, payload: bytes, flags: int = 0) -> bytes:
    return struct.pack("!II", CONTROL | VERSION << 16 | kind, flags << 24 | len(payload)) + payload


def data(stream: int, payload: bytes, *, fin: bool = False) -> bytes:
    return struct.pack("!II", stream, (FIN << 24 if fin else 0) | len(payload)) + payload


def numbers(payload: bytes, count: int) -> tuple[int, ...]:
    """The big-endian 32-bit numbers that a frame of fixed size consists of."""
    if len(payload) != 4 * count:
        raise SpdyBroken("a control frame has the wrong size")
    return struct.unpack(f"!{count}I", payload)
