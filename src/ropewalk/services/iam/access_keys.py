"""Long-term access keys: at most two a user; the secret is told once, at creation."""

from __future__ import annotations

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.aws.sessions import access_key_id
from ropewalk.services.iam.named import USER
from ropewalk.services.iam.records import AccessKeyRecord, User
from ropewalk.services.iam.slice import Iam, no_such, offer, over_quota, page
from ropewalk.services.iam.users import caller_user

KEYS_PER_USER = 2


def shown_key(user: User, key: AccessKeyRecord) -> Params:
    return {
        "UserName": user.name,
        "AccessKeyId": key.id,
        "Status": "Active" if key.active else "Inactive",
        "CreateDate": key.created_at,
    }


async def make_key(iam: Iam, user: User) -> AccessKeyRecord:
    """A new key for `user`, stored."""
    key = AccessKeyRecord(
        id=access_key_id("AKIA", iam.account, iam.entropy),
        user=user.name.lower(),
        user_id=user.id,
        secret=iam.entropy.token()[:40],
        created_at=iam.clock.wall(),
    )
    await iam.keys.create(key.id, key)
    return key


async def keys_of(iam: Iam, user: User) -> list[AccessKeyRecord]:
    return [key for key in await iam.keys.records() if key.user_id == user.id]


async def _key_of(iam: Iam, user: User, key_id: str) -> AccessKeyRecord:
    key = await iam.keys.get(key_id)
    if key is None or key.user_id != user.id:
        raise no_such(f"The Access Key with id {key_id} cannot be found.")
    return key


@offer("CreateAccessKey", on=USER)
async def create_access_key(iam: Iam, call: Call, params: Params) -> Params:
    user = await USER.existing(iam, caller_user(call, params))
    if len(await keys_of(iam, user)) >= KEYS_PER_USER:
        raise over_quota(f"Cannot exceed quota for AccessKeysPerUser: {KEYS_PER_USER}")
    key = await make_key(iam, user)
    return {"AccessKey": {**shown_key(user, key), "SecretAccessKey": key.secret}}


@offer("ListAccessKeys", on=USER)
async def list_access_keys(iam: Iam, call: Call, params: Params) -> Params:
    user = await USER.existing(iam, caller_user(call, params))
    keys = await keys_of(iam, user)
    return page(params, keys, lambda k: k.id, "AccessKeyMetadata", lambda k: shown_key(user, k))


@offer("UpdateAccessKey", on=USER)
async def update_access_key(iam: Iam, call: Call, params: Params) -> Params:
    user = await USER.existing(iam, caller_user(call, params))
    key = await _key_of(iam, user, params["AccessKeyId"])
    await iam.keys.put(key.id, msgspec.structs.replace(key, active=params["Status"] == "Active"))
    return {}


@offer("DeleteAccessKey", on=USER)
async def delete_access_key(iam: Iam, call: Call, params: Params) -> Params:
    user = await USER.existing(iam, caller_user(call, params))
    key = await _key_of(iam, user, params["AccessKeyId"])
    await iam.keys.delete(key.id)
    await iam.uses.delete(key.id)
    return {}


@offer("GetAccessKeyLastUsed")
async def get_access_key_last_used(iam: Iam, call: Call, params: Params) -> Params:
    key_id = params["AccessKeyId"]
    key = await iam.keys.get(key_id)
    user = await iam.users.get(key.user) if key is not None else None
    if user is None:
        raise no_such(f"The Access Key with id {key_id} cannot be found.")
    use = await iam.uses.get(key_id)
    if use is None:
        last: Params = {"ServiceName": "N/A", "Region": "N/A"}
    else:
        last = {"LastUsedDate": use.at, "ServiceName": use.service, "Region": use.region}
    return {"UserName": user.name, "AccessKeyLastUsed": last}
