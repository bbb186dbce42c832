"""The agent's end of streams: dials where it is asked to, reads what is wanted, joins it with the runtime.

One task a stream, a bounded number of them. Whatever the runtime refuses is told in a `Refusal` or an `Exit`; when the
control plane hangs up, what was begun for it is cancelled. Streams are not journalled: they die with the agent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ropewalk.base.clock import Clock
from ropewalk.base.log import logger
from ropewalk.model.ids import MachineId
from ropewalk.model.status import ContainerPhase
from ropewalk.model.stream_carrier import StreamEnd, StreamGone
from ropewalk.model.streams import (
    STREAM_VERSION,
    Exit,
    Frame,
    FrameKind,
    Opening,
    Refusal,
    RefusalCode,
    StreamBroken,
    StreamKind,
    ended,
    ending,
    record,
    refusal,
    size_of,
)
from ropewalk.node.runtime import NoSuchContainer, Runtime, RuntimeFailure, StreamsNotOffered
from ropewalk.node.transport import NotGiven, Transport, TransportFailure
from ropewalk.planning import lifecycle_records as words

log = logger(__name__)

MAX_STREAMS = 1024
LINGER_SECONDS = 10.0
"""How long the last words may take to be read."""

Find = Callable[[str], words.State | None]
"""The state of one of the owner's workloads, by uid."""


class _Refused(Exception):
    def __init__(self, code: RefusalCode, message: str) -> None:
        super().__init__(message)
        self.refusal = Refusal(code, message)


