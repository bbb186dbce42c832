"""Permissions boundaries: a managed policy beyond which a user or role may not go, whatever else it is given."""

from __future__ import annotations

import msgspec

from ropewalk.aws.operations import Call, Operation, Params
from ropewalk.services.iam.slice import ROLE, USER, Iam, Target, invalid, no_such, offer


def shown_boundary(arn: str) -> Params:
    return {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}


async def check_boundary(iam: Iam, arn: str | None) -> str:
    """`arn` if it is a managed policy's, "" for none. Raises `Fault` otherwise."""
    if not arn:
        return ""
    if not arn.startswith("arn:aws:iam::") or ":policy/" not in arn:
        raise invalid(f"Value ({arn}) failed validation: it must be the ARN of a managed policy.")
    if await iam.directory.managed_policy(arn) is None:
        raise no_such(f"Scope ARN: {arn} does not exist or is not attachable.")
    return arn


def _put(kind: str, on: Target) -> Operation[Iam]:
    async def put(iam: Iam, call: Call, params: Params) -> Params:
        name = params[on.member]
        record = await on.find(iam, name)
        if record is None:
            raise no_such(f"The {kind.lower()} with name {name} cannot be found.")
        changed = msgspec.structs.replace(record, boundary=await check_boundary(iam, params["PermissionsBoundary"]))
        await (iam.users if on is USER else iam.roles).put(name.lower(), changed)
        return {}

    return put


def _delete(kind: str, on: Target) -> Operation[Iam]:
    async def delete(iam: Iam, call: Call, params: Params) -> Params:
        name = params[on.member]
        record = await on.find(iam, name)
        if record is None or not record.boundary:
            raise no_such(f"The permissions boundary of the {kind.lower()} with name {name} cannot be found.")
        await (iam.users if on is USER else iam.roles).put(name.lower(), msgspec.structs.replace(record, boundary=""))
        return {}

    return delete


for _kind, _on in (("User", USER), ("Role", ROLE)):
    offer(f"Put{_kind}PermissionsBoundary", on=_on)(_put(_kind, _on))
    offer(f"Delete{_kind}PermissionsBoundary", on=_on)(_delete(_kind, _on))
