"""Log groups: made, described, kept for so many days, tagged, deleted."""

from __future__ import annotations

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.base.errors import Fault
from ropewalk.services.logs.slice import (
    ON_EVERY_GROUP,
    ON_GROUP,
    ON_RESOURCE,
    LogGroup,
    Logs,
    already,
    bad,
    check_group_name,
    group_called,
    group_name,
    group_of,
    no_group,
    open_token,
    operations,
    page,
    seal_token,
)
from ropewalk.store.protocol import KeyExists

RETENTIONS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip
"""Days that AWS allows."""
MAX_TAGS = 50


def check_tags(tags: dict[str, str]) -> dict[str, str]:
    for key in tags:
        if key.lower().startswith("aws:"):
            raise bad("Tag keys that start with aws: are reserved for internal use.")
    if len(tags) > MAX_TAGS:
        raise Fault("TooManyTagsException", f"A resource may have at most {MAX_TAGS} tags.")
    return tags


@operations.operation("CreateLogGroup", resources=ON_GROUP)
async def create_log_group(logs: Logs, call: Call, params: Params) -> Params:
    name = check_group_name(params["logGroupName"])
    if params.get("kmsKeyId"):
        raise bad("The parameter kmsKeyId is not supported here yet: log groups cannot be encrypted with a KMS key.")
    if params.get("logGroupClass", "STANDARD") != "STANDARD":
        raise bad(f"The log group class {params['logGroupClass']} is not supported here yet; use STANDARD.")
    tags = check_tags(dict(params.get("tags") or {}))
    group = logs.new_group(name, tags=tags, protected=bool(params.get("deletionProtectionEnabled")))
    try:
        await logs.groups.create(name, group)
    except KeyExists as error:
        raise already("log group") from error
    return {}


@operations.operation("DeleteLogGroup", resources=ON_GROUP)
async def delete_log_group(logs: Logs, call: Call, params: Params) -> Params:
    group = await group_called(logs, params["logGroupName"])
    if group.protected:
        raise Fault("ValidationException", "The log group has deletion protection. Disable it before you delete.")
    if not await logs.groups.delete(group.name):
        raise no_group()
    await logs.journal.delete_group(group.uid)
    return {}


def _shown(group: LogGroup, stored: int) -> Params:
    shown: Params = {
        "logGroupName": group.name,
        "creationTime": group.created,
        "metricFilterCount": 0,
        "arn": f"{group.arn}:*",
        "logGroupArn": group.arn,
        "storedBytes": stored,
        "logGroupClass": "STANDARD",
        "deletionProtectionEnabled": group.protected,
    }
    if group.retention_days:
        shown["retentionInDays"] = group.retention_days
    return shown


@operations.operation("DescribeLogGroups", resources=ON_EVERY_GROUP)
async def describe_log_groups(logs: Logs, call: Call, params: Params) -> Params:
    prefix, pattern = params.get("logGroupNamePrefix"), params.get("logGroupNamePattern")
    if prefix and pattern:
        raise bad("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
    accounts = params.get("accountIdentifiers")
    after = open_token(params["nextToken"], tuple[str])[0] if params.get("nextToken") else ""
    limit = int(params.get("limit") or 50)
    if (accounts and call.account not in accounts) or params.get("logGroupClass", "STANDARD") != "STANDARD":
        return {"logGroups": []}
    wanted = {group_name(identifier) for identifier in params.get("logGroupIdentifiers") or ()}
    groups = [
        item.record
        for item in await logs.groups.list(prefix or "")
        if (not pattern or pattern in item.key) and (not wanted or item.key in wanted) and item.key > after
    ]
    groups.sort(key=lambda group: group.name)
    stored = await logs.journal.stored_bytes([group.uid for group in groups[:limit]])
    return page(groups, limit, "logGroups", lambda g: _shown(g, stored.get(g.uid, 0)), lambda g: seal_token(g.name))


async def _change(logs: Logs, name: str, **fields: object) -> None:
    def change(group: LogGroup) -> LogGroup:
        return msgspec.structs.replace(group, **fields)

    group = await group_called(logs, name)
    if await logs.groups.mutate(group.name, change) is None:
        raise no_group()


@operations.operation("PutRetentionPolicy", resources=ON_GROUP)
async def put_retention_policy(logs: Logs, call: Call, params: Params) -> Params:
    days = params["retentionInDays"]
    if days not in RETENTIONS:
        raise bad(
            f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(map(str, RETENTIONS))}]"
        )
    await _change(logs, params["logGroupName"], retention_days=days)
    return {}


@operations.operation("DeleteRetentionPolicy", resources=ON_GROUP)
async def delete_retention_policy(logs: Logs, call: Call, params: Params) -> Params:
    await _change(logs, params["logGroupName"], retention_days=0)
    return {}


@operations.operation("PutLogGroupDeletionProtection", resources=ON_GROUP)
async def put_deletion_protection(logs: Logs, call: Call, params: Params) -> Params:
    name = group_name(params["logGroupIdentifier"])
    await _change(logs, name, protected=bool(params["deletionProtectionEnabled"]))
    return {}


async def _tag(logs: Logs, name: str, added: dict[str, str], removed: frozenset[str] = frozenset()) -> None:
    def change(group: LogGroup) -> LogGroup:
        kept = {key: value for key, value in group.tags.items() if key not in removed}
        return msgspec.structs.replace(group, tags=check_tags({**kept, **added}))

    group = await group_called(logs, name)
    if await logs.groups.mutate(group.name, change) is None:
        raise no_group()


def _named_by_arn(params: Params) -> str:
    arn = str(params["resourceArn"])
    name = group_name(arn)
    if name == arn:
        raise bad(f"The ARN {arn} is not a log group's: only log groups have tags here.")
    return name


@operations.operation("TagResource", resources=ON_RESOURCE)
async def tag_resource(logs: Logs, call: Call, params: Params) -> Params:
    await _tag(logs, _named_by_arn(params), dict(params["tags"]))
    return {}


@operations.operation("UntagResource", resources=ON_RESOURCE)
async def untag_resource(logs: Logs, call: Call, params: Params) -> Params:
    await _tag(logs, _named_by_arn(params), {}, frozenset(params["tagKeys"]))
    return {}


@operations.operation("ListTagsForResource", resources=ON_RESOURCE)
async def list_tags_for_resource(logs: Logs, call: Call, params: Params) -> Params:
    return {"tags": dict((await group_called(logs, _named_by_arn(params))).tags)}


@operations.operation("TagLogGroup", resources=ON_GROUP)
async def tag_log_group(logs: Logs, call: Call, params: Params) -> Params:
    await _tag(logs, params["logGroupName"], dict(params["tags"]))
    return {}


@operations.operation("UntagLogGroup", resources=ON_GROUP)
async def untag_log_group(logs: Logs, call: Call, params: Params) -> Params:
    await _tag(logs, params["logGroupName"], {}, frozenset(params["tags"]))
    return {}


@operations.operation("ListTagsLogGroup", resources=ON_GROUP)
async def list_tags_log_group(logs: Logs, call: Call, params: Params) -> Params:
    return {"tags": dict((await group_of(logs, params)).tags)}
