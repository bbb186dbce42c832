"""Tags on users, roles, instance profiles and managed policies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.base.errors import Fault
from ropewalk.services.iam.instance_profiles import profile_of
from ropewalk.services.iam.managed import AWS_MANAGED
from ropewalk.services.iam.policies import policy_of
from ropewalk.services.iam.roles import role_of
from ropewalk.services.iam.slice import (
    PROFILE,
    ROLE,
    USER,
    Iam,
    Target,
    merged_tags,
    offer,
    page,
    shown_tags,
    without_tags,
)
from ropewalk.services.iam.users import user_of

Find = Callable[[Iam, str], Awaitable[Any]]
"""`Any`: records of four types, all with `tags`."""
Put = Callable[[Iam, str, Any], Awaitable[object]]


async def _own_policy(iam: Iam, arn: str) -> Any:
    if arn in AWS_MANAGED:
        raise Fault("InvalidInput", f"Policy {arn} is managed by AWS and cannot be tagged.")
    return await policy_of(iam, arn)


def _offer(kind: str, on: Target | None, member: str, find: Find, put: Put) -> None:
    @offer(f"Tag{kind}", on=on)
    async def tag(iam: Iam, call: Call, params: Params) -> Params:
        record = await find(iam, params[member])
        tags = merged_tags(record.tags, params["Tags"])
        await put(iam, params[member], msgspec.structs.replace(record, tags=tags))
        return {}

    @offer(f"Untag{kind}", on=on)
    async def untag(iam: Iam, call: Call, params: Params) -> Params:
        record = await find(iam, params[member])
        tags = without_tags(record.tags, params["TagKeys"])
        await put(iam, params[member], msgspec.structs.replace(record, tags=tags))
        return {}

    @offer(f"List{kind}Tags", on=on)
    async def list_tags(iam: Iam, call: Call, params: Params) -> Params:
        record = await find(iam, params[member])
        return page(params, sorted(record.tags), lambda t: str(t[0]), "Tags", lambda t: shown_tags([t])[0])


_offer("User", USER, "UserName", user_of, lambda iam, name, record: iam.users.put(name.lower(), record))
_offer("Role", ROLE, "RoleName", role_of, lambda iam, name, record: iam.roles.put(name.lower(), record))
_offer(
    "InstanceProfile",
    PROFILE,
    "InstanceProfileName",
    profile_of,
    lambda iam, name, record: iam.profiles.put(name.lower(), record),
)
_offer("Policy", None, "PolicyArn", _own_policy, lambda iam, arn, record: iam.policies.put(arn, record))
