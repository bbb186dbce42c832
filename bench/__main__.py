"""`python -m bench [NAME…]`: run the measurements and print one table each."""

from __future__ import annotations

import importlib
import sys

from rich.console import Console
from rich.table import Table

ALL = ("startup", "api", "store", "http", "runtime", "tasks", "kube", "kube_growth", "kube_scheduling")


def main(names: list[str]) -> int:
    console = Console(highlight=False)
    unknown = [name for name in names if name not in ALL]
    if unknown:
        console.print(f"No such measurement: {', '.join(unknown)}. There are: {', '.join(ALL)}.")
        return 2
    for name in names or ALL:
        module = importlib.import_module(f"bench.{name}")
        console.rule(f"{name}: {module.title}")
        table = Table(box=None, padding=(0, 2, 0, 0))
        for heading in ("what", "ours", "beside", "ratio", "wanted"):
            table.add_column(heading)
        for row in module.run():
            table.add_row(
                row.what, row.ours, row.other, "" if row.ratio is None else f"{row.ratio:.2f}", row.wanted
            )  # fmt: skip
        console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
