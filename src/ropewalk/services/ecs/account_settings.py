"""Account settings, as far as they are real: what holds here is answered, and asking for it again is taken.

None can be changed so far: each has one value, the one that the platform lives by. Another value is refused by name
rather than stored without effect. Source:
docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-account-settings.html.
"""

from __future__ import annotations

from typing import Final

from ropewalk.aws.operations import Call, Params
from ropewalk.services.ecs import paging
from ropewalk.services.ecs.faults import invalid, not_yet_invalid
from ropewalk.services.ecs.permissions import account_setting, everything, on
from ropewalk.services.ecs.records import Document
from ropewalk.services.ecs.slice import Ecs, operations

IN_FORCE: Final = {
    "awsvpcTrunking": "disabled",
    "containerInsights": "disabled",
    "containerInstanceLongArnFormat": "enabled",
    "defaultLogDriverMode": "non-blocking",
    "fargateFIPSMode": "disabled",
    "serviceLongArnFormat": "enabled",
    "tagResourceAuthorization": "off",
    "taskLongArnFormat": "enabled",
}
"""Long ARNs are mandatory on AWS as well."""


def _principal(ecs: Ecs, params: Params) -> str:
    return str(params.get("principalArn") or f"arn:aws:iam::{ecs.settings.account}:root")


def _document(name: str, principal: str) -> Document:
    return {"name": name, "value": IN_FORCE[name], "principalArn": principal, "type": "user"}


def _check_name(name: str) -> None:
    if name not in IN_FORCE:
        raise not_yet_invalid(f"setting {name}", f"Settings that exist here: {', '.join(IN_FORCE)}.")


@operations.operation("ListAccountSettings")
async def list_account_settings(ecs: Ecs, call: Call, params: Params) -> Params:
    """Nothing was ever set by a user, so only `effectiveSettings` finds something, as on a fresh account."""
    paging.page_size(params.get("maxResults"), 10)
    paging.decode("account-settings", params.get("nextToken"))
    name, value = params.get("name"), params.get("value")
    if value and not name:
        raise invalid("value requires a name.")
    if not params.get("effectiveSettings"):
        return {"settings": []}
    principal = _principal(ecs, params)
    return {
        "settings": [
            _document(found, principal)
            for found, held in IN_FORCE.items()
            if name in (None, found) and value in (None, held)
        ]
    }


async def _put(ecs: Ecs, call: Call, params: Params) -> Params:
    name, value = params["name"], params["value"]
    _check_name(name)
    if value != IN_FORCE[name]:
        raise not_yet_invalid(f"{name}={value}", f"It is {IN_FORCE[name]} and cannot be changed so far.")
    return {"setting": _document(name, _principal(ecs, params))}


for _name in ("PutAccountSetting", "PutAccountSettingDefault"):
    operations.operation(_name, resources=on(everything, account_setting))(_put)


@operations.operation("DeleteAccountSetting", resources=on(everything, account_setting))
async def delete_account_setting(ecs: Ecs, call: Call, params: Params) -> Params:
    """Back to the default, which is what holds."""
    _check_name(params["name"])
    return {"setting": _document(params["name"], _principal(ecs, params))}
