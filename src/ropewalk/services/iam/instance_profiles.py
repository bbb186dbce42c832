"""Instance profiles: how an EC2 instance carries a role. One role at most."""

from __future__ import annotations

from typing import Any

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.services.iam.named import PROFILE, ROLE
from ropewalk.services.iam.records import InstanceProfile
from ropewalk.services.iam.roles import shown_role
from ropewalk.services.iam.slice import Iam, conflict, merged_tags, no_such, offer, over_quota, shown_tags


async def shown_profile(iam: Iam, profile: InstanceProfile, whole: bool = True) -> Params:
    role = await iam.roles.get(profile.role) if profile.role else None
    shown: Params = {
        **PROFILE.shown(profile),
        "Roles": [] if role is None else [shown_role(role, whole=False)],
    }
    if whole and profile.tags:
        shown["Tags"] = shown_tags(profile.tags)
    return shown


@offer("CreateInstanceProfile", on=PROFILE)
async def create_instance_profile(iam: Iam, call: Call, params: Params) -> Params:
    profile = InstanceProfile(**PROFILE.identity(iam, params), tags=merged_tags((), params.get("Tags") or ()))
    await PROFILE.create(iam, profile)
    return {"InstanceProfile": await shown_profile(iam, profile)}


@offer("GetInstanceProfile", on=PROFILE)
async def get_instance_profile(iam: Iam, call: Call, params: Params) -> Params:
    return {"InstanceProfile": await shown_profile(iam, await PROFILE.existing(iam, params["InstanceProfileName"]))}


async def _with_roles(iam: Iam, answer: Params) -> Params:
    """A page of records as one of documents."""
    shown = [await shown_profile(iam, record, whole=False) for record in answer["InstanceProfiles"]]
    return {**answer, "InstanceProfiles": shown}


@offer("ListInstanceProfiles")
async def list_instance_profiles(iam: Iam, call: Call, params: Params) -> Params:
    return await _with_roles(iam, await PROFILE.listed(iam, params, _itself))


def _itself(profile: InstanceProfile) -> Any:
    return profile


@offer("ListInstanceProfilesForRole", on=ROLE)
async def list_instance_profiles_for_role(iam: Iam, call: Call, params: Params) -> Params:
    role = await ROLE.existing(iam, params["RoleName"])
    profiles = [profile for profile in await iam.profiles.records() if profile.role == role.name.lower()]
    return await _with_roles(iam, PROFILE.page(params, profiles, _itself))


@offer("AddRoleToInstanceProfile", on=PROFILE)
async def add_role_to_instance_profile(iam: Iam, call: Call, params: Params) -> Params:
    profile = await PROFILE.existing(iam, params["InstanceProfileName"])
    role = await ROLE.existing(iam, params["RoleName"])
    await call.require("iam:PassRole", role.arn, {"iam:PassedToService": ("ec2.amazonaws.com",)})
    if profile.role:
        raise over_quota("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
    await PROFILE.put(iam, msgspec.structs.replace(profile, role=role.name.lower()))
    return {}


@offer("RemoveRoleFromInstanceProfile", on=PROFILE)
async def remove_role_from_instance_profile(iam: Iam, call: Call, params: Params) -> Params:
    profile = await PROFILE.existing(iam, params["InstanceProfileName"])
    name = params["RoleName"]
    if profile.role != name.lower():
        raise no_such(f"The role with name {name} cannot be found in instance profile {profile.name}.")
    await PROFILE.put(iam, msgspec.structs.replace(profile, role=""))
    return {}


@offer("DeleteInstanceProfile", on=PROFILE)
async def delete_instance_profile(iam: Iam, call: Call, params: Params) -> Params:
    profile = await PROFILE.existing(iam, params["InstanceProfileName"])
    if profile.role:
        raise conflict("Cannot delete entity, must remove roles from instance profile first.")
    await PROFILE.delete(iam, profile)
    return {}
