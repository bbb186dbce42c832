"""The iam slice's frame: its tables, how its operations are offered, and what they all check.

An operation says what it acts on (`on=USER`, say): the frame finds the ARN with its true path and tags, and policies
are asked about exactly that before the handler runs. Writes go one at a time under a lock: many look at several records
before they change one, and one process owns the store. After each the directory forgets what it knew.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from ropewalk.aws.operations import Call, Operation, Operations, Params, Touched
from ropewalk.aws.resource_tags import resource_tags
from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Fault
from ropewalk.runtime.table import Table
from ropewalk.services.iam.directory import IamDirectory
from ropewalk.services.iam.records import (
    AccessKeyRecord,
    Alias,
    Entity,
    Group,
    InstanceProfile,
    KeyUse,
    ManagedPolicy,
    Role,
    User,
)
from ropewalk.services.iam.tables import NameTable
from ropewalk.store.protocol import Store


@dataclass(frozen=True, slots=True)
class Iam:
    """What the handlers need. Make it with `Iam.over`."""

    account: str
    clock: Clock
    entropy: Entropy
    users: Table[User]
    groups: Table[Group]
    roles: Table[Role]
    policies: Table[ManagedPolicy]
    profiles: Table[InstanceProfile]
    keys: Table[AccessKeyRecord]
    uses: Table[KeyUse]
    aliases: Table[Alias]
    directory: IamDirectory
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @staticmethod
    def over(store: Store, clock: Clock, entropy: Entropy, account: str) -> Iam:
        users: Table[User] = NameTable(store, "/iam/users/", User)
        groups: Table[Group] = NameTable(store, "/iam/groups/", Group)
        roles: Table[Role] = NameTable(store, "/iam/roles/", Role)
        policies: Table[ManagedPolicy] = NameTable(store, "/iam/policies/", ManagedPolicy)
        keys: Table[AccessKeyRecord] = NameTable(store, "/iam/access-keys/", AccessKeyRecord)
        uses: Table[KeyUse] = NameTable(store, "/iam-use/access-keys/", KeyUse)
        return Iam(
            account=account,
            clock=clock,
            entropy=entropy,
            users=users,
            groups=groups,
            roles=roles,
            policies=policies,
            profiles=NameTable(store, "/iam/instance-profiles/", InstanceProfile),
            keys=keys,
            uses=uses,
            aliases=NameTable(store, "/iam/aliases/", Alias),
            directory=IamDirectory(store, users, groups, roles, policies, keys, uses),
        )

    def unique_id(self, prefix: str) -> str:
        return prefix + self.entropy.base32(17)

    def arn(self, kind: str, path: str, name: str) -> str:
        return f"arn:aws:iam::{self.account}:{kind}{path}{name}"


operations: Operations[Iam] = Operations("iam")
"""Filled by the resource modules; `ropewalk.services.iam` imports them all."""

READS = ("Get", "List", "Simulate")


class Target(Protocol):
    """A kind of thing that operations act on. See `named.py`."""

    @property
    def arn_kind(self) -> str: ...

    @property
    def member(self) -> str:
        """The parameter that names it."""
        ...

    @property
    def tag_prefixes(self) -> tuple[str, ...]: ...

    async def find(self, iam: Iam, name: str) -> Entity | None: ...


def offer(name: str, on: Target | None = None) -> Callable[[Operation[Iam]], Operation[Iam]]:
    """Offer an operation that acts on one `Target`, on a policy by its ARN (`PolicyArn`), or on the account ("*")."""
    reads = name.startswith(READS)

    def wrap(run: Operation[Iam]) -> Operation[Iam]:
        async def resources(iam: Iam, call: Call, params: Params) -> tuple[Touched, ...]:
            return (await _touched(iam, call, params, on),)

        @operations.operation(name, resources=resources)
        async def guarded(iam: Iam, call: Call, params: Params) -> Params:
            if reads:
                return await run(iam, call, params)
            async with iam.lock:
                try:
                    return await run(iam, call, params)
                finally:
                    iam.directory.forget()

        return guarded

    return wrap


async def _touched(iam: Iam, call: Call, params: Params, on: Target | None) -> Touched:
    """What a request acts on, and what conditions may ask about it.

    Keys: docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html.
    """
    context: dict[str, Sequence[str]] = {}
    if boundary := params.get("PermissionsBoundary"):
        context["iam:PermissionsBoundary"] = (boundary,)
    arn = params.get("PolicyArn")
    if on is None:
        policy = await iam.policies.get(arn) if arn else None
        return Touched(arn or "*", {**context, **resource_tags(policy.tags if policy else ())})
    if arn:
        context["iam:PolicyARN"] = (arn,)
    name = params.get(on.member)
    if name is None:
        return Touched(call.principal.arn, context)
    record = await on.find(iam, name)
    if record is None:
        return Touched(iam.arn(on.arn_kind, params.get("Path") or "/", name), context)
    if boundary := getattr(record, "boundary", ""):
        context.setdefault("iam:PermissionsBoundary", (boundary,))
    return Touched(record.arn, {**context, **resource_tags(record.tags, *on.tag_prefixes)})


# Faults in IAM's words


def no_such(message: str) -> Fault:
    return Fault("NoSuchEntity", message, status=404)


def exists(message: str) -> Fault:
    return Fault("EntityAlreadyExists", message, status=409)


def conflict(message: str) -> Fault:
    return Fault("DeleteConflict", message, status=409)


def over_quota(message: str) -> Fault:
    return Fault("LimitExceeded", message, status=409)


def invalid(message: str) -> Fault:
    return Fault("ValidationError", message, status=400)


# Checks

_NAME = re.compile(r"[\w+=,.@-]+", re.ASCII)
_PATH = re.compile(r"/|/[\x21-\x7e]{0,510}/")


def check_name(member: str, name: str, longest: int) -> None:
    shown = member[0].lower() + member[1:]
    if not _NAME.fullmatch(name):
        raise invalid(
            f"The specified value for {shown} is invalid. It must contain only alphanumeric characters and/or "
            "the following: +=,.@_-"
        )
    if len(name) > longest:
        raise invalid(
            f"1 validation error detected: Value at '{shown}' failed to satisfy constraint: "
            f"Member must have length less than or equal to {longest}"
        )


def check_path(path: str | None) -> str:
    path = path or "/"
    if not _PATH.fullmatch(path):
        raise invalid(
            "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric "
            "characters and/or / characters."
        )
    return path


MAX_TAGS = 50


def merged_tags(present: Iterable[tuple[str, str]], given: Sequence[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    """`present` with `given` laid over it, in order of key. Tag keys are compared without case."""
    folded = [tag["Key"].lower() for tag in given]
    if len(folded) != len(set(folded)):
        raise Fault("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    for tag in given:
        if tag["Key"].lower().startswith("aws:"):
            raise invalid("Tag keys that start with aws: are reserved for internal use.")
    tags = {key.lower(): (key, value) for key, value in present}
    tags.update({tag["Key"].lower(): (tag["Key"], tag.get("Value", "")) for tag in given})
    if len(tags) > MAX_TAGS:
        raise over_quota(f"The number of tags has reached the maximum limit of {MAX_TAGS}.")
    return tuple(sorted(tags.values()))


def without_tags(present: Iterable[tuple[str, str]], keys: Iterable[str]) -> tuple[tuple[str, str], ...]:
    gone = {key.lower() for key in keys}
    return tuple(tag for tag in present if tag[0].lower() not in gone)


def shown_tags(tags: Iterable[tuple[str, str]]) -> list[Params]:
    return [{"Key": key, "Value": value} for key, value in tags]


def shown_document(text: str) -> str:
    """Policy documents travel percent-encoded (RFC 3986)."""
    return quote(text, safe="-_.~")


# Paging

T = TypeVar("T")


def page(params: Params, items: Sequence[T], key: Callable[[T], str], member: str, show: Callable[[T], Any]) -> Params:
    """One page of `items`, which are in order of `key`, after the request's Marker."""
    limit = int(params.get("MaxItems") or 100)
    start = ""
    if marker := params.get("Marker"):
        try:
            start = base64.urlsafe_b64decode(marker).decode()
        except (binascii.Error, ValueError) as error:
            raise invalid("Invalid Marker.") from error
    rest = [item for item in items if not start or key(item) > start]
    answer: Params = {member: [show(item) for item in rest[:limit]], "IsTruncated": len(rest) > limit}
    if len(rest) > limit:
        answer["Marker"] = base64.urlsafe_b64encode(key(rest[limit - 1]).encode()).decode()
    return answer
