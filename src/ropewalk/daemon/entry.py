"""`python -m ropewalk.daemon.entry PROCESS HOME`: where every process of ours begins and ends.

A process is a module with `async def serve(settings)`, which runs until it is cancelled. Here it gets its settings, its
log and its loop, and a signal cancels it. Imports happen with the garbage collector off, and what they made is then set
aside from it for good: a fifth of the start, and shorter collections ever after (docs/performance.md). That is why this
module imports nothing slow itself.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from ropewalk.base.collecting import settling
from ropewalk.base.settings import Settings

Serve = Callable[[Settings], Awaitable[None]]

PROCESSES = {
    "supervisor": "ropewalk.daemon.supervisor",
    "aws": "ropewalk.daemon.aws_process",
    "host-agent": "ropewalk.daemon.host_process",
    "machine-agent": "ropewalk.daemon.agent_process",
    "kube": "ropewalk.daemon.kube_process",
}


async def until_signalled(serve: Awaitable[None]) -> None:
    """Run `serve` until it ends or SIGTERM or SIGINT comes; a signal cancels it and waits for its clean end."""
    import asyncio
    import contextlib
    import signal

    work = asyncio.ensure_future(serve)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await work


def run(serve: Serve, settings: Settings) -> None:
    """The process's life, once all is imported."""
    import uvloop

    from ropewalk.base.log import configure

    configure()

    async def live() -> None:
        await until_signalled(serve(settings))

    uvloop.run(live())


def main(name: str, home: str) -> None:
    with settling():
        import uvloop  # noqa: F401 - now, with the collector off

        from ropewalk.daemon import early
        from ropewalk.daemon.installation import load_settings

        serve: Serve = importlib.import_module(PROCESSES[name]).serve
    told_late = home == early.TOLD_LATER
    if told_late and not (home := early.wait_for_home()):
        return
    settings = load_settings(Path(home))
    if told_late:
        early.print_to(settings.logs / f"{name}.log")
    run(serve, settings)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
