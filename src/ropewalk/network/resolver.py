"""The VPC's resolver: answers the VPC's own names, forwards others where an upstream is configured, or refuses at once.

It never asks the machine's resolver by itself. Its sockets lie in the router's namespace and are given to it; upstream
queries leave from this process's own. All is bounded: questions in flight, connections, cached answers and their age.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import cast

from dnslib import PTR, QTYPE, RCODE, RR, A, DNSError, DNSHeader, DNSRecord

from ropewalk.base.clock import Clock

TTL = 60
"""Seconds; EC2's private names carry the same."""
_MAX_CACHE = 2000
_MAX_CACHE_TTL = 300
_MAX_IN_FLIGHT = 200
_MAX_STREAMS = 100
_UPSTREAM_TIMEOUT = 3.0
_STREAM_IDLE = 10.0
_MAX_UDP = 512
_REVERSE = ".in-addr.arpa"


@dataclass(frozen=True, slots=True)
class Zone:
    """What one VPC's resolver knows by itself."""

    region: str
    cidrs: Callable[[], Sequence[str]]
    names: Callable[[], Mapping[str, tuple[str, ...]]]
    """Lower-case names without a last dot, to their addresses."""

    def answer(self, name: str, kind: int) -> list[RR] | None:
        """Records of `name`, [] where the name exists but not so, None where it is not ours.

        Raises KeyError where it is ours and does not exist.
        """
        known = self.names()
        if name in known:
            if kind not in (QTYPE.A, QTYPE.ANY):
                return []
            return [RR(name, QTYPE.A, ttl=TTL, rdata=A(address)) for address in known[name]]
        if name.endswith(_REVERSE):
            return self._reverse(name, kind, known)
        if self._ours(name):
            raise KeyError(name)
        return None

    def _ours(self, name: str) -> bool:
        internal = "ec2.internal" if self.region == "us-east-1" else f"{self.region}.compute.internal"
        return name == internal or name.endswith(f".{internal}")

    def _reverse(self, name: str, kind: int, known: Mapping[str, tuple[str, ...]]) -> list[RR] | None:
        labels = name.removesuffix(_REVERSE).split(".")
        try:
            address = IPv4Address(".".join(reversed(labels)))
        except ValueError:
            return None
        if not any(address in IPv4Network(cidr) for cidr in self.cidrs()):
            return None
        found = [owner for owner, addresses in known.items() if str(address) in addresses]
        if not found:
            raise KeyError(name)
        if kind not in (QTYPE.PTR, QTYPE.ANY):
            return []
        return [RR(name, QTYPE.PTR, ttl=TTL, rdata=PTR(owner)) for owner in sorted(found)]


class Forwarder:
    """Asks configured name servers, in order, and remembers answers. Shared by all routers of a host."""

    def __init__(self, upstream: Sequence[tuple[str, int]], clock: Clock) -> None:
        self._upstream = tuple(upstream)
        self._clock = clock
        self._cache: OrderedDict[tuple[str, int], tuple[float, bytes]] = OrderedDict()
        self._in_flight = 0

    async def ask(self, query: DNSRecord, *, stream: bool) -> bytes | None:
        """An answer in wire form, under the query's id; None where nobody could be asked or nobody answered."""
        key = (str(query.q.qname).lower(), int(query.q.qtype))
        if (kept := self._cached(key)) is not None:
            return _under(kept, query)
        if not self._upstream or self._in_flight >= _MAX_IN_FLIGHT:
            return None
        self._in_flight += 1
        try:
            for address, port in self._upstream:
                with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                    async with asyncio.timeout(_UPSTREAM_TIMEOUT):
                        answer = await self._exchange(address, port, bytes(query.pack()), stream)
                    self._keep(key, answer)
                    return answer
        finally:
            self._in_flight -= 1
        return None

    async def _exchange(self, address: str, port: int, query: bytes, stream: bool) -> bytes:
        return await (_ask_stream if stream else _ask_datagram)(address, port, query)

    def _cached(self, key: tuple[str, int]) -> bytes | None:
        kept = self._cache.get(key)
        if kept is None:
            return None
        if kept[0] <= self._clock.monotonic():
            del self._cache[key]
            return None
        self._cache.move_to_end(key)
        return kept[1]

    def _keep(self, key: tuple[str, int], answer: bytes) -> None:
        try:
            parsed = DNSRecord.parse(answer)
        except DNSError:
            return
        if parsed.header.rcode != RCODE.NOERROR or parsed.header.tc or not parsed.rr:
            return
        age = min(_MAX_CACHE_TTL, *(int(record.ttl) for record in parsed.rr))
        if age > 0:
            self._cache[key] = (self._clock.monotonic() + age, answer)
        while len(self._cache) > _MAX_CACHE:
            self._cache.popitem(last=False)


