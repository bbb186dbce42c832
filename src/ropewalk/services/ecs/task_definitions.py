"""Task definitions: families of revisions, registered once and never changed, then deregistered and deleted.

A revision is one key, `<family>/<revision>`; creating it is what makes the number atomic, whoever else registers.
Validation is `registration.py`'s. Source: docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definitions.html.
"""

from __future__ import annotations

import bisect
from typing import Any

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.runtime.controller import DONE, Result
from ropewalk.services.ecs import paging, registration, tags
from ropewalk.services.ecs.faults import client, invalid
from ropewalk.services.ecs.names import definition_name
from ropewalk.services.ecs.permissions import definition_arns, on, registered
from ropewalk.services.ecs.records import (
    DefinitionHead,
    Document,
    Family,
    TaskDefinition,
    definition_key,
)
from ropewalk.services.ecs.slice import Ecs, operations
from ropewalk.store.protocol import KeyExists

MOST_DELETED_AT_ONCE = 10
_STATUSES = ("ACTIVE", "INACTIVE", "DELETE_IN_PROGRESS")


def document(ecs: Ecs, record: TaskDefinition) -> Document:
    """The definition as the API answers it."""
    answer = {
        **record.document,
        "taskDefinitionArn": ecs.arns.definition(record.family, record.revision),
        "revision": record.revision,
        "status": record.status,
        "registeredAt": record.registered_at,
        "registeredBy": record.registered_by,
    }
    if record.deregistered_at:
        answer["deregisteredAt"] = record.deregistered_at
    if record.delete_requested_at:
        answer["deleteRequestedAt"] = record.delete_requested_at
    return answer


async def find(ecs: Ecs, text: str) -> TaskDefinition | None:
    """What `family`, `family:revision` or an ARN names; a family alone means its latest ACTIVE revision."""
    name = definition_name(ecs.arns, text)
    if name is None:
        return None
    family, revision = name
    if revision is None:
        revision = ecs.catalogue.latest_active(family)
    return None if revision is None else await ecs.definitions.get(definition_key(family, revision))


def _family_arn(call: Call, params: Params) -> list[str]:
    return [call.arn("ecs", f"task-definition/{params.get('family', '*')}:*")]


async def require_pass_role(call: Call, *roles: str | None) -> None:
    """The caller may hand these roles to tasks. Raises AccessDenied."""
    for role in dict.fromkeys(roles):
        if role:
            await call.require("iam:PassRole", role, {"iam:PassedToService": ["ecs-tasks.amazonaws.com"]})


