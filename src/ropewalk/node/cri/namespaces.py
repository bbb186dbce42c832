"""Work done inside a sandbox's network namespace: what is opened there stays there, whoever uses it afterwards."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import threading
from collections.abc import Callable
from typing import TypeVar

_CLONE_NEWNET = 0x40000000

T = TypeVar("T")


def inside(namespace: str, work: Callable[[], T]) -> T:
    """Run `work` in the network namespace at this path, in a thread that ends with the call. Raises what it raises,
    and OSError where the namespace cannot be entered.
    """
    found: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
            finally:
                os.close(descriptor)
            found.append(work())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="inside-namespace")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return found[0]


async def dial(namespace: str, host: str, port: int) -> socket.socket:
    """A TCP connection made inside the namespace ("": the machine's own). Raises OSError."""
    loop = asyncio.get_running_loop()
    family, kind, protocol, _, target = (await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0]

    def opened() -> socket.socket:
        return socket.socket(family, kind, protocol)

    sock = await asyncio.to_thread(inside, namespace, opened) if namespace else opened()
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, target)
    except BaseException:
        sock.close()
        raise
    return sock
