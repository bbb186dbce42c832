"""The host agent's socket, line by line: one JSON request, one JSON reply; `Listen`'s reply brings a descriptor along.

Connections are answered in order. A reply is a result, a caller's fault, or "try again": exactly what `HostNetwork`
returns and raises, so that both ends of the socket behave as one.
"""

from __future__ import annotations

import asyncio
from typing import Union

import msgspec

from ropewalk.base.errors import Fault, Retryable
from ropewalk.model.host import Attached, Attachment
from ropewalk.model.ids import InterfaceId, VpcId
from ropewalk.model.workload import Record

MAX_LINE = 1 << 16


class Attach(Record, frozen=True, tag="attach", tag_field="do"):
    attachment: Attachment


class Detach(Record, frozen=True, tag="detach", tag_field="do"):
    interface: InterfaceId


class Listen(Record, frozen=True, tag="listen", tag_field="do"):
    vpc: VpcId
    address: str
    port: int


class Vpcs(Record, frozen=True, tag="vpcs", tag_field="do"):
    pass


Request = Union[Attach, Detach, Listen, Vpcs]


class AttachedReply(Record, frozen=True, tag="attached", tag_field="reply"):
    attached: Attached


class DoneReply(Record, frozen=True, tag="done", tag_field="reply"):
    """Of `Detach`, and of `Listen` along with the socket."""


class VpcsReply(Record, frozen=True, tag="vpcs", tag_field="reply"):
    vpcs: tuple[VpcId, ...]


class FaultReply(Record, frozen=True, tag="fault", tag_field="reply"):
    code: str
    message: str
    status: int = 400


class RetryReply(Record, frozen=True, tag="retry", tag_field="reply"):
    reason: str
    after: float


Reply = Union[AttachedReply, DoneReply, VpcsReply, FaultReply, RetryReply]

REQUESTS: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
REPLIES: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


def encode(message: Request | Reply) -> bytes:
    return msgspec.json.encode(message) + b"\n"


def failure(error: Fault | Retryable) -> Reply:
    if isinstance(error, Fault):
        return FaultReply(error.code, error.message, error.status)
    return RetryReply(error.reason, error.after)


def checked(reply: Reply) -> AttachedReply | DoneReply | VpcsReply:
    """Raises what the host agent raised."""
    if isinstance(reply, FaultReply):
        raise Fault(reply.code, reply.message, status=reply.status)
    if isinstance(reply, RetryReply):
        raise Retryable(reply.reason, reply.after)
    return reply


def wake(waiting: asyncio.Future[None]) -> None:
    """Callback of a descriptor that became ready: it may call more than once before it is taken off."""
    if not waiting.done():
        waiting.set_result(None)
