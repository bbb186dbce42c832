"""Permissions boundaries: a managed policy beyond which a user or role may not go, whatever else it is given."""

from __future__ import annotations

from typing import Any

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.services.iam.named import ROLE, USER, Named
from ropewalk.services.iam.slice import Iam, invalid, no_such, offer


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


def _offer(kind: Named[Any]) -> None:
    """`Any`: users or roles, which both have a boundary."""

    @offer(f"Put{kind.word}PermissionsBoundary", on=kind)
    async def put(iam: Iam, call: Call, params: Params) -> Params:
        record = await kind.changeable(iam, params[kind.member])
        boundary = await check_boundary(iam, params["PermissionsBoundary"])
        await kind.put(iam, msgspec.structs.replace(record, boundary=boundary))
        return {}

    @offer(f"Delete{kind.word}PermissionsBoundary", on=kind)
    async def delete(iam: Iam, call: Call, params: Params) -> Params:
        record = await kind.changeable(iam, params[kind.member])
        if not record.boundary:
            raise no_such(f"The permissions boundary of the {kind.arn_kind} with name {record.name} cannot be found.")
        await kind.put(iam, msgspec.structs.replace(record, boundary=""))
        return {}


_offer(USER)
_offer(ROLE)