@operations.operation("RegisterTaskDefinition", resources=on(_family_arn, registered))
async def register_task_definition(ecs: Ecs, call: Call, params: Params) -> Params:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html"""
    settings = ecs.settings
    definition = registration.normalise(params, settings.account, settings.region, settings.fargate_limits)
    given_tags = tags.parse(params.get("tags"), may_be_empty=False)
    await require_pass_role(call, definition.get("taskRoleArn"), definition.get("executionRoleArn"))
    family = definition["family"]
    deleted = await ecs.families.get(family)
    revision = max(ecs.catalogue.last(family), 0 if deleted is None else deleted.last) + 1
    record = TaskDefinition(
        family=family,
        revision=revision,
        document=definition,
        registered_at=call.now,
        registered_by=call.principal.arn,
        tags=given_tags,
    )
    while True:
        key = definition_key(family, record.revision)
        try:
            await ecs.definitions.create(key, record)
        except KeyExists:
            record = msgspec.structs.replace(record, revision=record.revision + 1)
            continue
        ecs.catalogue.note(key, DefinitionHead())
        return {"taskDefinition": document(ecs, record), "tags": tags.document(given_tags)}


@operations.operation("DescribeTaskDefinition", resources=on(definition_arns))
async def describe_task_definition(ecs: Ecs, call: Call, params: Params) -> Params:
    record = await find(ecs, params["taskDefinition"])
    if record is None:
        raise client("Unable to describe task definition.")
    answer: Params = {"taskDefinition": document(ecs, record)}
    if "TAGS" in (params.get("include") or ()):
        answer["tags"] = tags.document(record.tags)
    return answer


@operations.operation("DeregisterTaskDefinition", resources=on(definition_arns))
async def deregister_task_definition(ecs: Ecs, call: Call, params: Params) -> Params:
    key = _exact(ecs, params["taskDefinition"], "deregister")

    def deregister(record: TaskDefinition) -> TaskDefinition | None:
        if record.status != "ACTIVE":
            return None
        return msgspec.structs.replace(record, status="INACTIVE", deregistered_at=call.now)

    record = await ecs.definitions.mutate(key, deregister)
    if record is None:
        raise client("The specified task definition does not exist.")
    ecs.catalogue.note(key, DefinitionHead(record.status))
    return {"taskDefinition": document(ecs, record)}


def _exact(ecs: Ecs, text: str, verb: str) -> str:
    name = definition_name(ecs.arns, text)
    if name is None:
        raise client("The specified task definition does not exist.")
    family, revision = name
    if revision is None:
        raise invalid(f"Revision is missing. Name the revision to {verb}, as in {family}:1.")
    return definition_key(family, revision)


@operations.operation("DeleteTaskDefinitions", resources=on(definition_arns))
async def delete_task_definitions(ecs: Ecs, call: Call, params: Params) -> Params:
    """INACTIVE revisions go DELETE_IN_PROGRESS at once, and vanish once no task uses them."""
    asked = params["taskDefinitions"]
    if not 1 <= len(asked) <= MOST_DELETED_AT_ONCE:
        raise invalid(f"taskDefinitions must name 1 to {MOST_DELETED_AT_ONCE} revisions.")
    keys = [(text, _exact(ecs, text, "delete")) for text in asked]
    done: list[Document] = []
    failures: list[Document] = []

    def delete(record: TaskDefinition) -> TaskDefinition | None:
        if record.status != "INACTIVE":
            return None
        return msgspec.structs.replace(record, status="DELETE_IN_PROGRESS", delete_requested_at=call.now)

    for text, key in keys:
        record = await ecs.definitions.mutate(key, delete)
        if record is None:
            failures.append({"arn": text, "reason": "The specified task definition does not exist."})
        elif record.status == "ACTIVE":
            failures.append(
                {
                    "arn": ecs.arns.definition(record.family, record.revision),
                    "reason": "The specified task definition is still in ACTIVE status. "
                    "Please deregister the target and try again.",
                }
            )
        else:
            ecs.catalogue.note(key, DefinitionHead(record.status))
            done.append(document(ecs, record))
    return {"taskDefinitions": done, "failures": failures}


@operations.operation("ListTaskDefinitions")
async def list_task_definitions(ecs: Ecs, call: Call, params: Params) -> Params:
    """In the order of family, then revision; `sort` DESC turns it round. `familyPrefix` is a whole family's name."""
    size = paging.page_size(params.get("maxResults"))
    status, sort = params.get("status") or "ACTIVE", params.get("sort") or "ASC"
    if status not in _STATUSES:
        raise invalid(f"Invalid status '{status}'. Must be one of {', '.join(_STATUSES)}.")
    if sort not in ("ASC", "DESC"):
        raise invalid(f"Invalid sort '{sort}'. Must be one of ASC, DESC.")
    family = params.get("familyPrefix")
    families = [(family, ecs.catalogue.revisions(family))] if family else ecs.catalogue.families()
    ordered = [
        (definition_key(name, revision), ecs.arns.definition(name, revision))
        for name, revisions in families
        for revision in sorted(revisions)
        if revisions[revision] == status
    ]
    ordered.sort()
    last = paging.decode("task-definitions", params.get("nextToken"))
    if sort == "DESC":
        ordered.reverse()
        start = next((i for i, (key, _) in enumerate(ordered) if key < last), len(ordered)) if last else 0
    else:
        start = bisect.bisect_right(ordered, last, key=lambda pair: pair[0]) if last else 0
    arns, token = paging.cut("task-definitions", ordered, start, size)
    return _with_token({"taskDefinitionArns": arns}, token)


@operations.operation("ListTaskDefinitionFamilies")
async def list_task_definition_families(ecs: Ecs, call: Call, params: Params) -> Params:
    size = paging.page_size(params.get("maxResults"))
    status, prefix = params.get("status") or "ACTIVE", params.get("familyPrefix") or ""
    if status not in ("ACTIVE", "INACTIVE", "ALL"):
        raise invalid(f"Invalid status '{status}'. Must be one of ACTIVE, INACTIVE, ALL.")
    ordered = [
        (family, family)
        for family, revisions in ecs.catalogue.families()
        if family.startswith(prefix) and (status == "ALL" or ("ACTIVE" in revisions.values()) == (status == "ACTIVE"))
    ]
    last = paging.decode("families", params.get("nextToken"))
    start = bisect.bisect_right(ordered, last, key=lambda pair: pair[0]) if last else 0
    families, token = paging.cut("families", ordered, start, size)
    return _with_token({"families": families}, token)


def _with_token(answer: dict[str, Any], token: str | None) -> Params:
    if token:
        answer["nextToken"] = token
    return answer


async def reconcile_deletion(ecs: Ecs, key: str) -> Result:
    """A DELETE_IN_PROGRESS revision that no task uses any more is removed; its number stays taken."""
    found = await ecs.definitions.find(key)
    if found is None or found.record.status != "DELETE_IN_PROGRESS":
        return DONE
    record = found.record
    if ecs.index.users(record.family, record.revision):
        return DONE  # the task that ends last enqueues this key again
    family = await ecs.families.get(record.family)
    if family is None or family.last < record.revision:
        await ecs.families.put(record.family, Family(record.revision))
    await ecs.definitions.delete(key, found.revision)
    ecs.catalogue.note(key, None)
    return DONE
