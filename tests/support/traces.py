"""What a machine shows of itself: compared before and after, it proves that nothing of ours stayed."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, fields
from pathlib import Path


def _lines(*command: str) -> frozenset[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return frozenset(line.strip() for line in done.stdout.splitlines() if line.strip())


def _cgroups() -> frozenset[str]:
    root = Path("/sys/fs/cgroup")
    return frozenset(str(path) for path in root.rglob("*ropewalk*") if path.is_dir())


def _settings() -> frozenset[str]:
    found = set()
    for name in ("ip_forward", "conf/all/rp_filter", "conf/all/route_localnet", "conf/all/proxy_arp"):
        found.add(f"{name}={Path('/proc/sys/net/ipv4', name).read_text().strip()}")
    return frozenset(found)


def _processes() -> frozenset[str]:
    """Command lines of everything that looks like ours or runs for us."""
    marks = ("ropewalk", "containerd", "docker-registry", "runc")
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            program = line.split(" ", 1)[0]
            if any(mark in program for mark in marks) or "ropewalk.daemon" in line:
                found.add(f"{entry.name} {line.strip()}")
    return frozenset(found)


@dataclass(frozen=True)
class Traces:
    namespaces: frozenset[str]
    links: frozenset[str]
    routes: frozenset[str]
    mounts: frozenset[str]
    cgroups: frozenset[str]
    settings: frozenset[str]
    processes: frozenset[str]

    def news(self, before: Traces) -> dict[str, list[str]]:
        """What is here and was not before, or the other way round; empty where nothing changed."""
        found = {}
        for field in fields(self):
            difference = getattr(self, field.name) ^ getattr(before, field.name)
            if difference:
                found[field.name] = sorted(difference)
        return found


def traces() -> Traces:
    return Traces(
        namespaces=_lines("ip", "netns", "list"),
        links=frozenset(line.split(":")[1].strip() for line in _lines("ip", "-o", "link", "show")),
        routes=_lines("ip", "-4", "route", "show", "table", "all"),
        mounts=frozenset(line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()),
        cgroups=_cgroups(),
        settings=_settings(),
        processes=_processes(),
    )
