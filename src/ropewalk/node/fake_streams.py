"""The fake runtime's `Streams`: exec of a few programs, attach, logs from memory, and a small server on each port.

A port is open where a running container of the sandbox declares it. There answers what a test client can tell from
nothing: HTTP requests get their method, path and host back (`/hostname` the host's name alone, `/echo?msg=…` the
message), an HTTP upgrade to "echo" and everything that is no HTTP gets its own bytes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar
from urllib.parse import parse_qs

from ropewalk.base.clock import Clock
from ropewalk.base.http.messages import Duplex
from ropewalk.model.ids import WorkloadUid
from ropewalk.model.streams import LogQuery
from ropewalk.node.fake_container import FakeContainer, Output, Reading
from ropewalk.node.fake_shell import SHELLS, CopyInput, Plan, Print, ShowSize, Sleep, plan
from ropewalk.node.runtime import Console, LogPiece, NoSuchContainer, RunState, StartFailed

KILLED = 137
MAX_MISSED = 1024
"""Pieces of output held for somebody attached."""
METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"PATCH ", b"OPTIONS ")
MAX_REQUEST = 1 << 20
T = TypeVar("T")


class FakeStreams:
    def __init__(
        self,
        clock: Clock,
        find: Callable[[str], FakeContainer],
        of_sandbox: Callable[[str], list[FakeContainer]],
        output: Callable[[WorkloadUid, str, int], Output | None],
    ) -> None:
        self._clock = clock
        self._find = find
        self._of_sandbox = of_sandbox
        self._output = output

    # --- processes

    async def exec(self, container_id: str, command: tuple[str, ...], console: Console, *, tty: bool) -> int:
        fake = self._running(container_id)
        process = _Process(fake, console, self._clock, tty=tty)
        if len(command) == 1 and command[0] in SHELLS:
            work = process.shell()
        else:
            made = plan(command, _environment(fake), fake.hostname)
            if not made.understood and command[0] not in SHELLS:
                program = command[0] if command else ""
                raise StartFailed(f'exec: "{program}": executable file not found in $PATH')
            work = process.run(made)
        return await _unless_ended(fake, process.with_terminal(work), KILLED)

    async def attach(self, container_id: str, console: Console) -> int:
        fake = self._running(container_id)
        written: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()

        def listen(data: bytes, error: bool) -> None:
            if written.qsize() < MAX_MISSED:  # who reads too slowly misses output
                written.put_nowait((data, error))

        async def show() -> None:
            while not fake.exited.is_set() or not written.empty():
                data, error = await written.get()
                if data:
                    await console.write(data, error=error)

        async def type_in() -> None:
            while data := await console.read():
                if fake.spec.interactive:
                    fake.input.feed(data)
            fake.input.end()

        async def watch() -> None:
            await fake.exited.wait()
            written.put_nowait((b"", False))  # wakes `show`, behind all that was written before

        fake.output.listeners.append(listen)
        loop = asyncio.get_running_loop()
        others = [loop.create_task(type_in()), loop.create_task(watch())]
        try:
            await show()
        finally:
            fake.output.listeners.remove(listen)
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        return fake.state.exit_code

    def _running(self, container_id: str) -> FakeContainer:
        fake = self._find(container_id)
        if fake.state.state is not RunState.RUNNING:
            raise NoSuchContainer(f"container {container_id} does not run")
        return fake

    # --- ports

    async def port(self, sandbox_id: str, port: int, connection: Duplex) -> None:
        containers = self._of_sandbox(sandbox_id)
        if not containers:
            raise NoSuchContainer(f"no sandbox {sandbox_id}")
        for fake in containers:
            declared = any(p.container_port == port and p.protocol == "tcp" for p in fake.spec.ports)
            if declared and fake.state.state is RunState.RUNNING:
                await _unless_ended(fake, _serve(fake, connection), None)
                return
        raise StartFailed(f"failed to connect to localhost:{port}: connect: connection refused")

    # --- logs

    async def logs(self, uid: WorkloadUid, container: str, attempt: int, query: LogQuery) -> AsyncIterator[LogPiece]:
        output = self._output(uid, container, attempt)
        if output is None:
            raise NoSuchContainer(f"nothing is kept of run {attempt} of container {container}")
        reading = Reading(output, query)
        while True:
            for piece in reading.take():
                yield piece
            if reading.full or not query.follow or output.ended:
                return
            output.changed.clear()
            await output.changed.wait()


async def _unless_ended(fake: FakeContainer, work: Awaitable[T], ended: T) -> T:
    """The work's result, or `ended` where the container ends first."""
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(fake.exited.wait())
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else ended
    finally:
        for each in (task, watch):
            each.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)


