"""etcd's calls with our errors: the one place that knows gRPC's. Knows nothing of keys' meaning."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from ropewalk.store.etcd._generated import etcd_pb2 as pb
from ropewalk.store.protocol import (
    Compacted,
    FutureRevision,
    OutOfBounds,
    StoreClosed,
    StoreError,
    StoreUnavailable,
)

_TIMEOUT = 10.0
"""Seconds a call may take, on gRPC's own clock."""

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.use_local_subchannel_pool", 1),
)

_UNREACHABLE = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNKNOWN,
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Credentials:
    """PEM texts for mutual TLS."""

    authority: bytes
    certificate: bytes
    key: bytes


class _Stream(Protocol):
    """What is used of gRPC's bidirectional call."""

    def __aiter__(self) -> AsyncIterator[object]: ...

    def cancel(self) -> bool: ...


_END = object()
"""What `anext` gives at a stream's end."""


async def _held_open(request: Message) -> AsyncGenerator[Message, None]:
    """One request, and then silence: a half-closed stream would be ended by etcd. Cancelled with its call."""
    yield request
    await asyncio.get_running_loop().create_future()


class Calls:
    """A channel to one etcd cluster. `address` is "host:port", or a gRPC target naming several."""

    def __init__(self, address: str, credentials: Credentials | None) -> None:
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        else:
            secure = grpc.ssl_channel_credentials(credentials.authority, credentials.key, credentials.certificate)
            self._channel = grpc.aio.secure_channel(address, secure, options=_OPTIONS)
        self._closed = False
        unary, stream = self._channel.unary_unary, self._channel.stream_stream
        encode = _encode
        self._range = unary("/etcdserverpb.KV/Range", encode, pb.RangeResponse.FromString)
        self._txn = unary("/etcdserverpb.KV/Txn", encode, pb.TxnResponse.FromString)
        self._compact = unary("/etcdserverpb.KV/Compact", encode, pb.CompactionResponse.FromString)
        self._grant = unary("/etcdserverpb.Lease/LeaseGrant", encode, pb.LeaseGrantResponse.FromString)
        self._revoke = unary("/etcdserverpb.Lease/LeaseRevoke", encode, pb.LeaseRevokeResponse.FromString)
        self._keep: Callable[..., _Stream] = stream(
            "/etcdserverpb.Lease/LeaseKeepAlive", encode, pb.LeaseKeepAliveResponse.FromString
        )
        self._watch: Callable[..., _Stream] = stream("/etcdserverpb.Watch/Watch", encode, pb.WatchResponse.FromString)

    async def range(self, request: pb.RangeRequest) -> pb.RangeResponse:
        return await self._guard(lambda: self._range(request, timeout=_TIMEOUT))

    async def txn(self, request: pb.TxnRequest) -> pb.TxnResponse:
        return await self._guard(lambda: self._txn(request, timeout=_TIMEOUT))

    async def compact(self, revision: int) -> None:
        """Raises `Compacted` where that is done already."""
        await self._guard(lambda: self._compact(pb.CompactionRequest(revision=revision), timeout=_TIMEOUT))

    async def grant(self, seconds: int) -> int:
        """A lease's id."""
        answer: pb.LeaseGrantResponse = await self._guard(
            lambda: self._grant(pb.LeaseGrantRequest(TTL=seconds), timeout=_TIMEOUT)
        )
        return answer.ID

    async def revoke(self, lease: int) -> None:
        """Quietly nothing where the lease is gone."""
        with suppress(StoreError):
            await self._guard(lambda: self._revoke(pb.LeaseRevokeRequest(ID=lease), timeout=_TIMEOUT))

    async def keep_alive(self, lease: int) -> bool:
        """Whether the lease lived and begins anew."""

        call = self._keep(_held_open(pb.LeaseKeepAliveRequest(ID=lease)), timeout=_TIMEOUT)
        try:
            answer = await self._guard(lambda: anext(aiter(call), _END))
            return isinstance(answer, pb.LeaseKeepAliveResponse) and answer.TTL > 0
        finally:
            call.cancel()

    async def watch(self, request: pb.WatchCreateRequest) -> AsyncGenerator[pb.WatchResponse, None]:
        """Responses until the stream breaks (`StoreUnavailable`) or history is gone (`Compacted`)."""
        if self._closed:
            raise StoreClosed("the store is closed")
        call = self._watch(_held_open(pb.WatchRequest(create_request=request)))
        try:
            responses = aiter(call)
            while True:
                response = await self._guard(lambda: anext(responses, _END))
                if not isinstance(response, pb.WatchResponse):
                    raise self._lost("etcd ended the watch")
                if response.canceled:
                    if response.compact_revision:
                        raise Compacted(response.compact_revision)
                    raise self._lost(f"etcd cancelled the watch: {response.cancel_reason}")
                yield response
        finally:
            call.cancel()

    async def close(self) -> None:
        self._closed = True
        await self._channel.close(None)

    async def _guard(self, call: Callable[[], Awaitable[T]]) -> T:
        """Run one call; every failure comes out as a `StoreError`."""
        if self._closed:
            raise StoreClosed("the store is closed")
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            raise self._translated(error) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # the call was cancelled, not we: the channel was closed under it
            raise self._lost("the call was cancelled") from None
        except (asyncio.InvalidStateError, grpc.aio.UsageError) as error:
            raise self._lost(f"the channel cannot be used: {error}") from None

    def _lost(self, reason: str) -> StoreError:
        return StoreClosed("the store is closed") if self._closed else StoreUnavailable(f"etcd: {reason}")

    def _translated(self, error: grpc.aio.AioRpcError) -> StoreError:
        code, details = error.code(), error.details() or ""
        if code is grpc.StatusCode.OUT_OF_RANGE:
            return Compacted(0) if "compacted" in details else FutureRevision(details)
        if code is grpc.StatusCode.INVALID_ARGUMENT and "too large" in details:
            return OutOfBounds(f"{details}: run etcd with --max-request-bytes=2097152")
        if code in _UNREACHABLE:
            return self._lost(f"{code.name} {details}")
        return StoreError(f"etcd: {code.name} {details}")


def _encode(message: Message) -> bytes:
    return message.SerializeToString()
