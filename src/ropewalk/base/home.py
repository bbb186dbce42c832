"""Where an installation lies, as text. Needs nothing imported: a command may look there as its first act."""

from __future__ import annotations

import os

SYSTEM_HOME = "/var/lib/ropewalk"


def default_home() -> str:
    """`ROPEWALK_HOME`, else /var/lib/ropewalk as root, else the XDG state folder."""
    if configured := os.environ.get("ROPEWALK_HOME"):
        return configured
    if os.geteuid() == 0:
        return SYSTEM_HOME
    return os.path.join(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state"), "ropewalk")


def run_folder(home: str) -> str:
    """Sockets, pid files, locks: what a reboot may take.

    Readable by all at the usual place, so that an unprivileged `ropewalk env` finds the installation.
    """
    return "/run/ropewalk" if home == SYSTEM_HOME else os.path.join(home, "run")
