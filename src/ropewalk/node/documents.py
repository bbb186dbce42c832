"""Where the link-local documents are served: one HTTP server a VPC, on a socket that the host agent opens there.

Simulated machines have no network to serve in; for them `ensure` does nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from ropewalk.base.clock import Clock
from ropewalk.base.http.server import HttpServer
from ropewalk.model import documents
from ropewalk.model.host import METADATA_ADDRESS, HostNetwork
from ropewalk.model.ids import VpcId
from ropewalk.model.workload import Container, Workload
from ropewalk.node.credentials import CredentialCache
from ropewalk.node.metadata import MetadataHandler
from ropewalk.node.runtime import Runtime
from ropewalk.planning.lifecycle_records import State

METADATA_PORT = 80


class DocumentServers:
    def __init__(
        self,
        *,
        network: HostNetwork | None,
        runtime: Runtime,
        credentials: CredentialCache,
        states: Callable[[], Iterable[State]],
        clock: Clock,
    ) -> None:
        self._network = network
        self._runtime = runtime
        self._credentials = credentials
        self._states = states
        self._clock = clock
        self._servers: dict[VpcId, HttpServer] = {}
        self._lock = asyncio.Lock()

    async def ensure(self, vpc: VpcId) -> None:
        """Serve in this VPC from now on. Raises `Retryable` while its router does not stand."""
        if self._network is None or vpc in self._servers:
            return
        async with self._lock:
            if vpc in self._servers:
                return
            sock = await self._network.listen(vpc, METADATA_ADDRESS, METADATA_PORT)
            handler = MetadataHandler(vpc, states=self._states, runtime=self._runtime, credentials=self._credentials)
            server = HttpServer(handler.handle, name=f"metadata-{vpc}", clock=self._clock)
            await server.serve_socket(sock)
            self._servers[vpc] = server

    async def close(self) -> None:
        for server in self._servers.values():
            await server.close()
        self._servers.clear()

    def environment(self, workload: Workload, container: Container) -> tuple[tuple[str, str], ...]:
        """The addresses of the documents that this container has. Whatever else a container's environment needs was
        put into its record by whoever made the workload.
        """
        found: list[tuple[str, str]] = []
        if token := workload.endpoints.metadata_token:
            found.append(("ECS_CONTAINER_METADATA_URI_V4", documents.metadata_uri(token, container.name)))
        for credential in workload.credentials:
            if credential.path_token:
                path = documents.credentials_path(credential.path_token)
                found.append(("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", path))
        return tuple(found)
