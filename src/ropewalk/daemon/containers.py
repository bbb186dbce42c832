"""Everything containers need on one machine, put together: parts, registry, containerd, images, and the runtime on top.

`start` is idempotent: what runs is adopted, what is built is kept. `stop` ends every container of this installation
first, and leaves no process, mount, namespace or cgroup behind. The composition only; each piece explains itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.log import logger
from ropewalk.base.settings import Settings
from ropewalk.daemon.containerd import Containerd, Layout, Mirror
from ropewalk.daemon.images import PAUSE_IMAGE, ImageBuilder
from ropewalk.daemon.parts import Parts, Progress, default_folder, no_progress
from ropewalk.daemon.registry import LocalRegistry
from ropewalk.model.host import Attached, Attachment, HostNetwork
from ropewalk.model.ids import InterfaceId, VpcId
from ropewalk.node.cri.runtime import CriRuntime, Places
from ropewalk.node.runtime import RuntimeFailure

log = logger(__name__)

NEEDED = ("containerd", "containerd-shim-runc-v2", "ctr", "runc", "docker-registry", "catatonit", "busybox")
_PUBLIC_REGISTRY = ("registry-1.docker.io", 443)


class MirrorMode(Enum):
    """Whether the local registry stands in for all others."""

    AUTO = "auto"
    """Where the public registry cannot be reached."""
    ALWAYS = "always"
    NEVER = "never"


def public_registry_answers(timeout: float = 2.0) -> bool:
    """Whether Docker Hub can be dialled from here. Blocking; the only thing here that leaves the machine."""
    try:
        socket.create_connection(_PUBLIC_REGISTRY, timeout).close()
    except OSError:
        return False
    return True


class NoNetwork:
    """Stands for the host's network when only ends are left to happen: the host agent drops interfaces itself."""

    async def attach(self, attachment: Attachment) -> Attached:
        raise OSError(f"this machine is going down: {attachment.interface} is not attached")

    async def detach(self, interface: InterfaceId) -> None:
        return

    async def listen(self, vpc: VpcId, address: str, port: int) -> socket.socket:
        raise OSError("this machine is going down")

    async def vpcs(self) -> tuple[VpcId, ...]:
        return ()


def places(settings: Settings, parts: Parts) -> Places:
    """Where the runtime of this installation keeps its things. Cheap; the parts must be here."""
    layout = layout_of(settings)
    return Places(
        socket=layout.socket,
        cni_socket=layout.cni_socket,
        state=layout.agent_state,
        init=Path(parts.command("catatonit").path),
        cgroup=f"/ropewalk/{hashlib.sha256(str(settings.home).encode()).hexdigest()[:8]}",
    )


def layout_of(settings: Settings) -> Layout:
    return Layout(settings.home / "containerd", settings.run / "containerd")


class ContainerHost:
    """One installation's containerd with what it needs."""

    def __init__(self, settings: Settings, clock: Clock, entropy: Entropy, progress: Progress = no_progress) -> None:
        """Blocking where parts must be fetched: seconds, once."""
        folder = default_folder(settings)
        self._clock = clock
        self._entropy = entropy
        self.parts = Parts(folder, progress=progress)
        commands = self.parts.provide(NEEDED)
        self.images = ImageBuilder(folder / "images", self.parts, progress)
        self.registry = LocalRegistry(
            commands["docker-registry"], settings.home / "registry", settings.run, settings.logs, clock
        )
        self.containerd = Containerd(layout_of(settings), commands, settings.run, settings.logs, clock)
        self.places = places(settings, self.parts)

    async def start(self, mode: MirrorMode, reachable: Callable[[], bool] = public_registry_answers) -> Mirror:
        """Returns which mirror is in force."""
        everything = mode is MirrorMode.ALWAYS or (mode is MirrorMode.AUTO and not await asyncio.to_thread(reachable))
        await self.registry.start()
        mirror = Mirror(self.registry.address, everything)
        if everything:
            await asyncio.to_thread(self.images.push, self.registry.client())
        archive = await asyncio.to_thread(self.images.archive, "pause")
        await self.containerd.start(mirror)
        await self.containerd.import_image(archive, PAUSE_IMAGE)
        return mirror

    def runtime(self, network: HostNetwork) -> CriRuntime:
        return CriRuntime(self.places, network, self._clock, self._entropy)

    async def stop(self) -> None:
        """End every container, then containerd and the registry."""
        if self.containerd.process.record() is not None:
            await self._end_containers()
        await self.containerd.stop()
        await self.registry.stop()
        await asyncio.to_thread(self.containerd.unmount)

    async def _end_containers(self) -> None:
        runtime = self.runtime(NoNetwork())
        try:
            sandboxes = await runtime.sandboxes()
            ended = await asyncio.gather(
                *(runtime.remove_sandbox(sandbox.id) for sandbox in sandboxes), return_exceptions=True
            )
            for sandbox, outcome in zip(sandboxes, ended, strict=True):
                if isinstance(outcome, BaseException):
                    log.warning("a sandbox could not be removed", sandbox=sandbox.id, error=outcome)
            for name in runtime.cgroups.names():
                runtime.cgroups.remove(name)
            runtime.cgroups.remove_parent()
        except RuntimeFailure as failure:
            log.warning("containers could not be ended", failure=failure)
        finally:
            await runtime.close()