def _under(answer: bytes, query: DNSRecord) -> bytes:
    """A remembered answer with this query's id and its spelling of the name, which careful askers compare."""
    asked = bytes(DNSRecord(DNSHeader(id=query.header.id), q=query.q).pack())
    return asked[:2] + answer[2:12] + asked[12:] + answer[len(asked) :]


async def _ask_datagram(address: str, port: int, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:
        asking.setblocking(False)
        asking.connect((address, port))
        await loop.sock_sendall(asking, query)
        while True:
            answer = await loop.sock_recv(asking, 65535)
            if answer[:2] == query[:2]:
                return answer


async def _ask_stream(address: str, port: int, query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(struct.pack("!H", len(query)) + query)
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        return await reader.readexactly(length)
    finally:
        writer.close()


class Resolver:
    """Serves one router. `serve` takes bound sockets, one of each kind an address."""

    def __init__(self, zone: Zone, forwarder: Forwarder, addresses: Sequence[str]) -> None:
        self.addresses = tuple(addresses)
        self._zone = zone
        self._forwarder = forwarder
        self._transports: list[asyncio.DatagramTransport] = []
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._streams: set[asyncio.StreamWriter] = set()

    async def serve(self, datagrams: Sequence[socket.socket], streams: Sequence[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        for bound in datagrams:
            transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self._accept), sock=bound)
            self._transports.append(transport)
        for listening in streams:
            self._servers.append(await asyncio.start_server(self._converse, sock=listening))

    async def close(self) -> None:
        for transport in self._transports:
            transport.close()
        for server in self._servers:
            server.close()
        for writer in list(self._streams):
            writer.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def answer(self, wire: bytes, *, stream: bool = False) -> bytes | None:
        """The answer to one query in wire form; None for what is no query at all (it is dropped)."""
        try:
            query = DNSRecord.parse(wire)
        except (DNSError, ValueError, IndexError, struct.error):
            return None
        if query.header.qr or len(query.questions) != 1:
            return None
        if query.header.opcode != 0:
            return bytes(_reply(query, RCODE.NOTIMP).pack())
        name, kind = str(query.q.qname).rstrip(".").lower(), int(query.q.qtype)
        try:
            records = self._zone.answer(name, kind)
        except KeyError:
            return bytes(_reply(query, RCODE.NXDOMAIN, authoritative=True).pack())
        if records is not None:
            reply = _reply(query, RCODE.NOERROR, authoritative=True)
            reply.add_answer(*records)
            return _fitting(reply, stream)
        forwarded = await self._forwarder.ask(query, stream=stream)
        if forwarded is None:
            return bytes(_reply(query, RCODE.SERVFAIL).pack())
        return forwarded

    def _accept(self, wire: bytes, sender: tuple[str, int], transport: asyncio.DatagramTransport) -> None:
        if len(self._tasks) >= _MAX_IN_FLIGHT:
            return  # the asker asks again; a queue would only answer those who no longer wait
        task = asyncio.get_running_loop().create_task(self._answer_datagram(wire, sender, transport))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer_datagram(
        self, wire: bytes, sender: tuple[str, int], transport: asyncio.DatagramTransport
    ) -> None:
        answer = await self.answer(wire)
        if answer is not None and not transport.is_closing():
            transport.sendto(answer, sender)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._streams) >= _MAX_STREAMS:
            writer.close()
            return
        self._streams.add(writer)
        try:
            while True:
                async with asyncio.timeout(_STREAM_IDLE):
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    wire = await reader.readexactly(length)
                answer = await self.answer(wire, stream=True)
                if answer is None:
                    return
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return
        finally:
            self._streams.discard(writer)
            writer.close()


def _reply(query: DNSRecord, code: int, *, authoritative: bool = False) -> DNSRecord:
    header = DNSHeader(id=query.header.id, qr=1, aa=int(authoritative), ra=1, rd=query.header.rd, rcode=code)
    return DNSRecord(header, q=query.q)


def _fitting(reply: DNSRecord, stream: bool) -> bytes:
    wire = bytes(reply.pack())
    if stream or len(wire) <= _MAX_UDP:
        return wire
    short = DNSRecord(reply.header, q=reply.q)
    short.header.set_tc(1)
    return bytes(short.pack())


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, accept: Callable[[bytes, tuple[str, int], asyncio.DatagramTransport], None]) -> None:
        self._accept = accept
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # uvloop's has no base in common with asyncio's

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None:
            self._accept(data, addr, self._transport)

    def error_received(self, exc: Exception) -> None:
        """An asker that is gone (ICMP unreachable): nothing to do."""
