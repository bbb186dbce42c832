"""Ten thousand bad requests, random and mutated: every one is the client's fault, none is ours."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Iterator
from typing import Any

import cbor2
import orjson
import pytest

from ropewalk.aws.front import Front, Mount
from ropewalk.aws.operations import Call, Operations, Params
from ropewalk.aws.specs import service_spec
from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from unit.aws.fronts import Bench, Slice

COUNT = 10_000
ECS = "AmazonEC2ContainerServiceV20141113"
VALID_JSON: list[tuple[str, dict[str, Any]]] = [
    ("DescribeClusters", {"clusters": ["a", "b"], "include": ["TAGS"]}),
    ("DeleteCluster", {"cluster": "x"}),
    ("RegisterTaskDefinition", {"family": "f", "containerDefinitions": [{"name": "n", "image": "i", "cpu": 1}]}),
]
VALID_FORMS = [
    ("sts", "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::123456789012:role/r&RoleSessionName=me"),
    ("sts", "Action=GetCallerIdentity&Version=2011-06-15"),
    ("ec2", "Action=DescribeVpcs&Version=2016-11-15&VpcId.1=vpc-1&Filter.1.Name=state&Filter.1.Value.1=a"),
    ("iam", "Action=CreateUser&Version=2010-05-08&UserName=x&Tags.member.1.Key=k&Tags.member.1.Value=v"),
]
REST = [
    ("eks", "POST", "/clusters"),
    ("eks", "GET", "/clusters/a%2Fb/node-groups/%ff"),
    ("cloudfront", "POST", "/2020-05-31/distribution?WithTags"),
    ("route53", "POST", "/2013-04-01/hostedzone/Z1/rrset/"),
    ("s3", "PUT", "/v20180820/accesspoint/name"),
]
JUNK: list[Any] = [None, True, -1, 2**70, 1e308, "", "\x00", "é" * 50, [], {}, [[[]]], {"a": {"a": {}}}, "NaN"]


def random_text(dice: random.Random) -> str:
    return "".join(dice.choice(string.printable) for _ in range(dice.randint(0, 40)))


def mutated(dice: random.Random, value: Any) -> Any:
    """The document with junk in one or more places."""
    if dice.random() < 0.25:
        return dice.choice(JUNK)
    if isinstance(value, dict):
        changed = {key: mutated(dice, item) if dice.random() < 0.6 else item for key, item in value.items()}
        if dice.random() < 0.3:
            changed[random_text(dice)] = dice.choice(JUNK)
        return changed
    if isinstance(value, list):
        return [mutated(dice, item) for item in value] * dice.randint(0, 3)
    return value


def scrambled(dice: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.randint(1, 6)):
        position = dice.randint(0, len(changed))
        action = dice.randint(0, 2)
        if action == 0:
            changed[position:position] = dice.randbytes(dice.randint(1, 8))
        elif action == 1:
            del changed[position : position + dice.randint(1, 8)]
        else:
            changed[position : position + 1] = bytes([dice.randint(0, 255)])
    return bytes(changed)


def requests(dice: random.Random) -> Iterator[dict[str, Any]]:
    for _ in range(COUNT):
        kind = dice.randint(0, 7)
        operation, document = dice.choice(VALID_JSON)
        target = {"x-amz-target": f"{ECS}.{operation}", "content-type": "application/x-amz-json-1.1"}
        service, form = dice.choice(VALID_FORMS)
        form_type = {"content-type": "application/x-www-form-urlencoded"}
        if kind == 0:
            yield {"body": dice.randbytes(dice.randint(0, 60)), "headers": target}
        elif kind == 1:
            yield {"body": json.dumps(mutated(dice, document)).encode(), "headers": target}
        elif kind == 2:
            yield {"body": scrambled(dice, orjson.dumps(document)), "headers": target}
        elif kind == 3:
            yield {"body": scrambled(dice, form.encode()), "headers": form_type, "service": service}
        elif kind == 4:
            names = ".".join(
                dice.choice(["1", "member", "Filter", "x", "", "99999999999", "-1", "Tags"]) for _ in range(5)
            )
            yield {"body": f"{form}&{names}={random_text(dice)}", "headers": form_type, "service": service}
        elif kind == 5:
            body = scrambled(dice, cbor2.dumps(mutated(dice, {"Namespace": "n", "MetricData": [{"MetricName": "m"}]})))
            headers = {"smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor"}
            path = f"/service/GraniteServiceVersion20100801/operation/{dice.choice(['PutMetricData', 'Nonsense', ''])}"
            yield {"body": body, "headers": headers, "target": path, "service": "monitoring"}
        elif kind == 6:
            service, method, path = dice.choice(REST)
            path = scrambled(dice, path.encode()).decode("latin-1").replace(" ", "") if dice.random() < 0.5 else path
            body = dice.choice([b"<a><b>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b"{}", dice.randbytes(20)])
            yield {"body": body, "method": method, "target": path, "service": service}
        else:
            headers = {random_text(dice).lower(): random_text(dice), "authorization": random_text(dice)}
            yield {"body": dice.randbytes(20), "headers": headers, "target": "/" + random_text(dice), "service": ""}


def open_bench() -> Bench:
    """A front where every operation of many services is offered, so that each protocol's parser is reached."""
    bench = Bench()
    mounts = []
    for service in ("ecs", "ec2", "sts", "iam", "eks", "cloudfront", "route53", "s3control", "cloudwatch"):
        operations = Operations[Slice](service)
        for name in service_spec(service).operation_names:
            operations.operation(name)(nothing)
        mounts.append(Mount(service, operations, bench.slice))
    bench.front = Front(
        mounts,
        authenticator=bench.gate,
        authorizer=bench.gate,
        clock=VirtualClock(),
        entropy=SeededEntropy(1),
        settings=bench.settings,
    )
    return bench


async def nothing(slice: Slice, call: Call, params: Params) -> Params:
    return {}


@pytest.mark.timeout(60)
async def test_ten_thousand_bad_requests_are_never_our_failure() -> None:
    bench, dice = open_bench(), random.Random(20261123)
    statuses: dict[int, int] = {}
    for request in requests(dice):
        response = await bench.send(**request)
        statuses[response.status] = statuses.get(response.status, 0) + 1
        assert response.status < 500, (request, response.body)
    assert sum(statuses.values()) == COUNT
    assert statuses[400] > COUNT // 3
    assert statuses[200] < COUNT // 3  # a few mutations leave a request good


@pytest.mark.parametrize(
    "body",
    [
        b"<a>" * 5000,
        b"<?xml version='1.0' encoding='utf-16'?><a/>",
        b"<!DOCTYPE lolz [<!ENTITY lol 'lol'><!ENTITY lol2 '&lol;&lol;'>]><a>&lol2;</a>",
        b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
    ],
)
async def test_hostile_xml_is_refused_unread(body: bytes) -> None:
    from ropewalk.aws.protocols.values import Malformed
    from ropewalk.aws.protocols.xml import load_xml

    with pytest.raises(Malformed):
        load_xml(body)


async def test_deep_nesting_is_refused_in_every_form() -> None:
    from ropewalk.aws.protocols.cbor import load_cbor
    from ropewalk.aws.protocols.query import tree_of
    from ropewalk.aws.protocols.values import Malformed

    with pytest.raises(Malformed):
        load_cbor(b"\x81" * 100_000)
    with pytest.raises(Malformed):
        tree_of({"A." * 10_000: "x"})
