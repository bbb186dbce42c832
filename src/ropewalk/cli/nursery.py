"""`python -m ropewalk.cli.nursery HOME`: the nursery's process, with commands warm beside clusters."""

from __future__ import annotations

import sys
from pathlib import Path

from ropewalk.daemon import kube_forks


def command(arguments: list[str]) -> int:
    """Run one, in a child of its own; its exit status."""
    from ropewalk.cli.main import main

    sys.argv = ["ropewalk", *arguments]
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def warm_up() -> None:
    from ropewalk.cli import kube, main  # noqa: F401 - for the children

    kube_forks.warm_up()


if __name__ == "__main__":
    kube_forks.main(Path(sys.argv[1]), warm_up, command)
