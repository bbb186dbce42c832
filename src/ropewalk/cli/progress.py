"""Long work on a terminal: a spinner with ticks behind it; plain lines where nobody watches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from ropewalk.cli.output import console, say

if TYPE_CHECKING:
    from rich.status import Status


class RichReporter:
    """Steps as a spinner where somebody watches, as plain lines where not."""

    def __init__(self) -> None:
        self._status: Status | None = None
        self._title = ""
        self._notes: list[str] = []
        self._console = console()

    def __enter__(self) -> RichReporter:
        if self._console.is_terminal:
            self._status = self._console.status("")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()
        if error is None and self._title and self._status is not None:
            self._console.print(f"[green]✓[/] {self._title}")
        for note in self._notes:
            self._console.print(note, markup=False, soft_wrap=True)

    def step(self, title: str) -> None:
        if self._status is None:
            say(title)
        else:
            if self._title:
                self._console.print(f"[green]✓[/] {self._title}")
            self._status.update(title)
        self._title = title

    def detail(self, text: str, done: int = 0, total: int = 0) -> None:
        if self._status is not None:
            share = f" ({done} of {total})" if total else ""
            self._status.update(f"{self._title}: {text}{share}")

    def note(self, text: str) -> None:
        self._notes.append(text)


class QuietReporter:
    """For `--output json` and for the simulated mode, which is done before a spinner would turn."""

    def step(self, title: str) -> None: ...

    def detail(self, text: str, done: int = 0, total: int = 0) -> None: ...

    def note(self, text: str) -> None:
        say(text)


@contextmanager
def reporting(quiet: bool) -> Iterator[RichReporter | QuietReporter]:
    if quiet:
        yield QuietReporter()
        return
    with RichReporter() as reporter:
        yield reporter
