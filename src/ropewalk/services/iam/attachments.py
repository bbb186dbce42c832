"""Policies on users, groups and roles: inline ones, and attachments of managed ones.

The three kinds differ in names and quotas only, so that one set of functions serves each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.aws.policy import compile_document
from ropewalk.services.iam.named import GROUP, ROLE, USER, Named
from ropewalk.services.iam.policies import document_size, find_policy
from ropewalk.services.iam.records import Holder, InlinePolicy
from ropewalk.services.iam.slice import (
    Iam,
    check_name,
    no_such,
    offer,
    over_quota,
    page,
    shown_document,
)

ATTACHED_LIMIT = 10
"""Managed policies a user, group or role may have."""


@dataclass(frozen=True, slots=True)
class HolderKind:
    """One of the three."""

    target: Named[Any]
    """`Any`: of the three record types only the common part is touched."""
    inline_limit: int
    """Characters of all inline policies together, white space not counted."""

    @property
    def name(self) -> str:
        return self.target.word

    @property
    def lower(self) -> str:
        return self.name.lower()

    async def holder(self, iam: Iam, params: Params) -> Holder:
        found: Holder = await self.target.existing(iam, params[self.target.member])
        return found

    async def changeable(self, iam: Iam, params: Params) -> Holder:
        found: Holder = await self.target.changeable(iam, params[self.target.member])
        return found

    async def put(self, iam: Iam, holder: Holder) -> None:
        await self.target.put(iam, holder)


KINDS = (HolderKind(USER, 2048), HolderKind(GROUP, 5120), HolderKind(ROLE, 10240))


def _offer_inline(kind: HolderKind) -> None:
    @offer(f"Put{kind.name}Policy", on=kind.target)
    async def put(iam: Iam, call: Call, params: Params) -> Params:
        holder = await kind.changeable(iam, params)
        name, document = params["PolicyName"], params["PolicyDocument"]
        check_name("PolicyName", name, 128)
        compile_document(document)
        others = [policy for policy in holder.inline if policy.name != name]
        if sum(document_size(policy.document) for policy in others) + document_size(document) > kind.inline_limit:
            raise over_quota(
                f"Maximum policy size of {kind.inline_limit} bytes exceeded for {kind.lower} {holder.name}"
            )
        inline = tuple(sorted([*others, InlinePolicy(name, document)], key=lambda policy: policy.name))
        await kind.put(iam, msgspec.structs.replace(holder, inline=inline))
        return {}

    @offer(f"Get{kind.name}Policy", on=kind.target)
    async def get(iam: Iam, call: Call, params: Params) -> Params:
        holder = await kind.holder(iam, params)
        policy = _inline(kind, holder, params["PolicyName"])
        return {
            f"{kind.name}Name": holder.name,
            "PolicyName": policy.name,
            "PolicyDocument": shown_document(policy.document),
        }

    @offer(f"Delete{kind.name}Policy", on=kind.target)
    async def delete(iam: Iam, call: Call, params: Params) -> Params:
        holder = await kind.changeable(iam, params)
        gone = _inline(kind, holder, params["PolicyName"])
        inline = tuple(policy for policy in holder.inline if policy.name != gone.name)
        await kind.put(iam, msgspec.structs.replace(holder, inline=inline))
        return {}

    @offer(f"List{kind.name}Policies", on=kind.target)
    async def list_inline(iam: Iam, call: Call, params: Params) -> Params:
        holder = await kind.holder(iam, params)
        return page(params, holder.inline, lambda p: p.name, "PolicyNames", lambda p: p.name)


def _inline(kind: HolderKind, holder: Holder, name: str) -> InlinePolicy:
    for policy in holder.inline:
        if policy.name == name:
            return policy
    raise no_such(f"The {kind.lower} policy with name {name} cannot be found.")


def _offer_attached(kind: HolderKind) -> None:
    @offer(f"Attach{kind.name}Policy", on=kind.target)
    async def attach(iam: Iam, call: Call, params: Params) -> Params:
        holder = await kind.changeable(iam, params)
        arn = params["PolicyArn"]
        if await find_policy(iam, arn) is None:
            raise no_such(f"Policy {arn} does not exist or is not attachable.")
        if arn in holder.attached:
            return {}
        if len(holder.attached) >= ATTACHED_LIMIT:
            raise over_quota(f"Cannot exceed quota for PoliciesPer{kind.name}: {ATTACHED_LIMIT}")
        await kind.put(iam, msgspec.structs.replace(holder, attached=(*holder.attached, arn)))
        return {}

    @offer(f"Detach{kind.name}Policy", on=kind.target)
    async def detach(iam: Iam, call: Call, params: Params) -> Params:
        holder = await kind.changeable(iam, params)
        arn = params["PolicyArn"]
        if arn not in holder.attached:
            raise no_such(f"Policy {arn} was not found.")
        attached = tuple(other for other in holder.attached if other != arn)
        await kind.put(iam, msgspec.structs.replace(holder, attached=attached))
        return {}

    @offer(f"ListAttached{kind.name}Policies", on=kind.target)
    async def list_attached(iam: Iam, call: Call, params: Params) -> Params:
        holder = await kind.holder(iam, params)
        prefix = params.get("PathPrefix") or "/"
        found = [policy for arn in holder.attached if (policy := await find_policy(iam, arn)) is not None]
        found = sorted((policy for policy in found if policy.path.startswith(prefix)), key=lambda policy: policy.arn)
        return page(
            params,
            found,
            lambda p: p.arn,
            "AttachedPolicies",
            lambda p: {"PolicyName": p.name, "PolicyArn": p.arn},
        )


for _kind in KINDS:
    _offer_inline(_kind)
    _offer_attached(_kind)
