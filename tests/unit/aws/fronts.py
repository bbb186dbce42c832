"""A front over a small slice of its own, for tests: no sockets, no real identities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from ropewalk.aws.front import Front, FrontSettings, Mount
from ropewalk.aws.operations import Call, Operations, Params, Principal, Touched
from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.base.errors import Fault, Retryable
from ropewalk.base.http.messages import Peer, Request, Response

ALICE = Principal("arn:aws:iam::123456789012:user/alice", "123456789012", "AIDAALICE", "user")


@dataclass
class Gate:
    """Authenticator and authorizer: whoever signed at all is Alice; `denied` actions are refused."""

    denied: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    told: list[Mapping[str, Sequence[str]]] = field(default_factory=list)
    """The conditions' values that came with each of `asked`."""

    async def authenticate(self, request: Request, service: str, now: float) -> Principal:
        if "authorization" not in request.headers and "X-Amz-Credential" not in request.query:
            raise Fault("MissingAuthenticationToken", "Request is missing Authentication Token", status=403)
        return ALICE

    async def require(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Sequence[str]]
    ) -> None:
        self.asked.append((action, resource))
        self.told.append(context)
        if action in self.denied:
            raise Fault("AccessDenied", f"User: {principal.arn} is not authorized to perform: {action}", status=403)


@dataclass
class Slice:
    seen: list[Params] = field(default_factory=list)
    told: dict[str, list[str]] = field(default_factory=dict)


ecs = Operations[Slice]("ecs")
sts = Operations[Slice]("sts")
ec2 = Operations[Slice]("ec2")


async def named_clusters(slice: Slice, call: Call, params: Params) -> list[Touched]:
    return [Touched(name, slice.told) for name in params.get("clusters", ["*"])]


@ecs.operation("DescribeClusters", resources=named_clusters)
async def describe_clusters(slice: Slice, call: Call, params: Params) -> Params:
    slice.seen.append(params)
    return {"clusters": [{"clusterName": name} for name in params.get("clusters", [])], "failures": []}


@ecs.operation("DeleteCluster")
async def delete_cluster(slice: Slice, call: Call, params: Params) -> Params:
    name = params["cluster"]
    if name == "bug":
        raise ZeroDivisionError("nobody foresaw this")
    if name == "busy":
        raise Retryable("the store is not ready", after=3)
    raise Fault("ClusterNotFoundException", "Cluster not found.")


async def tagged(slice: Slice, call: Call, params: Params) -> list[Touched]:
    return [Touched("*", {"ecs:cluster": ["a"]})]


@ecs.operation("TagResource", resources=tagged)
async def tag_resource(slice: Slice, call: Call, params: Params) -> Params:
    return {}


@sts.operation("GetCallerIdentity")
async def get_caller_identity(slice: Slice, call: Call, params: Params) -> Params:
    return {"Arn": call.principal.arn, "Account": call.account, "UserId": call.principal.user_id}


@sts.operation("AssumeRole")
async def assume_role(slice: Slice, call: Call, params: Params) -> Params:
    slice.seen.append(params)
    return {}


@ec2.operation("DescribeVpcs")
async def describe_vpcs(slice: Slice, call: Call, params: Params) -> Params:
    slice.seen.append(params)
    return {"Vpcs": [{"VpcId": "vpc-1", "IsDefault": True}]}


@dataclass
class Bench:
    """A front and what stands behind it."""

    gate: Gate = field(default_factory=Gate)
    slice: Slice = field(default_factory=Slice)
    settings: FrontSettings = field(default_factory=lambda: FrontSettings("us-east-1", "123456789012"))

    def __post_init__(self) -> None:
        mounts = [Mount("ecs", ecs, self.slice), Mount("sts", sts, self.slice), Mount("ec2", ec2, self.slice)]
        self.front = Front(
            mounts,
            authenticator=self.gate,
            authorizer=self.gate,
            clock=VirtualClock(),
            entropy=SeededEntropy(1),
            settings=self.settings,
        )

    async def send(
        self,
        body: bytes | str = b"",
        *,
        headers: Mapping[str, str | None] | None = None,
        method: str = "POST",
        target: str = "/",
        service: str = "ecs",
    ) -> Response:
        signed = f"AWS4-HMAC-SHA256 Credential=AKID/20261123/us-east-1/{service}/aws4_request, Signature=x"
        merged: dict[str, str | None] = {"host": "127.0.0.1:4566", "authorization": signed, **(headers or {})}
        path, _, query = target.partition("?")
        encoded = body.encode() if isinstance(body, str) else body
        kept = {name: value for name, value in merged.items() if value is not None}
        return await self.front.handle(
            Request(method, target, path, query, kept, encoded, Peer("127.0.0.1", 1, "host"))
        )

    async def json(self, operation: str, document: Any, **headers: str | None) -> tuple[int, Any]:
        body = document if isinstance(document, bytes) else orjson.dumps(document)
        target = {"x-amz-target": f"AmazonEC2ContainerServiceV20141113.{operation}"}
        content_type = {"content-type": "application/x-amz-json-1.1"}
        response = await self.send(body, headers={**target, **content_type, **headers})
        assert isinstance(response.body, bytes)
        return response.status, orjson.loads(response.body)

    async def form(self, service: str, body: str, **headers: str | None) -> tuple[int, str]:
        content_type = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        response = await self.send(body, headers={**content_type, **headers}, service=service)
        assert isinstance(response.body, bytes)
        return response.status, response.body.decode()
