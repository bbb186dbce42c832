"""Who is at the other end of a transport: address, Unix user, verified certificate."""

from __future__ import annotations

import asyncio
import socket
import struct

from ropewalk.base.http.messages import Peer

_CREDENTIALS = struct.Struct("3i")
"""pid, uid, gid: Linux's `struct ucred`."""


def peer_of(transport: asyncio.Transport, listener: str) -> Peer:
    certificate = None
    tls = transport.get_extra_info("ssl_object")
    if tls is not None:
        certificate = tls.getpeercert(binary_form=True)
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family == socket.AF_UNIX:
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return Peer("", 0, listener, certificate, _CREDENTIALS.unpack(credentials)[1])
    name = transport.get_extra_info("peername") or ("", 0)
    return Peer(name[0], name[1], listener, certificate)
