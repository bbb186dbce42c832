"""Temporary credentials: AssumeRole, GetSessionToken, and the sessions the control plane makes for workloads.

Nothing is stored: see `aws/sessions.py`. Source: the STS API reference and "Temporary security credentials in IAM".
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from ropewalk.aws.identity import Caller, access_denied
from ropewalk.aws.operations import Call, Params, handler_asks
from ropewalk.aws.policy import Decision, Kind, compile_document
from ropewalk.aws.request_tags import request_tags
from ropewalk.aws.resource_tags import resource_tags
from ropewalk.aws.sessions import Claims, access_key_id
from ropewalk.base.errors import Fault
from ropewalk.model.readers import RoleReader, RoleView, TemporaryKeys
from ropewalk.services.sts.slice import Sts, operations

SHORTEST = 900
ROLE_DEFAULT = 3600
CHAINED_LONGEST = 3600
SESSION_DEFAULT, SESSION_LONGEST = 43_200, 129_600
ROOT_LONGEST = 3600
PACKED_BYTES = 2048
"""What session policies and tags may come to, compressed."""
PLAIN_CHARACTERS = 2048
POLICY_ARNS = 10

_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


def _invalid(message: str) -> Fault:
    return Fault("ValidationError", message, status=400)


def _credentials(sts: Sts, claims: Claims) -> Params:
    token, secret = sts.sealer.seal(claims)
    return {
        "AccessKeyId": claims.key_id,
        "SecretAccessKey": secret,
        "SessionToken": token,
        "Expiration": float(int(claims.expires_at)),
    }


def _refuse_unsupported(params: Params) -> None:
    """There are no MFA devices and no context providers here: asking for either cannot be granted."""
    if params.get("SerialNumber") or params.get("TokenCode"):
        raise Fault("AccessDenied", "MultiFactorAuthentication failed: there are no MFA devices here.", status=403)
    for member in ("ProvidedContexts", "MinimumSessionTokenSize"):
        if params.get(member):
            raise _invalid(f"The parameter {member} is not supported here yet. Leave it out.")


async def _session_policies(sts: Sts, params: Params) -> tuple[str, ...] | None:
    """Inline and managed session policies, None where the request names none."""
    found: list[str] = []
    inline = params.get("Policy")
    arns = [item.get("arn", "") for item in params.get("PolicyArns") or ()]
    if inline:
        compile_document(inline)
        found.append(inline)
    if len(arns) > POLICY_ARNS:
        raise _invalid(f"PolicyArns may hold at most {POLICY_ARNS} policies.")
    if len(inline or "") + sum(map(len, arns)) > PLAIN_CHARACTERS:
        raise Fault("PackedPolicyTooLarge", f"Session policies may have at most {PLAIN_CHARACTERS} characters.")
    for arn in arns:
        text = await sts.roles.managed_policy(arn)
        if text is None:
            raise Fault("MalformedPolicyDocument", f"Policy {arn} does not exist.")
        found.append(text)
    return tuple(found) if found else None


def _packed_size(params: Params) -> int:
    """Per cent of the room for session policies and tags that a request takes."""
    counted = {name: params[name] for name in ("Policy", "PolicyArns", "Tags") if params.get(name)}
    if not counted:
        return 0
    size = len(zlib.compress(msgspec.msgpack.encode(counted), 9))
    per_cent = -(-size * 100 // PACKED_BYTES)
    if per_cent > 100:
        raise Fault("PackedPolicyTooLarge", "Packed size of session tags and policies consumes over 100% of its space.")
    return per_cent


def _tags(params: Params, caller: Caller) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """(the session's tags, the keys of those that a further session inherits)."""
    given = {tag["Key"]: tag["Value"] for tag in params.get("Tags") or ()}
    if len({key.lower() for key in given}) != len(params.get("Tags") or ()):
        raise Fault("InvalidParameterValue", "Duplicate tag keys found. Tag keys are case insensitive.")
    inherited: dict[str, str] = {}
    if caller.session is not None:
        transitive = set(caller.session.transitive_tags)
        inherited = {key: value for key, value in caller.session.tags if key in transitive}
    for key in given:
        if key.lower() in {name.lower() for name in inherited}:
            raise Fault("InvalidParameterValue", f"The tag {key} is transitive and cannot be overridden.")
    wanted = params.get("TransitiveTagKeys") or ()
    for key in wanted:
        if key not in given:
            raise Fault("InvalidParameterValue", f"The transitive tag key {key} is not among the session's tags.")
    return tuple({**inherited, **given}.items()), (*inherited, *wanted)


def _duration(params: Params, role: RoleView, chained: bool) -> int:
    seconds = int(params.get("DurationSeconds") or ROLE_DEFAULT)
    if seconds < SHORTEST:
        raise _invalid(f"DurationSeconds must be at least {SHORTEST}.")
    if chained and seconds > CHAINED_LONGEST:
        raise _invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        )
    if seconds > role.max_session_seconds:
        raise _invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    return seconds


