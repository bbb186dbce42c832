"""Roles: permissions without keys of their own, for whoever their trust policy lets assume them."""

from __future__ import annotations

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.aws.policy import Kind, compile_document
from ropewalk.aws.policy.document import Malformed
from ropewalk.services.iam.boundaries import check_boundary, shown_boundary
from ropewalk.services.iam.named import ROLE, SERVICE_PATH, check_bare
from ropewalk.services.iam.records import Role
from ropewalk.services.iam.slice import (
    Iam,
    conflict,
    invalid,
    merged_tags,
    offer,
    over_quota,
    shown_document,
    shown_tags,
)

LONGEST_TRUST = 2048
SESSION_SECONDS = (3600, 43200)


def shown_role(role: Role, whole: bool = True) -> Params:
    """A Role shape; lists leave out boundary and tags, as AWS does."""
    shown: Params = {
        **ROLE.shown(role),
        "AssumeRolePolicyDocument": shown_document(role.trust),
        "MaxSessionDuration": role.max_session_seconds,
    }
    if role.description:
        shown["Description"] = role.description
    if whole:
        shown["RoleLastUsed"] = {}
        if role.boundary:
            shown["PermissionsBoundary"] = shown_boundary(role.boundary)
        if role.tags:
            shown["Tags"] = shown_tags(role.tags)
    return shown


async def check_trust(iam: Iam, text: str) -> str:
    """Raises `Fault` unless `text` is a trust policy whose principals of this account exist."""
    policy = compile_document(text, Kind.TRUST)
    if len("".join(text.split())) > LONGEST_TRUST:
        raise over_quota(f"Cannot exceed quota for ACLSizePerRole: {LONGEST_TRUST}")
    for statement in policy.statements:
        for kind, name in statement.principals.names if statement.principals else ():
            if kind == "AWS" and not await _principal_exists(iam, name):
                raise Malformed(f'Invalid principal in policy: "AWS":"{name}"')
    return text


async def _principal_exists(iam: Iam, arn: str) -> bool:
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[2] != "iam" or parts[4] != iam.account or parts[5] == "root":
        return True
    kind, _, rest = parts[5].partition("/")
    key = rest.rsplit("/", 1)[-1].lower()
    record = await (iam.users.get(key) if kind == "user" else iam.roles.get(key))
    return record is not None and record.arn == arn


def _session_seconds(params: Params, otherwise: int) -> int:
    seconds = params.get("MaxSessionDuration")
    if seconds is None:
        return otherwise
    low, high = SESSION_SECONDS
    if not low <= seconds <= high:
        raise invalid(
            f"1 validation error detected: Value '{seconds}' at 'maxSessionDuration' failed to satisfy constraint: "
            f"Member must have value between {low} and {high}"
        )
    return int(seconds)


@offer("CreateRole", on=ROLE)
async def create_role(iam: Iam, call: Call, params: Params) -> Params:
    identity = ROLE.identity(iam, params)
    if identity["path"].startswith(SERVICE_PATH):
        raise invalid("Cannot create a role with a path of service-linked roles. Use CreateServiceLinkedRole.")
    role = Role(
        **identity,
        trust=await check_trust(iam, params["AssumeRolePolicyDocument"]),
        description=params.get("Description", ""),
        max_session_seconds=_session_seconds(params, SESSION_SECONDS[0]),
        boundary=await check_boundary(iam, params.get("PermissionsBoundary")),
        tags=merged_tags((), params.get("Tags") or ()),
    )
    await ROLE.create(iam, role)
    return {"Role": shown_role(role)}


@offer("GetRole", on=ROLE)
async def get_role(iam: Iam, call: Call, params: Params) -> Params:
    return {"Role": shown_role(await ROLE.existing(iam, params["RoleName"]))}


@offer("ListRoles")
async def list_roles(iam: Iam, call: Call, params: Params) -> Params:
    return await ROLE.listed(iam, params, lambda role: shown_role(role, whole=False))


@offer("UpdateRole", on=ROLE)
async def update_role(iam: Iam, call: Call, params: Params) -> Params:
    role = await ROLE.changeable(iam, params["RoleName"])
    seconds = _session_seconds(params, role.max_session_seconds)
    description = params.get("Description", role.description)
    changed = msgspec.structs.replace(role, max_session_seconds=seconds, description=description)
    await ROLE.put(iam, changed)
    return {}


@offer("UpdateRoleDescription", on=ROLE)
async def update_role_description(iam: Iam, call: Call, params: Params) -> Params:
    role = await ROLE.changeable(iam, params["RoleName"])
    changed = msgspec.structs.replace(role, description=params["Description"])
    await ROLE.put(iam, changed)
    return {"Role": shown_role(changed)}


@offer("UpdateAssumeRolePolicy", on=ROLE)
async def update_assume_role_policy(iam: Iam, call: Call, params: Params) -> Params:
    role = await ROLE.changeable(iam, params["RoleName"])
    trust = await check_trust(iam, params["PolicyDocument"])
    await ROLE.put(iam, msgspec.structs.replace(role, trust=trust))
    return {}


@offer("DeleteRole", on=ROLE)
async def delete_role(iam: Iam, call: Call, params: Params) -> Params:
    role = await ROLE.changeable(iam, params["RoleName"])
    if any(profile.role == role.name.lower() for profile in await iam.profiles.records()):
        raise conflict("Cannot delete entity, must remove roles from instance profile first.")
    check_bare(role)
    await ROLE.delete(iam, role)
    return {}


def plain_role(iam: Iam, name: str, trust: str, attached: tuple[str, ...], description: str) -> Role:
    """A plain role, as the seed makes them."""
    return Role(
        **ROLE.identity(iam, {"RoleName": name}),
        trust=trust,
        description=description,
        attached=attached,
    )
