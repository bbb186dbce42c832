"""Every test has a host agent and a machine of its own making, and leaves the machine as it found it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from live.network.lab import Lab, nft_command
from ropewalk.daemon.parts import Command


@pytest.fixture(scope="session")
def nft() -> Command:
    return nft_command()


@pytest_asyncio.fixture
async def lab(nft: Command) -> AsyncIterator[Lab]:
    made = Lab(nft)
    try:
        await made.agent.adopt()
        yield made
    finally:
        await made.close()