@operations.operation("AssumeRole", resources=handler_asks)
async def assume_role(sts: Sts, call: Call, params: Params) -> Params:
    """A role's trust policy and the caller's own policies decide together, so that the front cannot decide first."""
    caller = call.principal
    if not isinstance(caller, Caller):
        raise Fault("AccessDenied", "AssumeRole needs a signed request.", status=403)
    _refuse_unsupported(params)
    name = params["RoleSessionName"]
    if not _SESSION_NAME.fullmatch(name):
        raise _invalid(f"The roleSessionName '{name}' must be 2 to 64 characters of letters, digits and _+=,.@-")
    arn = params["RoleArn"]
    role = await sts.roles.role(arn)
    if role is None:
        raise access_denied(caller, "sts:AssumeRole", arn, Decision(False))
    source_identity = params.get("SourceIdentity") or (caller.session.source_identity if caller.session else "")
    if caller.session and caller.session.source_identity and source_identity != caller.session.source_identity:
        raise Fault("AccessDenied", "The source identity of a session cannot be changed.", status=403)
    _judge(sts, caller, role, params)
    policies = await _session_policies(sts, params)
    packed = _packed_size(params)
    tags, transitive = _tags(params, caller)
    claims = Claims(
        key_id=access_key_id("ASIA", sts.account, sts.entropy),
        kind="role",
        name=role.name,
        arn=role.arn,
        unique_id=role.unique_id,
        account=sts.account,
        issued_at=call.now,
        expires_at=call.now + _duration(params, role, caller.kind == "role"),
        session_name=name,
        policies=policies,
        tags=tags,
        transitive_tags=transitive,
        source_identity=source_identity,
    )
    answer: Params = {
        "Credentials": _credentials(sts, claims),
        "AssumedRoleUser": {
            "AssumedRoleId": f"{role.unique_id}:{name}",
            "Arn": f"arn:aws:sts::{sts.account}:assumed-role/{role.name}/{name}",
        },
    }
    if packed:
        answer["PackedPolicySize"] = packed
    if source_identity:
        answer["SourceIdentity"] = source_identity
    return answer


def _judge(sts: Sts, caller: Caller, role: RoleView, params: Params) -> None:
    """Raises `Fault` AccessDenied unless the caller may assume the role in the way asked."""
    context: dict[str, Sequence[str]] = {
        "sts:RoleSessionName": (params["RoleSessionName"],),
        **request_tags(params),
        **resource_tags(role.tags, "iam"),
    }
    if external := params.get("ExternalId"):
        context["sts:ExternalId"] = (external,)
    if identity := params.get("SourceIdentity"):
        context["sts:SourceIdentity"] = (identity,)
    if transitive := params.get("TransitiveTagKeys"):
        context["sts:TransitiveTagKeys"] = list(transitive)
    actions = ["sts:AssumeRole"]
    if params.get("Tags"):
        actions.append("sts:TagSession")
    if identity:
        actions.append("sts:SetSourceIdentity")
    trust = compile_document(role.trust_policy, Kind.TRUST)
    for action in actions:
        decision = sts.judge.decide(caller, action, role.arn, context, trust)
        if not decision.allowed:
            raise access_denied(caller, action, role.arn, decision if decision.explicit else Decision(False))


@operations.operation("GetSessionToken", resources=handler_asks)
async def get_session_token(sts: Sts, call: Call, params: Params) -> Params:
    """The caller's own permissions for a while. Needs no permission, as in AWS."""
    caller = call.principal
    if not isinstance(caller, Caller) or caller.session is not None:
        raise Fault("AccessDenied", "Cannot call GetSessionToken with session credentials", status=403)
    _refuse_unsupported(params)
    root = caller.kind == "root"
    seconds = int(params.get("DurationSeconds") or (ROOT_LONGEST if root else SESSION_DEFAULT))
    if not SHORTEST <= seconds <= SESSION_LONGEST:
        raise _invalid(f"DurationSeconds must be between {SHORTEST} and {SESSION_LONGEST}.")
    claims = Claims(
        key_id=access_key_id("ASIA", sts.account, sts.entropy),
        kind=caller.kind,
        name=caller.name,
        arn=caller.arn,
        unique_id=caller.user_id,
        account=sts.account,
        issued_at=call.now,
        expires_at=call.now + (min(seconds, ROOT_LONGEST) if root else seconds),
    )
    return {"Credentials": _credentials(sts, claims)}


@dataclass(frozen=True, slots=True)
class WorkloadSessions:
    """Implements `model.readers.RoleSessions`: a workload's role, assumed by the service that runs the workload.

    Whoever launched it has checked that its launcher may pass the role. Whether the role trusts the service is asked
    each time: a role whose trust was withdrawn gives no further keys, and those it gave end at their time, as on AWS.
    """

    sts: Sts
    trust: RoleReader
    service: str
    """The principal that assumes roles: "ecs-tasks.amazonaws.com"."""
    source_arn: str
    """What trust policies see as aws:SourceArn."""

    async def session(self, role_arn: str, session_name: str, seconds: float) -> TemporaryKeys:
        """Raises `Fault` NoSuchEntity where the role is gone, AccessDenied where it does not trust the service."""
        sts = self.sts
        role = await sts.roles.role(role_arn)
        if role is None:
            raise Fault("NoSuchEntity", f"The role {role_arn} cannot be found.", status=404)
        if not await self.trust.trusts(role_arn, self.service, self.source_arn):
            text = f"{self.service} is not authorized to perform: sts:AssumeRole on resource: {role_arn}"
            raise Fault("AccessDenied", f"{text}: the role's trust policy does not allow it.", status=403)
        now = sts.clock.wall()
        claims = Claims(
            key_id=access_key_id("ASIA", sts.account, sts.entropy),
            kind="role",
            name=role.name,
            arn=role.arn,
            unique_id=role.unique_id,
            account=sts.account,
            issued_at=now,
            expires_at=now + seconds,
            session_name=session_name,
        )
        token, secret = sts.sealer.seal(claims)
        return TemporaryKeys(claims.key_id, secret, token, claims.expires_at)
