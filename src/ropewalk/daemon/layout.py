"""The long-lived programs of one installation, each at its place: containerd and the registry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ropewalk.base.clock import Clock
from ropewalk.base.settings import Settings
from ropewalk.daemon.containerd import Containerd, Layout, Mirror
from ropewalk.daemon.parts import Command
from ropewalk.daemon.registry import LocalRegistry
from ropewalk.node.cri.runtime import Places


def containerd_layout(settings: Settings) -> Layout:
    return Layout(folder=settings.home / "containerd", state=settings.run / "containerd")


def containerd(settings: Settings, parts: Mapping[str, Command], clock: Clock) -> Containerd:
    return Containerd(containerd_layout(settings), parts, settings.run, settings.logs, clock)


def registry(settings: Settings, parts: Mapping[str, Command], clock: Clock) -> LocalRegistry:
    folder = settings.home / "registry"
    return LocalRegistry(parts["docker-registry"], folder, settings.run, settings.logs, clock)


def mirror(settings: Settings) -> Mirror | None:
    return Mirror(settings.mirror, everything=True) if settings.mirror else None


def places(settings: Settings, parts: Mapping[str, Command]) -> Places:
    """What the machine agent's runtime, and whoever ends its containers, must know of containerd."""
    where = containerd_layout(settings)
    return Places(
        socket=where.socket,
        cni_calls=where.cni_calls,
        state=where.agent_state,
        init=Path(parts["catatonit"].path),
    )
