"""An etcd server for the tests: PATH's, else Debian's package unpacked into the folder of parts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def parts_folder() -> Path:
    configured = os.environ.get("ROPEWALK_PARTS")
    return Path(configured) if configured else Path.home() / ".cache" / "ropewalk" / "parts"


def etcd_program() -> str:
    """Raises CalledProcessError where neither PATH nor the package archive has it: the suite fails, not skips."""
    if found := shutil.which("etcd"):
        return found
    folder = parts_folder() / "etcd-server"
    program = folder / "usr" / "bin" / "etcd"
    if not program.exists():
        fresh = folder.with_name(f"etcd-server.{os.getpid()}")
        fresh.mkdir(parents=True)
        try:
            subprocess.run(["apt-get", "download", "etcd-server"], cwd=fresh, check=True, capture_output=True)
            package = next(fresh.glob("etcd-server_*.deb"))
            subprocess.run(["dpkg", "-x", package.name, "."], cwd=fresh, check=True, capture_output=True)
            package.unlink()
            if not program.exists():
                fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return str(program)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class EtcdServer:
    """One member on loopback. `stop` and `start` keep its data and its port."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        client, peer = _free_port(), _free_port()
        self.address = f"127.0.0.1:{client}"
        self._peer = f"http://127.0.0.1:{peer}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        url = f"http://{self.address}"
        with (self._folder / "etcd.log").open("ab") as output:
            self._process = subprocess.Popen(
                [
                    "setpriv",  # of util-linux: it dies with the tests, however they end
                    "--pdeathsig=KILL",
                    self._program,
                    f"--data-dir={self._folder / 'data'}",
                    f"--listen-client-urls={url}",
                    f"--advertise-client-urls={url}",
                    f"--listen-peer-urls={self._peer}",
                    f"--initial-advertise-peer-urls={self._peer}",
                    f"--initial-cluster=default={self._peer}",
                    "--heartbeat-interval=10",
                    "--election-timeout=100",
                    "--max-request-bytes=2097152",
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def etcd_server(folder: Path) -> Iterator[EtcdServer]:
    server = EtcdServer(etcd_program(), folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
