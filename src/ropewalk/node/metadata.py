"""What a workload may read about itself: ECS's task metadata (version 4) and its role's credentials.

    /v4/<token>                    the container        /v4/<token>/task           the task with its containers
    /v4/<token>/stats              its statistics       /v4/<token>/taskWithTags   the same with tags
    /v4/<token>/task/stats         all containers'      /v2/credentials/<token>    temporary keys

Served at 169.254.170.2:80 in the VPC's router, outside every workload's namespace. A request is answered only where the
unguessable token is known AND it comes from the address of the token's own workload; a wrong token and a wrong address
answer alike. Facts come from labels with the names of `model/documents.py`; the shapes of the JSON are those of the
Amazon ECS developer guide, "Task metadata endpoint version 4 for tasks on Fargate".
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from urllib.parse import unquote

import msgspec

from ropewalk.base.http.messages import Request, Response
from ropewalk.base.log import logger
from ropewalk.model import documents
from ropewalk.model.ids import VpcId, WorkloadUid
from ropewalk.model.workload import Container
from ropewalk.node import metadata_documents as shapes
from ropewalk.node.credentials import CredentialCache
from ropewalk.node.runtime import ContainerStats, Runtime, RuntimeFailure
from ropewalk.node.shapes import rfc3339_seconds
from ropewalk.node.transport import NotGiven, TransportFailure
from ropewalk.planning.lifecycle_records import State

log = logger(__name__)

_EARLIER_LIMIT = 4096


class MetadataHandler:
    """Answers the requests of one VPC's workloads: `handle` is given to an HTTP server."""

    def __init__(
        self,
        vpc: VpcId,
        *,
        states: Callable[[], Iterable[State]],
        runtime: Runtime,
        credentials: CredentialCache,
    ) -> None:
        self._vpc = vpc
        self._states = states
        self._runtime = runtime
        self._credentials = credentials
        self._earlier: dict[str, ContainerStats] = {}
        """The sample before, by runtime id: CPU use is a difference."""

    async def handle(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return _refusal(405, "method not allowed")
        parts = [unquote(part) for part in request.path.strip("/").split("/")]
        if len(parts) <= 3 and parts[:2] == ["v2", "credentials"]:
            return await self._keys(request, parts[2] if len(parts) == 3 else "")
        if len(parts) >= 2 and parts[0] == "v4":
            return await self._metadata(request, parts[1], "/".join(parts[2:]))
        return _refusal(404, "page not found")

    def _from(self, address: str) -> Iterable[State]:
        """The workloads of this VPC that have this address: normally one."""
        for state in self._states():
            interface = state.workload.interface
            if interface is not None and interface.vpc == self._vpc and interface.address == address:
                yield state

    # --- metadata

    async def _metadata(self, request: Request, token: str, what: str) -> Response:
        for state in self._from(request.peer.address):
            secret = state.workload.endpoints.metadata_token
            for container in state.workload.containers if secret else ():
                if _same(token, documents.container_token(secret, container.name)):
                    return await self._document(state, container, what)
        return _refusal(404, "unable to get a task for this address and path")

    async def _document(self, state: State, container: Container, what: str) -> Response:
        if what == "":
            return _json(shapes.container(state, container))
        if what in ("task", "taskWithTags"):
            return _json(shapes.task(state, tags=what == "taskWithTags"))
        if what not in ("stats", "task/stats"):
            return _refusal(404, "page not found")
        try:
            samples = {s.id: s for s in await self._runtime.stats(state.workload.uid)}
        except RuntimeFailure as failed:
            return _refusal(500, f"statistics cannot be had now: {failed}")
        found: dict[str, object] = {}
        for each in state.containers:
            sample = samples.get(each.runtime_id)
            identity = shapes.docker_id(state, each.name)
            found[identity] = self._stats(state, each.name, sample)
        if what == "stats":
            return _json(found[shapes.docker_id(state, container.name)])
        return _json(found)

    def _stats(self, state: State, name: str, sample: ContainerStats | None) -> object:
        if sample is None:
            return None
        earlier = self._earlier.get(sample.id)
        if len(self._earlier) >= _EARLIER_LIMIT:
            self._earlier.clear()
        self._earlier[sample.id] = sample
        return shapes.stats(state, name, sample, earlier)

    # --- credentials

    async def _keys(self, request: Request, token: str) -> Response:
        for state in self._from(request.peer.address):
            for credential in state.workload.credentials:
                if credential.path_token and _same(token, credential.path_token):
                    return await self._give(state.workload.uid, credential.name, credential.role_arn)
        if not token:
            return _refusal_json(400, "NoIdInRequest", "CredentialsV2Request: No Credential ID in the request")
        return _refusal_json(400, "InvalidIdInRequest", "CredentialsV2Request: Credentials not found")

    async def _give(self, workload: WorkloadUid, name: str, role_arn: str) -> Response:
        try:
            keys = await self._credentials.get(workload, name)
        except (NotGiven, TransportFailure) as none:
            # The ECS agent's answer where it knows of a role but holds no keys: SDKs ask again.
            log.warning("no credentials to give", workload=workload, role=role_arn, reason=none)
            return _refusal_json(
                503, "CredentialsUninitialized", "CredentialsV2Request: Credentials uninitialized for ID"
            )
        return _json(
            {
                "RoleArn": role_arn,
                "AccessKeyId": keys.access_key_id,
                "SecretAccessKey": keys.secret_access_key,
                "Token": keys.session_token,
                "Expiration": rfc3339_seconds(keys.expires_at),
            }
        )


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(), secret.encode())


def _json(document: object) -> Response:
    return Response(200, {"content-type": "application/json"}, msgspec.json.encode(document))


def _refusal(status: int, text: str) -> Response:
    return Response(status, {"content-type": "application/json"}, msgspec.json.encode(text))


def _refusal_json(status: int, code: str, message: str) -> Response:
    document = {"code": code, "message": message, "HTTPErrorCode": status}
    return Response(status, {"content-type": "application/json"}, msgspec.json.encode(document))
