"""What every process of ours does first and last: read its settings, log, run on uvloop until a signal, let go."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from ropewalk.base.log import configure
from ropewalk.base.settings import Settings
from ropewalk.daemon.installation import load_settings

Serve = Callable[[Settings], Awaitable[None]]


async def until_signalled(serve: Awaitable[None]) -> None:
    """Run `serve` until it ends or SIGTERM or SIGINT comes; a signal cancels it and waits for its clean end."""
    work = asyncio.ensure_future(serve)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await work


def run(serve: Serve) -> None:
    """The body of a process's `main`: `python -m ropewalk.daemon.<process> HOME`."""
    import uvloop

    configure()
    settings = load_settings(Path(sys.argv[1]))

    async def main() -> None:
        await until_signalled(serve(settings))

    uvloop.run(main())
