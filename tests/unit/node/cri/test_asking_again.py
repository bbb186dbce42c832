"""A sandbox that ends by itself while containerd stops it: the call is made again, for so long and no longer."""

from __future__ import annotations

import asyncio

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.node.cri.client import CallFailed
from ropewalk.node.cri.runtime import asked_again
from ropewalk.node.runtime import RuntimeFailure

GOING = CallFailed("UNKNOWN", "failed to kill container: ttrpc: closed: unknown")
GONE = CallFailed("NOT_FOUND", "no such sandbox")


class Calls:
    """Answers what is told in turn, the last of it for ever; None is success."""

    def __init__(self, *answers: CallFailed | None) -> None:
        self._answers = list(answers)
        self.made = 0

    async def __call__(self) -> None:
        answer = self._answers[min(self.made, len(self._answers) - 1)]
        self.made += 1
        if answer is not None:
            raise answer


async def finished(calls: Calls) -> None:
    clock = VirtualClock()
    asked = asyncio.ensure_future(asked_again(calls, clock))
    await clock.advance(60)
    assert asked.done()
    await asked


@pytest.mark.parametrize("last", [None, GONE])
async def test_a_shim_that_went_away_in_the_middle_is_asked_for_again(last: CallFailed | None) -> None:
    calls = Calls(GOING, GOING, last)
    await finished(calls)
    assert calls.made == 3


async def test_what_stays_refused_is_told_in_containerds_words() -> None:
    calls = Calls(GOING)
    with pytest.raises(RuntimeFailure, match="ttrpc: closed"):
        await finished(calls)
    assert 10 < calls.made < 1000
