"""What the `ropewalk` script calls: begins what takes longest, then reads the command line."""

from __future__ import annotations

import sys


def run() -> None:
    early_process = _early(sys.argv[1:])
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
        return "" if _has_nursery() else "kube"
    return ""


def _has_nursery() -> bool:
    """Whether a cluster will be forked instead, from a process that has imported all of it: see `daemon/kube_forks`."""
    from ropewalk.base.settings import Settings

    return (Settings().run / "kube-nursery.sock").exists()
