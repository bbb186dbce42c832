"""What real containers need of a host, one finding a need. Looks, and changes nothing."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ropewalk.base.settings import Settings
from ropewalk.daemon.parts import UNPACKED_BY_UP, Part, Parts, default_folder


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    fine: bool
    found: str
    mend: str = ""
    required: bool = True


def _root() -> Finding:
    fine = os.geteuid() == 0
    return Finding(
        "root", fine, f"uid {os.geteuid()}", "" if fine else "run with sudo, or use: ropewalk up --simulated"
    )


def _kernel() -> Finding:
    release = os.uname().release
    major, minor = (int(part) for part in release.split(".")[:2])
    fine = (major, minor) >= (5, 4)
    return Finding("kernel 5.4 or newer", fine, release, "" if fine else "boot a newer kernel")


def _cgroups() -> Finding:
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        controllers = set((root / "cgroup.controllers").read_text().split())
        version = "v2"
    else:
        controllers = {entry.name for entry in root.iterdir()} if root.is_dir() else set()
        version = "v1"
    missing = {"cpu", "memory", "pids"} - controllers
    mend = (
        f"enable the {', '.join(sorted(missing))} controllers (kernel command line cgroup_enable=…)" if missing else ""
    )
    return Finding("cgroups cpu, memory, pids", not missing, version, mend)


def _file_system(name: str) -> Finding:
    fine = any(line.split()[-1] == name for line in Path("/proc/filesystems").read_text().splitlines() if line.split())
    return Finding(f"{name} file system", fine, "in the kernel" if fine else "no", "" if fine else f"modprobe {name}")


def _namespaces() -> Finding:
    wanted = ("net", "mnt", "pid", "uts", "ipc")
    missing = [name for name in wanted if not Path("/proc/self/ns", name).exists()]
    return Finding(
        "namespaces",
        not missing,
        "all" if not missing else f"no {', '.join(missing)}",
        "boot another kernel" if missing else "",
    )


def _isolation() -> Finding:
    path = shutil.which("runsc")
    return Finding(
        "gVisor (runsc)", path is not None, path or "no: Fargate tasks share the host's kernel",
        "" if path else "optional; a later release uses it where installed", required=False,
    )  # fmt: skip


def _part(part: Part) -> Finding:
    """A program that `up` can unpack by itself is no lack."""
    if part.found:
        return Finding(part.name, True, f"{part.source} {part.version}".strip())
    unpackable = part.mend.startswith(UNPACKED_BY_UP)
    return Finding(
        part.name, unpackable, "not yet: the first `ropewalk up` unpacks it" if unpackable else "no", part.mend
    )


def check(settings: Settings) -> list[Finding]:
    """Everything, in the order in which a user would mend it."""
    findings = [_root(), _kernel(), _cgroups(), _namespaces(), _file_system("overlay")]
    findings.extend(_part(part) for part in Parts(default_folder(settings)).check())
    findings.append(_isolation())
    return findings
