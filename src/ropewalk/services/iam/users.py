"""Users: people and programs with keys of their own."""

from __future__ import annotations

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.services.iam.boundaries import check_boundary, shown_boundary
from ropewalk.services.iam.named import USER, check_bare
from ropewalk.services.iam.records import User
from ropewalk.services.iam.slice import Iam, conflict, invalid, merged_tags, offer, shown_tags


def shown_user(user: User, whole: bool = True) -> Params:
    """A User shape; lists leave out boundary and tags, as AWS does."""
    shown = USER.shown(user)
    if whole:
        if user.boundary:
            shown["PermissionsBoundary"] = shown_boundary(user.boundary)
        if user.tags:
            shown["Tags"] = shown_tags(user.tags)
    return shown


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
    user = User(
        **USER.identity(iam, params),
        boundary=await check_boundary(iam, params.get("PermissionsBoundary")),
        tags=merged_tags((), params.get("Tags") or ()),
    )
    await USER.create(iam, user)
    return {"User": shown_user(user)}


@offer("GetUser", on=USER)
async def get_user(iam: Iam, call: Call, params: Params) -> Params:
    if not params.get("UserName") and call.principal.kind == "root":
        root = {"UserId": call.account, "Arn": call.principal.arn, "Path": "/", "UserName": "", "CreateDate": 0.0}
        return {"User": root}
    return {"User": shown_user(await USER.existing(iam, caller_user(call, params)))}


@offer("ListUsers")
async def list_users(iam: Iam, call: Call, params: Params) -> Params:
    return await USER.listed(iam, params, lambda user: shown_user(user, whole=False))


@offer("UpdateUser", on=USER)
async def update_user(iam: Iam, call: Call, params: Params) -> Params:
    async def keys_follow(old: str, new: str) -> None:
        for item in await iam.keys.list():
            if item.record.user == old:
                await iam.keys.put(item.key, msgspec.structs.replace(item.record, user=new))

    await USER.rename(iam, params, keys_follow)
    return {}


@offer("DeleteUser", on=USER)
async def delete_user(iam: Iam, call: Call, params: Params) -> Params:
    user = await USER.existing(iam, params["UserName"])
    check_bare(user)
    if user.groups:
        raise conflict("Cannot delete entity, must remove users from group first.")
    if any(item.record.user == user.name.lower() for item in await iam.keys.list()):
        raise conflict("Cannot delete entity, must delete access keys first.")
    await USER.delete(iam, user)
    return {}
