"""Real containers without a control plane: one containerd a test, private and gone afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ropewalk.node.cri.runtime import CriRuntime
from support.containers import Machine, machine


@pytest.fixture
async def real() -> AsyncIterator[Machine]:
    async with machine() as running:
        yield running


@pytest.fixture
async def runtime(real: Machine) -> AsyncIterator[CriRuntime]:
    made = real.runtime()
    yield made
    await made.close()
