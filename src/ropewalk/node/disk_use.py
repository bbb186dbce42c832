"""How much disk a folder takes, counted a limited number of entries at a time. Blocking: for a thread.

Allocated blocks are counted, as `du` does: a hole takes nothing, a file with several names counts once, nothing is
followed out of the folder's file system. A container may change the tree while it is walked: what is gone is passed
over, and a folder that became a link to elsewhere can only make the container's own count wrong.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

BLOCK = 512
"""Bytes of `st_blocks`, whatever the file system's own block is."""


class DiskUse:
    """`used` is what the folder was last found to hold. A tree of many entries takes several steps; `used` then grows
    as soon as more has been counted than before, and shrinks when the walk is through.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._walk: Iterator[int] | None = None
        self._counted = 0
        self.used = 0

    def step(self, most: int) -> int:
        """Count at most so many entries; answers how many there were to count."""
        if self._walk is None:
            self._walk, self._counted = _entries(self._folder), 0
        for number in range(most):
            taken = next(self._walk, None)
            if taken is None:
                self._walk = None
                self.used = self._counted
                return number
            self._counted += taken
        self.used = max(self.used, self._counted)
        return most


def _entries(folder: Path) -> Iterator[int]:
    """The bytes of every entry below the folder."""
    try:
        device = folder.lstat().st_dev
    except OSError:
        return
    named: set[int] = set()
    pending = [os.fspath(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as listing:
                for entry in listing:
                    try:
                        found = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue
                    if found.st_dev != device or found.st_ino in named:
                        continue
                    if stat.S_ISDIR(found.st_mode):
                        pending.append(entry.path)
                    elif found.st_nlink > 1:
                        named.add(found.st_ino)
                    yield found.st_blocks * BLOCK
        except OSError:
            continue
