"""What a machine shows of itself: compared before and after, it proves that nothing of ours stayed."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, fields
from pathlib import Path

from ropewalk.daemon.parts import Parts
from support.etcd import parts_folder


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


def _processes(home: str) -> frozenset[str]:
    """Whatever was started with a path of this installation in its command line: our own, containerd, its shims."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if home in line:
                found.add(f"{entry.name} {line.strip()}")
    return frozenset(found)


def _tables() -> frozenset[str]:
    """nftables of the host itself, line by line."""
    nft = Parts(parts_folder()).provide(("nft",))["nft"]
    command = [*nft.argv, "list", "ruleset"]
    done = subprocess.run(command, env=nft.merged(), capture_output=True, text=True, check=True)
    return frozenset(done.stdout.splitlines())


def _files(home: str) -> frozenset[str]:
    """What this installation left in /run."""
    found = (path for path in Path("/run").glob("*ropewalk*") if path.is_file())
    return frozenset(str(path) for path in found if home in path.read_text(errors="replace"))


@dataclass(frozen=True)
class Traces:
    namespaces: frozenset[str]
    links: frozenset[str]
    routes: frozenset[str]
    mounts: frozenset[str]
    cgroups: frozenset[str]
    settings: frozenset[str]
    processes: frozenset[str]
    tables: frozenset[str]
    files: frozenset[str]

    def news(self, before: Traces) -> dict[str, list[str]]:
        """What is here and was not before, or the other way round; empty where nothing changed.

        A control group of ours that is gone is no loss: its name was ours, left by some crash before.
        """
        found = {}
        for field in fields(self):
            now, then = getattr(self, field.name), getattr(before, field.name)
            difference = now - then if field.name == "cgroups" else now ^ then
            if difference:
                found[field.name] = sorted(difference)
        return found


def traces(home: Path) -> Traces:
    return Traces(
        namespaces=_lines("ip", "netns", "list"),
        links=frozenset(line.split(":")[1].strip() for line in _lines("ip", "-o", "link", "show")),
        routes=_lines("ip", "-4", "route", "show", "table", "all"),
        mounts=frozenset(line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()),
        cgroups=_cgroups(),
        settings=_settings(),
        processes=_processes(str(home)),
        tables=_tables(),
        files=_files(str(home)),
    )
