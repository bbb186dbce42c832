"""The ec2 slice's frame: its tables, and how its operations are offered.

Every operation of this slice names the parameters it acts upon. A parameter beyond those that would change anything is
refused by name (`UnsupportedOperation`), never dropped: a `false`, a zero and an empty list ask for nothing and pass.
Every operation takes DryRun. Reads go to the store, so that what was just written is seen; only the fabric and the
claims live off informers.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from ropewalk.aws.idempotency import ClientTokens
from ropewalk.aws.operations import Call, Operation, Operations, Params, any_resource
from ropewalk.aws.operations import Resources as Touching
from ropewalk.aws.request_tags import request_tags
from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Fault
from ropewalk.base.settings import Settings
from ropewalk.model.network import INTERFACE_CLAIMS, InterfaceClaim
from ropewalk.runtime.table import Table, Versioned
from ropewalk.services.ec2.addresses import Addresses
from ropewalk.services.ec2.carriers import Carriers
from ropewalk.services.ec2.holds import Holds
from ropewalk.services.ec2.records import (
    DhcpOptions,
    Interface,
    InternetGateway,
    NetworkAcl,
    RouteTable,
    SecurityGroup,
    Stored,
    Subnet,
    Vpc,
)
from ropewalk.store.protocol import Store

R = TypeVar("R", bound=Stored)

_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class Resources(Table[R]):
    """A table whose keys are ids as users write them: what cannot be an id is not there."""

    async def find(self, key: str) -> Versioned[R] | None:
        return await super().find(key) if _ID.fullmatch(key) else None


@dataclass(frozen=True, slots=True)
class Ec2:
    """What the handlers and reconcilers need. Make it with `Ec2.over`."""

    store: Store
    clock: Clock
    entropy: Entropy
    settings: Settings
    vpcs: Resources[Vpc]
    subnets: Resources[Subnet]
    route_tables: Resources[RouteTable]
    gateways: Resources[InternetGateway]
    acls: Resources[NetworkAcl]
    dhcp_options: Resources[DhcpOptions]
    groups: Resources[SecurityGroup]
    interfaces: Resources[Interface]
    claims: Table[InterfaceClaim]
    addresses: Addresses
    carriers: Carriers
    tokens: ClientTokens
    holds: Holds = field(default_factory=Holds)
    topology: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held over changes to what a VPC consists of: such changes look at several records before they write one."""

    @staticmethod
    def over(store: Store, clock: Clock, entropy: Entropy, settings: Settings) -> Ec2:
        return Ec2(
            store=store,
            clock=clock,
            entropy=entropy,
            settings=settings,
            vpcs=Resources(store, "/ec2/vpcs/", Vpc),
            subnets=Resources(store, "/ec2/subnets/", Subnet),
            route_tables=Resources(store, "/ec2/route-tables/", RouteTable),
            gateways=Resources(store, "/ec2/internet-gateways/", InternetGateway),
            acls=Resources(store, "/ec2/network-acls/", NetworkAcl),
            dhcp_options=Resources(store, "/ec2/dhcp-options/", DhcpOptions),
            groups=Resources(store, "/ec2/security-groups/", SecurityGroup),
            interfaces=Resources(store, "/ec2/interfaces/", Interface),
            claims=Table(store, INTERFACE_CLAIMS, InterfaceClaim),
            addresses=Addresses(store, entropy),
            carriers=Carriers(store, clock),
            tokens=ClientTokens(store, "/ec2/client-tokens/", entropy),
        )


operations: Operations[Ec2] = Operations("ec2")

_ALWAYS = frozenset({"DryRun"})


def refuse_unsupported(
    operation: str, params: Params, acts_on: frozenset[str], indifferent: Mapping[str, object]
) -> None:
    """Raise for the first parameter that asks for something which this operation does not do."""
    for name, value in params.items():
        if name in acts_on or name in _ALWAYS or not value:
            continue
        if name in indifferent and value == indifferent[name]:
            continue
        shown = value if isinstance(value, str) else ""
        raise Fault(
            "UnsupportedOperation",
            f"The parameter {name}{'=' + shown if shown else ''} of {operation} is not supported here yet. "
            "Leave it out.",
        )


def offer(
    name: str,
    *acts_on: str,
    indifferent: Mapping[str, object] | None = None,
    resources: Touching[Ec2] = any_resource,
) -> Callable[[Operation[Ec2]], Operation[Ec2]]:
    """Offer an operation that acts on the parameters named; `indifferent` values ask for what happens anyway."""
    known = frozenset(acts_on)
    defaults = dict(indifferent or {})

    def wrap(run: Operation[Ec2]) -> Operation[Ec2]:
        @operations.operation(name, resources=resources)
        async def checked(ec2: Ec2, call: Call, params: Params) -> Params:
            refuse_unsupported(name, params, known, defaults)
            await _require_tagging(call, name, params)
            if params.get("DryRun"):
                raise Fault("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", status=412)
            return await run(ec2, call, params)

        return checked

    return wrap


async def _require_tagging(call: Call, operation: str, params: Params) -> None:
    """To give tags while creating takes `ec2:CreateTags` as well; `ec2:CreateAction` tells it from tagging later.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
    """
    for specification in params.get("TagSpecifications") or ():
        if specification.get("Tags"):
            arn = call.arn("ec2", f"{specification.get('ResourceType') or '*'}/*")
            await call.require("ec2:CreateTags", arn, {"ec2:CreateAction": (operation,), **request_tags(params)})
