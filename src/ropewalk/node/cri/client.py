"""A typed connection to containerd's socket. One channel; the generated stubs behind it know no types.

May not know what the calls mean. gRPC is imported here and nowhere else at import time, because it is slow to load.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol, TypeVar, cast

import grpc
import grpc.aio
from google.protobuf.message import Message

from ropewalk.node.cri._generated import content_pb2 as content
from ropewalk.node.cri._generated import cri_pb2 as cri
from ropewalk.node.cri._generated import events_pb2 as events
from ropewalk.node.cri._generated import tasks_pb2 as tasks
from ropewalk.node.runtime import RuntimeUnavailable

NAMESPACE = "k8s.io"
"""containerd's own namespace for everything CRI makes."""
_METADATA = (("containerd-namespace", NAMESPACE),)
_OPTIONS = (("grpc.max_receive_message_length", 64 << 20), ("grpc.max_reconnect_backoff_ms", 500))
_RUNTIME = "/runtime.v1.RuntimeService/"
_IMAGES = "/runtime.v1.ImageService/"
_EVENTS = "/containerd.services.events.v1.Events/"
_TASKS = "/containerd.services.tasks.v1.Tasks/"
_CONTENT = "/containerd.services.content.v1.Content/"

R = TypeVar("R", bound=Message, covariant=True)


class _Response(Protocol[R]):
    """A message class, as a decoder needs it."""

    def FromString(self, data: bytes, /) -> R: ...  # noqa: N802 - protobuf's own name


class CallFailed(Exception):
    """containerd answered with an error. `code` is gRPC's name ("NOT_FOUND"), `text` containerd's message."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


def translate(error: grpc.aio.AioRpcError) -> Exception:
    """gRPC's error in our terms: what may pass by itself is `RuntimeUnavailable`."""
    code = error.code().name
    text = str(error.details() or "")
    if code == "UNAVAILABLE":
        return RuntimeUnavailable(f"containerd does not answer: {text}")
    if code == "UNKNOWN" and "server is not initialized yet" in text:
        return RuntimeUnavailable("containerd is starting")
    return CallFailed(code, text)


