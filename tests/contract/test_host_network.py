"""What every `HostNetwork` promises: the fake, the host agent, and the host agent through its socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from live.network.lab import VPC, Lab, group, interface, nft_command, vpc
from ropewalk.base.clock import SystemClock
from ropewalk.base.errors import Fault, Retryable
from ropewalk.model.agent import FabricDelta, FabricDown, FabricWhole
from ropewalk.model.host import AWS_ENDPOINT_ADDRESS, METADATA_ADDRESS, RESOLVER_ADDRESS, Attachment, HostNetwork
from ropewalk.model.ids import InterfaceId, VpcId
from ropewalk.model.network import Fabric, FabricChange, FabricInterface
from ropewalk.network.client import HostClient
from ropewalk.network.fake import FakeHostNetwork
from ropewalk.network.server import HostServer

FIRST, SECOND = interface(1, "web"), interface(2, "web")
WHOLE = FabricWhole(Fabric(vpcs=(vpc(),), groups=(group("web"),), interfaces=(FIRST, SECOND)))


class Stream:
    """A fabric stream that tests write to."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[FabricDown] = asyncio.Queue()

    def say(self, message: FabricDown) -> None:
        self._messages.put_nowait(message)

    async def dial(self) -> AsyncIterator[FabricDown]:
        while True:
            yield await self._messages.get()


@dataclass
class Subject:
    network: HostNetwork
    say: Callable[[FabricDown], None]
    namespace: Callable[[FabricInterface], str]

    def place(self, of: FabricInterface) -> Attachment:
        return Attachment(of.id, self.namespace(of))


@pytest_asyncio.fixture(params=["fake", "served fake", pytest.param("agent", marks=pytest.mark.live)])
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    stream = Stream()
    if request.param == "fake":
        fake = FakeHostNetwork(stream.dial, SystemClock())
        async with _running(fake.run()):
            yield Subject(fake, stream.say, lambda of: f"/namespaces/{of.id}")
        return
    if request.param == "served fake":
        fake, path = FakeHostNetwork(stream.dial, SystemClock()), tmp_path / "host.sock"
        async with _running(fake.run()), _running(HostServer(fake, path).run()):
            yield Subject(HostClient(path), stream.say, lambda of: f"/namespaces/{of.id}")
        return
    lab = Lab(nft_command())
    try:
        lab.agent = lab.new_agent(stream.dial)
        async with _running(lab.agent.run()):
            yield Subject(HostClient(lab.folder / "host.sock"), stream.say, lambda of: str(lab.namespace(of)))
    finally:
        await lab.close()


@contextlib.asynccontextmanager
async def _running(work: object) -> AsyncIterator[None]:
    assert asyncio.iscoroutine(work)
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def eventually(attempt: Callable[[], object]) -> object:
    """Repeat while it says "try again", for five seconds."""
    async with asyncio.timeout(5):
        while True:
            try:
                made = attempt()
                assert asyncio.iscoroutine(made)
                return await made
            except Retryable:
                await asyncio.sleep(0.01)


async def has_vpcs(subject: Subject, *wanted: VpcId) -> None:
    if await subject.network.vpcs() != wanted:
        raise Retryable("other VPCs are realised")


async def test_an_interface_that_the_fabric_does_not_know_is_worth_another_try(subject: Subject) -> None:
    with pytest.raises(Retryable):
        await subject.network.attach(subject.place(FIRST))
    subject.say(WHOLE)
    assert await eventually(lambda: subject.network.attach(subject.place(FIRST)))


async def test_attach_answers_what_the_workload_needs_and_repeats_it(subject: Subject) -> None:
    subject.say(WHOLE)
    once = await eventually(lambda: subject.network.attach(subject.place(FIRST)))
    assert once == await subject.network.attach(subject.place(FIRST))
    assert once.interface == FIRST.id
    assert (once.addresses, once.gateway, once.mac) == (("10.213.0.11",), "10.213.0.1", "02:00:00:00:00:01")


async def test_detach_may_be_repeated_and_frees_the_interface(subject: Subject) -> None:
    subject.say(WHOLE)
    await eventually(lambda: subject.network.attach(subject.place(FIRST)))
    await subject.network.detach(FIRST.id)
    await subject.network.detach(FIRST.id)
    await subject.network.detach(InterfaceId("eni-never"))
    assert (await subject.network.attach(subject.place(FIRST))).interface == FIRST.id


async def test_an_interface_may_move_to_another_namespace(subject: Subject) -> None:
    subject.say(WHOLE)
    await eventually(lambda: subject.network.attach(subject.place(FIRST)))
    moved = Attachment(FIRST.id, subject.namespace(SECOND))
    assert (await subject.network.attach(moved)).interface == FIRST.id
    assert (await subject.network.attach(subject.place(FIRST))).interface == FIRST.id


