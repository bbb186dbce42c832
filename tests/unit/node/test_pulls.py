"""Pulls of one image are shared, but nobody is answered by a pull that began before they asked."""

from __future__ import annotations

import asyncio

import pytest

from ropewalk.node.pulls import Pulls
from ropewalk.node.runtime import ImageInfo, PullFailed, RegistryAuth


class Registry:
    """Pulls that end when the test says so."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, RegistryAuth | None]] = []
        self.open: list[asyncio.Future[None]] = []

    async def pull(self, reference: str, auth: RegistryAuth | None) -> ImageInfo:
        number = len(self.begun)
        self.begun.append((reference, auth))
        self.open.append(asyncio.get_running_loop().create_future())
        await self.open[-1]
        return ImageInfo(reference, f"sha256:{number}")


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_those_who_ask_while_one_runs_share_the_next() -> None:
    registry = Registry()
    pulls = Pulls(registry.pull)
    first = asyncio.ensure_future(pulls.pull("nginx", None))
    await settle()
    later = [asyncio.ensure_future(pulls.pull("nginx", None)) for _ in range(7)]
    await settle()
    assert len(registry.begun) == 1
    registry.open[0].set_result(None)
    assert (await first).digest == "sha256:0"
    await settle()
    assert len(registry.begun) == 2
    registry.open[1].set_result(None)
    assert {(await one).digest for one in later} == {"sha256:1"}
    last = asyncio.ensure_future(pulls.pull("nginx", None))
    await settle()
    registry.open[2].set_result(None)
    assert (await last).digest == "sha256:2"


async def test_other_images_and_other_credentials_are_pulled_apart() -> None:
    registry = Registry()
    pulls = Pulls(registry.pull, at_once=2)
    asked = [("nginx", None), ("nginx", RegistryAuth("me", "secret")), ("redis", None)]
    tasks = [asyncio.ensure_future(pulls.pull(*what)) for what in asked]
    await settle()
    assert registry.begun == asked[:2]
    registry.open[0].set_result(None)
    await settle()
    assert registry.begun == asked
    for future in registry.open[1:]:
        future.set_result(None)
    assert [(await task).reference for task in tasks] == ["nginx", "nginx", "redis"]


async def test_a_failure_is_everyones_and_the_next_pull_begins_anew() -> None:
    registry = Registry()
    pulls = Pulls(registry.pull)
    both = [asyncio.ensure_future(pulls.pull("nginx", None)) for _ in range(2)]
    await settle()
    registry.open[0].set_exception(PullFailed("no route"))
    for one in both:
        with pytest.raises(PullFailed, match="no route"):
            await one
    again = asyncio.ensure_future(pulls.pull("nginx", None))
    await settle()
    registry.open[1].set_result(None)
    assert (await again).digest == "sha256:1"


async def test_one_who_stops_waiting_takes_nothing_from_the_others() -> None:
    registry = Registry()
    pulls = Pulls(registry.pull)
    gone, stays = (asyncio.ensure_future(pulls.pull("nginx", None)) for _ in range(2))
    await settle()
    gone.cancel()
    await settle()
    registry.open[0].set_result(None)
    assert (await stays).digest == "sha256:0"
    assert gone.cancelled()
