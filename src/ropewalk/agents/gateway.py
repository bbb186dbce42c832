"""The control plane's end of the agent protocol: tells agents their workloads, takes their statuses, logs and wishes.

One per control plane; it knows the waist and the store, nothing of ECS or Kubernetes. Workload records are written by
slices under `WORKLOADS`; the gateway stamps each with the revision of its write as it sends it. What agents report
lands under `STATUSES` and `MACHINES`, written only when it changed.

A store restored to its past is recognised by what agents hold: a generation of this store and epoch that this store
never issued (above the record's own revision, or for a living workload of which neither record nor status is known).
Then a new epoch begins and everybody is told everything anew; nothing is stopped by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from urllib.parse import parse_qs

import msgspec

from ropewalk.agents.log_writers import LogWriters
from ropewalk.agents.mirror import WorkloadMirror
from ropewalk.agents.ports import FabricSource, LogSink
from ropewalk.agents.sessions import AgentSession
from ropewalk.agents.statuses import StatusBook
from ropewalk.agents.streams import StreamBroker
from ropewalk.base.clock import Clock, happens
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Fault, Retryable
from ropewalk.base.http.messages import Request, Response
from ropewalk.base.log import logger
from ropewalk.model.agent import (
    MACHINES,
    PROTOCOL_VERSION,
    Hello,
    LogBatch,
    LogReceipt,
    MachineFacts,
    Ping,
    Receipt,
    Report,
)
from ropewalk.model.ids import MachineId, Owner, WorkloadUid
from ropewalk.model.readers import RoleSessions
from ropewalk.model.status import WorkloadPhase, WorkloadStatus
from ropewalk.runtime.table import Table
from ropewalk.store.protocol import Store

log = logger(__name__)

PING_SECONDS = 10.0
SNAPSHOT_SECONDS = 60.0
CREDENTIAL_SECONDS = 6 * 3600.0
"""ECS task credentials live six hours."""
STREAMS = "/agent/v1/streams/"
NDJSON = {"content-type": "application/x-ndjson"}

Watcher = Callable[[MachineId, bool], None]


class Gateway:
    """`handle` is given to an HTTP server; `run` keeps its view of the store. `connected` and `last_seen` may be read
    at any time; `on_connection` tells of changes.
    """

    name = "agent-gateway"

    def __init__(
        self,
        store: Store,
        owner: Owner,
        *,
        clock: Clock,
        entropy: Entropy,
        log_sink: LogSink,
        role_sessions: RoleSessions,
        fabric_source: FabricSource | None = None,
    ) -> None:
        self._store = store
        self._owner = owner
        self._clock = clock
        self._entropy = entropy
        self._log_sink = log_sink
        self._role_sessions = role_sessions
        self._fabric_source = fabric_source
        self._mirror = WorkloadMirror(store, clock, self._workload_changed)
        self._log_writers = LogWriters(self._mirror)
        self._machines = Table(store, MACHINES, MachineFacts)
        self._facts: dict[str, MachineFacts] = {}
        self._statuses = StatusBook(store)
        self._sessions: dict[str, AgentSession] = {}
        self._last_seen: dict[str, float] = {}
        self._watchers: list[Watcher] = []
        self._epoch_lock = asyncio.Lock()
        self._over: list[tuple[str, str]] = []
        self._over_news = asyncio.Event()
        self._fabrics = 0
        self.streams = StreamBroker(self._dial, clock, entropy)
        """Opens streams to the workloads of connected machines."""

    # --- what others may ask

    def connected(self, machine: MachineId) -> bool:
        """Whether the machine's agent holds a session now."""
        return machine in self._sessions

    @property
    def hosts(self) -> int:
        """How many host agents follow the fabric now."""
        return self._fabrics

    def last_seen(self, machine: MachineId) -> float | None:
        """Wall time of the agent's last word to this process; None where it has not spoken yet."""
        return self._last_seen.get(machine)

    def on_connection(self, watcher: Watcher) -> None:
        """Call `watcher(machine, connected)` whenever that changes."""
        self._watchers.append(watcher)

    async def synced(self) -> None:
        await self._mirror.synced()

    # --- running

    async def run(self) -> None:
        await self._statuses.load()
        tasks = [asyncio.ensure_future(part) for part in (self._mirror.run(), self._sweep())]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    def close(self) -> None:
        """End every session: agents dial again, whoever answers then."""
        for session in list(self._sessions.values()):
            session.end()

    async def _sweep(self) -> None:
        """Remove the statuses of workloads that are over and whose records are gone."""
        await self._mirror.synced()
        self._over += [key for key in self._statuses.over() if self._mirror.get(*key) is None]
        while True:
            over, self._over = self._over, []
            for machine, uid in over:
                await self._statuses.drop(machine, uid)
            await self._over_news.wait()
            self._over_news.clear()

    def _workload_changed(self, machine: str, uid: str, removed: bool) -> None:
        session = self._sessions.get(machine)
        stopped = self._statuses.stopped(machine, uid)
        if removed and stopped:
            self._over.append((machine, uid))
            self._over_news.set()
        if session is None:
            return
        if removed:
            session.removed(uid, stopped=stopped)
        else:
            session.dirty(uid)

    # --- requests

    async def handle(self, request: Request) -> Response:
        routes = {
            ("GET", "/agent/v1/watch"): self._watch,
            ("POST", "/agent/v1/report"): self._report,
            ("POST", "/agent/v1/logs"): self._logs,
            ("GET", "/agent/v1/credentials"): self._credentials,
            ("GET", "/agent/v1/fabric"): self._fabric,
        }
        route = routes.get((request.method, request.path))
        if route is None and request.method == "POST" and request.path.startswith(STREAMS):
            route = self._stream_dialled
        if route is None:
            return _text(404, f"no such route: {request.method} {request.path}")
        try:
            return await route(request)
        except msgspec.DecodeError as broken:
            return _text(400, f"the body is not understood: {broken}")
        except _Missing as missing:
            return _text(400, f"parameter {missing.args[0]} is required")
        except Retryable as busy:
            return Response(503, {"retry-after": f"{busy.after:.0f}"}, busy.reason.encode())

    async def _watch(self, request: Request) -> Response:
        await self.synced()
        machine = MachineId(_parameter(request, "machine"))
        session = AgentSession(machine, _parameter(request, "session"), _streams_of(request))
        older = self._sessions.get(machine)
        self._sessions[machine] = session
        if older is not None:
            older.end()
        else:
            self._tell(machine, True)
        self._seen(machine)
        session.resync(self._mirror.of(machine))
        return Response(200, dict(NDJSON), self._stream(session))

    async def _stream(self, session: AgentSession) -> AsyncIterator[bytes]:
        machine = session.machine
        try:
            yield _line(Hello(PROTOCOL_VERSION, self._owner, machine, self._clock.wall()))
            snapshot_at = self._clock.monotonic() + SNAPSHOT_SECONDS
            while not session.ended:
                identity = self._store.identity
                for message in session.take(self._mirror, self._statuses, identity, self._mirror.revision):
                    yield _line(message)
                if await self._quiet(session):
                    if self._clock.monotonic() >= snapshot_at:
                        snapshot_at = self._clock.monotonic() + SNAPSHOT_SECONDS
                        session.snapshot_due()
                    else:
                        yield _line(Ping())
        finally:
            session.end()
            if self._sessions.get(machine) is session:
                del self._sessions[machine]
                self._tell(machine, False)

    async def _quiet(self, session: AgentSession) -> bool:
        """Wait for something to say; True where there was nothing for a ping's time."""
        return not await happens(session.news, self._clock, PING_SECONDS)

    async def _report(self, request: Request) -> Response:
        await self.synced()
        report = msgspec.json.decode(request.body, type=Report)
        machine = report.machine.machine
        session = self._sessions.get(machine)
        if session is None or session.id != report.session:
            return _text(409, "this session was replaced by another: dial again")
        self._seen(machine)
        await self._check_past(machine, report.statuses)
        if self._facts.get(machine) != report.machine:
            await self._machines.put(machine, report.machine)
            self._facts[machine] = report.machine
        takes = (self._take_status(machine, status) for status in report.statuses)
        forget = tuple(uid for uid in await asyncio.gather(*takes) if uid is not None)
        if report.complete:
            session.reported()
        acknowledged = tuple((s.uid, s.sequence) for s in report.statuses)
        return _json(Receipt(acknowledged, forget))

    async def _take_status(self, machine: MachineId, status: WorkloadStatus) -> WorkloadUid | None:
        """Make a status durable; the uid where the agent may forget it."""
        over = status.phase is WorkloadPhase.STOPPED
        absent = over and self._mirror.get(machine, status.uid) is None
        if absent and await self._mirror.refresh(machine, status.uid) is None:
            await self._statuses.drop(machine, status.uid)
            return status.uid
        await self._statuses.take(machine, status)
        return None

    async def _check_past(self, machine: MachineId, statuses: tuple[WorkloadStatus, ...]) -> None:
        """Begin a new epoch where an agent knows of writes that this store does not."""
        for status in statuses:
            if not self._mine(status):
                continue
            async with self._epoch_lock:
                if not self._mine(status) or not await self._never_issued(machine, status):
                    continue
                identity = await self._store.bump_epoch()
                log.warning("this store was restored to its past", epoch=identity.epoch, machine=machine)
                for each, session in self._sessions.items():
                    session.resync(self._mirror.of(each))

    def _mine(self, status: WorkloadStatus) -> bool:
        identity = self._store.identity
        return status.generation.store_id == identity.store_id and status.generation.epoch == identity.epoch

    async def _never_issued(self, machine: MachineId, status: WorkloadStatus) -> bool:
        number = status.generation.number
        held = self._mirror.get(machine, status.uid)
        if held is not None and number <= held.revision:
            return False
        held = await self._mirror.refresh(machine, status.uid)
        if held is not None:
            return number > held.revision
        if number > self._store.revision:
            return True
        living = status.phase is not WorkloadPhase.STOPPED
        return living and not self._statuses.known(machine, status.uid)

    async def _logs(self, request: Request) -> Response:
        batch = msgspec.json.decode(request.body, type=LogBatch)
        self._seen(batch.machine)
        try:
            role = await self._log_writers.role(batch)
        except Fault as refused:
            return _json(LogReceipt(batch.previous, f"{refused.code}: {refused.message}"))
        return _json(await self._log_sink.append(batch, role))

    async def _credentials(self, request: Request) -> Response:
        await self.synced()
        machine = _parameter(request, "machine")
        uid = _parameter(request, "workload")
        name = _parameter(request, "name")
        held = self._mirror.get(machine, uid) or await self._mirror.refresh(machine, uid)
        credential = next((c for c in held.workload.credentials if c.name == name), None) if held else None
        if credential is None:
            return _text(404, f"workload {uid} of machine {machine} has no credential {name}")
        try:
            keys = await self._role_sessions.session(credential.role_arn, uid, CREDENTIAL_SECONDS)
        except Fault as refused:
            return _text(404, f"{refused.code}: {refused.message}")
        return _json(keys)

    async def _stream_dialled(self, request: Request) -> Response:
        machine = _parameter(request, "machine")
        self._seen(MachineId(machine))
        return self.streams.accept(request.path.removeprefix(STREAMS), machine)

    def _dial(self, machine: MachineId, stream: str) -> int:
        session = self._sessions.get(machine)
        if session is None:
            return -1
        if session.streams:
            session.dial(stream)
        return session.streams

    async def _fabric(self, request: Request) -> Response:
        if self._fabric_source is None:
            return _text(404, "this control plane has no fabric")
        return Response(200, dict(NDJSON), self._fabric_stream(self._fabric_source.watch(_parameter(request, "host"))))

    async def _fabric_stream(self, changes: AsyncIterator[msgspec.Struct]) -> AsyncIterator[bytes]:
        step: asyncio.Future[msgspec.Struct] | None = None
        self._fabrics += 1
        try:
            while True:
                step = step or asyncio.ensure_future(anext(changes))
                sleeper = asyncio.ensure_future(self._clock.sleep(PING_SECONDS))
                try:
                    await asyncio.wait((step, sleeper), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    sleeper.cancel()
                if not step.done():
                    yield _line(Ping())
                    continue
                try:
                    message = step.result()
                except StopAsyncIteration:
                    return
                step = None
                yield _line(message)
        finally:
            self._fabrics -= 1
            if step is not None:
                step.cancel()

    # --- bookkeeping

    def _seen(self, machine: MachineId) -> None:
        self._last_seen[machine] = self._clock.wall()

    def _tell(self, machine: MachineId, connected: bool) -> None:
        self._seen(machine)
        for watcher in self._watchers:
            watcher(machine, connected)


class _Missing(Exception):
    """A query parameter that is not there."""


def _parameter(request: Request, name: str) -> str:
    values = parse_qs(request.query).get(name)
    if not values:
        raise _Missing(name)
    return values[0]


def _streams_of(request: Request) -> int:
    """The version of streams that a dialling agent says it speaks."""
    said = parse_qs(request.query).get("streams", ["0"])[0]
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 4 else 0


def _line(message: msgspec.Struct) -> bytes:
    return msgspec.json.encode(message) + b"\n"


def _json(message: msgspec.Struct) -> Response:
    return Response(200, {"content-type": "application/json"}, msgspec.json.encode(message))


def _text(status: int, text: str) -> Response:
    return Response(status, {"content-type": "text/plain; charset=utf-8"}, text.encode())
