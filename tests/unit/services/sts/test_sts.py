"""Temporary credentials end to end: made by sts, used in a signed request, judged by their role's policies."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from ropewalk.aws.identity import Caller, Identity
from ropewalk.aws.operations import Call
from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.base.errors import Fault
from ropewalk.services import iam as iam_slice
from ropewalk.services.iam import AdminKey, Iam, seed
from ropewalk.services.sts import Sts, WorkloadSessions, load_sealer, operations
from ropewalk.store.memory import MemoryStore
from support.signing import signed

ACCOUNT = "123456789012"
ADMIN = f"arn:aws:iam::{ACCOUNT}:user/ropewalk-admin"
MODEL = botocore.session.get_session().get_service_model("sts")


def allow(*actions: str, resource: str = "*") -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust(principal: object, condition: object = None, action: object = "sts:AssumeRole") -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": action}
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
SERVICE = "ecs-tasks.amazonaws.com"
TASKS = {"Service": SERVICE}


@dataclass
class World:
    clock: VirtualClock
    iam: Iam
    sts: Sts
    identity: Identity
    admin: AdminKey

    @property
    def workloads(self) -> WorkloadSessions:
        return WorkloadSessions(self.sts, self.iam.directory, SERVICE, f"arn:aws:ecs:us-east-1:{ACCOUNT}:*")

    async def caller(self, key: str, secret: str, token: str = "", service: str = "sts") -> Caller:
        request = signed(key, secret, token, service=service, now=self.clock.wall())
        return await self.identity.authenticate(request, service, self.clock.wall())

    async def call(self, caller: Caller, operation: str, slice_: Any = None, **params: Any) -> Any:
        offered = operations if slice_ is None else iam_slice.operations
        call = Call(
            service=offered.service,
            operation=operation,
            request_id="r",
            account=ACCOUNT,
            region="us-east-1",
            principal=caller,
            now=self.clock.wall(),
            source_ip="127.0.0.1",
            host="h",
            authorizer=self.identity,
        )
        answer = await offered.offered[operation].run(slice_ or self.sts, call, params)
        if slice_ is None:
            report = ParamValidator().validate(answer, MODEL.operation_model(operation).output_shape)
            assert not report.has_errors(), report.generate_report()
        return answer

    async def role(self, name: str, trusts: str, policy: str = "", **params: Any) -> str:
        admin = await self.caller(self.admin.access_key_id, self.admin.secret_access_key)
        made = await self.call(admin, "CreateRole", self.iam, RoleName=name, AssumeRolePolicyDocument=trusts, **params)
        if policy:
            await self.call(admin, "PutRolePolicy", self.iam, RoleName=name, PolicyName="p", PolicyDocument=policy)
        return str(made["Role"]["Arn"])

    async def user(self, name: str, policy: str = "") -> Caller:
        admin = await self.caller(self.admin.access_key_id, self.admin.secret_access_key)
        await self.call(admin, "CreateUser", self.iam, UserName=name)
        if policy:
            await self.call(admin, "PutUserPolicy", self.iam, UserName=name, PolicyName="p", PolicyDocument=policy)
        key = (await self.call(admin, "CreateAccessKey", self.iam, UserName=name))["AccessKey"]
        return await self.caller(key["AccessKeyId"], key["SecretAccessKey"])

    async def assumed(self, answer: Any) -> Caller:
        keys = answer["Credentials"]
        return await self.caller(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])

    def allowed(self, caller: Caller, action: str, resource: str = "*", **context: Sequence[str]) -> bool:
        keys: Mapping[str, Sequence[str]] = context
        return self.identity.decide(caller, action, resource, keys).allowed


@pytest.fixture
async def world() -> World:
    clock = VirtualClock()
    entropy = SeededEntropy(1)
    store = MemoryStore(SeededEntropy(2))
    iam = Iam.over(store, clock, entropy, ACCOUNT)
    admin = await seed(iam)
    sealer = await load_sealer(store, entropy)
    identity = Identity(iam.directory, sealer, ACCOUNT)
    return World(clock, iam, Sts(ACCOUNT, clock, entropy, sealer, iam.directory, identity), identity, admin)


async def refusal(awaitable: Any) -> Fault:
    with pytest.raises(Fault) as caught:
        await awaitable
    return caught.value


async def test_who_am_i(world: World) -> None:
    admin = await world.caller(world.admin.access_key_id, world.admin.secret_access_key)
    identity = await world.call(admin, "GetCallerIdentity")
    assert identity["Arn"] == ADMIN and identity["UserId"].startswith("AIDA") and identity["Account"] == ACCOUNT


async def test_an_assumed_role_may_what_its_role_may(world: World) -> None:
    arn = await world.role("r", trust(ROOT), allow("ecs:*"))
    user = await world.user("u", allow("sts:AssumeRole", resource=arn))
    answer = await world.call(user, "AssumeRole", RoleArn=arn, RoleSessionName="sess")
    session = await world.assumed(answer)
    assert session.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/r/sess" == answer["AssumedRoleUser"]["Arn"]
    assert session.kind == "role" and session.user_id.endswith(":sess")
    assert world.allowed(session, "ecs:RunTask") and not world.allowed(session, "iam:GetUser")
    await world.clock.advance(3601)
    keys = answer["Credentials"]
    expired = await refusal(world.caller(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]))
    assert expired.code == "ExpiredToken"


async def test_both_sides_must_agree(world: World) -> None:
    arn = await world.role("r", trust(ROOT))
    nobody = await world.user("nobody")
    denied = await refusal(world.call(nobody, "AssumeRole", RoleArn=arn, RoleSessionName="sess"))
    assert denied.code == "AccessDenied"
    assert denied.message == f"User: {nobody.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
    named = await world.role("named", trust({"AWS": nobody.arn}))
    await world.call(nobody, "AssumeRole", RoleArn=named, RoleSessionName="sess")
    service = await world.role("service", trust({"Service": "ecs-tasks.amazonaws.com"}))
    admin = await world.caller(world.admin.access_key_id, world.admin.secret_access_key)
    assert (
        await refusal(world.call(admin, "AssumeRole", RoleArn=service, RoleSessionName="ss"))
    ).code == "AccessDenied"
    missing = await refusal(world.call(admin, "AssumeRole", RoleArn=arn + "x", RoleSessionName="ss"))
    assert missing.code == "AccessDenied"


async def test_the_external_id_is_asked_for(world: World) -> None:
    arn = await world.role("r", trust(ROOT, {"StringEquals": {"sts:ExternalId": "secret"}}))
    admin = await world.caller(world.admin.access_key_id, world.admin.secret_access_key)
    wanted = {"RoleArn": arn, "RoleSessionName": "sess"}
    assert (await refusal(world.call(admin, "AssumeRole", **wanted))).code == "AccessDenied"
    assert (await refusal(world.call(admin, "AssumeRole", ExternalId="other", **wanted))).code == "AccessDenied"
    await world.call(admin, "AssumeRole", ExternalId="secret", **wanted)


async def test_session_policies_only_take_away(world: World) -> None:
    arn = await world.role("r", trust(ROOT), allow("ecs:*"))
    admin = await world.caller(world.admin.access_key_id, world.admin.secret_access_key)
    answer = await world.call(
        admin, "AssumeRole", RoleArn=arn, RoleSessionName="sess", Policy=allow("ecs:ListClusters", "iam:*")
    )
    assert 0 < answer["PackedPolicySize"] <= 100
    session = await world.assumed(answer)
    assert world.allowed(session, "ecs:ListClusters")
    assert not world.allowed(session, "ecs:RunTask") and not world.allowed(session, "iam:GetUser")
    managed = await world.call(
        admin,
        "AssumeRole",
        RoleArn=arn,
        RoleSessionName="sess",
        PolicyArns=[{"arn": "arn:aws:iam::aws:policy/CloudWatchLogsFullAccess"}],
    )
    assert not world.allowed(await world.assumed(managed), "ecs:ListClusters")
    bad = await refusal(world.call(admin, "AssumeRole", RoleArn=arn, RoleSessionName="sess", Policy="{"))
    assert bad.code == "MalformedPolicyDocument"


async def test_session_tags_are_conditions_of_the_session(world: World) -> None:
    both = trust(ROOT, action=["sts:AssumeRole", "sts:TagSession"])
    policy = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "ecs:RunTask",
                    "Resource": "arn:aws:ecs:*:*:cluster/${aws:PrincipalTag/team}",
                }
            ],
        }
    )
    arn = await world.role("r", both, policy)
    untaggable = await world.role("plain", trust(ROOT))
    admin = await world.caller(world.admin.access_key_id, world.admin.secret_access_key)
    tags = [{"Key": "team", "Value": "red"}]
    answer = await world.call(admin, "AssumeRole", RoleArn=arn, RoleSessionName="sess", Tags=tags)
    session = await world.assumed(answer)
    assert world.allowed(session, "ecs:RunTask", f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/red")
    assert not world.allowed(session, "ecs:RunTask", f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/blue")
    denied = await refusal(world.call(admin, "AssumeRole", RoleArn=untaggable, RoleSessionName="sess", Tags=tags))
    assert "sts:TagSession" in denied.message


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"RoleSessionName": "a b"}, "ValidationError"),
        ({"DurationSeconds": 7201}, "ValidationError"),
        ({"DurationSeconds": 10}, "ValidationError"),
        ({"SerialNumber": "arn:aws:iam::1:mfa/x", "TokenCode": "123456"}, "AccessDenied"),
        ({"ProvidedContexts": [{}]}, "ValidationError"),
        ({"TransitiveTagKeys": ["none"]}, "InvalidParameterValue"),
        ({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/None"}]}, "MalformedPolicyDocument"),
        ({"Policy": allow("a:" + "b" * 2100)}, "PackedPolicyTooLarge"),
    ],
)
async def test_what_assume_role_refuses(world: World, params: dict[str, Any], code: str) -> None:
    arn = await world.role("r", trust(ROOT), MaxSessionDuration=7200)
    admin = await world.caller(world.admin.access_key_id, world.admin.secret_access_key)
    asked = {"RoleArn": arn, "RoleSessionName": "sess", **params}
    assert (await refusal(world.call(admin, "AssumeRole", **asked))).code == code


async def test_a_chained_role_lasts_an_hour_at_most(world: World) -> None:
    arn = await world.role("r", trust(ROOT), allow("sts:*"), MaxSessionDuration=43200)
    admin = await world.caller(world.admin.access_key_id, world.admin.secret_access_key)
    asked = {"RoleArn": arn, "RoleSessionName": "sess"}
    session = await world.assumed(await world.call(admin, "AssumeRole", DurationSeconds=43200, **asked))
    assert (await refusal(world.call(session, "AssumeRole", DurationSeconds=3601, **asked))).code == "ValidationError"
    again = await world.assumed(await world.call(session, "AssumeRole", **asked))
    assert again.arn == session.arn


async def test_a_session_ends_with_its_role(world: World) -> None:
    arn = await world.role("r", trust(TASKS))
    admin = await world.caller(world.admin.access_key_id, world.admin.secret_access_key)
    keys = await world.workloads.session(arn, "task", 900)
    session = await world.caller(keys.access_key_id, keys.secret_access_key, keys.session_token)
    assert session.role_arn == arn
    await world.call(admin, "DeleteRole", world.iam, RoleName="r")
    await world.role("r", trust(TASKS))
    gone = await refusal(world.caller(keys.access_key_id, keys.secret_access_key, keys.session_token))
    assert gone.code == "InvalidClientTokenId"
    missing = await refusal(world.workloads.session(arn + "x", "task", 900))
    assert missing.code == "NoSuchEntity"


async def test_a_workloads_session_is_the_roles_under_the_tasks_name(world: World) -> None:
    arn = await world.role("r", trust(TASKS), allow("ecs:ListClusters"))
    keys = await world.workloads.session(arn, "0123456789abcdef0123456789abcdef", 900)
    session = await world.caller(keys.access_key_id, keys.secret_access_key, keys.session_token)
    assert session.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/r/0123456789abcdef0123456789abcdef"
    assert world.allowed(session, "ecs:ListClusters") and not world.allowed(session, "ecs:RunTask")


async def test_a_role_that_does_not_trust_the_service_gives_no_keys(world: World) -> None:
    arn = await world.role("r", trust(TASKS))
    keys = await world.workloads.session(arn, "task", 900)
    admin = await world.caller(world.admin.access_key_id, world.admin.secret_access_key)
    for withdrawn in (trust(ROOT), trust({"Service": "ec2.amazonaws.com"})):
        await world.call(admin, "UpdateAssumeRolePolicy", world.iam, RoleName="r", PolicyDocument=withdrawn)
        refused = await refusal(world.workloads.session(arn, "task", 900))
        assert (refused.code, SERVICE in refused.message) == ("AccessDenied", True)
    held = await world.caller(keys.access_key_id, keys.secret_access_key, keys.session_token)
    assert held.role_arn == arn, "what was given stays good until its end, as on AWS"


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"StringEquals": {"aws:SourceAccount": ACCOUNT}}, True),
        ({"StringEquals": {"aws:SourceAccount": "999999999999"}}, False),
        ({"ArnLike": {"aws:SourceArn": f"arn:aws:ecs:us-east-1:{ACCOUNT}:*"}}, True),
        ({"ArnLike": {"aws:SourceArn": f"arn:aws:ecs:eu-west-1:{ACCOUNT}:*"}}, False),
    ],
)
async def test_trust_may_ask_on_whose_behalf(world: World, condition: dict[str, Any], allowed: bool) -> None:
    arn = await world.role("r", trust(TASKS, condition))
    if allowed:
        assert (await world.workloads.session(arn, "task", 900)).access_key_id
    else:
        assert (await refusal(world.workloads.session(arn, "task", 900))).code == "AccessDenied"


async def test_get_session_token(world: World) -> None:
    user = await world.user("u", allow("ecs:ListClusters"))
    session = await world.assumed(await world.call(user, "GetSessionToken"))
    assert session.arn == user.arn and session.user_id == user.user_id
    assert world.allowed(session, "ecs:ListClusters") and not world.allowed(session, "ecs:RunTask")
    assert (await refusal(world.call(session, "GetSessionToken"))).code == "AccessDenied"
    assert (await refusal(world.call(user, "GetSessionToken", DurationSeconds=899))).code == "ValidationError"


async def test_whose_key_is_that(world: World) -> None:
    admin = await world.caller(world.admin.access_key_id, world.admin.secret_access_key)
    answer = await world.call(admin, "GetAccessKeyInfo", AccessKeyId=world.admin.access_key_id)
    assert answer == {"Account": ACCOUNT}
    bad = await refusal(world.call(admin, "GetAccessKeyInfo", AccessKeyId="AKIA1111111111111111"))
    assert bad.code == "ValidationError"


async def test_web_identities_are_refused_in_awss_words(world: World) -> None:
    admin = await world.caller(world.admin.access_key_id, world.admin.secret_access_key)
    refused = await refusal(
        world.call(admin, "AssumeRoleWithWebIdentity", RoleArn="r", RoleSessionName="s", WebIdentityToken="t")
    )
    assert refused.code == "InvalidIdentityToken"


async def test_the_sealing_key_outlives_a_restart(world: World) -> None:
    store = world.iam.users.store
    arn = await world.role("r", trust(TASKS))
    keys = await world.workloads.session(arn, "task", 900)
    again = await load_sealer(store, SeededEntropy(99))
    claims, secret = again.open(keys.access_key_id, keys.session_token, world.clock.wall())
    assert claims.arn == arn and secret == keys.secret_access_key
