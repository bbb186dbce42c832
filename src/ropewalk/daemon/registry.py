"""The image registry of this installation: the distribution's docker-registry on a loopback port, with its own storage.

It runs in a session of its own and is adopted by pid and start time, as containerd is: our death does not end it. The
port is chosen once, kept beside the storage, and stays the same over restarts unless somebody else has taken it.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from ropewalk.base.clock import Clock
from ropewalk.base.errors import Fault
from ropewalk.daemon import ports
from ropewalk.daemon.oci import RegistryClient
from ropewalk.daemon.parts import Command
from ropewalk.daemon.processes import DetachedProcess, ProcessRecord

_POLL = 0.02


def configuration(storage: Path, port: int) -> str:
    """docker-registry's configuration file."""
    return f"""version: 0.1
log:
  level: error
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: {storage}
  delete:
    enabled: true
http:
  addr: 127.0.0.1:{port}
"""


class LocalRegistry:
    """One registry: `folder` holds its storage and configuration, `run` its pid file, `logs` its log."""

    def __init__(
        self, command: Command, folder: Path, run: Path, logs: Path, clock: Clock, name: str = "registry"
    ) -> None:
        self._command = command
        self._folder = folder
        self._clock = clock
        self.process = DetachedProcess(name, run, logs)

    @property
    def port(self) -> int:
        """0 before the first start."""
        with contextlib.suppress(OSError, ValueError):
            return int((self._folder / "port").read_text())
        return 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def client(self) -> RegistryClient:
        return RegistryClient(self.address)

    async def start(self, deadline: float = 15.0) -> None:
        """Start it, or adopt the one that runs; returns once it answers."""
        self.launch()
        client = self.client()
        until = self._clock.monotonic() + deadline
        while not await asyncio.to_thread(client.answers):
            if self.process.record() is None or self._clock.monotonic() > until:
                raise Fault("RegistryFailed", f"the registry did not start:\n{self.process.tail(5)}")
            await self._clock.sleep(_POLL)

    def launch(self) -> ProcessRecord:
        """Start it, or answer the one that runs."""
        if (running := self.process.record()) is not None:
            return running
        self._folder.mkdir(parents=True, exist_ok=True)
        port = self.port
        if not port or not ports.is_free(port):
            port = ports.any_free()
            (self._folder / "port").write_text(str(port))
        file = self._folder / "config.yml"
        file.write_text(configuration(self._folder / "storage", port))
        return self.process.start([*self._command.argv, "serve", str(file)], self._command.merged())

    async def stop(self) -> None:
        await asyncio.to_thread(self.process.stop)
