"""Authentication and authorisation of whole requests, with the iam slice behind them."""

from __future__ import annotations

import json

import pytest

from ropewalk.aws.identity import Caller, Identity, conditions
from ropewalk.aws.operations import Call, Operations, Params, Principal, Touched
from ropewalk.aws.resource_tags import resource_tags
from ropewalk.aws.sessions import Claims, Sealer, access_key_id, account_of
from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.base.errors import Fault
from ropewalk.services.iam import AdminKey, Iam, seed
from ropewalk.services.iam.access_keys import make_key
from ropewalk.services.iam.records import Group, InlinePolicy, User
from ropewalk.store.memory import MemoryStore
from support.signing import signed

ACCOUNT = "123456789012"
CLUSTER = f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/c"


def allow(action: str, resource: str = "*") -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class World:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.iam = Iam.over(MemoryStore(SeededEntropy(1)), self.clock, SeededEntropy(2), ACCOUNT)
        self.sealer = Sealer("k" * 32)
        self.identity = Identity(self.iam.directory, self.sealer, ACCOUNT)
        self.lenient = Identity(self.iam.directory, self.sealer, ACCOUNT, accept_any_credentials=True)
        self.admin = AdminKey("", "")

    async def user(self, name: str, document: str = "", groups: tuple[str, ...] = ()) -> tuple[str, str]:
        inline = (InlinePolicy("p", document),) if document else ()
        user = User(
            name=name,
            path="/",
            arn=self.iam.arn("user", "/", name),
            id=self.iam.unique_id("AIDA"),
            created_at=0.0,
            inline=inline,
            groups=groups,
            tags=(("team", "red"),),
        )
        await self.iam.users.put(name, user)
        key = await make_key(self.iam, user)
        self.iam.directory.forget()
        return key.id, key.secret

    async def caller(
        self, key: str, secret: str, token: str = "", identity: Identity | None = None, listener: str = "host"
    ) -> Caller:
        now = self.clock.wall()
        request = signed(key, secret, token, now=now, listener=listener)
        return await (identity or self.identity).authenticate(request, "ecs", now)


@pytest.fixture
async def world() -> World:
    made = World()
    made.admin = await seed(made.iam)
    return made


async def refusal(awaitable: object) -> Fault:
    with pytest.raises(Fault) as caught:
        await awaitable  # type: ignore[misc]  # any of the coroutines below
    return caught.value


async def test_the_seed_is_made_once(world: World) -> None:
    assert await seed(world.iam) == world.admin
    roles = sorted(role.name for role in await world.iam.roles.records())
    assert roles == sorted(
        [
            "AWSServiceRoleForECS",
            "AWSServiceRoleForApplicationAutoScaling_ECSService",
            "AWSServiceRoleForAutoScaling",
            "AWSServiceRoleForElasticLoadBalancing",
            "ecsInstanceRole",
            "ecsTaskExecutionRole",
        ]
    )
    execution = f"arn:aws:iam::{ACCOUNT}:role/ecsTaskExecutionRole"
    assert await world.iam.directory.trusts(execution, "ecs-tasks.amazonaws.com")
    profile = await world.iam.profiles.get("ecsinstancerole")
    assert profile is not None and profile.role == "ecsinstancerole"


async def test_the_seed_leaves_what_its_owner_changed_and_never_locks_them_out(world: World) -> None:
    role = await world.iam.roles.get("ecstaskexecutionrole")
    assert role is not None
    await world.iam.roles.mutate("ecstaskexecutionrole", lambda r: type(r)(**{**_fields(r), "attached": ()}))
    await world.iam.keys.delete(world.admin.access_key_id)
    again = await seed(world.iam)
    assert again.access_key_id != world.admin.access_key_id
    changed = await world.iam.roles.get("ecstaskexecutionrole")
    assert changed is not None and changed.attached == ()


def _fields(record: object) -> dict[str, object]:
    return {name: getattr(record, name) for name in type(record).__struct_fields__}  # type: ignore[attr-defined]


