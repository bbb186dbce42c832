"""A containerd and a registry for one test: private folders and ports, nothing left behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ropewalk.base.clock import SystemClock
from ropewalk.base.entropy import SystemEntropy
from ropewalk.daemon.containerd import Containerd, Layout, Mirror
from ropewalk.daemon.containers import NoNetwork, end_containers
from ropewalk.daemon.images import PAUSE_IMAGE, ImageBuilder
from ropewalk.daemon.parts import Parts
from ropewalk.daemon.registry import LocalRegistry
from ropewalk.model.host import Attached, Attachment
from ropewalk.model.ids import InterfaceId
from ropewalk.node.cri.runtime import CriRuntime, Places
from support.etcd import parts_folder


class RecordingNetwork(NoNetwork):
    """Attaches nothing, and remembers what was asked."""

    def __init__(self) -> None:
        self.attached: list[Attachment] = []
        self.detached: list[str] = []

    async def attach(self, attachment: Attachment) -> Attached:
        self.attached.append(attachment)
        return Attached(attachment.interface, ("10.9.8.7",), "10.9.8.1", "02:00:00:00:00:07")

    async def detach(self, interface: InterfaceId) -> None:
        self.detached.append(interface)


@dataclass
class Machine:
    home: Path
    containerd: Containerd
    registry: LocalRegistry
    places: Places
    mirror: Mirror
    network: RecordingNetwork = field(default_factory=RecordingNetwork)

    def runtime(self) -> CriRuntime:
        return CriRuntime(self.places, self.network, SystemClock(), SystemEntropy())

    def cgroup(self, controller: str, path: str) -> Path:
        return Path("/sys/fs/cgroup") / controller / self.places.cgroup.lstrip("/") / path


@asynccontextmanager
async def machine() -> AsyncIterator[Machine]:
    """Running, with nginx and busybox in its registry and every other registry mirrored by it."""
    home = Path(tempfile.mkdtemp(prefix="rw-"))
    clock, entropy = SystemClock(), SystemEntropy()
    parts = Parts(parts_folder())
    commands = await asyncio.to_thread(parts.provide)
    images = ImageBuilder(parts_folder() / "images", parts)
    layout = Layout(home / "containerd", home / "run" / "containerd")
    registry = LocalRegistry(commands["docker-registry"], home / "registry", home / "run", home / "logs", clock)
    containerd = Containerd(layout, commands, home / "run", home / "logs", clock)
    places = Places(
        layout.socket,
        layout.cni_calls,
        layout.agent_state,
        Path(commands["catatonit"].path),
        f"/ropewalk-{home.name}",
    )
    try:
        await registry.start()
        await asyncio.to_thread(images.push, registry.client())
        mirror = Mirror(registry.address, everything=True)
        await containerd.start(mirror)
        await containerd.import_image(images.archive("pause"), PAUSE_IMAGE)
        yield Machine(home, containerd, registry, places, mirror)
    finally:
        await end_containers(places, clock, entropy)
        await containerd.stop()
        await registry.stop()
        shutil.rmtree(home, ignore_errors=True)


async def until(check: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for a state of the outside world. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not check():
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process lives (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def processes_under(home: Path) -> list[int]:
    """Living processes whose command line names the folder."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid() and alive(int(entry)):
            try:
                if str(home).encode() in Path(f"/proc/{entry}/cmdline").read_bytes():
                    found.append(int(entry))
            except OSError:
                continue
    return found
