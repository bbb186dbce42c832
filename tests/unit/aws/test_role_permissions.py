"""What a role may do by itself, as the slices that act for a workload ask."""

from __future__ import annotations

import json

import pytest

from ropewalk.aws.role_permissions import RolePermissions
from ropewalk.services.iam.records import InlinePolicy, Role
from unit.aws.test_identity import ACCOUNT, World, refusal, world

__all__ = ["world"]

ROLE = f"arn:aws:iam::{ACCOUNT}:role/ecsTaskExecutionRole"
STREAM = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/g:log-stream:web/web/t"


@pytest.fixture
def may(world: World) -> RolePermissions:
    return RolePermissions(world.identity, world.clock, "us-east-1")


async def change(world: World, **fields: object) -> None:
    def changed(role: Role) -> Role:
        return type(role)(**{**{name: getattr(role, name) for name in type(role).__struct_fields__}, **fields})

    await world.iam.roles.mutate("ecstaskexecutionrole", changed)
    world.iam.directory.forget()


async def test_the_execution_role_may_write_lines_but_make_no_group(may: RolePermissions) -> None:
    await may.require(ROLE, "task", "logs:CreateLogStream", STREAM)
    await may.require(ROLE, "task", "logs:PutLogEvents", STREAM)
    group = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/g:log-stream:"
    refused = await refusal(may.require(ROLE, "task", "logs:CreateLogGroup", group))
    assert (refused.code, refused.message) == (
        "AccessDenied",
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/ecsTaskExecutionRole/task is not authorized to perform: "
        f"logs:CreateLogGroup on resource: {group} "
        "because no identity-based policy allows the logs:CreateLogGroup action",
    )


async def test_what_is_revoked_counts_at_once(world: World, may: RolePermissions) -> None:
    deny = {
        "Effect": "Deny",
        "Action": "logs:*",
        "Resource": STREAM,
        "Condition": {"StringLike": {"aws:userid": "*:bad"}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    await change(world, inline=(InlinePolicy("p", document),))
    await may.require(ROLE, "good", "logs:PutLogEvents", STREAM)
    assert "explicit deny" in (await refusal(may.require(ROLE, "bad", "logs:PutLogEvents", STREAM))).message
    await change(world, attached=())
    assert (await refusal(may.require(ROLE, "good", "logs:PutLogEvents", STREAM))).code == "AccessDenied"


@pytest.mark.parametrize("arn", [ROLE + "x", "arn:aws:iam::999999999999:role/ecsTaskExecutionRole", "nonsense", ""])
async def test_a_role_that_is_not_there_may_nothing(may: RolePermissions, arn: str) -> None:
    assert (await refusal(may.require(arn, "task", "logs:PutLogEvents", STREAM))).code == "InvalidClientTokenId"
