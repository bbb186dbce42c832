"""Tags: CreateTags, DeleteTags, DescribeTags, for every kind of resource that the slice keeps.

Every resource is looked up before any is changed, so that a bad id changes nothing; the changes are one write each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.base.errors import Fault
from ropewalk.runtime.table import Table
from ropewalk.services.ec2.describing import Description
from ropewalk.services.ec2.faults import invalid, missing, not_found
from ropewalk.services.ec2.kinds import kind_of, rule_of, tables
from ropewalk.services.ec2.records import SecurityGroup, Tags
from ropewalk.services.ec2.slice import Ec2, offer
from ropewalk.services.ec2.tagging import bounded, checked
from ropewalk.services.ec2.touching import identified

Change = Callable[[Tags], Tags]

DESCRIPTION = Description(
    kind="tag",
    ids="TagIds",
    id_member="Order",
    result="Tags",
    filters={"key": "Key", "resource-id": "ResourceId", "resource-type": "ResourceType", "value": "Value"},
)


async def _changes(ec2: Ec2, resources: list[str]) -> list[Callable[[Change], Any]]:
    """What applies a change to the tags of each resource. Raises for an id that names nothing."""
    found: list[Callable[[Change], Any]] = []
    for name in dict.fromkeys(resources):
        kind = kind_of(name)
        if kind is None:
            raise Fault("InvalidID", f"The ID '{name}' is not valid")
        if kind == "security-group-rule":
            found.append(await _rule_change(ec2, name))
            continue
        table = tables(ec2)[kind]
        if await table.get(name) is None:
            raise not_found(name.partition("-")[0], name)
        found.append(_record_change(table, name))
    return found


def _record_change(table: Table[Any], name: str) -> Callable[[Change], Any]:
    return lambda change: table.mutate(name, lambda r: msgspec.structs.replace(r, tags=change(r.tags)))


async def _rule_change(ec2: Ec2, name: str) -> Callable[[Change], Any]:
    found = await rule_of(ec2, name)
    if found is None:
        raise not_found("sgr", name)
    return lambda change: ec2.groups.mutate(found[0], lambda group: _retagged(group, name, change))


def _retagged(group: SecurityGroup, name: str, change: Change) -> SecurityGroup:
    rules = tuple(
        msgspec.structs.replace(rule, tags=change(rule.tags)) if rule.id == name else rule for rule in group.rules
    )
    return msgspec.structs.replace(group, rules=rules)


@offer("CreateTags", "Resources", "Tags", resources=identified)
async def create_tags(ec2: Ec2, call: Call, params: Params) -> Params:
    if not params.get("Tags"):
        raise missing("tagSet")
    new = checked(params["Tags"])
    changes = await _changes(ec2, params["Resources"])
    for current in await _current(ec2, params["Resources"]):
        bounded({**current, **new})
    for apply in changes:
        await apply(lambda tags: bounded({**tags, **new}))
    return {}


async def _current(ec2: Ec2, resources: list[str]) -> list[Tags]:
    every = await _all(ec2)
    return [tags for name, _, tags in every if name in set(resources)]


@offer("DeleteTags", "Resources", "Tags", resources=identified)
async def delete_tags(ec2: Ec2, call: Call, params: Params) -> Params:
    """A tag without a value goes whatever its value; one with a value only if it has it; no tags: all go."""
    given = params.get("Tags") or []
    for tag in given:
        if not tag.get("Key"):
            raise missing("Tag.Key")
        if tag["Key"].lower().startswith("aws:"):
            raise invalid(f"Tag keys starting with 'aws:' are reserved for internal use: {tag['Key']}")

    def remaining(tags: Tags) -> Tags:
        if not given:
            return {key: value for key, value in tags.items() if key.startswith("aws:")}
        return {
            key: value
            for key, value in tags.items()
            if not any(tag["Key"] == key and tag.get("Value") in (None, value) for tag in given)
        }

    for apply in await _changes(ec2, params["Resources"]):
        await apply(remaining)
    return {}


async def _all(ec2: Ec2) -> list[tuple[str, str, Tags]]:
    """(id, resource type, tags) of everything that can have tags."""
    every = [(i.record.id, kind, i.record.tags) for kind, table in tables(ec2).items() for i in await table.list()]
    rules = [(r.id, "security-group-rule", r.tags) for i in await ec2.groups.list() for r in i.record.rules]
    return [*every, *rules]


@offer("DescribeTags", "Filters", "MaxResults", "NextToken")
async def describe_tags(ec2: Ec2, call: Call, params: Params) -> Params:
    documents = [
        {
            "Order": f"{name}/{key}",
            "ResourceId": name,
            "ResourceType": kind,
            "Key": key,
            "Value": value,
            "Tags": [{"Key": key, "Value": value}],
        }
        for name, kind, tags in await _all(ec2)
        for key, value in tags.items()
    ]
    answer = DESCRIPTION.answer(documents, params)
    shown = ("Key", "ResourceId", "ResourceType", "Value")
    return {**answer, "Tags": [{name: each[name] for name in shown} for each in answer["Tags"]]}