async def test_the_administrator_may_everything(world: World) -> None:
    caller = await world.caller(world.admin.access_key_id, world.admin.secret_access_key)
    assert (caller.kind, caller.arn) == ("user", f"arn:aws:iam::{ACCOUNT}:user/ropewalk-admin")
    await world.identity.require(caller, "ecs:RunTask", CLUSTER, {})


async def test_wrong_and_unknown_keys(world: World) -> None:
    key, secret = world.admin.access_key_id, world.admin.secret_access_key
    assert (await refusal(world.caller(key, secret + "x"))).code == "SignatureDoesNotMatch"
    assert (await refusal(world.caller("AKIANOBODY", secret))).code == "InvalidClientTokenId"
    assert (await refusal(world.caller("../../x", secret))).code in {"InvalidClientTokenId", "IncompleteSignature"}
    assert (await refusal(world.caller(key, secret, "made up"))).code == "InvalidClientTokenId"


async def test_a_disabled_or_deleted_key_stops_at_once(world: World) -> None:
    key, secret = await world.user("u")
    await world.caller(key, secret)
    await world.iam.keys.mutate(key, lambda k: type(k)(**{**_fields(k), "active": False}))
    world.iam.directory.forget()
    assert (await refusal(world.caller(key, secret))).code == "InvalidClientTokenId"


async def test_what_a_user_may_comes_from_itself_and_its_groups(world: World) -> None:
    group = Group(
        name="g",
        path="/",
        arn="g",
        id="AGPA",
        created_at=0.0,
        inline=(InlinePolicy("p", allow("ecs:ListClusters")),),
        attached=("arn:aws:iam::aws:policy/CloudWatchLogsFullAccess",),
    )
    await world.iam.groups.put("g", group)
    key, secret = await world.user("u", allow("ecs:RunTask", CLUSTER), groups=("g",))
    caller = await world.caller(key, secret)
    for action, resource in (("ecs:RunTask", CLUSTER), ("ecs:ListClusters", "*"), ("logs:GetLogEvents", "*")):
        await world.identity.require(caller, action, resource, {})
    denied = await refusal(world.identity.require(caller, "ecs:RunTask", CLUSTER + "x", {}))
    assert denied.code == "AccessDenied"
    assert denied.message == (
        f"User: arn:aws:iam::{ACCOUNT}:user/u is not authorized to perform: ecs:RunTask on resource: {CLUSTER}x "
        "because no identity-based policy allows the ecs:RunTask action"
    )


async def test_a_write_elsewhere_is_heard_of(world: World) -> None:
    """Another process changes a policy: the keeper makes the directory forget."""
    import asyncio

    key, secret = await world.user("u", allow("ecs:*"))
    keeper = asyncio.create_task(world.iam.directory.keeper().run())
    await world.clock.settle()
    caller = await world.caller(key, secret)
    await world.identity.require(caller, "ecs:RunTask", CLUSTER, {})
    await world.iam.users.mutate("u", lambda u: type(u)(**{**_fields(u), "inline": ()}))
    await world.clock.settle()
    caller = await world.caller(key, secret)
    assert (await refusal(world.identity.require(caller, "ecs:RunTask", CLUSTER, {}))).code == "AccessDenied"
    keeper.cancel()


async def test_conditions_see_the_request(world: World) -> None:
    key, secret = await world.user("u")
    keys = conditions(await world.caller(key, secret), {"ecs:cluster": (CLUSTER,), "aws:RequestTag/Team": ("x",)})
    assert keys["aws:username"] == ("u",) and keys["aws:sourceip"] == ("127.0.0.1",)
    assert keys["aws:principaltag/team"] == ("red",) and keys["aws:requesttag/team"] == ("x",)
    assert keys["aws:requestedregion"] == ("us-east-1",) and keys["aws:currenttime"] == ("2023-11-14T22:13:20Z",)
    assert keys["ecs:cluster"] == (CLUSTER,) and all(name == name.lower() for name in keys)


