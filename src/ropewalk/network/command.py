"""The `nft` command as this host has it: on PATH, or unpacked into a folder with its libraries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Command(Protocol):
    """A program to run. The daemon finds it; this package only needs to know how it is started."""

    @property
    def argv(self) -> tuple[str, ...]:
        """What comes before its arguments."""
        ...

    @property
    def environment(self) -> Mapping[str, str]:
        """What its environment gains (LD_LIBRARY_PATH, say)."""
        ...