class Client:
    """Every call raises `RuntimeUnavailable` where containerd does not answer, `CallFailed` where it answers no."""

    def __init__(self, socket: str) -> None:
        self._channel = grpc.aio.insecure_channel(f"unix://{socket}", options=_OPTIONS)
        self._calls: dict[str, Any] = {}  # gRPC's multicallables have no types

    async def close(self) -> None:
        await self._channel.close(None)

    async def call(
        self, method: str, request: Message, response: _Response[R], timeout: float | None = None, wait: bool = False
    ) -> R:
        """`wait`: until the connection stands, instead of failing at once."""
        function = self._calls.get(method)
        if function is None:
            function = self._calls[method] = self._channel.unary_unary(
                method,
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=response.FromString,
            )
        try:
            return cast("R", await function(request, timeout=timeout, metadata=_METADATA, wait_for_ready=wait))
        except grpc.aio.AioRpcError as error:
            raise translate(error) from None

    async def version(self, timeout: float) -> cri.VersionResponse:
        """Answered once CRI is ready, not merely once the socket listens."""
        try:
            return await self.call(_RUNTIME + "Version", cri.VersionRequest(), cri.VersionResponse, timeout, wait=True)
        except CallFailed as failure:
            if failure.code == "DEADLINE_EXCEEDED":
                raise RuntimeUnavailable(f"containerd does not answer within {timeout} s") from failure
            raise

    async def run_sandbox(self, config: cri.PodSandboxConfig, handler: str) -> str:
        request = cri.RunPodSandboxRequest(config=config, runtime_handler=handler)
        return (await self.call(_RUNTIME + "RunPodSandbox", request, cri.RunPodSandboxResponse)).pod_sandbox_id

    async def stop_sandbox(self, sandbox: str) -> None:
        request = cri.StopPodSandboxRequest(pod_sandbox_id=sandbox)
        await self.call(_RUNTIME + "StopPodSandbox", request, cri.Nothing)

    async def remove_sandbox(self, sandbox: str) -> None:
        request = cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox)
        await self.call(_RUNTIME + "RemovePodSandbox", request, cri.Nothing)

    async def sandbox_status(self, sandbox: str, verbose: bool = False) -> cri.PodSandboxStatusResponse:
        request = cri.PodSandboxStatusRequest(pod_sandbox_id=sandbox, verbose=verbose)
        return await self.call(_RUNTIME + "PodSandboxStatus", request, cri.PodSandboxStatusResponse)

    async def sandboxes(self, labels: dict[str, str]) -> list[cri.PodSandbox]:
        request = cri.ListPodSandboxRequest(filter=cri.PodSandboxFilter(label_selector=labels))
        return list((await self.call(_RUNTIME + "ListPodSandbox", request, cri.ListPodSandboxResponse)).items)

    async def create_container(
        self, sandbox: str, config: cri.ContainerConfig, sandbox_config: cri.PodSandboxConfig
    ) -> str:
        request = cri.CreateContainerRequest(pod_sandbox_id=sandbox, config=config, sandbox_config=sandbox_config)
        return (await self.call(_RUNTIME + "CreateContainer", request, cri.CreateContainerResponse)).container_id

    async def start_container(self, container: str) -> None:
        request = cri.StartContainerRequest(container_id=container)
        await self.call(_RUNTIME + "StartContainer", request, cri.Nothing)

    async def stop_container(self, container: str, seconds: int) -> None:
        request = cri.StopContainerRequest(container_id=container, timeout=seconds)
        await self.call(_RUNTIME + "StopContainer", request, cri.Nothing)

    async def remove_container(self, container: str) -> None:
        request = cri.RemoveContainerRequest(container_id=container)
        await self.call(_RUNTIME + "RemoveContainer", request, cri.Nothing)

    async def containers(self, labels: dict[str, str], container: str = "") -> list[cri.Container]:
        filter_ = cri.ContainerFilter(id=container, label_selector=labels)
        request = cri.ListContainersRequest(filter=filter_)
        return list((await self.call(_RUNTIME + "ListContainers", request, cri.ListContainersResponse)).containers)

    async def container_status(self, container: str) -> cri.ContainerStatus:
        request = cri.ContainerStatusRequest(container_id=container)
        return (await self.call(_RUNTIME + "ContainerStatus", request, cri.ContainerStatusResponse)).status

    async def layers(self, labels: dict[str, str]) -> dict[str, int]:
        """Container → bytes in its writable layer, as CRI last measured it (every ten seconds)."""
        request = cri.ListContainerStatsRequest(filter=cri.ContainerStatsFilter(label_selector=labels))
        answer = await self.call(_RUNTIME + "ListContainerStats", request, cri.ListContainerStatsResponse)
        return {stats.attributes.id: stats.writable_layer.used_bytes.value for stats in answer.stats}

    async def reopen_log(self, container: str) -> None:
        request = cri.ReopenContainerLogRequest(container_id=container)
        await self.call(_RUNTIME + "ReopenContainerLog", request, cri.Nothing)

    async def exec_sync(self, container: str, command: tuple[str, ...], seconds: int) -> cri.ExecSyncResponse:
        request = cri.ExecSyncRequest(container_id=container, cmd=command, timeout=seconds)
        return await self.call(_RUNTIME + "ExecSync", request, cri.ExecSyncResponse)

    async def image_status(self, reference: str) -> cri.ImageStatusResponse:
        request = cri.ImageStatusRequest(image=cri.ImageSpec(image=reference), verbose=True)
        return await self.call(_IMAGES + "ImageStatus", request, cri.ImageStatusResponse)

    async def pull_image(self, reference: str, auth: cri.AuthConfig | None) -> str:
        request = cri.PullImageRequest(image=cri.ImageSpec(image=reference), auth=auth)
        return (await self.call(_IMAGES + "PullImage", request, cri.PullImageResponse)).image_ref

    async def downloads(self) -> list[content.Status]:
        """Blobs being fetched at this moment, for whatever image."""
        answer = await self.call(_CONTENT + "ListStatuses", content.ListStatusesRequest(), content.ListStatusesResponse)
        return list(answer.statuses)

    async def pid(self, container: str) -> int:
        """Of the container's first process; raises `CallFailed` NOT_FOUND where there is none."""
        request = tasks.GetRequest(container_id=container)
        return (await self.call(_TASKS + "Get", request, tasks.GetResponse)).process.pid

    async def pids(self) -> dict[str, int]:
        answer = await self.call(_TASKS + "List", tasks.ListTasksRequest(), tasks.ListTasksResponse)
        return {process.id: process.pid for process in answer.tasks}

    async def kill(self, container: str, signal: int) -> None:
        await self.call(_TASKS + "Kill", tasks.KillRequest(container_id=container, signal=signal), cri.Nothing)

    async def wait(self, container: str) -> int:
        """Exit code, once it has exited."""
        return (
            await self.call(_TASKS + "Wait", tasks.WaitRequest(container_id=container), tasks.WaitResponse)
        ).exit_status

    async def publish(self, topic: str) -> None:
        """An event of our own, which comes back through every subscription that asked for it."""
        request = events.PublishRequest(topic=topic)
        request.event.Pack(cri.Nothing())
        await self.call(_EVENTS + "Publish", request, cri.Nothing)

    async def subscribe(self, *filters: str) -> AsyncIterator[events.Envelope]:
        function = self._channel.unary_stream(
            _EVENTS + "Subscribe",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=events.Envelope.FromString,
        )
        try:
            async for envelope in function(events.SubscribeRequest(filters=filters), metadata=_METADATA):
                yield envelope
        except grpc.aio.AioRpcError as error:
            raise translate(error) from None
