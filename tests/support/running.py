"""A runnable while a test looks at what it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from ropewalk.runtime.controller import Runnable


@asynccontextmanager
async def running(runnable: Runnable) -> AsyncIterator[None]:
    task = asyncio.ensure_future(runnable.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
