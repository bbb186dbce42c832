"""port-forward, whatever the client speaks: each connection it asks for becomes a stream of its own to the agent."""

from __future__ import annotations

import asyncio

from ropewalk.agents.streams import StreamRefused
from ropewalk.base.log import logger
from ropewalk.kube.streams.agent_streams import AgentPort, Opener, Place, PortFailed
from ropewalk.kube.streams.clients import ClientGone, ForwardClient, ForwardedConnection
from ropewalk.model.streams import Opening, StreamKind

log = logger(__name__)

MAX_CONNECTIONS = 256


async def forward(client: ForwardClient, opener: Opener, place: Place, *, expected: int = 0) -> None:
    """Until the client is gone, or (where they are counted) once all the connections that are `expected` have ended."""
    loop = asyncio.get_running_loop()
    living: set[asyncio.Task[None]] = set()
    all_ended = asyncio.Event()
    over = 0

    def ended(task: asyncio.Task[None]) -> None:
        nonlocal over
        living.discard(task)
        over += 1
        if over == expected:
            all_ended.set()

    async def accept() -> None:
        async for connection in client.connections():
            if len(living) >= MAX_CONNECTIONS:
                await _turn_away(connection, "too many connections are forwarded already")
                continue
            task = loop.create_task(_one(connection, opener, place))
            living.add(task)
            task.add_done_callback(ended)

    accepting = loop.create_task(accept())
    counting = loop.create_task(all_ended.wait())
    try:
        await asyncio.wait((accepting, counting), return_when=asyncio.FIRST_COMPLETED)
        if accepting.done():
            accepting.result()
    except ClientGone as gone:
        log.debug("the client of a port-forward left", workload=place.workload, reason=gone)
    finally:
        tasks = (accepting, counting, *living)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _one(connection: ForwardedConnection, opener: Opener, place: Place) -> None:
    try:
        try:
            wanted = Opening(StreamKind.PORT, place.workload, port=connection.port)
            async with opener.open(place.machine, wanted) as end:
                await _spliced(connection, AgentPort(end))
        except (StreamRefused, PortFailed) as failed:
            await connection.fail(
                f"error forwarding port {connection.port} to pod {place.workload}, uid {place.workload}: {failed}"
            )
        await connection.close()
    except ClientGone as gone:
        log.debug("a forwarded connection's client left", workload=place.workload, reason=gone)


async def _turn_away(connection: ForwardedConnection, why: str) -> None:
    await connection.fail(why)
    await connection.close()


async def _spliced(connection: ForwardedConnection, port: AgentPort) -> None:
    """Both ways, until the container's side ends. Raises `PortFailed`, `ClientGone`."""

    async def inward() -> None:
        try:
            while data := await connection.read():
                await port.write(data)
            await port.finish()
        except ConnectionResetError as gone:
            log.debug("a forwarded connection ended in the container", reason=gone)

    sending = asyncio.ensure_future(inward())
    try:
        while data := await port.read():
            await connection.write(data)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
