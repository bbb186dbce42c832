"""Users: people and programs with keys of their own."""

from __future__ import annotations

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.services.iam.boundaries import check_boundary, shown_boundary
from ropewalk.services.iam.records import User
from ropewalk.services.iam.slice import (
    USER,
    Iam,
    by_path,
    check_name,
    check_path,
    conflict,
    exists,
    invalid,
    merged_tags,
    no_such,
    offer,
    page,
    shown_tags,
)
from ropewalk.store.protocol import KeyExists

LONGEST_NAME = 64


def shown_user(user: User, whole: bool = True) -> Params:
    """A User shape; lists leave out boundary and tags, as AWS does."""
    shown: Params = {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.id,
        "Arn": user.arn,
        "CreateDate": user.created_at,
    }
    if whole:
        if user.boundary:
            shown["PermissionsBoundary"] = shown_boundary(user.boundary)
        if user.tags:
            shown["Tags"] = shown_tags(user.tags)
    return shown


async def user_of(iam: Iam, name: str) -> User:
    user = await iam.users.get(name.lower())
    if user is None:
        raise no_such(f"The user with name {name} cannot be found.")
    return user


def caller_user(call: Call, params: Params) -> str:
    """The user a request names, or else the one who makes it."""
    name = params.get("UserName")
    if name:
        return str(name)
    if call.principal.kind != "user":
        raise invalid("Must specify userName when calling with non-User credentials")
    return call.principal.arn.rsplit("/", 1)[1]


@offer("CreateUser", on=USER)
async def create_user(iam: Iam, call: Call, params: Params) -> Params:
    name = params["UserName"]
    check_name("UserName", name, LONGEST_NAME)
    path = check_path(params.get("Path"))
    user = User(
        name=name,
        path=path,
        arn=iam.arn("user", path, name),
        id=iam.unique_id("AIDA"),
        created_at=iam.clock.wall(),
        boundary=await check_boundary(iam, params.get("PermissionsBoundary")),
        tags=merged_tags((), params.get("Tags") or ()),
    )
    try:
        await iam.users.create(name.lower(), user)
    except KeyExists as error:
        raise exists(f"User with name {name} already exists.") from error
    return {"User": shown_user(user)}


@offer("GetUser", on=USER)
async def get_user(iam: Iam, call: Call, params: Params) -> Params:
    if not params.get("UserName") and call.principal.kind == "root":
        root = {"UserId": call.account, "Arn": call.principal.arn, "Path": "/", "UserName": "", "CreateDate": 0.0}
        return {"User": root}
    return {"User": shown_user(await user_of(iam, caller_user(call, params)))}


@offer("ListUsers")
async def list_users(iam: Iam, call: Call, params: Params) -> Params:
    users = await by_path(iam.users, params)
    return page(params, users, lambda u: u.name.lower(), "Users", lambda u: shown_user(u, whole=False))


@offer("UpdateUser", on=USER)
async def update_user(iam: Iam, call: Call, params: Params) -> Params:
    old = await user_of(iam, params["UserName"])
    name = params.get("NewUserName") or old.name
    check_name("NewUserName", name, LONGEST_NAME)
    path = check_path(params["NewPath"]) if params.get("NewPath") else old.path
    new = msgspec.structs.replace(old, name=name, path=path, arn=iam.arn("user", path, name))
    if name.lower() == old.name.lower():
        await iam.users.put(name.lower(), new)
        return {}
    try:
        await iam.users.create(name.lower(), new)
    except KeyExists as error:
        there = await iam.users.get(name.lower())
        if there is None or there.id != old.id:  # the same: a renaming that a crash cut short, taken up again
            raise exists(f"User with name {name} already exists.") from error
    for item in await iam.keys.list():
        if item.record.user == old.name.lower():
            await iam.keys.put(item.key, msgspec.structs.replace(item.record, user=name.lower()))
    await iam.users.delete(old.name.lower())
    return {}


@offer("DeleteUser", on=USER)
async def delete_user(iam: Iam, call: Call, params: Params) -> Params:
    name = params["UserName"]
    user = await user_of(iam, name)
    if user.inline:
        raise conflict("Cannot delete entity, must delete policies first.")
    if user.attached:
        raise conflict("Cannot delete entity, must detach all policies first.")
    if user.groups:
        raise conflict("Cannot delete entity, must remove users from group first.")
    if any(item.record.user == name.lower() for item in await iam.keys.list()):
        raise conflict("Cannot delete entity, must delete access keys first.")
    await iam.users.delete(name.lower())
    return {}
