"""Work and events that may take so long: on the injected clock, and nothing is left running."""

from __future__ import annotations

import asyncio

import pytest

from ropewalk.base.clock import Late, VirtualClock, happens, within


async def work(clock: VirtualClock, seconds: float, ended: list[str]) -> str:
    try:
        await clock.sleep(seconds)
    except asyncio.CancelledError:
        ended.append("cancelled")
        raise
    return "done"


@pytest.mark.parametrize(("takes", "outcome"), [(1.0, "done"), (5.0, "done"), (5.1, "late")])
async def test_work_within_a_time(takes: float, outcome: str) -> None:
    clock, ended = VirtualClock(), list[str]()
    asked = asyncio.ensure_future(within(work(clock, takes, ended), clock, 5.0))
    await clock.advance(5.0)
    assert asked.done()
    if outcome == "late":
        with pytest.raises(Late):
            await asked
        assert ended == ["cancelled"]
    else:
        assert await asked == outcome
    assert clock.next_deadline() is None, "nobody sleeps on"


async def test_work_that_is_shielded_goes_on() -> None:
    clock, ended = VirtualClock(), list[str]()
    shared = asyncio.ensure_future(work(clock, 9.0, ended))
    asked = asyncio.ensure_future(within(asyncio.shield(shared), clock, 5.0))
    await clock.advance(5.0)
    with pytest.raises(Late):
        await asked
    await clock.advance(4.0)
    assert await shared == "done"


async def test_what_work_raises_is_raised() -> None:
    async def failing() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await within(failing(), VirtualClock(), 5.0)


async def test_who_is_cancelled_takes_the_work_along() -> None:
    clock, ended = VirtualClock(), list[str]()
    asked = asyncio.ensure_future(within(work(clock, 9.0, ended), clock, 5.0))
    await clock.settle()
    asked.cancel()
    await clock.settle()
    assert asked.cancelled() and ended == ["cancelled"] and clock.next_deadline() is None


@pytest.mark.parametrize("when", [0.0, 2.0, None])
async def test_an_event_happens_or_not(when: float | None) -> None:
    clock, event = VirtualClock(), asyncio.Event()
    if when == 0.0:
        event.set()
    asked = asyncio.ensure_future(happens(event, clock, 5.0))
    await clock.advance(2.0)
    if when == 2.0:
        event.set()
    await clock.advance(3.0)
    assert await asked is (when is not None)
    assert clock.next_deadline() is None
