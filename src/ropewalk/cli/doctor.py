"""`ropewalk doctor`: what this host has, what it lacks, and the command that mends it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from ropewalk.base.settings import Settings, default_home
from ropewalk.cli.output import console, document, explained, output_option

if TYPE_CHECKING:
    from ropewalk.daemon.host_check import Finding


def _mark(finding: Finding) -> str:
    if finding.fine:
        return "[green]ok[/]"
    return "[red]lacks[/]" if finding.required else "[yellow]could have[/]"


@click.command()
@output_option
def doctor(output: str) -> None:
    """Say what this host lacks for real containers, and the command that mends it."""
    from ropewalk.daemon.host_check import check

    with explained():
        findings = check(Settings(home=default_home()))
    if output == "json":
        document([dataclasses.asdict(finding) for finding in findings])
    else:
        from rich.table import Table

        table = Table(box=None, padding=(0, 2, 0, 0))
        for heading in ("", "what", "found", "mend"):
            table.add_column(heading, no_wrap=heading != "mend")
        for finding in findings:
            table.add_row(_mark(finding), finding.what, finding.found, finding.mend)
        console(answer=True).print(table)
    if not all(finding.fine or not finding.required for finding in findings):
        raise SystemExit(1)
