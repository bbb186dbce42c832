"""How a slice offers operations, and what a handler is told of a call.

A slice writes plain coroutine functions:

    operations = Operations[Ecs]("ecs")

    @operations.operation("CreateCluster", resources=named_cluster)
    async def create_cluster(ecs: Ecs, call: Call, params: Params) -> Params: ...

`params` has been parsed and validated against the service's model: required members are there, types and bounds hold.
The returned document is serialised by the same model. Names are the model's own (`taskDefinitionArn`); timestamps are
floats of seconds; blobs are bytes.

What a request touches is asked of the slice before the handler runs (`resources`): for each resource its ARN, and what
policies' conditions may ask about it, its tags above all. That may cost reads; a caller to whom nothing can be refused
is spared them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from ropewalk.aws.request_tags import request_tags

S = TypeVar("S")

Params = dict[str, Any]
"""A document of a modelled shape. `Any`: its types are the model's, checked before a handler sees it."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who signed the request."""

    arn: str
    account: str
    user_id: str
    """Unique id: AIDA…, AROA…:session, or the account for its root."""
    kind: str
    """"root", "user", "role" (assumed), or "service"."""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def unlimited(self) -> bool:
        """Nothing can be refused to this principal on account of its own permissions: it need not be asked about."""
        return False


class Authorizer(Protocol):
    async def require(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Sequence[str]]
    ) -> None:
        """Raises the service's AccessDenied fault unless the principal's policies allow it."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One request, past the gate."""

    service: str
    operation: str
    request_id: str
    account: str
    region: str
    principal: Principal
    now: float
    """Wall time at which the request was accepted."""
    source_ip: str
    host: str
    """The endpoint's own name and port as the client used it."""
    authorizer: Authorizer

    def arn(self, service: str, resource: str) -> str:
        """An ARN in the caller's account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    async def require(self, action: str, resource: str, context: Mapping[str, Sequence[str]] | None = None) -> None:
        """A further permission that this call needs (`iam:PassRole`, say)."""
        await self.authorizer.require(self.principal, action, resource, context or {})


@dataclass(frozen=True, slots=True)
class Touched:
    """One resource of a request, as policies are asked about it."""

    arn: str
    conditions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Condition keys (`aws:ResourceTag/env`, `ecs:cluster`, …) with their values. What the request itself says of tags
    need not be repeated."""


Operation = Callable[[S, Call, Params], Awaitable[Params]]
Resources = Callable[[S, Call, Params], Awaitable[Sequence[Touched]]]
"""Runs before permission is given: it reads, changes nothing, and leaves it to the handler to refuse what is not there
or makes no sense."""


async def any_resource(slice: object, call: Call, params: Params) -> Sequence[Touched]:
    """For operations that IAM knows no resources of."""
    return (Touched("*"),)


async def handler_asks(slice: object, call: Call, params: Params) -> Sequence[Touched]:
    """For operations whose handler itself asks (`Call.require`), or that need no permission."""
    return ()


@dataclass(frozen=True, slots=True)
class Offered(Generic[S]):
    """One implemented operation."""

    name: str
    run: Operation[S]
    action: str
    """IAM action, "ecs:RunTask"."""
    resources: Resources[S]

    async def authorise(self, slice: S, call: Call, params: Params) -> None:
        """Raises AccessDenied unless the caller may do this to every resource that the request touches."""
        if call.principal.unlimited:
            return
        tags = request_tags(params)
        for touched in await self.resources(slice, call, params):
            await call.require(self.action, touched.arn, {**tags, **touched.conditions})


class Operations(Generic[S]):
    """The operations that one slice implements, by name."""

    def __init__(self, service: str, action_prefix: str | None = None) -> None:
        self.service = service
        self.action_prefix = action_prefix or service
        self.offered: dict[str, Offered[S]] = {}

    def operation(
        self,
        name: str,
        *,
        action: str | None = None,
        resources: Resources[S] = any_resource,
    ) -> Callable[[Operation[S]], Operation[S]]:
        def offer(run: Operation[S]) -> Operation[S]:
            if name in self.offered:
                raise ValueError(f"{self.service}:{name} is offered twice")
            self.offered[name] = Offered(name, run, action or f"{self.action_prefix}:{name}", resources)
            return run

        return offer
