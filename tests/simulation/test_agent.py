"""Agents and their control plane in virtual time, with everything going wrong that can.

Seeded: killed agents and gateways, lost, doubled and late messages, a store emptied or put back to an older copy,
containers that end by themselves, a machine that reboots. What must hold at every moment:

- a stopped thing stays stopped (no container of it starts any more);
- an older generation never wins;
- nothing stops but what was stopped explicitly or ended by itself;
and once the faults cease: what is wanted stopped is stopped, and the control plane knows everything there is.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from ropewalk.model.status import ContainerPhase, StopCause, WorkloadPhase
from ropewalk.model.workload import (
    Desire,
    EnvironmentVariable,
    Generation,
    HttpGet,
    Mount,
    Pause,
    Probe,
    Volume,
)
from ropewalk.planning import lifecycle
from ropewalk.store.memory import MemoryStore
from support.agents import Host, World
from support.workloads import container, stop, workload


class Simulation:
    def __init__(self, seed: int) -> None:
        self.world = World(seed, machines=2)
        self.random = self.world.random
        self.asked_to_stop: set[str] = set()
        self.may_end: set[str] = set()
        """Those that end by themselves, sooner or later."""
        self.rebooted: set[str] = set()
        self.made = 0
        self.fillers = 0
        self.backup: MemoryStore | None = None
        self.starts_when_stopped: dict[str, int] = {}
        self.generations: dict[str, Generation] = {}

    # --- what the slice does

    async def create(self) -> None:
        host = self.random.choice(self.world.hosts)
        uid = f"w-{self.made}"
        self.made += 1
        environment: tuple[EnvironmentVariable, ...] = ()
        if self.random.random() < 0.3:
            self.may_end.add(uid)
            after = self.random.choice([0, 1, 20])
            environment = (EnvironmentVariable("ROPEWALK_SIMULATE", f"exit=3 after={after}"),)
        careful: dict[str, Any] = {}
        if self.random.random() < 0.5:  # probed, with hooks at both ends and a file that its control plane gives
            careful = {
                "startup": Probe(question=HttpGet(80), interval=1.0, delay=0.0),
                "liveness": Probe(("true",), interval=self.random.choice([1.0, 7.0]), delay=2.0),
                "after_start": Pause(self.random.choice([0.0, 0.5, 10.0])),
                "before_stop": Pause(self.random.choice([0.0, 2.0])),
                "insists": True,
                "mounts": (Mount("given", "/given"),),
            }
        given = (Volume("given", "files", version="1"),) if careful else ()
        app = container(environment=environment, stop_timeout=5.0, **careful)
        what = workload(uid, app, machine=host.machine, number=0, volumes=given)
        await self.world.workloads.create(f"{host.machine}/{uid}", what)

    async def stop_one(self) -> None:
        items = await self.world.workloads.list()
        if items:
            item = self.random.choice(items)
            self.asked_to_stop.add(item.record.uid)
            await self.world.workloads.mutate(item.key, lambda held: stop(held, 0))

    async def delete_stopped(self) -> None:
        for item in await self.world.statuses.list():
            if item.record.phase is WorkloadPhase.STOPPED:
                await self.world.workloads.delete(item.key)

    # --- what goes wrong

    async def fault(self) -> None:
        world = self.world
        host = self.random.choice(world.hosts)
        choice = self.random.randrange(14)
        if choice < 4:
            await host.kill()
            await world.clock.advance(self.random.choice([0.0, 0.5, 30.0]))
            host.start()
        elif choice < 6:
            await world.stop_gateway()
            await world.clock.advance(self.random.choice([0.0, 5.0, 120.0]))
            world.start_gateway()
        elif choice < 9 and self.backup is None:
            self.backup = await world.copy()
        elif choice < 9 and self.backup is not None:
            await world.stop_gateway()
            world.store, self.backup = self.backup, None
            if self.random.random() < 0.5:
                # It goes on writing before any agent dials: revisions are used a second time.
                await self.create()
                for _ in range(self.random.choice([0, 30, 120])):
                    self.fillers += 1
                    await world.store.create(f"/other/{self.fillers}", b"{}")
            world.start_gateway()
        elif choice == 9 and self.random.random() < 0.5:
            await world.stop_gateway()
            world.store, self.backup = MemoryStore(world.entropy, clock=world.clock), None
            world.start_gateway()
        elif choice < 11:
            host.runtime.lose_events()
        elif choice < 12:
            host.runtime.available = False
            await world.clock.advance(self.random.random() * 5)
            host.runtime.available = True
        elif self.random.random() < 0.2:
            self.rebooted |= {c.uid for c in await host.runtime.containers()}
            self.rebooted |= set(host.states())
            host.runtime.reboot()

    # --- what must hold

    def starts(self, host: Host, uid: str) -> int:
        return sum(1 for started in host.runtime.starts if started[0] == uid)

    def check(self) -> None:
        for host in self.world.hosts:
            for uid, state in host.states().items():
                starts = self.starts(host, uid)
                assert starts <= 1 or uid in self.rebooted, f"{uid} was started {starts} times"
                if state.phase is WorkloadPhase.STOPPED:
                    assert self.starts_when_stopped.setdefault(uid, starts) == starts, f"{uid} started after its stop"
                if state.ending:
                    innocent = uid not in self.asked_to_stop | self.may_end | self.rebooted
                    assert not innocent, f"{uid} stops ({state.cause}: {state.reason}) though nobody asked"
                    if state.cause is StopCause.REQUESTED:
                        assert uid in self.asked_to_stop, f"{uid} stops as if asked to"
                before = self.generations.get(uid)
                after = state.workload.generation
                same = before is not None and before.store_id == after.store_id
                forward = before is None or (after.epoch, after.number) >= (before.epoch, before.number)
                assert forward or not same, f"{uid} went back from {before} to {after}"
                self.generations[uid] = after

    async def turn(self) -> None:
        roll = self.random.random()
        if roll < 0.25 and self.made < 14:
            await self.create()
        elif roll < 0.35:
            await self.stop_one()
        elif roll < 0.45:
            await self.delete_stopped()
        elif roll < 0.7:
            await self.fault()
        await self.world.clock.advance(self.random.choice([0.0, 0.01, 0.3, 4.0]))
        self.check()

    async def run(self) -> None:
        await self.world.up()
        self.world.badness = self.random.choice([0.0, 0.05, 0.2])
        for _ in range(50):
            await self.turn()
        self.world.badness = 0.0
        for host in self.world.hosts:
            host.runtime.available = True
        await self.world.clock.advance(180.0)
        self.check()
        await self.check_settled()
        await self.world.down()

    async def check_settled(self) -> None:
        reported = {item.key: item.record for item in await self.world.statuses.list()}
        wanted = {item.key: item.record for item in await self.world.workloads.list()}
        for host in self.world.hosts:
            assert self.world.gateway is not None and self.world.gateway.connected(host.machine)
            states = host.states()
            running = {c.uid for c in await host.runtime.containers() if c.state.value == "running"}
            for uid, state in states.items():
                key = f"{host.machine}/{uid}"
                assert reported[key] == lifecycle.status(state), f"{uid}: the control plane knows another status"
                if key in wanted and wanted[key].desire is Desire.STOP:
                    assert state.phase is WorkloadPhase.STOPPED
                if state.phase is WorkloadPhase.STOPPED:
                    assert uid not in running
                    assert all(c.phase is ContainerPhase.EXITED for c in state.containers)
                elif uid not in self.may_end:
                    assert state.phase is WorkloadPhase.RUNNING, f"{uid} is {state.phase} ({state.reason})"
                    assert uid in running, f"{uid} is not in the runtime"
            for key, record in wanted.items():
                if record.machine == host.machine:
                    known = reported.get(key)
                    assert known is not None, f"{key} never got to its machine"
                    if record.uid in self.may_end and known.cause is StopCause.ESSENTIAL_EXITED:
                        assert known.containers[0].exit_code in ((3, 255) if record.uid in self.rebooted else (3, 143))


@pytest.mark.parametrize("block", range(10))
async def test_nothing_is_lost_and_nothing_stops_unasked(block: int) -> None:
    for seed in range(block * 10, block * 10 + 10):
        try:
            await Simulation(seed).run()
        except AssertionError as failed:
            raise AssertionError(f"seed {seed}: {failed}") from failed


async def test_an_emptied_store_stops_nothing() -> None:
    world = World(1)
    await world.up()
    host = world.hosts[0]
    await world.workloads.create("m-0/w", workload("w", machine=host.machine))
    await world.clock.advance(2)
    await world.stop_gateway()
    world.store = MemoryStore(world.entropy, clock=world.clock)
    world.start_gateway()
    await world.clock.advance(120)
    assert (await host.runtime.containers())[0].state.value == "running"
    assert (await world.statuses.list())[0].record.phase is WorkloadPhase.RUNNING
    await world.down()


async def test_a_restored_store_begins_a_new_epoch_and_can_still_stop() -> None:
    world = World(2)
    await world.up()
    host = world.hosts[0]
    backup = await world.copy()
    await world.workloads.create("m-0/lost", workload("lost", machine=host.machine))
    await world.clock.advance(2)
    await world.stop_gateway()
    world.store = backup
    for number in range(20):
        await world.workloads.create(f"m-9/filler-{number}", workload(f"filler-{number}"))
    epoch = world.store.identity.epoch
    world.start_gateway()
    await world.clock.advance(120)
    assert world.store.identity.epoch == epoch + 1
    assert (await host.runtime.containers())[0].state.value == "running"
    adopted = replace(workload("lost", machine=host.machine), desire=Desire.STOP)
    await world.workloads.create("m-0/lost", adopted)
    await world.clock.advance(2)
    status = await world.statuses.get("m-0/lost")
    assert status is not None and status.phase is WorkloadPhase.STOPPED
    await world.down()


async def test_a_deleted_record_is_a_stop_where_the_store_itself_saw_it() -> None:
    world = World(3)
    await world.up()
    await world.workloads.create("m-0/w", workload("w", machine=world.hosts[0].machine))
    await world.clock.advance(2)
    await world.workloads.delete("m-0/w")
    await world.clock.advance(2)
    assert world.hosts[0].states() == {}
    assert await world.hosts[0].runtime.containers() == []
    assert await world.statuses.list() == []
    await world.down()


async def test_a_lost_journal_does_not_start_a_finished_workload_again() -> None:
    world = World(4)
    await world.up()
    host = world.hosts[0]
    ends = container(environment=(EnvironmentVariable("ROPEWALK_SIMULATE", "exit=0 after=1"),))
    await world.workloads.create("m-0/w", workload("w", ends, machine=host.machine))
    await world.clock.advance(5)
    status = await world.statuses.get("m-0/w")
    assert status is not None and status.phase is WorkloadPhase.STOPPED
    await host.kill()
    host.journal.live.clear()
    host.start()
    await world.clock.advance(30)
    assert len(host.runtime.starts) == 1
    await world.down()


async def test_a_new_agent_takes_the_session_of_an_old_one() -> None:
    world = World(5)
    await world.up()
    assert world.gateway is not None
    told: list[tuple[str, bool]] = []
    world.gateway.on_connection(lambda machine, connected: told.append((machine, connected)))
    host = world.hosts[0]
    first = world.gateway._sessions["m-0"]
    await host.kill()
    host.start()
    await world.clock.advance(5)
    assert world.gateway.connected(host.machine) and world.gateway._sessions["m-0"] is not first
    await host.kill()
    await world.clock.advance(5)
    assert not world.gateway.connected(host.machine) and told[-1] == ("m-0", False)
    await world.down()
