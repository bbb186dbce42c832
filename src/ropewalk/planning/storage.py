"""Whether a workload holds more of its machine's disk than it may. Pure: what was measured, in; a reason, out.

Counted is what the kubelet counts of a pod: the writable layers of running containers, scratch volumes, and logs; not
the images, which workloads of one machine share, and not a host's own paths. Source: Kubernetes, "Local ephemeral
storage". Sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ropewalk.model.workload import Workload


@dataclass(frozen=True, slots=True)
class Usage:
    layers: int = 0
    """Of the running containers' own writes to their root file systems."""
    logs: int = 0
    volumes: Mapping[str, int] = field(default_factory=dict)
    """Scratch volume → what lies in it."""

    @property
    def total(self) -> int:
        return self.layers + self.logs + sum(self.volumes.values())


def limited(workload: Workload) -> bool:
    """Whether there is anything to measure."""
    return workload.ephemeral_storage_bytes > 0 or any(volume.size_bytes for volume in workload.volumes)


def excess(workload: Workload, usage: Usage) -> str:
    """Why the workload must stop; "" where it keeps within its limits."""
    for volume in workload.volumes:
        used = usage.volumes.get(volume.name, 0)
        if volume.size_bytes and used > volume.size_bytes:
            return f"Usage of volume {volume.name} ({size(used)}) exceeds its limit of {size(volume.size_bytes)}"
    limit = workload.ephemeral_storage_bytes
    if not limit or usage.total <= limit:
        return ""
    parts = f"containers {size(usage.layers)}, volumes {size(sum(usage.volumes.values()))}, logs {size(usage.logs)}"
    return f"Ephemeral storage usage ({size(usage.total)}) exceeds the limit of {size(limit)}: {parts}"


def size(count: int) -> str:
    """For people: "20 GiB", "1.5 MiB", "12 bytes"."""
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= scale:
            return f"{round(count / scale, 1):g} {unit}"
    return f"{count} bytes"
