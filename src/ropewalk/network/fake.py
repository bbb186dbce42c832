"""The host's network without a kernel: what simulated mode and tests of other parts attach to.

It follows the same fabric and keeps the same promises as the real one (one contract suite holds both), and moves no
packet. Its listening sockets are real ones, on loopback ports that the system chooses: whoever serves them is reached
there.
"""

from __future__ import annotations

import socket

from ropewalk.base.clock import Clock
from ropewalk.base.errors import Fault, Retryable
from ropewalk.base.log import logger
from ropewalk.model.agent import FabricDelta, FabricDown, FabricWhole
from ropewalk.model.host import Attached, Attachment
from ropewalk.model.ids import InterfaceId, VpcId
from ropewalk.network.book import FabricBook, FabricDial
from ropewalk.network.requests import check_attachment, check_listener, subnet_of

log = logger(__name__)
_RETRY = 1.0


class FakeHostNetwork:
    """Implements `HostNetwork`. `run` follows the fabric; tests may call `hear` instead."""

    name = "fake-host-network"

    def __init__(self, dial: FabricDial, clock: Clock) -> None:
        self._dial = dial
        self._clock = clock
        self._book = FabricBook()
        self._sockets: dict[tuple[VpcId, str, int], socket.socket] = {}
        self.attached: dict[InterfaceId, Attachment] = {}
        """What is where, for assertions and for simulated runtimes."""
        self._links: dict[tuple[str, str], InterfaceId] = {}
        """(namespace, name) of what is attached: to look a link up costs the same with ten thousand."""

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                try:
                    async for message in self._dial():
                        self.hear(message)
                except (OSError, Retryable) as error:
                    log.warning("fabric stream lost, dialling again", reason=error)
                await self._clock.sleep(_RETRY)
        finally:
            self.close()

    def close(self) -> None:
        for kept in self._sockets.values():
            kept.close()
        self._sockets.clear()

    def hear(self, message: FabricDown) -> None:
        if isinstance(message, FabricWhole):
            self._book.replace(message.fabric, self.attached)
        elif isinstance(message, FabricDelta):
            self._book.change(message.change)
            for interface in message.change.removed_interfaces:
                self._drop(InterfaceId(interface))

    async def attach(self, attachment: Attachment) -> Attached:
        check_attachment(attachment)
        record = self._book.interfaces.get(attachment.interface)
        if record is None:
            raise Retryable(f"the fabric does not know {attachment.interface} yet", after=0.2)
        vpc = self._book.vpcs.get(record.vpc)
        if vpc is None:
            raise Retryable(f"the fabric does not know {record.vpc} yet", after=0.2)
        subnet = subnet_of(vpc, record)
        link = (attachment.namespace, attachment.name)
        if self._links.get(link, record.id) != record.id:
            raise Fault(
                "InvalidParameterValue",
                f"{attachment.namespace} already has a link {attachment.name} of something else.",
            )
        self._drop(record.id)
        self.attached[record.id] = attachment
        self._links[link] = record.id
        return Attached(record.id, record.addresses, subnet.gateway, record.mac.lower())

    async def detach(self, interface: InterfaceId) -> None:
        self._drop(interface)

    def _drop(self, interface: InterfaceId) -> None:
        gone = self.attached.pop(interface, None)
        if gone is not None:
            del self._links[gone.namespace, gone.name]

    async def listen(self, vpc: VpcId, address: str, port: int) -> socket.socket:
        spec = self._book.vpcs.get(vpc)
        if spec is None:
            raise Retryable(f"{vpc} has no router on this host yet", after=0.2)
        check_listener(spec, address, port)
        kept = self._sockets.get((vpc, address, port))
        if kept is None:
            kept = socket.create_server(("127.0.0.1", 0))
            kept.setblocking(False)
            self._sockets[vpc, address, port] = kept
        return kept.dup()

    async def vpcs(self) -> tuple[VpcId, ...]:
        return tuple(sorted(self._book.vpcs))
