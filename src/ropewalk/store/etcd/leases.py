"""Leases on etcd's own: a key of the holder's that etcd drops when it is not renewed, and a term that outlives it.

Both keys lie outside what any watch of ours sees. etcd rounds up to whole seconds and has a shortest time of its own
(one and a half election time-outs), so a lease may run longer than asked, never shorter.
"""

from __future__ import annotations

import math

import msgspec

from ropewalk.store.etcd._generated import etcd_pb2 as pb
from ropewalk.store.etcd.calls import Calls
from ropewalk.store.protocol import Lease, StoreUnavailable

_TRIES = 16


class _Holding(msgspec.Struct, frozen=True):
    holder: str
    term: int
    seconds: int


class EtcdLeases:
    """All leases under one prefix."""

    def __init__(self, calls: Calls, prefix: bytes) -> None:
        self._calls = calls
        self._prefix = prefix

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease:
        whole = max(1, math.ceil(seconds))
        for _ in range(_TRIES):
            key, term = await self._read(name)
            held = None if key is None else msgspec.json.decode(key.value, type=_Holding)
            if key is not None and held is not None:
                if held.holder != holder:
                    return Lease(name, held.holder, held.term)
                if held.seconds == whole:
                    if await self._calls.keep_alive(key.lease):
                        return Lease(name, holder, held.term)
                    continue
            number = held.term if held is not None else (0 if term is None else int(term.value)) + 1
            if await self._take(name, key, term, _Holding(holder, number, whole)):
                return Lease(name, holder, number)
        raise StoreUnavailable(f"the lease {name} changes hands faster than it can be read", after=0.1)

    async def release(self, name: str, holder: str) -> None:
        key, _ = await self._read(name)
        if key is None or msgspec.json.decode(key.value, type=_Holding).holder != holder:
            return
        gone = await self._calls.txn(
            pb.TxnRequest(
                compare=[_unchanged(self._holding(name), key)],
                success=[pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=self._holding(name)))],
            )
        )
        if gone.succeeded:
            await self._calls.revoke(key.lease)

    async def _take(self, name: str, key: pb.KeyValue | None, term: pb.KeyValue | None, holding: _Holding) -> bool:
        lease = await self._calls.grant(holding.seconds)
        put = pb.PutRequest(key=self._holding(name), value=msgspec.json.encode(holding), lease=lease)
        count = pb.PutRequest(key=self._term(name), value=str(holding.term).encode())
        taken = await self._calls.txn(
            pb.TxnRequest(
                compare=[_unchanged(self._holding(name), key), _unchanged(self._term(name), term)],
                success=[pb.RequestOp(request_put=put), pb.RequestOp(request_put=count)],
            )
        )
        if not taken.succeeded:
            await self._calls.revoke(lease)
        elif key is not None:
            await self._calls.revoke(key.lease)
        return taken.succeeded

    async def _read(self, name: str) -> tuple[pb.KeyValue | None, pb.KeyValue | None]:
        answer = await self._calls.txn(
            pb.TxnRequest(
                success=[
                    pb.RequestOp(request_range=pb.RangeRequest(key=self._holding(name))),
                    pb.RequestOp(request_range=pb.RangeRequest(key=self._term(name))),
                ]
            )
        )
        key, term = (response.response_range.kvs for response in answer.responses)
        return (key[0] if key else None), (term[0] if term else None)

    def _holding(self, name: str) -> bytes:
        return self._prefix + b"/holding/" + name.encode()

    def _term(self, name: str) -> bytes:
        return self._prefix + b"/term/" + name.encode()


def _unchanged(key: bytes, seen: pb.KeyValue | None) -> pb.Compare:
    """True while the key stands as it was read (absent is revision 0)."""
    return pb.Compare(
        result=pb.Compare.EQUAL,
        target=pb.Compare.MOD,
        key=key,
        mod_revision=0 if seen is None else seen.mod_revision,
    )
