"""`pods/log`: a container's output as a text that is sent as it comes."""

from __future__ import annotations

from contextlib import AsyncExitStack

from ropewalk.agents.streams import StreamRefused
from ropewalk.base.http.messages import Response
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.streams.agent_streams import Opener, Place, refused
from ropewalk.kube.streams.options import LogOptions, no_logs_yet
from ropewalk.model.stream_carrier import StreamEnd
from ropewalk.model.streams import Exit, FrameKind, Opening, RefusalCode, StreamBroken, StreamKind, record

TEXT = {"content-type": "text/plain"}


async def response(opener: Opener, place: Place, pod: Object, options: LogOptions) -> Response:
    """Raises what the kubelet answers while there is nothing to show yet."""
    if not at(pod, "spec", "nodeName"):
        return Response(200, dict(TEXT))  # as kube-apiserver: nobody to ask, nothing to show
    why = no_logs_yet(pod, options.container, previous=options.query.previous)
    if why:
        raise errors.bad_request(why)
    stack = AsyncExitStack()
    wanted = Opening(StreamKind.LOGS, place.workload, options.container, logs=options.query)
    try:
        end = await stack.enter_async_context(opener.open(place.machine, wanted))
    except StreamRefused as refusal:
        if refusal.refusal.code is RefusalCode.NO_CONTAINER:
            message = f"unable to retrieve container logs for {options.container}"
            raise errors.bad_request(message) from refusal
        raise refused(refusal.refusal, options.container) from refusal
    return Response(200, dict(TEXT), LogBody(stack, end))


class LogBody:
    """An async iterator of text that gives the stream back when it is closed, even if it was never begun."""

    def __init__(self, stack: AsyncExitStack, end: StreamEnd) -> None:
        self._stack = stack
        self._end = end
        self._over = False

    def __aiter__(self) -> LogBody:
        return self

    async def __anext__(self) -> bytes:
        try:
            while not self._over and (frame := await self._end.receive()) is not None:
                if frame.kind in (FrameKind.STDOUT, FrameKind.STDERR) and frame.payload:
                    return frame.payload
                if frame.kind is FrameKind.EXIT:
                    self._over = True
                    if failure := record(frame, Exit).failure:
                        return f"{failure}\n".encode()
        except StreamBroken:
            pass
        await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._over = True
        await self._stack.aclose()
