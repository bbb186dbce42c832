"""How long work tells of itself: steps for `up`, `down` and `reset`, shown by whoever calls."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    def step(self, title: str) -> None:
        """A new step begins; the one before is done."""
        ...

    def detail(self, text: str, done: int = 0, total: int = 0) -> None:
        """What the present step is doing; `total` 0 where its end is not known."""
        ...

    def note(self, text: str) -> None:
        """Something the user should know afterwards."""
        ...
