"""What a host agent does for the machine agents and control planes on its host.

Served on a Unix socket: one JSON request a line, one JSON reply a line; `Listen` passes a file descriptor
along with the reply (SCM_RIGHTS). `HostNetwork` is the same as a Protocol: the real client and the fake
implement it, and one contract suite holds both to it.
"""

from __future__ import annotations

import socket
from typing import Protocol

from ropewalk.model.ids import InterfaceId, VpcId
from ropewalk.model.workload import Record


class Attachment(Record, frozen=True):
    interface: InterfaceId
    namespace: str
    """Path of the network namespace that the interface goes into."""
    name: str = "eth0"


class Attached(Record, frozen=True):
    interface: InterfaceId
    addresses: tuple[str, ...]
    gateway: str
    mac: str


METADATA_ADDRESS = "169.254.170.2"
"""Task metadata and task-role credentials, as on ECS."""
RESOLVER_ADDRESS = "169.254.169.253"
"""The VPC's resolver, as on EC2."""
AWS_ENDPOINT_ADDRESS = "169.254.170.1"
"""Where the AWS endpoint listens inside every VPC."""


class HostNetwork(Protocol):
    """Every call is idempotent: repeating it changes nothing and answers the same."""

    async def attach(self, attachment: Attachment) -> Attached:
        """Put the interface into the namespace, addressed, routed and filtered.

        Raises `Retryable` while the fabric does not yet know the interface.
        """
        ...

    async def detach(self, interface: InterfaceId) -> None: ...

    async def listen(self, vpc: VpcId, address: str, port: int) -> socket.socket:
        """A listening TCP socket inside the VPC's router, closed to every other VPC."""
        ...

    async def vpcs(self) -> tuple[VpcId, ...]:
        """VPCs realised on this host."""
        ...
