"""Identity as a client meets it: boto3 over HTTP, through the front, to iam, sts and logs on disk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from ropewalk.aws.front import Front, FrontSettings, Mount
from ropewalk.aws.identity import Identity
from ropewalk.base.clock import SystemClock
from ropewalk.base.entropy import SystemEntropy
from ropewalk.base.http.browsers import HostRules
from ropewalk.base.http.server import HttpServer
from ropewalk.base.settings import Settings
from ropewalk.services import ec2, iam, logs, sts
from ropewalk.store.memory import MemoryStore

ACCOUNT, REGION = "123456789012", "us-east-1"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
        ],
    }
)


@dataclass
class Endpoint:
    strict: int
    lenient: int
    """Ports."""
    admin: iam.AdminKey

    def client(self, service: str, key: str = "", secret: str = "", token: str = "", lenient: bool = False) -> Any:
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.lenient if lenient else self.strict}",
            region_name=REGION,
            aws_access_key_id=key or self.admin.access_key_id,
            aws_secret_access_key=secret or self.admin.secret_access_key,
            aws_session_token=token or None,
            config=Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=10),
        )


@pytest.fixture
async def endpoint(tmp_path: Path) -> AsyncIterator[Endpoint]:
    clock, entropy = SystemClock(), SystemEntropy()
    store = MemoryStore(entropy)
    journal = await logs.SqliteJournal.open(tmp_path / "logs" / "events.db")
    people = iam.Iam.over(store, clock, entropy, ACCOUNT)
    admin = await iam.seed(people)
    sealer = await sts.load_sealer(store, entropy)
    network = ec2.Ec2.over(store, clock, entropy, Settings())
    await ec2.seed(network)
    ports: list[int] = []
    servers: list[HttpServer] = []
    for lenient in (False, True):
        identity = Identity(people.directory, sealer, ACCOUNT, accept_any_credentials=lenient)
        front = Front(
            [
                Mount("iam", iam.operations, people),
                Mount("ec2", ec2.operations, network),
                Mount("sts", sts.operations, sts.Sts(ACCOUNT, clock, entropy, sealer, people.directory, identity)),
                Mount("logs", logs.operations, logs.Logs.over(store, journal, clock, entropy, REGION, ACCOUNT)),
            ],
            authenticator=identity,
            authorizer=identity,
            clock=clock,
            entropy=entropy,
            settings=FrontSettings(region=REGION, account=ACCOUNT, hosts=HostRules()),
        )
        server = HttpServer(front.handle, name="host", clock=clock, refuse=front.refuse)
        ports.append(await server.serve_tcp("127.0.0.1", 0))
        servers.append(server)
    yield Endpoint(ports[0], ports[1], admin)
    for server in servers:
        await server.close(grace=0.1)
    await journal.close()


async def code(call: Callable[[], object]) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        await asyncio.to_thread(call)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


async def test_a_role_from_its_making_to_its_limits(endpoint: Endpoint) -> None:
    def work() -> None:
        people = endpoint.client("iam")
        arn = people.create_role(RoleName="reader", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        people.get_waiter("role_exists").wait(RoleName="reader")
        people.attach_role_policy(RoleName="reader", PolicyArn="arn:aws:iam::aws:policy/CloudWatchLogsReadOnlyAccess")
        shown = people.get_role(RoleName="reader")["Role"]
        assert shown["AssumeRolePolicyDocument"] == json.loads(TRUST)
        pages = people.get_paginator("list_policies").paginate(PaginationConfig={"PageSize": 7})
        assert len(pages.build_full_result()["Policies"]) > 20
        writer = endpoint.client("logs")
        writer.create_log_group(logGroupName="/x", tags={"team": "a"})
        writer.create_log_stream(logGroupName="/x", logStreamName="s")
        now = int(SystemClock().wall() * 1000)
        events = [{"timestamp": now + i, "message": f"line {i}"} for i in range(3)]
        writer.put_log_events(logGroupName="/x", logStreamName="s", logEvents=events)
        session = endpoint.client("sts").assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"]
        keys = (session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
        assert endpoint.client("sts", *keys).get_caller_identity()["Arn"].endswith(":assumed-role/reader/me")
        reader = endpoint.client("logs", *keys)
        found = reader.filter_log_events(logGroupName="/x", filterPattern="line -2")["events"]
        assert [event["message"] for event in found] == ["line 0", "line 1"]
        with pytest.raises(ClientError, match=r"AccessDeniedException.*not authorized to perform: logs:CreateLogGroup"):
            reader.create_log_group(logGroupName="/y")

    await asyncio.to_thread(work)


async def test_each_protocol_refuses_in_its_own_words(endpoint: Endpoint) -> None:
    wrong = {"secret": "wrong"}
    assert await code(endpoint.client("iam", **wrong).list_users) == ("SignatureDoesNotMatch", 403)
    assert await code(endpoint.client("logs", **wrong).describe_log_groups) == ("InvalidSignatureException", 400)
    unknown = endpoint.client("sts", key="AKIAUNKNOWN").get_caller_identity
    assert await code(unknown) == ("InvalidClientTokenId", 403)
    assert await code(endpoint.client("logs", key="AKIAUNKNOWN").describe_log_groups) == (
        "UnrecognizedClientException",
        400,
    )
    missing = endpoint.client("iam").get_user
    assert await code(lambda: missing(UserName="none")) == ("NoSuchEntity", 404)
    group = endpoint.client("logs").create_log_stream
    assert await code(lambda: group(logGroupName="none", logStreamName="s")) == ("ResourceNotFoundException", 400)


async def test_any_credentials_where_that_is_wanted(endpoint: Endpoint) -> None:
    who = endpoint.client("sts", key="test", secret="test", lenient=True).get_caller_identity
    assert (await asyncio.to_thread(who))["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    known = endpoint.client("sts", secret="wrong", lenient=True).get_caller_identity
    assert await code(known) == ("SignatureDoesNotMatch", 403)


async def test_a_deny_on_tags_or_place_holds(endpoint: Endpoint) -> None:
    def work() -> None:
        network = endpoint.client("ec2")
        vpcs = [
            network.describe_vpcs()["Vpcs"][0]["VpcId"],
            network.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"],
        ]
        groups = [network.create_security_group(GroupName="g", Description="g", VpcId=vpc)["GroupId"] for vpc in vpcs]
        tagged = network.create_security_group(GroupName="t", Description="t", VpcId=vpcs[0])["GroupId"]
        network.create_tags(Resources=[tagged], Tags=[{"Key": "env", "Value": "prod"}])
        writer = endpoint.client("logs")
        for name, env in (("/prod", "prod"), ("/test", "test")):
            writer.create_log_group(logGroupName=name, tags={"env": env})
        elsewhere = {"ArnEquals": {"ec2:Vpc": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/{vpcs[1]}"}}
        statements = [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": "ec2:Delete*", "Resource": "*", "Condition": elsewhere},
            *(
                {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"StringEquals": {key: "prod"}}}
                for key in ("aws:ResourceTag/env", "ec2:ResourceTag/env")
            ),
        ]
        people = endpoint.client("iam")
        people.create_user(UserName="anna")
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        people.put_user_policy(UserName="anna", PolicyName="p", PolicyDocument=document)
        key = people.create_access_key(UserName="anna")["AccessKey"]
        keys = (key["AccessKeyId"], key["SecretAccessKey"])
        network, writer = endpoint.client("ec2", *keys), endpoint.client("logs", *keys)
        for group in (groups[1], tagged):
            with pytest.raises(ClientError, match="UnauthorizedOperation"):
                network.delete_security_group(GroupId=group)
        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            network.delete_security_group(GroupName="t")
        network.delete_security_group(GroupId=groups[0])
        with pytest.raises(ClientError, match="AccessDeniedException"):
            writer.delete_log_group(logGroupName="/prod")
        writer.delete_log_group(logGroupName="/test")

    await asyncio.to_thread(work)
