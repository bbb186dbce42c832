"""The event stream: nothing missed, nothing doubled, out-of-memory told from other kills; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.node.cri._generated import events_pb2 as events
from ropewalk.node.cri.exits import Exits
from ropewalk.node.runtime import ContainerExited, EventsLost, RuntimeEvent, RuntimeUnavailable


class FakeSource:
    """containerd's event service: what is published before anyone subscribes is lost."""

    def __init__(self) -> None:
        self.queues: list[asyncio.Queue[events.Envelope | None]] = []
        self.deaf = False

    async def publish(self, topic: str) -> None:
        self.send(topic, b"")

    def send(self, topic: str, value: bytes) -> None:
        envelope = events.Envelope(topic=topic)
        envelope.event.value = value
        for queue in self.queues:
            if not (self.deaf and topic.startswith("/ropewalk")):
                queue.put_nowait(envelope)

    def exit(self, container: str, code: int, process: str = "") -> None:
        told = events.TaskExit(container_id=container, id=process or container, exit_status=code)
        told.exited_at.seconds, told.exited_at.nanos = 1700, 500_000_000
        self.send("/tasks/exit", told.SerializeToString())

    def starve(self, container: str) -> None:
        self.send("/tasks/oom", events.TaskOOM(container_id=container).SerializeToString())

    async def subscribe(self, *filters: str) -> AsyncIterator[events.Envelope]:
        queue: asyncio.Queue[events.Envelope | None] = asyncio.Queue()
        self.queues.append(queue)
        try:
            while (envelope := await queue.get()) is not None:
                yield envelope
            raise RuntimeUnavailable("gone")
        finally:
            self.queues.remove(queue)


class Scene:
    def __init__(self) -> None:
        self.source, self.clock = FakeSource(), VirtualClock()
        self.kills: dict[str, int | None] = {}
        self.exits = Exits(self.source, self.clock, SeededEntropy(1), lambda one: self.kills.get(one, 0), "box".__eq__)
        self.told: list[RuntimeEvent] = []

    async def __aenter__(self) -> Scene:
        self.task = asyncio.create_task(self.gather())
        await self.clock.advance(0.1)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def gather(self) -> None:
        async for event in self.exits.stream():
            self.told.append(event)


async def test_it_begins_with_events_lost_and_tells_exits() -> None:
    async with Scene() as scene:
        assert scene.told == [EventsLost()]
        scene.source.exit("c", 3)
        await scene.clock.settle()
        assert scene.told[1:] == [ContainerExited("c", 3, 1700.5)]
        assert scene.exits.seen["c"].exit_code == 3
        scene.exits.forget("c")
        assert scene.exits.seen == {}


async def test_a_subscription_that_does_not_hear_us_does_not_count_as_standing() -> None:
    scene = Scene()
    scene.source.deaf = True
    async with scene:
        await scene.clock.advance(1)
        assert scene.told == []
        scene.source.deaf = False
        await scene.clock.advance(0.1)
        assert scene.told == [EventsLost()]


async def test_commands_and_sandboxes_are_no_containers_of_ours() -> None:
    async with Scene() as scene:
        scene.source.exit("c", 1, process="exec-1")
        scene.source.exit("box", 0)
        await scene.clock.settle()
        assert scene.told == [EventsLost()]


async def test_a_break_is_told_and_mended() -> None:
    async with Scene() as scene:
        scene.source.queues[0].put_nowait(None)
        await scene.clock.advance(1)
        assert scene.told == [EventsLost(), EventsLost()]
        scene.source.exit("c", 0)
        await scene.clock.settle()
        assert scene.told[-1] == ContainerExited("c", 0, 1700.5)


async def test_the_cgroups_count_decides() -> None:
    async with Scene() as scene:
        scene.kills = {"starved": 1, "killed": 0}
        scene.source.starve("killed")  # its workload's common limit was met by another container
        scene.source.exit("starved", 137)
        scene.source.exit("killed", 137)
        await scene.clock.settle()
        assert [(event.id, event.out_of_memory) for event in scene.told[1:]] == [("starved", True), ("killed", False)]


async def test_without_its_cgroup_a_witness_may_come_late() -> None:
    async with Scene() as scene:
        scene.kills = {"late": None, "never": None}
        scene.source.exit("late", 137)
        scene.source.exit("never", 137)
        await scene.clock.settle()
        assert scene.told == [EventsLost()]
        scene.source.starve("late")
        await scene.clock.advance(1)
        assert {event.id: event.out_of_memory for event in scene.told[1:]} == {"late": True, "never": False}
        assert scene.exits.seen["late"].out_of_memory


async def test_what_we_killed_did_not_starve() -> None:
    async with Scene() as scene:
        scene.kills = {"c": None, "d": 1}
        scene.exits.killed_by_us |= {"c", "d"}
        scene.source.exit("c", 137)
        scene.source.exit("d", 137)
        await scene.clock.settle()
        assert [event.out_of_memory for event in scene.told[1:]] == [False, False]
