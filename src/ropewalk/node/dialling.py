"""A request that is upgraded, as the client sends it: aiohttp speaks no upgrade but WebSocket's.

Small and strict: the answer comes from our own server (`base/http`); a head of more than 64 KiB is no answer.
"""

from __future__ import annotations

import asyncio

READ_BYTES = 64 * 1024


async def upgraded(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str, protocol: str = "ropewalk-stream"
) -> tuple[int, bytes]:
    """Ask for the upgrade; status and, where it is not 101, the answer's body as far as it came at once. Raises
    `ValueError` for what is no HTTP, `EOFError` where the connection ends, `OSError`.
    """
    writer.write(
        f"POST {target} HTTP/1.1\r\nhost: agents\r\nconnection: Upgrade\r\nupgrade: {protocol}\r\n"
        "content-length: 0\r\n\r\n".encode("latin-1")
    )
    await writer.drain()
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as endless:
        raise ValueError("an endless answer") from endless
    version, _, rest = head.partition(b" ")
    code = rest[:3]
    if not version.startswith(b"HTTP/1.") or not code.isdigit():
        raise ValueError("the answer is not HTTP")
    status = int(code)
    return status, b"" if status == 101 else await reader.read(1024)


class SocketDuplex:
    """A `Duplex` over asyncio's streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        return await self._reader.read(READ_BYTES)

    async def write(self, data: bytes) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError("the peer is gone")
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        self._writer.close()
