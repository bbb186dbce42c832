"""What the `ropewalk` script calls: begins what takes longest, then reads the command line."""

from __future__ import annotations

import sys


def run() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["kube"]:
        from ropewalk.cli import warm

        if warm.is_meant(arguments) and (status := warm.run(arguments)) is not None:
            sys.exit(status)
    early_process = _early(arguments)
    if early_process:
        from ropewalk.daemon import early

        early.begin(early_process)
    from ropewalk.cli.main import main

    main()


def _early(arguments: list[str]) -> str:
    """The process that this command line will want, "" where it is not sure of one."""
    if arguments[:1] == ["up"] and "--simulated" in arguments:
        return "aws"
    if arguments[:2] == ["kube", "--standalone"] and "--help" not in arguments:
        return "kube"
    return ""