async def test_any_credentials_on_loopback_only_and_only_where_unknown(world: World) -> None:
    root = await world.caller("test", "test", identity=world.lenient)
    assert (root.kind, root.arn) == ("root", f"arn:aws:iam::{ACCOUNT}:root")
    await world.lenient.require(root, "ecs:RunTask", CLUSTER, {})
    with_token = await world.caller("test", "test", "dummy", identity=world.lenient)
    assert with_token.kind == "root"
    inside = await refusal(world.caller("test", "test", identity=world.lenient, listener="vpc-1"))
    assert inside.code == "InvalidClientTokenId"
    assert (await refusal(world.caller("test", "test"))).code == "InvalidClientTokenId"
    key, secret = await world.user("u")
    assert (await world.caller(key, secret, identity=world.lenient)).kind == "user"
    assert (await refusal(world.caller(key, "wrong", identity=world.lenient))).code == "SignatureDoesNotMatch"


async def test_a_sealed_token_is_nobody_elses(world: World) -> None:
    claims = Claims(
        key_id="ASIA1",
        kind="user",
        name="ropewalk-admin",
        arn="",
        unique_id="",
        account=ACCOUNT,
        issued_at=0.0,
        expires_at=world.clock.wall() + 60,
    )
    token, secret = world.sealer.seal(claims)
    assert world.sealer.open("ASIA1", token, world.clock.wall()) == (claims, secret)
    for key, other in (("ASIA2", token), ("ASIA1", token[:-4] + "AAA="), ("ASIA1", ""), ("ASIA1", "é")):
        with pytest.raises(Fault, match="InvalidClientTokenId"):
            world.sealer.open(key, other, world.clock.wall())
    with pytest.raises(Fault, match="InvalidClientTokenId"):
        Sealer("x" * 32).open("ASIA1", token, world.clock.wall())
    with pytest.raises(Fault, match="ExpiredToken"):
        world.sealer.open("ASIA1", token, world.clock.wall() + 60)


@pytest.mark.parametrize("account", ["000000000000", "123456789012", "999999999999"])
def test_key_ids_tell_their_account(account: str) -> None:
    for seed_ in range(20):
        key = access_key_id("AKIA", account, SeededEntropy(seed_))
        assert len(key) == 20 and account_of(key) == account
    assert account_of("nonsense") is None and account_of("AKIA1111111111111111") is None


async def test_a_principal_of_unknown_making_is_a_bug(world: World) -> None:
    with pytest.raises(TypeError):
        await world.identity.require(Principal("a", ACCOUNT, "i", "user"), "ecs:RunTask", "*", {})


async def test_a_deny_on_a_resources_tag_holds_and_an_administrator_is_not_asked_about(world: World) -> None:
    condition = {"StringEquals": {"aws:ResourceTag/env": "prod"}}
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    key = await world.user("anna", json.dumps({"Version": "2012-10-17", "Statement": [everything, deny]}))
    anna = await world.caller(*key)
    assert not anna.unlimited
    reads: list[str] = []

    async def cluster(tags: dict[str, str], call: Call, params: Params) -> list[Touched]:
        reads.append(call.principal.arn)
        return [Touched(CLUSTER, resource_tags(tags.items()))]

    operations = Operations[dict[str, str]]("ecs")

    @operations.operation("DeleteCluster", resources=cluster)
    async def delete(tags: dict[str, str], call: Call, params: Params) -> Params:
        return {}

    def call(principal: Principal) -> Call:
        return Call("ecs", "DeleteCluster", "r", ACCOUNT, "us-east-1", principal, 0.0, "", "", world.identity)

    offered = operations.offered["DeleteCluster"]
    await offered.authorise({"env": "test"}, call(anna), {})
    with pytest.raises(Fault, match="explicit deny"):
        await offered.authorise({"env": "prod"}, call(anna), {})
    administrator = await world.caller(world.admin.access_key_id, world.admin.secret_access_key)
    assert administrator.unlimited
    await offered.authorise({"env": "prod"}, call(administrator), {})
    assert reads == [anna.arn, anna.arn]
