"""The agent's side as the terminators see it: how a stream is had, what refusals become, a port as a connection."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object
from ropewalk.model.ids import MachineId, WorkloadUid
from ropewalk.model.stream_carrier import StreamEnd, StreamGone
from ropewalk.model.streams import Exit, FrameKind, Opening, Refusal, RefusalCode, StreamBroken, record


class Opener(Protocol):
    """`agents.streams.StreamBroker`."""

    def open(self, machine: MachineId, wanted: Opening) -> AbstractAsyncContextManager[StreamEnd]:
        """Raises `agents.streams.StreamRefused`."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pod runs."""

    machine: MachineId
    workload: WorkloadUid


def refused(why: Refusal, container: str) -> StatusFault:
    """A refusal in Kubernetes' words."""
    if why.code in (RefusalCode.NO_CONTAINER, RefusalCode.NOT_RUNNING):
        return errors.StatusFault("NotFound", f'container not found ("{container}")', status=404)
    if why.code is RefusalCode.BUSY:
        return errors.too_many_requests(why.message)
    if why.code is RefusalCode.NOT_OFFERED:
        return errors.service_unavailable(why.message)
    return errors.internal_error(f"error dialing backend: {why.message}")


def failure_status(fault: StatusFault) -> Object:
    """A fault as the `Status` that ends a command: without kind, as the kubelet writes it."""
    details: Object = {}
    if fault.details is not None and fault.details.causes:
        details = {"causes": [{"message": cause.message} for cause in fault.details.causes]}
    status = {"metadata": {}, "status": "Failure", "message": fault.message, "reason": fault.reason}
    return status | ({"details": details} if details else {}) | {"code": fault.status}


class PortFailed(Exception):
    """The port could not be reached, or the agent is gone."""


class AgentPort:
    """A `Duplex` to a port inside a workload."""

    def __init__(self, end: StreamEnd) -> None:
        self._end = end
        self._over = False

    async def read(self) -> bytes:
        """b"" at the end. Raises `PortFailed`."""
        while not self._over:
            try:
                frame = await self._end.receive()
                if frame is None:
                    self._over = True
                    raise PortFailed("the agent is gone")
                if frame.kind is FrameKind.PORT and frame.payload:
                    return frame.payload
                if frame.kind is FrameKind.EXIT:
                    self._over = True
                    if failure := record(frame, Exit).failure:
                        raise PortFailed(failure)
            except StreamBroken as broken:
                self._over = True
                raise PortFailed(str(broken)) from broken
        return b""

    async def write(self, data: bytes) -> None:
        """Raises `ConnectionResetError`."""
        try:
            await self._end.write(FrameKind.PORT, data)
        except StreamGone as gone:
            raise ConnectionResetError(str(gone)) from gone

    async def finish(self) -> None:
        """Nothing more will be written. Raises `ConnectionResetError`."""
        try:
            await self._end.end(FrameKind.PORT)
        except StreamGone as gone:
            raise ConnectionResetError(str(gone)) from gone

    def close(self) -> None:
        self._over = True
