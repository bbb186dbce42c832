"""Client tokens: the same request sent twice takes effect once.

The first call with a token is written down before it acts, with a digest of its parameters and a seed; its answer is
added when it is done. A second call with the same token gets that answer; with other parameters, the service's error.
A call that a crash cut short has no answer: it runs again with the *same seed*, from which the slice derives the ids it
creates, so that what was created already is found and not made twice.

Records are kept for 24 hours, as EC2 and ECS do, and are collected as later ones are written.
Source: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson

from ropewalk.aws.operations import Call, Params
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Fault
from ropewalk.store.protocol import KeyExists, KeyMissing, Store

KEPT_SECONDS = 24 * 3600.0
COLLECTED_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the action gets: the same for every repetition of the call."""

    seed: str
    """32 hexadecimal digits to derive ids from."""


class _Turn:
    """Callers of one token, who go one after another."""

    __slots__ = ("callers", "lock")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.callers = 0


class ClientTokens:
    """One slice's tokens, under `prefix` in its store."""

    def __init__(self, store: Store, prefix: str, entropy: Entropy) -> None:
        self._store = store
        self._prefix = prefix.rstrip("/") + "/"
        self._entropy = entropy
        self._running: dict[str, _Turn] = {}
        self._collected = ""

    async def once(
        self,
        call: Call,
        token: str | None,
        params: Params,
        act: Callable[[Attempt], Awaitable[Params]],
        *,
        mismatch: Fault,
        ignoring: tuple[str, ...] = (),
    ) -> Params:
        """`act`'s answer, or the one it gave to this call before. A call without a token always acts.

        `params` must be JSON-like; `ignoring` names members that may differ (the token itself, say). Raises `mismatch`
        where the token came with other parameters, and whatever `act` raises (a `Fault` is not remembered).
        """
        if not token:
            return await act(Attempt(self._entropy.hex(32)))
        name = f"{call.account}/{call.region}/{call.operation}/{token}"
        key = self._prefix + hashlib.sha256(name.encode()).hexdigest()
        digest = _digest({n: v for n, v in params.items() if n not in ignoring})
        turn = self._running.setdefault(key, _Turn())
        turn.callers += 1
        try:
            async with turn.lock:
                return await self._once(call, key, digest, act, mismatch)
        finally:
            turn.callers -= 1
            if not turn.callers:
                del self._running[key]

    async def _once(
        self, call: Call, key: str, digest: str, act: Callable[[Attempt], Awaitable[Params]], mismatch: Fault
    ) -> Params:
        record = await self._record(call, key, digest)
        if record["digest"] != digest:
            raise mismatch
        if record["answer"] is not None:
            answer: Params = record["answer"]
            return answer
        try:
            answer = await act(Attempt(record["seed"]))
        except Fault:
            with contextlib.suppress(KeyMissing):
                await self._store.delete(key)  # a refused call leaves its token free
            raise
        entry = await self._store.get(key)
        if entry is not None:
            await self._store.update(key, orjson.dumps({**record, "answer": answer}), entry.revision)
        return answer

    async def _record(self, call: Call, key: str, digest: str) -> dict[str, Any]:
        """This call's record, made now if there is none or the old one is past its time. `Any`: JSON."""
        entry = await self._store.get(key)
        if entry is not None:
            known: dict[str, Any] = orjson.loads(entry.value)
            if call.now - known["at"] < KEPT_SECONDS:
                return known
            await self._store.delete(key, entry.revision)
        await self._collect(call.now)
        made: dict[str, Any] = {"digest": digest, "seed": self._entropy.hex(32), "at": call.now, "answer": None}
        try:
            await self._store.create(key, orjson.dumps(made))
        except KeyExists:  # another process was faster: its record counts
            return await self._record(call, key, digest)
        return made

    async def _collect(self, now: float) -> None:
        """Look at a few records, going round, and drop those past their time."""
        page = await self._store.list(self._prefix, after=self._collected, limit=COLLECTED_AT_ONCE)
        for entry in page.entries:
            if now - orjson.loads(entry.value)["at"] >= KEPT_SECONDS:
                await self._store.delete(entry.key)
        self._collected = page.entries[-1].key if page.more else ""


def _digest(params: Params) -> str:
    return hashlib.sha256(orjson.dumps(params, option=orjson.OPT_SORT_KEYS)).hexdigest()
