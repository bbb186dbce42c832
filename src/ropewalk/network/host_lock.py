"""One host agent a host: an abstract Unix socket that only one process can hold.

It belongs to the host's network namespace, which is what must not have two masters; it leaves no file, and goes the
moment its holder dies.
"""

from __future__ import annotations

import contextlib
import socket
import struct

from ropewalk.base.errors import Fault


class HostLock:
    __slots__ = ("_address", "_socket")

    def __init__(self, prefix: str) -> None:
        self._address = f"\0ropewalk-host-agent-{prefix}"
        self._socket: socket.socket | None = None

    def acquire(self) -> None:
        """Raises Fault `HostAgentRunning`, which names the holder's process."""
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            opened.bind(self._address)
        except OSError as error:
            opened.close()
            raise Fault(
                "HostAgentRunning",
                f"Process {self.holder() or '(unknown)'} already runs this host's network: use that installation, "
                "or stop it first.",
            ) from error
        opened.listen(1)
        self._socket = opened

    def release(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def holder(self) -> int | None:
        """The process that holds it, if any does."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(1.0)
            asking.connect(self._address)
            credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            pid: int = struct.unpack("3i", credentials)[0]
            return pid
        return None
