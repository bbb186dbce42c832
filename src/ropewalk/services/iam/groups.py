"""Groups of users, which share their policies."""

from __future__ import annotations

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.services.iam.records import Group
from ropewalk.services.iam.slice import (
    GROUP,
    USER,
    Iam,
    by_path,
    check_name,
    check_path,
    conflict,
    exists,
    no_such,
    offer,
    over_quota,
    page,
)
from ropewalk.services.iam.users import caller_user, shown_user, user_of
from ropewalk.store.protocol import KeyExists

GROUPS_PER_USER = 10
LONGEST_NAME = 128


def shown_group(group: Group) -> Params:
    return {
        "Path": group.path,
        "GroupName": group.name,
        "GroupId": group.id,
        "Arn": group.arn,
        "CreateDate": group.created_at,
    }


async def group_of(iam: Iam, name: str) -> Group:
    group = await iam.groups.get(name.lower())
    if group is None:
        raise no_such(f"The group with name {name} cannot be found.")
    return group


@offer("CreateGroup", on=GROUP)
async def create_group(iam: Iam, call: Call, params: Params) -> Params:
    name = params["GroupName"]
    check_name("GroupName", name, LONGEST_NAME)
    path = check_path(params.get("Path"))
    arn = iam.arn("group", path, name)
    group = Group(name=name, path=path, arn=arn, id=iam.unique_id("AGPA"), created_at=iam.clock.wall())
    try:
        await iam.groups.create(name.lower(), group)
    except KeyExists as error:
        raise exists(f"Group with name {name} already exists.") from error
    return {"Group": shown_group(group)}


@offer("GetGroup", on=GROUP)
async def get_group(iam: Iam, call: Call, params: Params) -> Params:
    group = await group_of(iam, params["GroupName"])
    members = [user for user in await iam.users.records() if group.name.lower() in user.groups]
    shown = page(params, members, lambda u: u.name.lower(), "Users", lambda u: shown_user(u, whole=False))
    return {"Group": shown_group(group), **shown}


@offer("ListGroups")
async def list_groups(iam: Iam, call: Call, params: Params) -> Params:
    groups = await by_path(iam.groups, params)
    return page(params, groups, lambda g: g.name.lower(), "Groups", shown_group)


@offer("UpdateGroup", on=GROUP)
async def update_group(iam: Iam, call: Call, params: Params) -> Params:
    old = await group_of(iam, params["GroupName"])
    name = params.get("NewGroupName") or old.name
    check_name("NewGroupName", name, LONGEST_NAME)
    path = check_path(params["NewPath"]) if params.get("NewPath") else old.path
    new = msgspec.structs.replace(old, name=name, path=path, arn=iam.arn("group", path, name))
    if name.lower() == old.name.lower():
        await iam.groups.put(name.lower(), new)
        return {}
    try:
        await iam.groups.create(name.lower(), new)
    except KeyExists as error:
        there = await iam.groups.get(name.lower())
        if there is None or there.id != old.id:  # the same: a renaming that a crash cut short, taken up again
            raise exists(f"Group with name {name} already exists.") from error
    for item in await iam.users.list():
        if old.name.lower() in item.record.groups:
            groups = tuple(name.lower() if key == old.name.lower() else key for key in item.record.groups)
            await iam.users.put(item.key, msgspec.structs.replace(item.record, groups=groups))
    await iam.groups.delete(old.name.lower())
    return {}


@offer("DeleteGroup", on=GROUP)
async def delete_group(iam: Iam, call: Call, params: Params) -> Params:
    group = await group_of(iam, params["GroupName"])
    key = group.name.lower()
    if any(key in user.groups for user in await iam.users.records()):
        raise conflict("Cannot delete entity, must remove users from group first.")
    if group.inline:
        raise conflict("Cannot delete entity, must delete policies first.")
    if group.attached:
        raise conflict("Cannot delete entity, must detach all policies first.")
    await iam.groups.delete(key)
    return {}


@offer("AddUserToGroup", on=GROUP)
async def add_user_to_group(iam: Iam, call: Call, params: Params) -> Params:
    group = await group_of(iam, params["GroupName"])
    user = await user_of(iam, params["UserName"])
    key = group.name.lower()
    if key in user.groups:
        return {}
    if len(user.groups) >= GROUPS_PER_USER:
        raise over_quota(f"Cannot exceed quota for GroupsPerUser: {GROUPS_PER_USER}")
    await iam.users.put(user.name.lower(), msgspec.structs.replace(user, groups=(*user.groups, key)))
    return {}


@offer("RemoveUserFromGroup", on=GROUP)
async def remove_user_from_group(iam: Iam, call: Call, params: Params) -> Params:
    group = await group_of(iam, params["GroupName"])
    user = await user_of(iam, params["UserName"])
    groups = tuple(key for key in user.groups if key != group.name.lower())
    await iam.users.put(user.name.lower(), msgspec.structs.replace(user, groups=groups))
    return {}


@offer("ListGroupsForUser", on=USER)
async def list_groups_for_user(iam: Iam, call: Call, params: Params) -> Params:
    user = await user_of(iam, caller_user(call, params))
    groups = [group for key in sorted(user.groups) if (group := await iam.groups.get(key)) is not None]
    return page(params, groups, lambda g: g.name.lower(), "Groups", shown_group)
