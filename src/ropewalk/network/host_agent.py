"""The host agent's core: holds the fabric, keeps one router a VPC, and attaches interfaces on request.

It knows nothing of workloads, and nobody needs it alive: what it made lies in the kernel and goes on filtering and
forwarding while it is away. After a restart it reads its journal, adopts what is there and mends what is not.

Level-triggered: news of the fabric only marks VPCs as stale; one task brings each marked VPC to what the book says.
"""

from __future__ import annotations

import asyncio
import functools
import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from ropewalk.base.clock import Clock
from ropewalk.base.errors import Fault, Retryable
from ropewalk.base.log import logger
from ropewalk.model.agent import FabricDelta, FabricDown, FabricWhole
from ropewalk.model.host import Attached, Attachment
from ropewalk.model.ids import InterfaceId, VpcId
from ropewalk.model.network import Fabric, FabricInterface, VpcSpec
from ropewalk.network import apply_links, hostfacts, namespaces
from ropewalk.network.book import FabricBook, FabricDial
from ropewalk.network.command import Command
from ropewalk.network.filter import Served
from ropewalk.network.host_lock import HostLock
from ropewalk.network.journal import Forgotten, Held, Journal, Listening, Released
from ropewalk.network.names import PAIRS, Names
from ropewalk.network.ranges import host_routes
from ropewalk.network.requests import check_attachment
from ropewalk.network.resolver import Forwarder
from ropewalk.network.router import Router, World
from ropewalk.network.server import HostServer
from ropewalk.network.workers import Workers

log = logger(__name__)
_RETRY = 1.0
_SWEEP_PERIOD = 30.0
_LOCKS = 256


@dataclass(frozen=True, slots=True)
class HostSettings:
    """Where this host's agent keeps things, and how it calls them."""

    folder: Path
    """Journal and routers' namespaces."""
    socket: Path
    region: str = "us-east-1"
    upstream: tuple[tuple[str, int], ...] = ()
    """Name servers for what is not the VPC's own: (address, port). Empty: such names fail at once."""
    prefix: str = "rw"


