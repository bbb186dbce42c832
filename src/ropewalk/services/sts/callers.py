"""Who am I, and whose key is that: needs no permission, as in AWS."""

from __future__ import annotations

from ropewalk.aws.operations import Call, Params, handler_asks
from ropewalk.aws.sessions import account_of
from ropewalk.base.errors import Fault
from ropewalk.services.sts.slice import Sts, operations


@operations.operation("GetCallerIdentity", resources=handler_asks)
async def get_caller_identity(sts: Sts, call: Call, params: Params) -> Params:
    principal = call.principal
    return {"UserId": principal.user_id, "Account": principal.account, "Arn": principal.arn}


@operations.operation("GetAccessKeyInfo")
async def get_access_key_info(sts: Sts, call: Call, params: Params) -> Params:
    key_id = params["AccessKeyId"]
    account = account_of(key_id)
    if account is None:
        raise Fault("ValidationError", f"Invalid Access Key ID: {key_id}", status=400)
    return {"Account": account}


@operations.operation("AssumeRoleWithWebIdentity", resources=handler_asks)
async def assume_role_with_web_identity(sts: Sts, call: Call, params: Params) -> Params:
    """No identity provider can be registered yet, so that no token can be one of theirs."""
    raise Fault("InvalidIdentityToken", "No OpenIDConnect provider found in your account for the token's issuer.")