async def test_two_interfaces_cannot_be_one_link(subject: Subject) -> None:
    subject.say(WHOLE)
    await eventually(lambda: subject.network.attach(subject.place(FIRST)))
    with pytest.raises(Fault) as refused:
        await subject.network.attach(Attachment(SECOND.id, subject.namespace(FIRST)))
    assert refused.value.code == "InvalidParameterValue"
    assert (await subject.network.attach(subject.place(SECOND))).interface == SECOND.id


@pytest.mark.parametrize("name", ["", "sixteen-letters-", "a/b", "..", "a b"])
async def test_a_name_that_no_link_can_have_is_refused(subject: Subject, name: str) -> None:
    with pytest.raises(Fault) as refused:
        await subject.network.attach(Attachment(FIRST.id, subject.namespace(FIRST), name))
    assert refused.value.code == "InvalidParameterValue"


async def test_an_interface_removed_from_the_fabric_is_gone(subject: Subject) -> None:
    subject.say(WHOLE)
    await eventually(lambda: subject.network.attach(subject.place(FIRST)))
    subject.say(FabricDelta(FabricChange(serial=2, removed_interfaces=(FIRST.id,))))
    async with asyncio.timeout(5):
        while True:
            try:
                await subject.network.attach(subject.place(FIRST))
            except Retryable:
                return
            await asyncio.sleep(0.01)


async def test_a_fabric_that_has_forgotten_an_attached_interface_does_not_take_it_away(subject: Subject) -> None:
    subject.say(WHOLE)
    once = await eventually(lambda: subject.network.attach(subject.place(FIRST)))
    other = vpc(VpcId("vpc-0bbbbbbbbbbbbbbb2"), "10.214.0.0/16")
    subject.say(FabricWhole(Fabric(vpcs=(vpc(), other))))
    await eventually(lambda: has_vpcs(subject, VPC, other.id))
    assert once == await subject.network.attach(subject.place(FIRST))


async def test_vpcs_are_those_of_the_fabric(subject: Subject) -> None:
    assert await subject.network.vpcs() == ()
    subject.say(WHOLE)
    await eventually(lambda: has_vpcs(subject, VPC))


async def test_listen_answers_a_listening_socket_each_time(subject: Subject) -> None:
    subject.say(WHOLE)
    first = await eventually(lambda: subject.network.listen(VPC, METADATA_ADDRESS, 80))
    second = await subject.network.listen(VPC, METADATA_ADDRESS, 80)
    other = await subject.network.listen(VPC, AWS_ENDPOINT_ADDRESS, 4566)
    with first, second, other:
        assert first.getsockname() == second.getsockname() != other.getsockname()
        for opened in (first, second, other):
            with pytest.raises(BlockingIOError):
                opened.accept()


async def test_listen_in_a_vpc_that_is_not_there_yet_is_worth_another_try(subject: Subject) -> None:
    with pytest.raises(Retryable):
        await subject.network.listen(VPC, METADATA_ADDRESS, 80)


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("10.213.0.11", 80),
        ("0.0.0.0", 80),
        ("127.0.0.1", 80),
        ("metadata", 80),
        ("169.254.192.1", 80),
        (METADATA_ADDRESS, 0),
        (METADATA_ADDRESS, 65536),
        (RESOLVER_ADDRESS, 53),
    ],
)
async def test_listen_is_only_for_link_local_services(subject: Subject, address: str, port: int) -> None:
    subject.say(WHOLE)
    await eventually(lambda: subject.network.attach(subject.place(FIRST)))
    with pytest.raises(Fault) as refused:
        await subject.network.listen(VPC, address, port)
    assert refused.value.code == "InvalidParameterValue"


async def nothing() -> AsyncIterator[FabricDown]:
    await asyncio.Event().wait()
    yield WHOLE


async def test_a_line_that_is_no_request_is_answered_and_costs_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "host.sock"
    fake = FakeHostNetwork(nothing, SystemClock())
    async with _running(HostServer(fake, path).run()), asyncio.timeout(5):
        await asyncio.sleep(0)
        assert path.stat().st_mode & 0o777 == 0o600
        reader, writer = await asyncio.open_unix_connection(path)
        for line in (b"", b"{}", b"[1", b'{"do": "fly"}', b'{"do": "listen", "vpc": 7, "address": "x", "port": 1}'):
            writer.write(line + b"\n")
            assert b"MalformedRequest" in await reader.readline(), line
        writer.write(b'{"do": "vpcs"}\n')
        assert await reader.readline() == b'{"reply":"vpcs","vpcs":[]}\n'
        writer.write(b"x" * 200_000)
        with contextlib.suppress(ConnectionResetError):  # closed with bytes unread: the system calls it a reset
            assert await reader.read() == b"", "a line without end is not waited for"
        writer.close()
        assert await HostClient(path).vpcs() == ()


async def test_a_host_agent_that_is_away_is_worth_another_try(tmp_path: Path) -> None:
    with pytest.raises(Retryable, match="cannot be reached"):
        await HostClient(tmp_path / "absent.sock").vpcs()
