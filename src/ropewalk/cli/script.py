"""What the `ropewalk` script calls: begins what takes longest, then reads the command line."""

from __future__ import annotations

import sys


def run() -> None:
    if sys.argv[1:2] == ["up"] and "--simulated" in sys.argv:
        from ropewalk.daemon import early

        early.begin()
    from ropewalk.cli.main import main

    main()
