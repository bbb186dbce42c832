"""What a container has used, read from its cgroup and its network namespace: file reads, no call to containerd. Only
containerd knows what its writable layer takes, and says so (`layer`).
"""

from __future__ import annotations

from pathlib import Path

from ropewalk.node.cri.cgroups import Cgroups
from ropewalk.node.runtime import ContainerStats


def interface_bytes(text: str, name: str = "eth0") -> tuple[int, int]:
    """(received, sent) of an interface in the text of /proc/PID/net/dev; zeros where it is not there."""
    for line in text.splitlines():
        interface, _, numbers = line.partition(":")
        if interface.strip() == name:
            fields = numbers.split()
            return int(fields[0]), int(fields[8])
    return 0, 0


def sample(cgroups: Cgroups, container: str, group: str, pid: int, now: float, layer: int = 0) -> ContainerStats | None:
    """None where the container has ended meanwhile."""
    usage = cgroups.usage(group)
    if usage is None:
        return None
    try:
        received, sent = interface_bytes(Path(f"/proc/{pid}/net/dev").read_text())
    except OSError:
        received = sent = 0
    return ContainerStats(
        id=container,
        sampled_at=now,
        cpu_nanoseconds=usage.cpu_nanoseconds,
        memory_bytes=usage.memory_bytes,
        memory_cache_bytes=usage.memory_cache_bytes,
        memory_limit_bytes=usage.memory_limit_bytes,
        received_bytes=received,
        sent_bytes=sent,
        read_bytes=usage.read_bytes,
        written_bytes=usage.written_bytes,
        writable_bytes=layer,
        processes=usage.processes,
    )
