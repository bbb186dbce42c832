"""The logs slice's frame: what its operations need, how groups are named and found, and AWS's words for what is not.

Groups are records of the store; their streams and events are in a `Journal`, under the group's uid: a group deleted and
made anew begins empty. Times on this API are milliseconds.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from ropewalk.aws.operations import Call, Operations, Params, Resources, Touched
from ropewalk.aws.resource_tags import resource_tags
from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Fault
from ropewalk.runtime.table import Table
from ropewalk.services.logs.journal import Journal
from ropewalk.store.protocol import Store

DAY = 86_400_000
"""Milliseconds."""


class LogGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Key: the group's name."""

    name: str
    uid: str
    created: int
    arn: str
    """Without the `:*` that AWS's older member shows."""
    retention_days: int = 0
    """0: for ever."""
    protected: bool = False
    tags: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Logs:
    """What the handlers need. Make it with `Logs.over`."""

    clock: Clock
    entropy: Entropy
    region: str
    account: str
    groups: Table[LogGroup]
    journal: Journal

    @staticmethod
    def over(store: Store, journal: Journal, clock: Clock, entropy: Entropy, region: str, account: str) -> Logs:
        return Logs(clock, entropy, region, account, Table(store, "/logs/groups/", LogGroup), journal)

    def now(self) -> int:
        return int(self.clock.wall() * 1000)

    def new_group(self, name: str, **more: object) -> LogGroup:
        arn = f"arn:aws:logs:{self.region}:{self.account}:log-group:{name}"
        fields = {"name": name, "uid": self.entropy.hex(32), "created": self.now(), "arn": arn, **more}
        return msgspec.convert(fields, LogGroup)

    def oldest_kept(self, group: LogGroup) -> int:
        """Events before this moment are past the group's retention."""
        return self.now() - group.retention_days * DAY if group.retention_days else 0


operations: Operations[Logs] = Operations("logs")
"""Filled by the resource modules; `ropewalk.services.logs` imports them all."""


# What a call touches, for permissions. AWS asks about a group as `…:log-group:NAME:log-stream:`, which is what policies
# with `…:log-group:NAME:*` match. Of conditions the service has only those on tags, which groups have:
# docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html.


async def on_group(logs: Logs, call: Call, params: Params) -> tuple[Touched, ...]:
    name = params.get("logGroupName") or group_name(params.get("logGroupIdentifier", ""))
    arn = call.arn("logs", f"log-group:{name}:log-stream:{params.get('logStreamName', '')}")
    return (Touched(arn, await _tags(logs, name)),)


async def on_every_group(logs: Logs, call: Call, params: Params) -> tuple[Touched, ...]:
    return (Touched(call.arn("logs", "log-group::log-stream:")),)


async def on_resource(logs: Logs, call: Call, params: Params) -> tuple[Touched, ...]:
    arn = params["resourceArn"]
    return (Touched(arn, await _tags(logs, group_name(arn))),)


async def _tags(logs: Logs, name: str) -> dict[str, Sequence[str]]:
    group = await logs.groups.get(name) if may_be_group(name) else None
    return resource_tags(group.tags.items()) if group is not None else {}


ON_GROUP: Resources[Logs] = on_group
ON_EVERY_GROUP: Resources[Logs] = on_every_group
ON_RESOURCE: Resources[Logs] = on_resource


# Faults in the service's words


def bad(message: str) -> Fault:
    return Fault("InvalidParameterException", message)


def no_group() -> Fault:
    return Fault("ResourceNotFoundException", "The specified log group does not exist.")


def no_stream() -> Fault:
    return Fault("ResourceNotFoundException", "The specified log stream does not exist.")


def already(what: str) -> Fault:
    return Fault("ResourceAlreadyExistsException", f"The specified {what} already exists")


# Finding groups

_GROUP_NAME = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}")
_STREAM_NAME = re.compile(r"[^:*]{1,512}", re.DOTALL)


def check_group_name(name: str) -> str:
    if not _GROUP_NAME.fullmatch(name):
        raise bad(
            "1 validation error detected: Value at 'logGroupName' failed to satisfy constraint: Member must satisfy "
            "regular expression pattern: [\\.\\-_/#A-Za-z0-9]+ and have at most 512 characters"
        )
    return name


def check_stream_name(name: str) -> str:
    if not _STREAM_NAME.fullmatch(name):
        raise bad(
            "1 validation error detected: Value at 'logStreamName' failed to satisfy constraint: Member must satisfy "
            "regular expression pattern: [^:*]* and have 1 to 512 characters"
        )
    return name


def group_name(identifier: str) -> str:
    """The name in a group's ARN (with or without `:*`), or the identifier itself."""
    if not identifier.startswith("arn:"):
        return identifier
    parts = identifier.split(":")
    return parts[6] if len(parts) >= 7 and parts[2] == "logs" and parts[5] == "log-group" else identifier


async def group_of(logs: Logs, params: Params) -> LogGroup:
    """The group a request names in one of two ways."""
    name, identifier = params.get("logGroupName"), params.get("logGroupIdentifier")
    if (name is None) == (identifier is None):
        raise bad("Exactly one of LogGroupName or LogGroupIdentifier must be provided.")
    return await group_called(logs, name if name is not None else group_name(identifier or ""))


def may_be_group(name: str) -> bool:
    return _GROUP_NAME.fullmatch(name) is not None


async def group_called(logs: Logs, name: str) -> LogGroup:
    if not may_be_group(name):
        raise no_group()
    found = await logs.groups.get(name)
    if found is None:
        raise no_group()
    return found


# Tokens

T = TypeVar("T")


def seal_token(*parts: object) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode()


def open_token(token: str, shape: type[T]) -> T:
    """The parts of a token that `seal_token` made. Raises `Fault` for any other text."""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(token.encode("utf-8", "replace")), type=shape)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise bad("The specified nextToken is invalid.") from error


def page(items: list[T], limit: int, member: str, show: Callable[[T], Params], token: Callable[[T], str]) -> Params:
    """The first `limit` of `items`, and a token where there are more."""
    answer: Params = {member: [show(item) for item in items[:limit]]}
    if len(items) > limit:
        answer["nextToken"] = token(items[limit - 1])
    return answer
