"""A workload's control group: its exact CPU and memory, the folder under which the runtime puts its containers.

`limits` is pure: which values go into which files, for cgroup version 1 (a hierarchy a controller) and version 2 (one
for all). `Cgroups` writes, reads and removes. Children never get more than the parent: version 1 refuses a larger quota
below (EINVAL), so containers' limits are clamped when they are lowered.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from msgspec.structs import replace

from ropewalk.model.workload import Resources

PERIOD = 100_000
"""Microseconds over which a CPU quota counts."""
ROOT = Path("/sys/fs/cgroup")


class Version(Enum):
    ONE = 1
    TWO = 2


@dataclass(frozen=True, slots=True)
class Write:
    """One value for one control file. `controller` names the hierarchy in version 1 and is "" in version 2."""

    controller: str
    file: str
    value: str
    optional: bool = False
    """True where a kernel may lack the file (swap accounting)."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a group has used; zeros where the kernel does not say."""

    cpu_nanoseconds: int = 0
    memory_bytes: int = 0
    memory_cache_bytes: int = 0
    memory_limit_bytes: int = 0
    processes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0


def shares_to_weight(shares: int) -> int:
    """Version 1 shares (2 to 262144) as a version 2 weight (1 to 10000), by the formula OCI runtimes use."""
    return max(1, min(10_000, 1 + (max(shares, 2) - 2) * 9999 // 262_142))


def limits(version: Version, resources: Resources) -> tuple[Write, ...]:
    """Zero means no limit, and writes nothing."""
    writes: list[Write] = []
    quota = max(1000, resources.cpu_millis * PERIOD // 1000)
    if version is Version.ONE:
        if resources.cpu_shares:
            writes.append(Write("cpu", "cpu.shares", str(max(2, resources.cpu_shares))))
        if resources.cpu_millis:
            writes += [
                Write("cpu", "cpu.cfs_period_us", str(PERIOD)),
                Write("cpu", "cpu.cfs_quota_us", str(quota)),
            ]
        if resources.memory_bytes:
            writes += [
                Write("memory", "memory.memsw.limit_in_bytes", "-1", optional=True),
                Write("memory", "memory.limit_in_bytes", str(resources.memory_bytes)),
                Write("memory", "memory.memsw.limit_in_bytes", str(resources.memory_bytes), optional=True),
            ]
        if resources.memory_reservation_bytes:
            writes.append(Write("memory", "memory.soft_limit_in_bytes", str(resources.memory_reservation_bytes)))
    else:
        if resources.cpu_shares:
            writes.append(Write("", "cpu.weight", str(shares_to_weight(resources.cpu_shares))))
        if resources.cpu_millis:
            writes.append(Write("", "cpu.max", f"{quota} {PERIOD}"))
        if resources.memory_bytes:
            writes += [
                Write("", "memory.max", str(resources.memory_bytes)),
                Write("", "memory.swap.max", "0", optional=True),
            ]
        if resources.memory_reservation_bytes:
            writes.append(Write("", "memory.low", str(resources.memory_reservation_bytes)))
    return tuple(writes)


def clamped(resources: Resources, whole: Resources) -> Resources:
    """A container's limits, none above its workload's."""

    def lower(part: int, limit: int) -> int:
        return min(part, limit) if part and limit else part

    return Resources(
        cpu_millis=lower(resources.cpu_millis, whole.cpu_millis),
        cpu_shares=resources.cpu_shares,
        memory_bytes=lower(resources.memory_bytes, whole.memory_bytes),
        memory_reservation_bytes=lower(resources.memory_reservation_bytes, whole.memory_bytes),
    )


def key_values(text: str) -> dict[str, int]:
    """Lines `name number` of a control file."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


class Cgroups:
    """Groups below one parent (`/ropewalk/<machine>`), on the real file system or a folder that stands for it."""

    def __init__(self, parent: str, root: Path = ROOT) -> None:
        self.parent = parent
        self._root = root
        self.version = Version.TWO if (root / "cgroup.controllers").exists() else Version.ONE

    def path(self, name: str) -> str:
        """A group as runtimes name it: absolute, below every hierarchy's root."""
        return f"{self.parent}/{name}"

    def folder(self, path: str, controller: str) -> Path:
        base = self._root / controller if self.version is Version.ONE else self._root
        return base / path.lstrip("/")

    def create(self, name: str, resources: Resources) -> str:
        """Make the group with its limits (or set them anew), but for CPU; returns its path.

        The CPU quota comes by `limit_cpu` once the first container runs: under a small quota the runtime's own work of
        starting it, which happens inside the group, would take many times as long.
        """
        path = self.path(name)
        for controller in ("cpu", "memory") if self.version is Version.ONE else ("",):
            self._make(path, controller)
        self.write(path, limits(self.version, replace(resources, cpu_millis=0)))
        return path

    def limit_cpu(self, name: str, cpu_millis: int) -> None:
        """Set the group's CPU quota; where the group is gone, nothing."""
        with contextlib.suppress(FileNotFoundError):
            self.write(self.path(name), limits(self.version, Resources(cpu_millis=cpu_millis)))

    def write(self, path: str, writes: tuple[Write, ...]) -> None:
        for write in writes:
            file = self.folder(path, write.controller) / write.file
            if write.optional and not file.exists():
                continue
            file.write_text(write.value)

    def remove(self, name: str) -> bool:
        """Remove the group with its empty children from every hierarchy; False while something still lives in it."""
        path = self.path(name)
        return all(self._remove(folder) for folder in self._everywhere(path))

    def remove_parent(self) -> None:
        """At the very end: the folders above the groups, where they are empty."""
        path = self.parent
        while path not in ("", "/"):
            for folder in self._everywhere(path):
                with contextlib.suppress(OSError):
                    folder.rmdir()
            path = os.path.dirname(path)

    def names(self) -> set[str]:
        """Groups that exist below the parent, in any hierarchy."""
        return {child.name for folder in self._everywhere(self.parent) for child in folder.iterdir() if child.is_dir()}

    def out_of_memory_kills(self, path: str) -> int | None:
        """How many processes of this very group the kernel killed for memory; None where the group is gone."""
        if self.version is Version.ONE:
            text = self._read(path, "memory", "memory.oom_control")
        else:
            text = self._read(path, "", "memory.events")
        return key_values(text).get("oom_kill")

    def usage(self, path: str) -> Usage | None:
        """None where the group is gone."""
        return self._usage_one(path) if self.version is Version.ONE else self._usage_two(path)

    def _usage_one(self, path: str) -> Usage | None:
        used = self._number(path, "memory", "memory.usage_in_bytes")
        if used is None:
            return None
        stat = key_values(self._read(path, "memory", "memory.stat"))
        read = written = 0
        for line in self._read(path, "blkio", "blkio.throttle.io_service_bytes_recursive").splitlines():
            words = line.split()
            if len(words) == 3:
                read += int(words[2]) if words[1] == "Read" else 0
                written += int(words[2]) if words[1] == "Write" else 0
        limit = self._number(path, "memory", "memory.limit_in_bytes") or 0
        return Usage(
            cpu_nanoseconds=self._number(path, "cpuacct", "cpuacct.usage") or 0,
            memory_bytes=max(0, used - stat.get("total_inactive_file", 0)),
            memory_cache_bytes=stat.get("total_cache", 0),
            memory_limit_bytes=limit if limit < 1 << 60 else 0,
            processes=self._number(path, "pids", "pids.current") or 0,
            read_bytes=read,
            written_bytes=written,
        )

    def _usage_two(self, path: str) -> Usage | None:
        used = self._number(path, "", "memory.current")
        if used is None:
            return None
        stat = key_values(self._read(path, "", "memory.stat"))
        totals: dict[str, int] = {}
        for line in self._read(path, "", "io.stat").splitlines():
            for name, _, value in (word.partition("=") for word in line.split()[1:]):
                totals[name] = totals.get(name, 0) + int(value)
        return Usage(
            cpu_nanoseconds=key_values(self._read(path, "", "cpu.stat")).get("usage_usec", 0) * 1000,
            memory_bytes=max(0, used - stat.get("inactive_file", 0)),
            memory_cache_bytes=stat.get("file", 0),
            memory_limit_bytes=self._number(path, "", "memory.max") or 0,
            processes=self._number(path, "", "pids.current") or 0,
            read_bytes=totals.get("rbytes", 0),
            written_bytes=totals.get("wbytes", 0),
        )

    def _make(self, path: str, controller: str) -> None:
        """Every folder down to `path`, its controllers enabled for what comes below."""
        folder = self.folder("/", controller)
        for part in path.strip("/").split("/"):
            if self.version is Version.TWO:
                available = (folder / "cgroup.controllers").read_text().split()
                for name in available:
                    with contextlib.suppress(OSError):  # a controller may refuse; what we need is checked by its file
                        (folder / "cgroup.subtree_control").write_text(f"+{name}")
            folder = folder / part
            if not folder.is_dir():
                folder.mkdir(exist_ok=True)
                hierarchy = folder / "memory.use_hierarchy"
                if hierarchy.exists() and hierarchy.read_text().strip() == "0":
                    hierarchy.write_text("1")

    def _everywhere(self, path: str) -> list[Path]:
        if self.version is Version.TWO:
            return [folder] if (folder := self._root / path.lstrip("/")).is_dir() else []
        bases = {base.resolve(): base for base in self._root.iterdir() if base.is_dir()}
        return [folder for base in bases.values() if (folder := base / path.lstrip("/")).is_dir()]

    def _remove(self, folder: Path) -> bool:
        for child in [child for child in folder.iterdir() if child.is_dir()]:
            if not self._remove(child):
                return False
        try:
            folder.rmdir()
        except OSError as error:
            return error.errno == errno.ENOENT
        return True

    def _read(self, path: str, controller: str, file: str) -> str:
        try:
            return (self.folder(path, controller) / file).read_text()
        except OSError:
            return ""

    def _number(self, path: str, controller: str, file: str) -> int | None:
        text = self._read(path, controller, file).strip()
        if text == "max":
            return 0
        return int(text) if text.isdigit() else None
