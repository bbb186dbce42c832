"""exec and attach, whatever the client speaks: its input and sizes to the agent, output and the end back.

Output is taken from the agent only as fast as the client takes it, input from the client only as fast as the process
does; both ways run until the process ends or one side is gone.
"""

from __future__ import annotations

import asyncio

from ropewalk.agents.streams import StreamRefused
from ropewalk.base.log import logger
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.streams.agent_streams import Opener, Place, failure_status, refused
from ropewalk.kube.streams.clients import ClientGone, CommandClient, InputEnded, Typed
from ropewalk.kube.streams.options import CommandOptions
from ropewalk.model.stream_carrier import StreamEnd, StreamGone
from ropewalk.model.streams import Exit, FrameKind, Opening, StreamBroken, StreamKind, record, resize

log = logger(__name__)

SUCCESS: Object = {"metadata": {}, "status": "Success"}


async def run(client: CommandClient, opener: Opener, place: Place, options: CommandOptions, *, attach: bool) -> None:
    """Until it is over; the client is told how it ended. Never raises for what either side does."""
    wanted = Opening(
        kind=StreamKind.ATTACH if attach else StreamKind.EXEC,
        workload=place.workload,
        container=options.container,
        command=options.command,
        stdin=options.stdin,
        stdout=options.stdout,
        stderr=options.stderr,
        tty=options.tty,
    )
    try:
        try:
            async with opener.open(place.machine, wanted) as end:
                status = await _carried(client, end, options)
        except StreamRefused as why:
            status = failure_status(refused(why.refusal, options.container))
        if status is not None:
            await client.finish(status)
    except ClientGone as gone:
        log.debug("the client of a command left", workload=place.workload, reason=gone)


async def _carried(client: CommandClient, end: StreamEnd, options: CommandOptions) -> Object | None:
    """How it ended; None where the client left first."""
    from_client = asyncio.ensure_future(_to_agent(client, end))
    from_agent = asyncio.ensure_future(_to_client(end, client))
    try:
        await asyncio.wait((from_client, from_agent), return_when=asyncio.FIRST_COMPLETED)
        if not from_agent.done():
            return None
        return _status(from_agent.result(), options)
    finally:
        for task in (from_client, from_agent):
            task.cancel()
        await asyncio.gather(from_client, from_agent, return_exceptions=True)


async def _to_agent(client: CommandClient, end: StreamEnd) -> None:
    """Returns once the client is gone. An agent that is gone shows in what comes from it, not here."""
    while (event := await client.receive()) is not None:
        try:
            if isinstance(event, Typed):
                await end.write(FrameKind.STDIN, event.data)
            elif isinstance(event, InputEnded):
                await end.end(FrameKind.STDIN)
            else:
                await end.send(resize(event.width, event.height))
        except StreamGone as gone:
            log.debug("input finds no agent", reason=gone)


async def _to_client(end: StreamEnd, client: CommandClient) -> Exit | None:
    """The exit; None where the agent was cut off before it."""
    try:
        while (frame := await end.receive()) is not None:
            if frame.kind in (FrameKind.STDOUT, FrameKind.STDERR) and frame.payload:
                await client.write(frame.payload, error=frame.kind is FrameKind.STDERR)
            elif frame.kind is FrameKind.EXIT:
                return record(frame, Exit)
    except StreamBroken as broken:
        log.warning("an agent's stream broke", reason=broken)
    return None


def _status(exit: Exit | None, options: CommandOptions) -> Object:
    """https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/"""
    if exit is None:
        return failure_status(errors.internal_error("error executing command in container: the node went away"))
    if exit.failure:
        return failure_status(errors.internal_error(f"error executing command in container: {exit.failure}"))
    if exit.code == 0:
        return SUCCESS
    message = f"error executing command [{' '.join(options.command)}], exit code {exit.code}"
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: {message}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(exit.code)}]},
    }
