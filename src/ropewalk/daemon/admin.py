"""The administrator's door: what the `ropewalk` command asks of a running control plane, over the agents' Unix socket.

Not an AWS API and not reachable over TCP: the socket's permissions are its authentication. The client half is plain
`http.client`, so that a command starts quickly.
"""

from __future__ import annotations

import http.client
import socket
from pathlib import Path
from typing import Any

import orjson

from ropewalk.base.errors import Fault, Retryable

STATUS = "/admin/v1/status"
DRAIN = "/admin/v1/drain"
"""Stop every task with a reason; answers how many are still on their way."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(socket_path: Path, method: str, path: str, timeout: float = 5.0) -> dict[str, Any]:
    """One question, one JSON answer (`Any`: each path has its own shape, read by its one caller).

    Raises `Retryable` while nobody answers, `Fault` where the answer is a refusal.
    """
    connection = _UnixConnection(socket_path, timeout)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read()
    except PermissionError:
        raise Fault("NotPermitted", f"{socket_path} is another user's. Try: sudo ropewalk …") from None
    except OSError as problem:
        raise Retryable(f"the control plane does not answer on {socket_path}: {problem}", after=0.02) from None
    finally:
        connection.close()
    if response.status != 200:
        raise Fault("AdminRefused", f"{path} answered {response.status}: {body[:200].decode(errors='replace')}")
    answer: dict[str, Any] = orjson.loads(body)
    return answer
