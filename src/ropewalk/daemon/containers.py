"""The end of an installation's containers: what `down` does between our own processes' end and containerd's.

Everything is found by its labels in containerd, so it works whoever made it and whether or not an agent ever ran here.
"""

from __future__ import annotations

import asyncio
import socket

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.log import logger
from ropewalk.model.host import Attached, Attachment
from ropewalk.model.ids import InterfaceId, VpcId
from ropewalk.node.cri.runtime import CriRuntime, Places
from ropewalk.node.runtime import RuntimeFailure

log = logger(__name__)


class NoNetwork:
    """Stands for the host's network when only ends are left to happen: the host agent takes interfaces down itself."""

    async def attach(self, attachment: Attachment) -> Attached:
        raise OSError(f"no network is served here, so {attachment.interface} cannot be attached")

    async def detach(self, interface: InterfaceId) -> None:
        return

    async def listen(self, vpc: VpcId, address: str, port: int) -> socket.socket:
        raise OSError(f"no network is served here, so nothing can listen in {vpc}")

    async def vpcs(self) -> tuple[VpcId, ...]:
        return ()


async def end_containers(places: Places, clock: Clock, entropy: Entropy) -> list[str]:
    """Kill and remove every sandbox and container, and their cgroups; returns what could not be removed, and why.

    containerd must run; the machine agent must not (it would see its containers vanish).
    """
    runtime = CriRuntime(places, NoNetwork(), clock, entropy)
    left: list[str] = []
    try:
        sandboxes = await runtime.sandboxes()
        removals = (runtime.remove_sandbox(sandbox.id) for sandbox in sandboxes)
        for sandbox, outcome in zip(sandboxes, await asyncio.gather(*removals, return_exceptions=True), strict=True):
            if isinstance(outcome, RuntimeFailure | OSError):
                left.append(f"sandbox {sandbox.id} of {sandbox.name}: {outcome}")
            elif isinstance(outcome, BaseException):
                raise outcome
        left += [f"cgroup {name}" for name in runtime.cgroups.names() if not runtime.cgroups.remove(name)]
        runtime.cgroups.remove_parent()
    except RuntimeFailure as failure:
        left.append(f"containerd: {failure}")
    finally:
        await runtime.close()
    for what in left:
        log.warning("could not be removed", what=what)
    return left
