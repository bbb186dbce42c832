"""`ropewalk status`: what runs here, and, loudly, what is insecure, ephemeral or faked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ropewalk.base.errors import Fault, Retryable
from ropewalk.base.settings import default_home
from ropewalk.cli.output import console, document, explained, output_option


def collect() -> dict[str, Any]:
    """One document: beacon, processes, machines, tasks. `Any`: it is printed, not computed with."""
    from ropewalk.daemon import admin
    from ropewalk.daemon.installation import find_beacon, load_settings
    from ropewalk.daemon.processes import DetachedProcess

    beacon = find_beacon(default_home())
    found: dict[str, Any] = {
        "endpoint": beacon.endpoint,
        "account": beacon.account,
        "region": beacon.region,
        "simulated": beacon.simulated,
        "accept_any_credentials": beacon.accept_any_credentials,
        "time_scale": beacon.time_scale,
        "ready": False,
        "processes": {},
    }
    try:
        settings = load_settings(Path(beacon.home))
    except Fault as refused:
        return {**found, "problem": refused.message}
    for path in sorted(settings.run.glob("*.pid")):
        record = DetachedProcess(path.stem, settings.run, settings.logs).record()
        found["processes"][path.stem] = record.pid if record else None
    try:
        return {**found, **admin.ask(settings.agent_socket, "GET", admin.STATUS)}
    except (Fault, Retryable) as problem:
        return {**found, "problem": getattr(problem, "message", str(problem))}


@click.command()
@output_option
def status(output: str) -> None:
    """Show processes, machines and tasks. Exit status 3 where something does not run."""
    with explained():
        found = collect()
    if output == "json":
        document(found)
    else:
        _print(found)
    if not found["ready"]:
        raise SystemExit(0 if output == "json" else 3)


def _print(found: dict[str, Any]) -> None:
    out = console(answer=True)
    state = "[green]ready[/]" if found["ready"] else "[yellow]not ready[/]"
    out.print(f"{found['endpoint']}  account {found['account']}  {found['region']}  {state}")
    if found["simulated"]:
        out.print("[yellow]simulated: machines and containers are fakes; the state survives a kill, not a power cut[/]")
    if found["accept_any_credentials"]:
        out.print("[bold red]any credentials are accepted, as the account's root[/]")
    if found["time_scale"] != 1.0:
        out.print(f"[yellow]waiting periods are shortened {found['time_scale']:g} times[/]")
    for name, pid in found["processes"].items():
        out.print(f"  {name:<14} {f'pid {pid}' if pid else '[red]not running[/]'}")
    for machine in found.get("machines", ()):
        room = f"{machine['cpu_millis'] / 1000:g} vCPU, {machine['memory_bytes'] / 2**30:.1f} GiB"
        word = "connected" if machine["connected"] else "[red]not connected[/]"
        out.print(f"  machine {machine['machine']}: {room}, {machine['runtime_version']}, {word}")
    if (tasks := found.get("tasks")) is not None:
        out.print("  tasks: " + (", ".join(f"{count} {state}" for state, count in sorted(tasks.items())) or "none"))
    if "problem" in found:
        out.print(found["problem"], markup=False)
