"""Two API servers on one store hand out service addresses and node ports, and die between writes, in virtual time.

Seeded: users of either server create, change and delete services of few names in ranges that are nearly full, some of
them refused, some as dry runs, some slow between the claim and the write; writes of the store fail, done or undone;
servers die at any write, with every request that they were about, and others lead. Every event is judged as it happens:

- an address has one owner, and so has a node port;
- what a service holds is claimed for it, from before it is written until after it is gone;

and once the faults cease, nothing leaks: what is claimed is what services hold.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from typing import Any

import orjson
import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.base.errors import Retryable
from ropewalk.kube.controllers.service_networking import ServiceNetworking
from ropewalk.kube.kinds.core.service_addresses import ServiceAddresses, address_name
from ropewalk.kube.kinds.core.service_ranges import held_addresses, held_ports
from ropewalk.kube.machinery.admission import Admission
from ropewalk.runtime.controller import Runnable
from ropewalk.runtime.supervisor import Supervisor
from ropewalk.store.memory import MemoryStore
from ropewalk.store.protocol import EventKind, Revision, StoreUnavailable
from support.kube_front import Server

SEEDS = int(os.environ.get("ROPEWALK_SEEDS", "24"))
RANGES = ["10.96.0.0/28", "fd00::/124"]
NODE_PORTS = (30_000, 30_009)
NAMES = [f"s-{number}" for number in range(9)]
URL = "/api/v1/namespaces/default/services"
SERVICE, ADDRESS, PORT = "/registry/core/services/", "/registry/networking.k8s.io/ipaddresses/", "/ranges/nodeports/"


class Mortal:
    """The store as one server's process has it: what it writes may fail, and at some write the process ends."""

    def __init__(self, inner: MemoryStore, rng: random.Random) -> None:
        self.inner = inner
        self.random = rng
        self.badness = 0.0
        self.writes_left: int | None = None
        self.is_dead = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def create(self, key: str, value: bytes) -> Revision:
        return await self._write(self.inner.create, key, value)

    async def update(self, key: str, value: bytes, expected: Revision) -> Revision:
        return await self._write(self.inner.update, key, value, expected)

    async def delete(self, key: str, expected: Revision | None = None) -> Revision:
        return await self._write(self.inner.delete, key, expected)

    async def get(self, key: str) -> Any:
        self._check()
        return await self.inner.get(key)

    async def _write(self, write: Any, *arguments: Any) -> Revision:
        self._check()
        if self.random.random() < self.badness:
            raise StoreUnavailable("not now", after=0.2)
        made: Revision = await write(*arguments)
        if self.writes_left is not None:
            self.writes_left -= 1
            self.is_dead = self.writes_left <= 0
        self._check()
        if self.random.random() < self.badness:
            raise StoreUnavailable("no answer came", after=0.2)
        return made

    def _check(self) -> None:
        if self.is_dead:
            raise StoreUnavailable("the process is gone")


class Slow:
    """Admission that takes its time between the claim and the write."""

    def __init__(self, rng: random.Random, clock: VirtualClock) -> None:
        self.random = rng
        self.clock = clock

    async def mutate(self, admission: Admission) -> None: ...

    async def validate(self, admission: Admission) -> None:
        if admission.info.plural == "services":
            await self.clock.sleep(self.random.choice((0.0, 0.0, 0.0, 0.3, 2.0, 25.0)))


class Kept:
    """Runnables as the process keeps them."""

    name = "kept"

    def __init__(self, clock: VirtualClock, runnables: list[Runnable]) -> None:
        self.clock = clock
        self.runnables = runnables

    async def run(self) -> None:
        await Supervisor(self.clock).run(self.runnables)


