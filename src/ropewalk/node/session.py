"""The agent's side of its session with a control plane: what it is told, what it reports until acknowledged.

Two loops that know little of each other. One dials the watch and hands each message on; it dials again when the stream
ends, is silent too long or speaks wrongly, with growing pauses. The other sends the newest status of every workload
whose sequence is not yet acknowledged; the first report of each dial is complete. The control plane may be away for
days: nothing here stops or starts a workload.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Protocol

import msgspec

from ropewalk.base.clock import Clock, happens
from ropewalk.base.entropy import Entropy
from ropewalk.base.log import logger
from ropewalk.model.agent import (
    DOWN_DECODER,
    PROTOCOL_VERSION,
    Apply,
    Dial,
    Forget,
    Hello,
    MachineFacts,
    Ping,
    Report,
    Snapshot,
)
from ropewalk.model.ids import MachineId, Owner, WorkloadUid
from ropewalk.model.status import WorkloadStatus
from ropewalk.model.workload import Desire, Generation, Workload
from ropewalk.node.transport import NotGiven, Transport, TransportFailure

log = logger(__name__)

SILENCE_SECONDS = 30.0
"""Three pings of the control plane."""
HEARTBEAT_SECONDS = 15.0
REDIAL_BASE = 0.2
REDIAL_LIMIT = 3.0
REPORT_BATCH = 500
PROGRESS_SECONDS = 0.1
"""How long news of a start's progress is collected into one report. Each report costs both sides some milliseconds of
processor time, just when the runtime needs it most.
"""


class Unknown(msgspec.Struct, frozen=True):
    """What can be read of a workload that this version does not understand."""

    uid: str
    owner: str
    machine: str
    generation: Generation
    name: str = ""
    desire: Desire = Desire.RUN


class _UnknownApply(msgspec.Struct, frozen=True):
    type: str
    workload: Unknown


_UNKNOWN_DECODER = msgspec.json.Decoder(_UnknownApply)


class Machine(Protocol):
    """What the session tells the agent, and asks of it."""

    def applied(self, workload: Workload) -> None: ...

    def not_understood(self, unknown: Unknown, why: str) -> None: ...

    def snapshot(self, snapshot: Snapshot) -> None: ...

    async def forget(self, uid: WorkloadUid) -> None: ...

    def dial(self, stream: str) -> None:
        """The control plane awaits this stream."""
        ...

    def statuses(self) -> Iterable[WorkloadStatus]:
        """Of every workload the journal holds."""
        ...

    def status(self, uid: str) -> WorkloadStatus | None:
        """Of one, as the journal holds it."""
        ...


class Session:
    name = "agent-session"

    def __init__(
        self,
        *,
        facts: Callable[[], MachineFacts],
        machine: MachineId,
        owner: Owner,
        agent: Machine,
        transport: Transport,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._facts = facts
        self._machine = machine
        self._owner = owner
        self._agent = agent
        self._transport = transport
        self._clock = clock
        self._entropy = entropy
        self._session = ""
        self._complete_due = False
        self._unreported: dict[str, None] = {}
        """Workloads whose newest status has not been acknowledged; kept so that a report costs what changed."""
        self._dirty = asyncio.Event()
        self._collecting: asyncio.Task[None] | None = None
        self._heard = 0.0
        self.connected = False

    def changed(self, uid: str, *, pressing: bool) -> None:
        """The workload's status changed: report it at once, or (not `pressing`) with what else comes soon."""
        self._unreported[uid] = None
        if pressing:
            self._dirty.set()
        elif self._collecting is None:
            self._collecting = asyncio.get_running_loop().create_task(self._collect())

    async def _collect(self) -> None:
        await self._clock.sleep(PROGRESS_SECONDS)
        self._dirty.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(self._dial_forever()), loop.create_task(self._report_forever())]
        try:
            await asyncio.gather(*tasks)
        finally:
            self._collected()
            for task in tasks:
                task.cancel()

    # --- down

    async def _dial_forever(self) -> None:
        failures = 0
        while True:
            dialled = self._clock.monotonic()
            try:
                await self._dial()
                log.info("the control plane ended the session", machine=self._machine)
            except (TransportFailure, NotGiven) as away:
                log.debug("no session", machine=self._machine, reason=away)
            finally:
                self.connected = False
            failures = 0 if self._clock.monotonic() - dialled > REDIAL_LIMIT else failures + 1
            pause = min(REDIAL_LIMIT, REDIAL_BASE * 2.0 ** min(failures, 10))
            await self._clock.sleep(pause * (0.5 + self._entropy.random() / 2))

    async def _dial(self) -> None:
        self._session = self._entropy.hex(16)
        stream = self._transport.watch(self._machine, self._session)
        watchdog = asyncio.get_running_loop().create_task(self._listen(stream))
        self._heard = self._clock.monotonic()
        guard = asyncio.get_running_loop().create_task(self._silence())
        try:
            await asyncio.wait((watchdog, guard), return_when=asyncio.FIRST_COMPLETED)
            if watchdog.done():
                watchdog.result()
        finally:
            for task in (watchdog, guard):
                task.cancel()
            await asyncio.gather(watchdog, guard, return_exceptions=True)

    async def _silence(self) -> None:
        """Returns once nothing was heard for too long."""
        while (left := self._heard + SILENCE_SECONDS - self._clock.monotonic()) > 0:
            await self._clock.sleep(left)

    async def _listen(self, stream: AsyncIterator[bytes]) -> None:
        async for line in stream:
            self._heard = self._clock.monotonic()
            await self._told(line)

    async def _told(self, line: bytes) -> None:
        try:
            down = DOWN_DECODER.decode(line)
        except msgspec.ValidationError as why:
            self._refuse(line, str(why))
            return
        except msgspec.DecodeError as broken:
            raise TransportFailure(f"not a message: {broken}") from broken
        if isinstance(down, Hello):
            self._hello(down)
        elif not self.connected:
            raise TransportFailure("the control plane did not say hello")
        elif isinstance(down, Apply):
            self._agent.applied(down.workload)
        elif isinstance(down, Snapshot):
            self._agent.snapshot(down)
        elif isinstance(down, Forget):
            await self._agent.forget(down.uid)
        elif isinstance(down, Dial):
            self._agent.dial(down.stream)
        else:
            assert isinstance(down, Ping)

    def _hello(self, hello: Hello) -> None:
        if hello.owner != self._owner or hello.machine != self._machine:
            raise TransportFailure(f"this is the control plane of {hello.owner}, not of {self._owner}")
        if hello.version > PROTOCOL_VERSION + 1:
            raise TransportFailure(f"the control plane speaks version {hello.version}: bring this agent up to date")
        skew = hello.clock - self._clock.wall()
        if abs(skew) > 1.0:
            log.warning("this machine's clock differs from the control plane's", seconds=round(skew, 3))
        self.connected = True
        self._complete_due = True
        self._dirty.set()

    def _refuse(self, line: bytes, why: str) -> None:
        """A message with words of a later version. A workload that cannot be read whole is not run half."""
        try:
            unknown = _UNKNOWN_DECODER.decode(line).workload
        except msgspec.DecodeError:
            log.warning("a message is not understood", machine=self._machine, reason=why)
            return
        self._agent.not_understood(unknown, why)

    # --- up

    async def _report_forever(self) -> None:
        failures = 0
        while True:
            await self._pause(HEARTBEAT_SECONDS)
            self._dirty.clear()
            self._collected()
            if not self.connected:
                continue
            try:
                while await self._report():
                    pass
                failures = 0
            except (TransportFailure, NotGiven) as away:
                log.debug("a report waits", machine=self._machine, reason=away)
                failures += 1
                await self._clock.sleep(min(REDIAL_LIMIT, REDIAL_BASE * 2.0 ** min(failures, 10)))
                self._dirty.set()

    def _collected(self) -> None:
        """What was collected goes with the report that is made now."""
        if self._collecting is not None:
            self._collecting.cancel()
            self._collecting = None

    async def _report(self) -> bool:
        """Send what is not acknowledged; whether there is more."""
        complete, session = self._complete_due, self._session
        if complete:
            taken = list(self._unreported)
            part = list(self._agent.statuses())
        else:
            taken = list(itertools.islice(self._unreported, REPORT_BATCH))
            part = [status for uid in taken if (status := self._agent.status(uid)) is not None]
        for uid in taken:  # one that changes while the report is under way is marked anew
            del self._unreported[uid]
        more = bool(self._unreported)
        try:
            receipt = await self._transport.report(Report(self._facts(), session, tuple(part), complete))
        except BaseException:
            self._unreported.update(dict.fromkeys(taken))
            raise
        if complete and session == self._session:
            self._complete_due = False
        acknowledged = dict(receipt.acknowledged)
        missed = (status.uid for status in part if acknowledged.get(status.uid, -1) < status.sequence)
        self._unreported.update(dict.fromkeys(missed))
        for uid in receipt.forget:
            await self._agent.forget(uid)
        return more

    async def _pause(self, seconds: float) -> None:
        """Until something is to be reported, at most so long."""
        await happens(self._dirty, self._clock, seconds)
