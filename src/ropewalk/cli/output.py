"""How the command speaks: text by rich for people, one JSON document with `--output json` for programs.

Faults end a command with exit status 1 and one line that says what to do; a traceback is a bug.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ropewalk.base.errors import Fault, Retryable

if TYPE_CHECKING:
    from rich.console import Console

_WIDE = 160
"""Columns where nobody watches: a file or a pipe should not be folded to a terminal's width."""


def console(*, answer: bool = False) -> Console:
    """The answer's stream or, for progress and notes, standard error. Rich is imported only once something is
    printed with it: it costs a fifth of a quick command.
    """
    from rich.console import Console

    stream = sys.stdout if answer else sys.stderr
    return Console(file=stream, highlight=False, width=None if stream.isatty() else _WIDE)


def say(text: str) -> None:
    click.echo(text, err=True)


def document(value: object) -> None:
    """The answer itself, on standard output."""
    import orjson

    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


@contextmanager
def explained() -> Iterator[None]:
    """Turn our refusals into one line and exit status 1."""
    try:
        yield
    except Fault as fault:
        say(f"ropewalk: {fault.message}")
        raise SystemExit(1) from None
    except Retryable as problem:
        say(f"ropewalk: {problem.reason}. Look at: ropewalk status")
        raise SystemExit(1) from None


output_option = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", help="text for people, json for programs."
)