def _environment(fake: FakeContainer) -> dict[str, str]:
    own = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME": fake.hostname}
    return own | {variable.name: variable.value for variable in fake.spec.environment} | {"HOME": "/root"}


class _Process:
    """One exec."""

    def __init__(self, fake: FakeContainer, console: Console, clock: Clock, *, tty: bool) -> None:
        self._fake = fake
        self._console = console
        self._clock = clock
        self._tty = tty
        self._size = (80, 24)

    async def with_terminal(self, work: Awaitable[int]) -> int:
        """The work, while the terminal's size is kept up to date."""

        async def follow() -> None:
            while True:
                self._size = await self._console.resized()

        follower = asyncio.ensure_future(follow())
        try:
            return await work
        finally:
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)

    async def run(self, made: Plan) -> int:
        if not made.understood:
            await self._write("sh: not found\n", error=True)
        for step in made.steps:
            if isinstance(step, Print):
                await self._write(step.text, error=step.error)
            elif isinstance(step, Sleep):
                await self._clock.sleep(step.seconds)
            elif isinstance(step, ShowSize):
                await self._write(f"{self._size[1]} {self._size[0]}\n")
            else:
                assert isinstance(step, CopyInput)
                while data := await self._console.read():
                    await self._console.write(data)
        return made.code

    async def shell(self) -> int:
        """Line by line from the input, until `exit` or its end."""
        code, rest = 0, b""
        while True:
            if self._tty:
                await self._write("/ # ")
            while b"\n" not in rest and b"\r" not in rest:
                data = await self._console.read()
                if not data:
                    return code
                rest += data
                if len(rest) > MAX_REQUEST:
                    return 2
            line, _, rest = rest.replace(b"\r", b"\n").partition(b"\n")
            text = line.decode(errors="replace").strip()
            made = plan(("sh", "-c", text), _environment(self._fake), self._fake.hostname)
            code = await self.run(made)
            if made.exits:
                return code

    async def _write(self, text: str, *, error: bool = False) -> None:
        if self._tty:
            text, error = text.replace("\n", "\r\n"), False
        if text:
            await self._console.write(text.encode(), error=error)


# --- what stands behind a port


async def _serve(fake: FakeContainer, connection: Duplex) -> None:
    held = b""
    while True:
        data = await connection.read()
        if not data:
            return
        held += data
        if not held.startswith(METHODS):
            await connection.write(held)
            held = b""
            continue
        head, end, rest = held.partition(b"\r\n\r\n")
        if not end:
            if len(held) > MAX_REQUEST:
                return
            continue
        request, headers = _head(head)
        length = int(headers.get("content-length", "0"))
        if len(rest) < length <= MAX_REQUEST:
            continue
        answer, upgraded = _answer(fake, request, headers, rest[:length])
        held = rest[length:]
        await connection.write(answer)
        if upgraded:
            while held or (held := await connection.read()):
                await connection.write(held)
                held = b""
            return
        if headers.get("connection", "").lower() == "close":
            return


def _head(head: bytes) -> tuple[list[str], dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first.split(" "), {name.strip().lower(): value.strip() for name, _, value in pairs}


def _answer(fake: FakeContainer, request: list[str], headers: dict[str, str], body: bytes) -> tuple[bytes, bool]:
    if headers.get("upgrade", "").lower() == "echo":
        return b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n", True
    method, target = request[0], request[1] if len(request) > 1 else "/"
    path, _, query = target.partition("?")
    if path == "/hostname":
        text = fake.hostname.encode()
    elif path == "/echo":
        text = parse_qs(query).get("msg", [""])[0].encode()
    elif body:
        text = body
    else:
        text = f"{method} {target} {headers.get('host', '')} {fake.hostname}\n".encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {len(text)}\r\n\r\n".encode()
    return head + (b"" if method == "HEAD" else text), False
