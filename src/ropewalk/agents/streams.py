"""Streams to workloads: the control plane asks, the agent dials back, the two ends are joined here.

A stream's id is unguessable, used once and good for the machine it was given to; it lives until the agent has dialled
or the asker has lost patience. Knows machines, workloads and frames, nothing of who asks. One broker a gateway: an
agent is asked by the process that holds its session, so another replica refuses as if the agent were away.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.http.messages import Duplex, Response
from ropewalk.model.ids import MachineId
from ropewalk.model.stream_carrier import StreamEnd, StreamGone
from ropewalk.model.streams import (
    STREAM_VERSION,
    FrameKind,
    Opening,
    Refusal,
    RefusalCode,
    StreamBroken,
    opening,
    record,
)

DIAL_SECONDS = 10.0
"""From the question to the agent's answer."""
PER_MACHINE = 512
IN_ALL = 8192
UPGRADE = {"connection": "Upgrade", "upgrade": "ropewalk-stream"}


class StreamRefused(Exception):
    """The stream cannot be had; `refusal` says why, for people too."""

    def __init__(self, code: RefusalCode, message: str) -> None:
        super().__init__(message)
        self.refusal = Refusal(code, message)


@dataclass(slots=True)
class _Awaited:
    machine: MachineId
    dialled: asyncio.Future[StreamEnd]


Ask = Callable[[MachineId, str], int]
"""Tell the machine's agent to dial this id; the version of streams that it speaks, 0 where it speaks none, -1 where it
holds no session."""


class StreamBroker:
    def __init__(self, ask: Ask, clock: Clock, entropy: Entropy) -> None:
        self._ask = ask
        self._clock = clock
        self._entropy = entropy
        self._awaited: dict[str, _Awaited] = {}
        self._living: Counter[MachineId] = Counter()

    @asynccontextmanager
    async def open(
        self, machine: MachineId, wanted: Opening, *, deadline: float = DIAL_SECONDS
    ) -> AsyncIterator[StreamEnd]:
        """The stream, once the agent has accepted it; closed on leaving. Raises `StreamRefused`."""
        if self._living[machine] >= PER_MACHINE or self._living.total() >= IN_ALL:
            raise StreamRefused(RefusalCode.BUSY, f"machine {machine} has too many streams open")
        self._living[machine] += 1
        end: StreamEnd | None = None
        try:
            end = await self._accepted(machine, wanted, deadline)
            yield end
        finally:
            self._living[machine] -= 1
            if not self._living[machine]:
                del self._living[machine]
            if end is not None:
                await end.close()

    async def _accepted(self, machine: MachineId, wanted: Opening, deadline: float) -> StreamEnd:
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._introduced(machine, wanted))
        timer = loop.create_task(self._clock.sleep(deadline))
        try:
            await asyncio.wait((task, timer), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise StreamRefused(RefusalCode.AWAY, f"the agent of machine {machine} did not answer in time")
        except BaseException:
            task.cancel()
            for left in await asyncio.gather(task, return_exceptions=True):
                if isinstance(left, StreamEnd):  # accepted just as the asker left
                    await left.close()
            raise
        finally:
            timer.cancel()
        return task.result()

    async def _introduced(self, machine: MachineId, wanted: Opening) -> StreamEnd:
        end = await self._dialled(machine)
        accepted = False
        try:
            await end.send(opening(wanted))
            answer = await end.receive()
            if answer is None:
                raise StreamRefused(RefusalCode.AWAY, f"the agent of machine {machine} hung up")
            if answer.kind is FrameKind.REFUSE:
                why = record(answer, Refusal)
                raise StreamRefused(why.code, why.message)
            if answer.kind is not FrameKind.ACCEPT:
                raise StreamBroken(f"neither accepted nor refused: {answer.kind.name}")
            accepted = True
            return end
        except (StreamGone, StreamBroken) as broken:
            raise StreamRefused(RefusalCode.AWAY, f"the agent of machine {machine}: {broken}") from broken
        finally:
            if not accepted:
                await end.close()

    async def _dialled(self, machine: MachineId) -> StreamEnd:
        identity = self._entropy.token()
        awaited = _Awaited(machine, asyncio.get_running_loop().create_future())
        self._awaited[identity] = awaited
        try:
            version = self._ask(machine, identity)
            if version < 0:
                raise StreamRefused(RefusalCode.AWAY, f"the agent of machine {machine} is away")
            if version == 0 or version > STREAM_VERSION + 1:
                raise StreamRefused(RefusalCode.NOT_OFFERED, f"the agent of machine {machine} offers no streams")
            return await awaited.dialled
        except asyncio.CancelledError:
            if awaited.dialled.done() and not awaited.dialled.cancelled():
                await awaited.dialled.result().close()  # it came as the asker left
            raise
        finally:
            self._awaited.pop(identity, None)

    def accept(self, identity: str, machine: str) -> Response:
        """The agent dials: the answer to its request."""
        awaited = self._awaited.get(identity)
        if awaited is None or awaited.machine != machine or awaited.dialled.done():
            return Response(404, {"content-type": "text/plain; charset=utf-8"}, b"no such stream is awaited")
        del self._awaited[identity]

        async def joined(duplex: Duplex) -> None:
            if awaited.dialled.done():
                return
            async with StreamEnd(duplex) as end:
                awaited.dialled.set_result(end)
                await end.closed.wait()

        return Response(101, dict(UPGRADE), upgrade=joined)