class StreamServer:
    def __init__(self, machine: MachineId, transport: Transport, runtime: Runtime, clock: Clock, find: Find) -> None:
        self._machine = machine
        self._clock = clock
        self._transport = transport
        self._runtime = runtime
        self._find = find
        self._tasks: set[asyncio.Task[None]] = set()

    def dial(self, stream: str) -> None:
        """The control plane awaits this stream. Never waits."""
        if len(self._tasks) >= MAX_STREAMS:
            log.warning("too many streams: one is not answered", machine=self._machine)
            return
        task = asyncio.get_running_loop().create_task(self._serve(stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, stream: str) -> None:
        try:
            duplex = await self._transport.dial(self._machine, stream)
            async with StreamEnd(duplex) as end:
                first = await end.receive()
                if first is not None:
                    await self._answer(end, first)
                    await self._taken(end)
        except (TransportFailure, NotGiven, StreamGone, StreamBroken) as over:
            log.debug("a stream ended early", machine=self._machine, reason=over)
        except Exception:
            log.bug("a stream failed", machine=self._machine)

    async def _taken(self, end: StreamEnd) -> None:
        """Let the other end hang up first: closing a connection with credit unread would cut off the last words."""
        timer = asyncio.ensure_future(self._clock.sleep(LINGER_SECONDS))
        lost = asyncio.ensure_future(end.lost())
        try:
            await asyncio.wait((timer, lost), return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            lost.cancel()

    async def _answer(self, end: StreamEnd, first: Frame) -> None:
        try:
            if first.kind is not FrameKind.OPEN:
                raise StreamBroken(f"not opened: {first.kind.name}")
            wanted = record(first, Opening)
            work = self._work(wanted, end)
        except _Refused as refused:
            await end.send(refusal(refused.refusal))
            return
        except StreamBroken as broken:  # an opening with words of a later version, say
            await end.send(refusal(Refusal(RefusalCode.NOT_OFFERED, str(broken))))
            return
        await end.send(Frame(FrameKind.ACCEPT))
        await end.send(ending(await _until_hung_up(end, work())))

    def _work(self, wanted: Opening, end: StreamEnd) -> Callable[[], Awaitable[Exit]]:
        if wanted.version > STREAM_VERSION:
            raise _Refused(RefusalCode.NOT_OFFERED, f"this agent speaks version {STREAM_VERSION} of streams")
        state = self._find(wanted.workload)
        if state is None:
            raise _Refused(RefusalCode.NO_CONTAINER, f"workload {wanted.workload} is not on this machine")
        if wanted.kind is StreamKind.PORT:
            return self._port(state, wanted, end)
        container = state.container(wanted.container)
        if container is None:
            raise _Refused(RefusalCode.NO_CONTAINER, f"workload {wanted.workload} has no container {wanted.container}")
        if wanted.kind is StreamKind.LOGS:
            return self._logs(container, wanted, end)
        if container.phase is not ContainerPhase.RUNNING:
            raise _Refused(RefusalCode.NOT_RUNNING, f"container {wanted.container} does not run")
        return self._process(container.runtime_id, wanted, end)

    # --- what a stream does

    def _process(self, identity: str, wanted: Opening, end: StreamEnd) -> Callable[[], Awaitable[Exit]]:
        async def work() -> Exit:
            console = _FrameConsole(wanted, end)
            streams = self._runtime.streams
            reading = asyncio.get_running_loop().create_task(console.take_frames())
            try:
                if wanted.kind is StreamKind.ATTACH:
                    return Exit(await streams.attach(identity, console))
                return Exit(await streams.exec(identity, wanted.command, console, tty=wanted.tty))
            except RuntimeFailure as failed:
                return Exit(failure=str(failed))
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

        return work

    def _port(self, state: words.State, wanted: Opening, end: StreamEnd) -> Callable[[], Awaitable[Exit]]:
        if not state.sandbox or state.ending:
            raise _Refused(RefusalCode.NOT_RUNNING, f"workload {wanted.workload} does not run")

        async def work() -> Exit:
            try:
                await self._runtime.streams.port(state.sandbox, wanted.port, _FrameConnection(end))
            except RuntimeFailure as failed:
                return Exit(failure=str(failed))
            return Exit()

        return work

    def _logs(self, container: words.ContainerState, wanted: Opening, end: StreamEnd) -> Callable[[], Awaitable[Exit]]:
        # While a restart is waited for, the attempt counted is the coming one: the last run is the one before.
        waiting = container.phase is ContainerPhase.EXITED and not container.final
        attempt = container.attempt - 1 if wanted.logs.previous or waiting else container.attempt
        if attempt < 0:
            raise _Refused(RefusalCode.NO_CONTAINER, f"container {wanted.container} has had no earlier run")
        try:
            pieces = self._runtime.streams.logs(wanted.workload, wanted.container, attempt, wanted.logs)
        except StreamsNotOffered as missing:
            raise _Refused(RefusalCode.NOT_OFFERED, str(missing)) from missing

        async def work() -> Exit:
            try:
                async for piece in pieces:
                    await end.write(FrameKind.STDERR if piece.error else FrameKind.STDOUT, piece.text)
            except NoSuchContainer as missing:
                return Exit(code=1, failure=str(missing))
            except RuntimeFailure as failed:
                return Exit(failure=str(failed))
            return Exit()

        return work


async def _until_hung_up(end: StreamEnd, work: Awaitable[Exit]) -> Exit:
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(end.lost())
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise StreamGone("the control plane hung up")
        return task.result()
    finally:
        for each in (task, watch):
            each.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)


class _FrameConsole:
    """A process's streams as frames."""

    def __init__(self, wanted: Opening, end: StreamEnd) -> None:
        self._wanted = wanted
        self._end = end
        self._typed: asyncio.Queue[bytes] = asyncio.Queue()
        """Bounded by credit: what was not read is not given back."""
        self._sizes: asyncio.Queue[tuple[int, int]] = asyncio.Queue(1)
        self._input_over = not wanted.stdin

    async def take_frames(self) -> None:
        """Sort what comes: sizes at once, input as it is read. Credit for input that waits is not given back, so a
        resize still comes through.
        """
        try:
            while (frame := await self._end.receive(hold=FrameKind.STDIN)) is not None:
                self._take(frame)
        except StreamBroken as broken:
            log.debug("a stream broke", reason=broken)
            await self._end.close()

    def _take(self, frame: Frame) -> None:
        if frame.kind is FrameKind.STDIN and self._wanted.stdin and frame.payload:
            self._typed.put_nowait(frame.payload)
        elif frame.kind is FrameKind.END and ended(frame) is FrameKind.STDIN:
            self._typed.put_nowait(b"")
        elif frame.kind is FrameKind.RESIZE:
            while not self._sizes.empty():
                self._sizes.get_nowait()
            self._sizes.put_nowait(size_of(frame))

    async def read(self) -> bytes:
        if self._input_over:
            return b""
        data = await self._typed.get()
        self._input_over = not data
        await self._end.give_back(len(data))
        return data

    async def write(self, data: bytes, *, error: bool = False) -> None:
        asked = self._wanted.stderr and not self._wanted.tty if error else self._wanted.stdout
        if asked:
            await self._end.write(FrameKind.STDERR if error else FrameKind.STDOUT, data)

    async def resized(self) -> tuple[int, int]:
        return await self._sizes.get()


class _FrameConnection:
    """A `Duplex` of PORT frames. Closing it ends our side; the stream itself ends with the work."""

    def __init__(self, end: StreamEnd) -> None:
        self._end = end
        self._over = False

    async def read(self) -> bytes:
        while not self._over:
            frame = await self._end.receive()
            if frame is None or frame.kind is FrameKind.END:
                self._over = True
            elif frame.kind is FrameKind.PORT and frame.payload:
                return frame.payload
        return b""

    async def write(self, data: bytes) -> None:
        try:
            await self._end.write(FrameKind.PORT, data)
        except StreamGone as gone:
            raise ConnectionResetError(str(gone)) from gone

    def close(self) -> None:
        self._over = True
