"""Tags on users, roles, instance profiles and managed policies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.base.errors import Fault
from ropewalk.services.iam.managed import AWS_MANAGED
from ropewalk.services.iam.named import PROFILE, ROLE, USER, Named
from ropewalk.services.iam.policies import policy_of
from ropewalk.services.iam.records import ManagedPolicy
from ropewalk.services.iam.slice import Iam, Target, merged_tags, offer, page, shown_tags, without_tags

Find = Callable[[Iam, str], Awaitable[Any]]
"""`Any`: records of four types, all with `tags`."""
Put = Callable[[Iam, Any], Awaitable[object]]


async def _own_policy(iam: Iam, arn: str) -> ManagedPolicy:
    if arn in AWS_MANAGED:
        raise Fault("InvalidInput", f"Policy {arn} is managed by AWS and cannot be tagged.")
    return await policy_of(iam, arn)


def _offer(kind: str, on: Target | None, member: str, find: Find, put: Put) -> None:
    @offer(f"Tag{kind}", on=on)
    async def tag(iam: Iam, call: Call, params: Params) -> Params:
        record = await find(iam, params[member])
        await put(iam, msgspec.structs.replace(record, tags=merged_tags(record.tags, params["Tags"])))
        return {}

    @offer(f"Untag{kind}", on=on)
    async def untag(iam: Iam, call: Call, params: Params) -> Params:
        record = await find(iam, params[member])
        await put(iam, msgspec.structs.replace(record, tags=without_tags(record.tags, params["TagKeys"])))
        return {}

    @offer(f"List{kind}Tags", on=on)
    async def list_tags(iam: Iam, call: Call, params: Params) -> Params:
        record = await find(iam, params[member])
        return page(params, sorted(record.tags), lambda t: str(t[0]), "Tags", lambda t: shown_tags([t])[0])


_KINDS: tuple[Named[Any], ...] = (USER, ROLE, PROFILE)
for _kind in _KINDS:
    _offer(_kind.word, _kind, _kind.member, _kind.existing, _kind.put)
_offer("Policy", None, "PolicyArn", _own_policy, lambda iam, policy: iam.policies.put(policy.arn, policy))
