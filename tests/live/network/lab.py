"""Namespaces that stand in for workloads, a fabric made by hand, and a host agent over both. Cleans up after itself."""

from __future__ import annotations

import asyncio
import functools
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import TypeVar

from ropewalk.base.clock import SystemClock
from ropewalk.base.settings import Settings
from ropewalk.daemon.parts import Command, Parts, default_folder
from ropewalk.model.agent import FabricDown, FabricWhole
from ropewalk.model.host import Attached, Attachment
from ropewalk.model.ids import InterfaceId, SecurityGroupId, SubnetId, VpcId
from ropewalk.model.network import Fabric, FabricInterface, Rule, SecurityGroupSpec, SubnetSpec, VpcSpec
from ropewalk.network import namespaces
from ropewalk.network.host_agent import HostAgent, HostSettings

T = TypeVar("T")
PREFIX = "rt"
VPC = VpcId("vpc-0aaaaaaaaaaaaaaa1")
ANYWHERE = Rule(protocol="-1", cidr="0.0.0.0/0")
WEB = Rule(protocol="tcp", from_port=80, to_port=80, cidr="0.0.0.0/0")


def nft_command() -> Command:
    return Parts(default_folder(Settings())).provide(("nft",))["nft"]


def vpc(identifier: VpcId = VPC, cidr: str = "10.213.0.0/16", created_at: float = 1.0) -> VpcSpec:
    base = cidr.rsplit(".", 2)[0]
    subnets = tuple(
        SubnetSpec(
            SubnetId(f"subnet-{identifier[-4:]}{n}"), f"{base}.{n * 16}.0/20", f"us-east-1{z}", f"{base}.{n * 16}.1"
        )
        for n, z in enumerate("abc")
    )
    return VpcSpec(identifier, (cidr,), subnets, created_at)


def group(name: str, ingress: Iterable[Rule] = (), egress: Iterable[Rule] = (ANYWHERE,)) -> SecurityGroupSpec:
    return SecurityGroupSpec(SecurityGroupId(f"sg-{name}"), VPC, tuple(ingress), tuple(egress))


def interface(
    number: int, *groups: str, in_vpc: VpcSpec | None = None, subnet: int = 0, source_dest_check: bool = True
) -> FabricInterface:
    """Interface `number` of a VPC: its address ends in 10 + number."""
    spec = in_vpc or vpc()
    where = spec.subnets[subnet]
    return FabricInterface(
        id=InterfaceId(f"eni-{spec.id[-3:]}{number:014x}"),
        vpc=spec.id,
        subnet=where.id,
        addresses=(f"{where.gateway.rsplit('.', 1)[0]}.{10 + number}",),
        mac=f"02:00:00:00:{subnet:02x}:{number:02x}",
        groups=tuple(SecurityGroupId(f"sg-{name}") for name in groups),
        source_dest_check=source_dest_check,
    )


def in_thread(work: Callable[[], T]) -> T:
    """Run in a thread of its own: only such may change their namespace."""
    result: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


def inside(path: Path | str, work: Callable[[], T]) -> T:
    def enter() -> T:
        descriptor = namespaces.open_namespace(path)
        try:
            with namespaces.inside(descriptor):
                return work()
        finally:
            namespaces.os.close(descriptor)

    return in_thread(enter)


def run_inside(path: Path | str, *command: str) -> str:
    run = functools.partial(subprocess.run, command, capture_output=True, text=True, check=True)
    return inside(path, run).stdout


async def _quiet() -> AsyncIterator[FabricDown]:
    """A control plane that says nothing."""
    await asyncio.Event().wait()
    return
    yield


class Lab:
    """One host agent in this process. Give it a fabric by `fabric(...)`, interfaces by `attach(...)`."""

    def __init__(self, nft: Command) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ropewalk-network-"))
        self.nft = nft
        self.agent = self.new_agent()
        self._workloads: dict[InterfaceId, Path] = {}

    def new_agent(self, dial: Callable[[], AsyncIterator[FabricDown]] = _quiet) -> HostAgent:
        settings = HostSettings(self.folder / "host", self.folder / "host.sock", prefix=PREFIX)
        return HostAgent(settings, self.nft, dial, SystemClock())

    async def restart(self) -> None:
        """As after a SIGKILL: another process's memory, the same kernel."""
        await self.agent.close()
        self.agent = self.new_agent()
        await self.agent.adopt()

    async def fabric(
        self,
        groups: Iterable[SecurityGroupSpec],
        interfaces: Iterable[FabricInterface],
        vpcs: Iterable[VpcSpec] = (vpc(),),
        names: Iterable[tuple[str, str, str]] = (),
    ) -> None:
        whole = Fabric(tuple(vpcs), tuple(groups), tuple(interfaces), tuple(names))
        await self.hear(FabricWhole(whole))

    async def hear(self, message: FabricDown) -> None:
        self.agent.hear(message)
        assert await self.agent.settle()

    def namespace(self, of: FabricInterface) -> Path:
        path = self.folder / "workloads" / of.id
        if of.id not in self._workloads:
            namespaces.create(path)
            self._workloads[of.id] = path
        return path

    async def attach(self, *interfaces: FabricInterface) -> list[Attached]:
        return [await self.agent.attach(Attachment(i.id, str(self.namespace(i)))) for i in interfaces]

    def router(self, of: VpcId = VPC) -> Path:
        return self.folder / "host" / "netns" / f"{PREFIX}-{of.removeprefix('vpc-')}"

    def listen(self, at: FabricInterface, port: int) -> socket.socket:
        listening = inside(self.namespace(at), socket.socket)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("0.0.0.0", port))
        listening.listen()
        return listening

    async def reaches(
        self, source: FabricInterface | None, address: str, port: int, within: float = 0.4, bind: str = ""
    ) -> bool:
        """Whether a TCP connection comes about; from the host itself where `source` is None."""
        dialling = socket.socket() if source is None else inside(self.namespace(source), socket.socket)
        with dialling:
            if bind:
                dialling.bind((bind, 0))
            dialling.setblocking(False)
            try:
                async with asyncio.timeout(within):
                    await asyncio.get_running_loop().sock_connect(dialling, (address, port))
            except (TimeoutError, OSError):
                return False
            return True

    async def ruleset(self, of: VpcId = VPC) -> str:
        """The router's table as the kernel has it, with handles: any rewrite would show."""
        descriptor = self.router(of)

        def read() -> str:
            done = subprocess.run(
                [*self.nft.argv, "-a", "list", "ruleset"],
                env=self.nft.merged(),
                capture_output=True,
                text=True,
                check=True,
            )
            return done.stdout

        return await asyncio.to_thread(inside, descriptor, read)

    async def close(self) -> None:
        try:
            await self.agent.teardown()
        finally:
            for path in self._workloads.values():
                namespaces.remove(path)
            shutil.rmtree(self.folder)
