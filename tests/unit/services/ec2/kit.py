"""What the ec2 slice's tests share: a world over a memory store, and a store that fails when told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ropewalk.aws.operations import Call, Params, Principal
from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.base.errors import Fault
from ropewalk.base.settings import Settings
from ropewalk.model.ids import MachineId, SecurityGroupId, SubnetId
from ropewalk.model.network import InterfaceClaim
from ropewalk.services.ec2 import operations
from ropewalk.services.ec2.claims import ClaimKeeper
from ropewalk.services.ec2.fabric import FabricFeed
from ropewalk.services.ec2.lifecycle import seed
from ropewalk.services.ec2.slice import Ec2
from ropewalk.store.memory import MemoryStore
from ropewalk.store.protocol import Store
from unit.services.ec2.shapes import input_errors, output_errors


class AllowAll:
    async def require(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Sequence[str]]
    ) -> None:
        return None


def call(operation: str = "Any") -> Call:
    return Call(
        service="ec2",
        operation=operation,
        request_id="00000000-0000-4000-8000-000000000000",
        account="123456789012",
        region="us-east-1",
        principal=Principal("arn:aws:iam::123456789012:user/admin", "123456789012", "AIDAADMIN", "user"),
        now=1_700_000_000.0,
        source_ip="127.0.0.1",
        host="127.0.0.1:4566",
        authorizer=AllowAll(),
    )


class Crash(Exception):
    """The process died here."""


class FailingStore:
    """Passes everything on; the `at`-th write raises `Crash`, before it happens or after it did."""

    WRITES = ("create", "update", "delete")

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.writes = 0
        self.at = 0
        self.after = False
        self.stay_dead = False
        self.broken = False

    def fail(self, at: int, *, after: bool, stay_dead: bool) -> None:
        self.writes, self.at, self.after, self.stay_dead, self.broken = 0, at, after, stay_dead, False

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._inner, name)
        if name not in self.WRITES:
            return real

        async def write(*arguments: Any, **options: Any) -> Any:
            if self.broken:
                raise Crash(name)
            self.writes += 1
            failing = self.writes == self.at
            if failing and not self.after:
                self.broken = self.stay_dead
                raise Crash(name)
            result = await real(*arguments, **options)
            if failing:
                self.broken = self.stay_dead
                raise Crash(name)
            return result

        return write


class World:
    """One slice over a store, with its controllers if they run."""

    def __init__(self, store: Any = None, seed_number: int = 1, settings: Settings | None = None) -> None:
        self.entropy = SeededEntropy(seed_number)
        self.clock = VirtualClock()
        self.store = store if store is not None else MemoryStore(self.entropy, clock=self.clock)
        self.ec2 = Ec2.over(self.store, self.clock, self.entropy, settings or Settings())
        self.keeper: ClaimKeeper
        self.feed = FabricFeed(self.ec2)

    async def seeded(self) -> World:
        await seed(self.ec2)
        return self

    async def run(self, operation: str, **params: Any) -> Params:
        assert not input_errors(operation, params), input_errors(operation, params)
        answer = await operations.offered[operation].run(self.ec2, call(operation), params)
        assert output_errors(operation, answer) == []
        return answer

    async def fault(self, operation: str, **params: Any) -> Fault:
        """The fault that the operation must answer with; nothing may have been written."""
        before = self.store.revision
        try:
            result = await self.run(operation, **params)
        except Fault as fault:
            assert self.store.revision == before, f"{operation} failed and yet wrote"
            return fault
        raise AssertionError(f"{operation} succeeded: {result}")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[World]:
        """With every informer and controller of the slice."""
        self.keeper = ClaimKeeper(self.ec2)
        carriers = self.ec2.carriers
        jobs: list[Callable[[], Coroutine[Any, Any, None]]] = [
            carriers.workloads.run,
            carriers.statuses.run,
            self.keeper.informer.run,
            self.keeper.run,
            *(runnable.run for runnable in self.feed.runnables),
        ]
        tasks = [asyncio.create_task(self._quietly(job())) for job in jobs]
        try:
            await self.clock.settle()
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @staticmethod
    async def _quietly(job: Awaitable[None]) -> None:
        try:
            await job
        except Crash:
            return

    async def vpc(self) -> Params:
        return (await self.run("DescribeVpcs"))["Vpcs"][0]

    async def default_subnet(self) -> SubnetId:
        return sorted(item.record.id for item in await self.ec2.subnets.list())[0]

    async def claim(
        self, key: str, subnet: SubnetId | str = "", groups: tuple[SecurityGroupId, ...] = (), machine: str = ""
    ) -> None:
        await self.ec2.claims.create(
            key,
            InterfaceClaim(
                subnet=SubnetId(subnet or await self.default_subnet()),
                groups=groups,
                description=f"arn:aws:ecs:us-east-1:123456789012:attachment/{key}",
                requester="ecs.amazonaws.com",
                owner_arn="",
                machine=MachineId(machine),
            ),
        )
