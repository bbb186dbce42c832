"""Instance profiles: how an EC2 instance carries a role. One role at most."""

from __future__ import annotations

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.services.iam.records import InstanceProfile
from ropewalk.services.iam.roles import role_of, shown_role
from ropewalk.services.iam.slice import (
    PROFILE,
    ROLE,
    Iam,
    by_path,
    check_name,
    check_path,
    conflict,
    exists,
    merged_tags,
    no_such,
    offer,
    over_quota,
    page,
    shown_tags,
)
from ropewalk.store.protocol import KeyExists

LONGEST_NAME = 128


async def shown_profile(iam: Iam, profile: InstanceProfile, whole: bool = True) -> Params:
    role = await iam.roles.get(profile.role) if profile.role else None
    shown: Params = {
        "Path": profile.path,
        "InstanceProfileName": profile.name,
        "InstanceProfileId": profile.id,
        "Arn": profile.arn,
        "CreateDate": profile.created_at,
        "Roles": [] if role is None else [shown_role(role, whole=False)],
    }
    if whole and profile.tags:
        shown["Tags"] = shown_tags(profile.tags)
    return shown


async def profile_of(iam: Iam, name: str) -> InstanceProfile:
    profile = await iam.profiles.get(name.lower())
    if profile is None:
        raise no_such(f"Instance Profile {name} cannot be found.")
    return profile


@offer("CreateInstanceProfile", on=PROFILE)
async def create_instance_profile(iam: Iam, call: Call, params: Params) -> Params:
    name = params["InstanceProfileName"]
    check_name("InstanceProfileName", name, LONGEST_NAME)
    path = check_path(params.get("Path"))
    profile = InstanceProfile(
        name=name,
        path=path,
        arn=iam.arn("instance-profile", path, name),
        id=iam.unique_id("AIPA"),
        created_at=iam.clock.wall(),
        tags=merged_tags((), params.get("Tags") or ()),
    )
    try:
        await iam.profiles.create(name.lower(), profile)
    except KeyExists as error:
        raise exists(f"Instance Profile {name} already exists.") from error
    return {"InstanceProfile": await shown_profile(iam, profile)}


@offer("GetInstanceProfile", on=PROFILE)
async def get_instance_profile(iam: Iam, call: Call, params: Params) -> Params:
    return {"InstanceProfile": await shown_profile(iam, await profile_of(iam, params["InstanceProfileName"]))}


async def _page(iam: Iam, params: Params, profiles: list[InstanceProfile]) -> Params:
    answer = page(params, profiles, lambda p: p.name.lower(), "InstanceProfiles", lambda p: p)
    answer["InstanceProfiles"] = [await shown_profile(iam, item, whole=False) for item in answer["InstanceProfiles"]]
    return answer


@offer("ListInstanceProfiles")
async def list_instance_profiles(iam: Iam, call: Call, params: Params) -> Params:
    return await _page(iam, params, await by_path(iam.profiles, params))


@offer("ListInstanceProfilesForRole", on=ROLE)
async def list_instance_profiles_for_role(iam: Iam, call: Call, params: Params) -> Params:
    role = await role_of(iam, params["RoleName"])
    profiles = [profile for profile in await iam.profiles.records() if profile.role == role.name.lower()]
    return await _page(iam, params, profiles)


@offer("AddRoleToInstanceProfile", on=PROFILE)
async def add_role_to_instance_profile(iam: Iam, call: Call, params: Params) -> Params:
    profile = await profile_of(iam, params["InstanceProfileName"])
    role = await role_of(iam, params["RoleName"])
    await call.require("iam:PassRole", role.arn, {"iam:PassedToService": ("ec2.amazonaws.com",)})
    if profile.role:
        raise over_quota("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
    await iam.profiles.put(profile.name.lower(), msgspec.structs.replace(profile, role=role.name.lower()))
    return {}


@offer("RemoveRoleFromInstanceProfile", on=PROFILE)
async def remove_role_from_instance_profile(iam: Iam, call: Call, params: Params) -> Params:
    profile = await profile_of(iam, params["InstanceProfileName"])
    name = params["RoleName"]
    if profile.role != name.lower():
        raise no_such(f"The role with name {name} cannot be found in instance profile {profile.name}.")
    await iam.profiles.put(profile.name.lower(), msgspec.structs.replace(profile, role=""))
    return {}


@offer("DeleteInstanceProfile", on=PROFILE)
async def delete_instance_profile(iam: Iam, call: Call, params: Params) -> Params:
    profile = await profile_of(iam, params["InstanceProfileName"])
    if profile.role:
        raise conflict("Cannot delete entity, must remove roles from instance profile first.")
    await iam.profiles.delete(profile.name.lower())
    return {}
