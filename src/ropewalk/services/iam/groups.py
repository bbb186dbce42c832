"""Groups of users, which share their policies."""

from __future__ import annotations

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.services.iam.named import GROUP, USER, check_bare
from ropewalk.services.iam.records import Group
from ropewalk.services.iam.slice import Iam, conflict, offer, over_quota
from ropewalk.services.iam.users import caller_user, shown_user

GROUPS_PER_USER = 10


@offer("CreateGroup", on=GROUP)
async def create_group(iam: Iam, call: Call, params: Params) -> Params:
    group = Group(**GROUP.identity(iam, params))
    await GROUP.create(iam, group)
    return {"Group": GROUP.shown(group)}


@offer("GetGroup", on=GROUP)
async def get_group(iam: Iam, call: Call, params: Params) -> Params:
    group = await GROUP.existing(iam, params["GroupName"])
    members = [user for user in await iam.users.records() if group.name.lower() in user.groups]
    shown = USER.page(params, members, lambda user: shown_user(user, whole=False))
    return {"Group": GROUP.shown(group), **shown}


@offer("ListGroups")
async def list_groups(iam: Iam, call: Call, params: Params) -> Params:
    return await GROUP.listed(iam, params, GROUP.shown)


@offer("UpdateGroup", on=GROUP)
async def update_group(iam: Iam, call: Call, params: Params) -> Params:
    async def members_follow(old: str, new: str) -> None:
        for item in await iam.users.list():
            if old in item.record.groups:
                groups = tuple(new if key == old else key for key in item.record.groups)
                await iam.users.put(item.key, msgspec.structs.replace(item.record, groups=groups))

    await GROUP.rename(iam, params, members_follow)
    return {}


@offer("DeleteGroup", on=GROUP)
async def delete_group(iam: Iam, call: Call, params: Params) -> Params:
    group = await GROUP.existing(iam, params["GroupName"])
    if any(group.name.lower() in user.groups for user in await iam.users.records()):
        raise conflict("Cannot delete entity, must remove users from group first.")
    check_bare(group)
    await GROUP.delete(iam, group)
    return {}


@offer("AddUserToGroup", on=GROUP)
async def add_user_to_group(iam: Iam, call: Call, params: Params) -> Params:
    group = await GROUP.existing(iam, params["GroupName"])
    user = await USER.existing(iam, params["UserName"])
    key = group.name.lower()
    if key in user.groups:
        return {}
    if len(user.groups) >= GROUPS_PER_USER:
        raise over_quota(f"Cannot exceed quota for GroupsPerUser: {GROUPS_PER_USER}")
    await USER.put(iam, msgspec.structs.replace(user, groups=(*user.groups, key)))
    return {}


@offer("RemoveUserFromGroup", on=GROUP)
async def remove_user_from_group(iam: Iam, call: Call, params: Params) -> Params:
    group = await GROUP.existing(iam, params["GroupName"])
    user = await USER.existing(iam, params["UserName"])
    groups = tuple(key for key in user.groups if key != group.name.lower())
    await USER.put(iam, msgspec.structs.replace(user, groups=groups))
    return {}


@offer("ListGroupsForUser", on=USER)
async def list_groups_for_user(iam: Iam, call: Call, params: Params) -> Params:
    user = await USER.existing(iam, caller_user(call, params))
    groups = [group for key in sorted(user.groups) if (group := await iam.groups.get(key)) is not None]
    return GROUP.page(params, groups, GROUP.shown)
