"""Which installation this host belongs to: routers, uplinks and control groups have host-wide names, so one has it.

A file under /run names the home that claimed the host, from its first process until its `down` has taken everything
back. It outlives killed processes, whose interfaces still stand; a reboot takes file and interfaces alike. A claim
whose installation has been deleted by hand is void.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ropewalk.base.errors import Fault
from ropewalk.daemon.installation import settings_file

PLACE = Path("/run/ropewalk.host")


class HostClaim:
    def __init__(self, home: Path, place: Path = PLACE) -> None:
        self._home = home.resolve()
        self._place = place

    def holder(self) -> Path | None:
        """The home that has this host, or None."""
        try:
            home = Path(self._place.read_text().strip())
        except OSError:
            return None
        try:
            return home if settings_file(home).exists() else None
        except PermissionError:  # another user's: it is there
            return home

    def elsewhere(self) -> Path | None:
        """Another installation's home, where that has this host."""
        holder = self.holder()
        return None if holder == self._home else holder

    def check(self) -> None:
        """Raises `Fault` where another installation has this host."""
        if (other := self.elsewhere()) is not None:
            raise Fault(
                "HostTaken",
                f"This host belongs to the installation in {other}. Use that one, or end it first: "
                f"sudo ROPEWALK_HOME={other} ropewalk down",
            )

    def take(self) -> None:
        """Claim it; the settings must have been saved, or the claim would be void. Raises `Fault` as `check` does."""
        mine = self._place.with_name(f"{self._place.name}.{os.getpid()}")
        mine.write_text(f"{self._home}\n")
        try:
            while True:
                try:
                    os.link(mine, self._place)
                    return
                except FileExistsError:
                    self.check()
                    if self.holder() == self._home:
                        return
                    self._place.unlink(missing_ok=True)  # void
        finally:
            mine.unlink()

    def release(self) -> None:
        """Give it back, if it is ours."""
        if self.elsewhere() is None:
            with contextlib.suppress(OSError):
                self._place.unlink()