class HostAgent:
    """Implements `HostNetwork`; `run` serves it on the socket. `adopt` must have run before anything else is asked."""

    name = "host-agent"

    def __init__(self, settings: HostSettings, nft: Command, dial: FabricDial, clock: Clock) -> None:
        self._settings = settings
        self._dial = dial
        self._clock = clock
        self._names = Names(settings.prefix)
        self._book = FabricBook()
        self._workers = Workers()
        self._lock = HostLock(settings.prefix)
        self._journal: Journal | None = None
        self._routers: dict[VpcId, Router] = {}
        self._locks = tuple(asyncio.Lock() for _ in range(_LOCKS))
        self._stale: set[VpcId] = set()
        self._stirred = asyncio.Event()
        self._numbering = asyncio.Lock()
        self._routed: object = None
        self._saved: Fabric | None = None
        self._refusals: set[tuple[VpcId, str]] = set()
        self._world = World(
            names=self._names,
            folder=settings.folder / "netns",
            nft=nft,
            workers=self._workers,
            clock=clock,
            forwarder=Forwarder(settings.upstream, clock),
            region=settings.region,
            groups=lambda: self._book.groups,
            addresses=self._addresses,
        )

    def _addresses(self, vpc: VpcId) -> Mapping[str, tuple[str, ...]]:
        return self._book.names.get(vpc, {})

    # -- life ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until cancelled. Raises Fault `HostAgentRunning` where another one serves this host."""
        self._lock.acquire()
        try:
            await self.adopt()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(HostServer(self, self._settings.socket).run())
                tasks.create_task(self._follow())
                tasks.create_task(self._reconcile_forever())
                tasks.create_task(self._sweep_forever())
        finally:
            await self.close()
            self._lock.release()

    async def close(self) -> None:
        """Let go without undoing anything: the kernel goes on as it is."""
        for router in self._routers.values():
            await router.close()
        self._routers.clear()
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    async def adopt(self) -> None:
        """Read the journal and take up what an earlier process left, without waiting for a control plane."""
        journal = self._journal = Journal(self._settings.folder)
        saved = journal.fabric()
        held = tuple(item.record for item in journal.held.values())
        known = {record.vpc for record in held} | {item.vpc for item in journal.listening}
        vpcs = tuple(vpc for vpc in saved.vpcs if vpc.id in known)
        self._book.replace(Fabric(vpcs=vpcs, groups=saved.groups, interfaces=held), ())
        self._stir(vpc.id for vpc in vpcs)
        await self.settle()

    async def teardown(self) -> None:
        """For `down`: everything that this or an earlier process made on this host goes. No run is needed before."""
        if self._journal is None:
            self._journal = Journal(self._settings.folder)
        for router in list(self._routers.values()):
            await router.remove()
        self._routers.clear()
        await self._workers.slow(functools.partial(remove_all, self._world.folder, self._names))
        self._journal.remove()
        self._journal = None
        self._settings.socket.unlink(missing_ok=True)

    # -- the fabric ---------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            try:
                async for message in self._dial():
                    self.hear(message)
            except (OSError, Retryable) as error:
                log.warning("fabric stream lost, dialling again", reason=error)
            await self._clock.sleep(_RETRY)

    def hear(self, message: FabricDown) -> None:
        """Take one message of the fabric; `settle` waits until it is in force."""
        if isinstance(message, FabricWhole):
            held = self._journal.held if self._journal is not None else {}
            self._stir(self._book.replace(message.fabric, held))
        elif isinstance(message, FabricDelta):
            self._stir(self._book.change(message.change))

    def _stir(self, vpcs: Iterable[VpcId]) -> None:
        self._stale.update(vpcs)
        if self._stale:
            self._stirred.set()

    async def _reconcile_forever(self) -> None:
        while True:
            await self._stirred.wait()
            if not await self.settle():
                await self._clock.sleep(_RETRY)

    async def settle(self) -> bool:
        """Bring every stale VPC to the book. False where some could not be: they stay stale, for another try."""
        self._stirred.clear()
        stale, self._stale = self._stale, set()
        if not stale:
            return True
        failed: set[VpcId] = set()
        try:
            await self._save_fabric()
            await self._route_host()
        except (OSError, Retryable) as error:
            log.warning("host routes not applied yet", reason=error)
            failed |= stale
        results = await asyncio.gather(*(self._reconcile(vpc) for vpc in sorted(stale)), return_exceptions=True)
        for vpc, result in zip(sorted(stale), results, strict=True):
            if isinstance(result, BaseException):
                failed.add(vpc)
                log.warning("router not as wanted yet", vpc=vpc, reason=f"{type(result).__name__}: {result}")
        await self._route_host()
        self._stir(failed)
        return not failed

    async def _save_fabric(self) -> None:
        book, journal = self._book, self._require_journal()
        fabric = Fabric(vpcs=tuple(book.vpcs.values()), groups=tuple(book.groups.values()))
        if fabric == self._saved:
            return
        await self._workers.quick(functools.partial(journal.save_fabric, fabric))
        self._saved = fabric

    async def _route_host(self) -> None:
        """Guards and routes on the host, for the VPCs of the book and those whose routers still stand."""
        specs = {**{router.vpc.id: router.vpc for router in self._routers.values()}, **self._book.vpcs}
        numbers = {vpc: router.number for vpc, router in self._routers.items() if router.ready}
        if self._routed == (specs, numbers):
            return
        facts = await self._workers.quick(functools.partial(hostfacts.read, self._names.prefix))
        plan = host_routes(tuple(specs.values()), facts)
        for vpc, reason in plan.refused:
            if (vpc, reason) not in self._refusals:
                log.warning("the host has no route into this VPC", vpc=vpc, reason=reason)
        self._refusals = set(plan.refused)
        await self._workers.quick(functools.partial(apply_links.route_host, plan, numbers, self._names))
        self._routed = (specs, numbers)

    async def _reconcile(self, vpc: VpcId) -> None:
        spec, router = self._book.vpcs.get(vpc), self._routers.get(vpc)
        if spec is None:
            if router is not None:
                await self._forget(router)
            return
        if router is None:
            async with self._numbering:
                router = await self._new_router(spec)
        fresh = not router.ready
        await router.realise(spec)
        await self._reconcile_interfaces(router, fresh)
        await router.filter.converge()

    async def _new_router(self, spec: VpcSpec) -> Router:
        """Under `_numbering`: between looking for a free number and taking it nobody else may look."""
        vpc = spec.id
        uplink = self._names.uplink(vpc)
        number = await self._workers.quick(functools.partial(apply_links.present_number, uplink))
        if number is None:
            used = await self._workers.quick(apply_links.used_numbers)
            used |= {router.number for router in self._routers.values()}
            number = next((n for n in range(PAIRS) if n not in used), None)
        if number is None:
            raise Retryable(f"this host has no address pair left for a router of {vpc}", after=60.0)
        router = self._routers[vpc] = Router(spec, number, self._world)
        journal = self._require_journal()
        router.remember(Served(item.address, "tcp", item.port) for item in journal.listening if item.vpc == vpc)
        for held in journal.held.values():
            if held.record.vpc == vpc:
                router.attached[held.record.id] = held.record
        return router

    async def _reconcile_interfaces(self, router: Router, fresh: bool) -> None:
        """Attachments of this VPC: as the journal has them, with the records that the book has now.

        A fresh router may hold what an earlier process did not live to journal as gone.
        """
        for interface, held in list(self._require_journal().held.items()):
            if held.record.vpc != router.vpc.id:
                continue
            record = self._book.interfaces.get(interface)
            if record is None:
                await self.detach(interface)
            elif record != held.record or interface not in router.placed:
                await self._reattach(held, record)
        if fresh:
            await router.sweep()

    async def _reattach(self, held: Held, record: FabricInterface) -> None:
        try:
            await self._place(held.attachment, record)
        except Fault as fault:
            log.info("attachment is gone", interface=record.id, reason=fault.message)
            await self.detach(record.id)

    async def _forget(self, router: Router) -> None:
        for interface, held in list(self._require_journal().held.items()):
            if held.record.vpc == router.vpc.id:
                self._require_journal().append(Released(interface))
        await router.remove()
        self._routers.pop(router.vpc.id, None)
        self._require_journal().append(Forgotten(router.vpc.id))

    async def _sweep_forever(self) -> None:
        while True:
            await self._clock.sleep(_SWEEP_PERIOD)
            await self.sweep()

    async def sweep(self) -> None:
        """Let go of attachments whose namespace has gone without a word, and of links that nothing stands behind."""
        for interface, held in list(self._require_journal().held.items()):
            if not await self._workers.quick(functools.partial(_stands, held.attachment.namespace)):
                await self.detach(interface)
        for router in list(self._routers.values()):
            await router.sweep()

    def _require_journal(self) -> Journal:
        if self._journal is None:
            raise Retryable("the host agent is starting or stopping", after=0.2)
        return self._journal

    # -- HostNetwork --------------------------------------------------------------------------------------------------

    async def attach(self, attachment: Attachment) -> Attached:
        check_attachment(attachment)
        record = self._book.interfaces.get(attachment.interface)
        if record is None:
            raise Retryable(f"the fabric does not know {attachment.interface} yet", after=0.2)
        return await self._place(attachment, record)

    async def _place(self, attachment: Attachment, record: FabricInterface) -> Attached:
        router = self._routers.get(record.vpc)
        if router is None or not router.ready:
            raise Retryable(f"the router of {record.vpc} is being made", after=0.2)
        async with self._interface_lock(record.id):
            journal = self._require_journal()
            before = journal.held.get(record.id)
            held = Held(attachment, record)
            if before != held:
                journal.append(held)
            try:
                return await router.attach(attachment, record)
            except Fault:
                if before is None:
                    await router.detach(record.id)
                    journal.append(Released(record.id))
                elif before != held:
                    journal.append(before)
                raise

    async def detach(self, interface: InterfaceId) -> None:
        async with self._interface_lock(interface):
            journal = self._require_journal()
            held = journal.held.get(interface)
            if held is not None:
                router = self._routers.get(held.record.vpc)
                if router is None:
                    raise Retryable(f"the router of {held.record.vpc} is being made", after=0.2)
                await router.detach(interface)
                journal.append(Released(interface))

    def _interface_lock(self, interface: InterfaceId) -> asyncio.Lock:
        """Calls about one interface run one after another; two interfaces may share a lock, which only costs time."""
        return self._locks[hash(interface) % _LOCKS]

    async def listen(self, vpc: VpcId, address: str, port: int) -> socket.socket:
        router = self._routers.get(vpc)
        if router is None:
            raise Retryable(f"{vpc} has no router on this host yet", after=0.2)
        opened = await router.listen(address, port)
        event = Listening(vpc, str(IPv4Address(address)), port)
        journal = self._require_journal()
        if event not in journal.listening:
            journal.append(event)
        return opened

    async def vpcs(self) -> tuple[VpcId, ...]:
        return tuple(sorted(vpc for vpc, router in self._routers.items() if router.ready))


def _stands(namespace: str) -> bool:
    try:
        descriptor = namespaces.open_namespace(namespace)
    except OSError:
        return False
    os.close(descriptor)
    return True


def remove_all(folder: Path, names: Names) -> None:
    """Every router under `folder`, every link and route of this prefix. Blocking; needs no journal."""
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            apply_links.remove_router(path, uplink="")
        folder.rmdir()
    apply_links.remove_host_side(names)