class Process(Server):
    """One API server's process."""

    def __init__(self, store: MemoryStore, clock: VirtualClock, seed: int) -> None:
        self.random = random.Random(seed)
        self.mortal = Mortal(store, self.random)
        super().__init__(self.mortal, clock, seed=seed, chain=lambda api: Slow(self.random, clock))  # type: ignore[arg-type]
        self.networking = ServiceNetworking(self.api, self.addresses, "host", clock, SeededEntropy(seed))
        self.requests: set[asyncio.Task[None]] = set()

    def _serve_services(self) -> None:
        made = ServiceAddresses(RANGES, self.store, self.entropy, node_ports=NODE_PORTS, shut=True)
        self._serve(made)

    async def up(self) -> None:
        await self.start(Kept(self.clock, self.networking.runnables))
        while not self.mortal.is_dead:
            try:
                await self.networking.start()
            except Retryable:
                await asyncio.sleep(0)
            else:
                return

    def lead(self) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(Kept(self.clock, self.networking.led).run()))

    async def down(self) -> None:
        """With all it was about."""
        self.mortal.is_dead = True
        for task in self.requests:
            task.cancel()
        await asyncio.gather(*self.requests, return_exceptions=True)
        await self.stop()


class World:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = VirtualClock(settle_rounds=40)
        self.store = MemoryStore(SeededEntropy(seed), clock=self.clock)
        self.seed = seed
        self.lives = 0
        self.servers: list[Process] = []
        self.badness = 0.0
        self.judged = 0
        self.services: dict[str, Any] = {}
        self.claimed: dict[str, Any] = {}
        """Address or port → its object or record."""
        self.seen: Counter[str] = Counter()

    # --- the processes

    async def begin(self) -> Process:
        self.lives += 1
        made = Process(self.store, self.clock, self.seed * 1000 + self.lives)
        made.mortal.badness = self.badness
        if self.badness:
            made.mortal.writes_left = self.random.choice((None, 5, 20, 60))
        await made.up()
        return made

    async def bury(self) -> None:
        """Whoever died is begun anew; who leads is one that lives."""
        for place, server in enumerate(self.servers):
            if server.mortal.is_dead:
                self.seen["deaths"] += 1
                await server.down()
                self.servers[place] = await self.begin()
                if place == 0:
                    self.servers.reverse()
                    self.servers[0].lead()

    # --- users

    async def request(self, server: Process) -> None:
        name, roll = self.random.choice(NAMES), self.random.random()
        dry = "?dryRun=All" if self.random.random() < 0.1 else ""
        if roll < 0.5:
            answer = await server.post(f"{URL}{dry}", {"metadata": {"name": name}, "spec": self.spec()})
        elif roll < 0.75:
            answer = await server.delete(f"{URL}/{name}{dry}")
        else:
            answer = await server.patch(f"{URL}/{name}{dry}", {"spec": self.change()})
        assert answer.status in (200, 201, 404, 409, 422, 500, 503), answer.body
        assert answer.status != 500 or "range is full" in answer.message, answer.body
        self.seen[f"{answer.status}"] += 1

    def spec(self) -> Any:
        kind = self.random.choice(("ClusterIP", "NodePort", "LoadBalancer"))
        spec: dict[str, Any] = {"type": kind, "ports": [{"port": 80}]}
        spec["ipFamilyPolicy"] = self.random.choice(("SingleStack", "PreferDualStack"))
        if self.random.random() < 0.4:
            spec["clusterIP"] = f"10.96.0.{self.random.randint(1, 14)}"
        if kind != "ClusterIP" and self.random.random() < 0.4:
            spec["ports"][0]["nodePort"] = self.random.randint(*NODE_PORTS)
        if kind == "LoadBalancer":
            spec["externalTrafficPolicy"] = "Local"
        if self.random.random() < 0.15:
            spec["sessionAffinity"] = "Nobody"  # refused once everything is claimed
        return spec

    def change(self) -> Any:
        made = self.random.choice(
            (
                {"type": "ExternalName", "externalName": "a.example.com", "clusterIP": None, "clusterIPs": None},
                {"type": "ClusterIP", "externalName": None},
                {"type": "NodePort", "externalName": None},
                {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "externalName": None},
                {"ipFamilyPolicy": "SingleStack", "ipFamilies": None, "clusterIPs": None},
                {"ipFamilyPolicy": "PreferDualStack"},
            )
        )
        return {**made, "sessionAffinity": "Nobody"} if self.random.random() < 0.2 else made

    def ask(self) -> None:
        server = self.random.choice(self.servers)
        task = asyncio.get_running_loop().create_task(self.request(server))
        server.requests.add(task)

    def collect(self) -> None:
        """What came of the requests that ended."""
        for server in self.servers:
            for task in [one for one in server.requests if one.done()]:
                server.requests.discard(task)
                if not task.cancelled():
                    task.result()

    # --- the judge

    def judge(self) -> None:
        while True:
            events = self.store._keys._events_after("/", self.judged, 10_000)[0]
            if not events:
                return
            for event in events:
                self.judged = int(event.revision)
                value = None if event.kind is EventKind.DELETE else orjson.loads(event.value)
                for prefix, state in ((SERVICE, self.services), (ADDRESS, self.claimed), (PORT, self.claimed)):
                    if event.key.startswith(prefix):
                        name = event.key[len(prefix) :]
                        state.pop(name, None)
                        if value is not None:
                            state[name] = value
                self.check_owners()
                for service in self.services.values():
                    self.check_claimed(service)

    def check_claimed(self, service: Any) -> None:
        for text in held_addresses(service):
            claim = self.claimed.get(address_name(text))
            assert claim is not None, f"{text} was not claimed"
            assert claim["spec"]["parentRef"]["name"] == service["metadata"]["name"], f"{text} was claimed by another"
        for port in held_ports(service):
            claim = self.claimed.get(str(port))
            assert claim is not None, f"{port} was not claimed"
            assert claim["uid"] == service["metadata"]["uid"], f"{port} was claimed by another"

    def held(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for service in self.services.values():
            found.update(address_name(text) for text in held_addresses(service))
            found.update(str(port) for port in held_ports(service))
        return found

    def check_owners(self) -> None:
        twice = [one for one, count in self.held().items() if count > 1]
        assert not twice, f"{twice} have two owners"

    def check_settled(self) -> None:
        held = set(self.held())
        assert self.claimed.keys() == held, f"{self.claimed.keys() - held} leaked"

    # --- the run

    async def run(self) -> Counter[str]:
        self.servers = [await self.begin(), await self.begin()]
        self.servers[0].lead()
        self.badness = self.random.choice((0.0, 0.02, 0.1))
        for server in self.servers:
            server.mortal.badness = self.badness
            server.mortal.writes_left = self.random.choice((None, 10, 40)) if self.badness else None
        for _ in range(70):
            for _ in range(self.random.choice((0, 1, 1, 2, 4))):
                self.ask()
            await self.clock.advance(self.random.choice((0.0, 0.0, 0.1, 1.0, 15.0, 70.0)))
            self.collect()
            await self.bury()
            self.judge()
        self.badness = 0.0
        for server in self.servers:
            server.mortal.badness, server.mortal.writes_left = 0.0, None
        for _ in range(30):
            await self.clock.advance(30.0)
            await self.bury()
            self.judge()
        self.collect()
        self.check_settled()
        self.seen["held"] = len(self.held())
        for server in self.servers:
            await server.down()
        return self.seen


@pytest.mark.parametrize("block", range(6))
async def test_an_address_has_one_owner_and_nothing_leaks_once_repaired(block: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(block, SEEDS, 6):
        try:
            seen += await World(seed).run()
        except AssertionError as failed:
            raise AssertionError(f"seed {seed}: {failed}") from failed
    runs = len(range(block, SEEDS, 6))
    assert min(seen["201"], seen["200"], seen["409"], seen["422"], seen["held"]) > runs, seen
    assert seen["deaths"] > 0, seen
