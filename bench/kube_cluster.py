"""A standalone cluster in a scratch home, and what its process costs; everything on 127.0.0.1, nothing left behind."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

NAME = "bench"
BIN = Path(sys.executable).parent
_PATIENCE = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def memory_mb(pid: int, kind: str) -> float:
    """`kind`: Pss (its share of what it shares) or Rss."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_seconds(pid: int) -> float:
    """Processor time of all its threads, to the nanosecond."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


class Cluster:
    """`with Cluster() as cluster`: a home; `start` starts the cluster in it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="rw-bench-", ignore_cleanup_errors=True)
        self.home = Path(self._folder.name)
        self.port = free_port()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    @property
    def folder(self) -> Path:
        return self.home / "kube" / NAME

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "ROPEWALK_HOME": str(self.home),
            "HOME": str(self.home),
            "KUBECONFIG": str(self.folder / "kubeconfig"),
        }

    @property
    def command(self) -> list[str]:
        return [
            *(str(BIN / "ropewalk"), "kube", "--standalone", "--detach", "--output", "json"),
            *("--name", NAME, "--port", str(self.port)),
        ]

    @property
    def pid(self) -> int:
        return int(json.loads((self.folder / "run" / "kube.pid").read_bytes())["pid"])

    def start(self) -> None:
        subprocess.run(self.command, env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def ropewalk(self, *arguments: str) -> None:
        subprocess.run(
            [str(BIN / "ropewalk"), *arguments], env=self.environment, check=False, capture_output=True
        )  # fmt: skip

    def stop(self) -> None:
        self.ropewalk("kube", "down", NAME)

    def cpu(self) -> float:
        return cpu_seconds(self.pid)

    def tls(self) -> ssl.SSLContext:
        """As the cluster's admin."""
        return admin_tls(self.folder / "pki")


def admin_tls(pki: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    return context


class Connection:
    """One kept connection, without a client library's own costs; `Any`: JSON documents."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        plain = socket.create_connection(("127.0.0.1", port), _PATIENCE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = context.wrap_socket(plain, server_hostname="127.0.0.1")

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, method: str, path: str, body: bytes = b"", media_type: str = "application/json") -> tuple[int, bytes]:
        self._socket.sendall(request(method, path, body, media_type))
        return self._answer()

    def document(self, method: str, path: str, body: bytes = b"", media_type: str = "application/json") -> Any:
        status, answer = self.ask(method, path, body, media_type)
        if status >= 300:
            raise SystemExit(f"{method} {path}: {status} {answer.decode(errors='replace')[:500]}")
        return json.loads(answer)

    def _answer(self) -> tuple[int, bytes]:
        data = bytearray()
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._read()
        head = bytes(data[:end]).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        while len(data) < end + 4 + length:
            data += self._read()
        return int(head[9:12]), bytes(data[end + 4 :])

    def _read(self) -> bytes:
        data = self._socket.recv(1 << 20)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data


def request(method: str, path: str, body: bytes = b"", media_type: str = "application/json") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\nUser-Agent: bench\r\n"
    if body:
        head += f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def eventually(done: Any, what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {_PATIENCE:.0f} s: {what}")
        time.sleep(0.02)
