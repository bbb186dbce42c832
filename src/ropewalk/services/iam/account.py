"""The account as a whole: its aliases, and what it holds."""

from __future__ import annotations

import re

from ropewalk.aws.operations import Call, Params
from ropewalk.services.iam.policies import LONGEST_DOCUMENT, VERSIONS
from ropewalk.services.iam.records import Alias
from ropewalk.services.iam.slice import Iam, exists, invalid, no_such, offer, page

_ALIAS = re.compile(r"[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]")


async def _alias(iam: Iam) -> str:
    found = await iam.aliases.get("account")
    return "" if found is None else found.name


@offer("CreateAccountAlias")
async def create_account_alias(iam: Iam, call: Call, params: Params) -> Params:
    name = params["AccountAlias"]
    if not _ALIAS.fullmatch(name):
        raise invalid("The specified value for accountAlias is invalid: lower-case letters, digits and single hyphens.")
    if await _alias(iam) == name:
        raise exists(f"The account alias {name} already exists.")
    await iam.aliases.put("account", Alias(name))
    return {}


@offer("DeleteAccountAlias")
async def delete_account_alias(iam: Iam, call: Call, params: Params) -> Params:
    if await _alias(iam) != params["AccountAlias"]:
        raise no_such(f"The account alias with name {params['AccountAlias']} cannot be found.")
    await iam.aliases.delete("account")
    return {}


@offer("ListAccountAliases")
async def list_account_aliases(iam: Iam, call: Call, params: Params) -> Params:
    alias = await _alias(iam)
    return page(params, [alias] if alias else [], str, "AccountAliases", str)


@offer("GetAccountSummary")
async def get_account_summary(iam: Iam, call: Call, params: Params) -> Params:
    counts = {
        "Users": len(list(await iam.users.records())),
        "Groups": len(list(await iam.groups.records())),
        "Roles": len(list(await iam.roles.records())),
        "Policies": len(list(await iam.policies.records())),
        "InstanceProfiles": len(list(await iam.profiles.records())),
        "UsersQuota": 5000,
        "GroupsQuota": 300,
        "RolesQuota": 1000,
        "PoliciesQuota": 1500,
        "InstanceProfilesQuota": 1000,
        "AccessKeysPerUserQuota": 2,
        "GroupsPerUserQuota": 10,
        "PolicySizeQuota": LONGEST_DOCUMENT,
        "VersionsPerPolicyQuota": VERSIONS,
        "AccountAccessKeysPresent": 0,
        "AccountMFAEnabled": 0,
    }
    return {"SummaryMap": counts}
