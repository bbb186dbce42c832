"""The front's steps, one by one and in their order."""

from __future__ import annotations

import orjson
import pytest

from ropewalk.aws.audit import AuditTrail
from ropewalk.aws.front import FrontSettings
from ropewalk.base.http.messages import Peer, Refusal, Request
from unit.aws.fronts import ALICE, Bench

STS = "Version=2011-06-15&Action="


async def test_a_json_call_reaches_its_operation_and_comes_back() -> None:
    bench = Bench()
    status, answer = await bench.json("DescribeClusters", {"clusters": ["a", "b"], "unknown": 1, "include": None})
    assert (status, answer) == (200, {"clusters": [{"clusterName": "a"}, {"clusterName": "b"}], "failures": []})
    assert bench.slice.seen == [{"clusters": ["a", "b"]}]
    assert bench.gate.asked == [("ecs:DescribeClusters", "a"), ("ecs:DescribeClusters", "b")]


async def test_query_and_ec2_calls_answer_in_their_xml() -> None:
    bench = Bench()
    status, text = await bench.form("sts", STS + "GetCallerIdentity")
    assert status == 200
    assert f"<GetCallerIdentityResult><Arn>{ALICE.arn}</Arn>" in text
    status, text = await bench.form("ec2", "Action=DescribeVpcs&Version=2016-11-15&VpcId.1=vpc-1&Filter.1.Name=a")
    assert status == 200
    assert "<vpcSet><item><vpcId>vpc-1</vpcId><isDefault>true</isDefault></item></vpcSet>" in text
    assert bench.slice.seen == [{"VpcIds": ["vpc-1"], "Filters": [{"Name": "a"}]}]


async def test_every_answer_carries_its_request_id() -> None:
    bench = Bench()
    first = await bench.send(
        STS + "GetCallerIdentity", service="sts", headers={"content-type": "application/x-www-form-urlencoded"}
    )
    second = await bench.send(b"", headers={"x-amz-target": "Nobody.Knows"})
    ids = {first.headers["x-amzn-requestid"], second.headers["x-amzn-requestid"]}
    assert len(ids) == 2
    assert isinstance(first.body, bytes)
    assert first.headers["x-amzn-requestid"].encode() in first.body


@pytest.mark.parametrize(
    ("operation", "document", "status", "code"),
    [
        ("DescribeClusters", b"{", 400, "SerializationException"),
        ("DescribeClusters", b'"text"', 400, "SerializationException"),
        ("DescribeClusters", b'{"clusters": "a"}', 400, "SerializationException"),
        ("DescribeClusters", b"[" * 2000, 400, "SerializationException"),
        ("DescribeClusters", {"include": ["NONSENSE"]}, 400, "InvalidParameterException"),
        ("DeleteCluster", {}, 400, "InvalidParameterException"),
        ("DeleteCluster", {"cluster": "x"}, 400, "ClusterNotFoundException"),
        ("DeleteCluster", {"cluster": "busy"}, 503, "ServiceUnavailableException"),
        ("DeleteCluster", {"cluster": "bug"}, 500, "InternalFailure"),
        ("CreateCapacityProvider", {"name": "x"}, 400, "UnsupportedOperationException"),
        ("MakeCoffee", {}, 400, "UnknownOperationException"),
    ],
)
async def test_errors_of_a_json_service(operation: str, document: object, status: int, code: str) -> None:
    found, answer = await Bench().json(operation, document)
    assert (found, answer["__type"]) == (status, code)


async def test_an_operation_that_is_not_implemented_is_named() -> None:
    _, answer = await Bench().json("CreateCapacityProvider", {"name": "x"})
    assert "ecs:CreateCapacityProvider" in answer["message"]


async def test_a_service_that_is_not_mounted_answers_in_its_own_protocol() -> None:
    status, text = await Bench().form("elasticloadbalancing", "Action=DescribeLoadBalancers&Version=2015-12-01")
    assert status == 400
    assert "<Code>UnsupportedOperation</Code>" in text
    assert "elbv2:DescribeLoadBalancers" in text


async def test_a_retryable_says_when_to_come_back() -> None:
    bench = Bench()
    target = {"x-amz-target": "AmazonEC2ContainerServiceV20141113.DeleteCluster"}
    response = await bench.send(b'{"cluster": "busy"}', headers=target)
    assert response.headers["retry-after"] == "3"


async def test_errors_of_query_services() -> None:
    bench = Bench()
    status, text = await bench.form("sts", STS + "MakeCoffee")
    assert (status, "<Code>InvalidAction</Code>" in text) == (400, True)
    status, text = await bench.form("sts", STS + "AssumeRole")
    assert status == 400
    assert "<Code>ValidationError</Code>" in text
    assert "2 validation errors detected: Value null at 'RoleArn'" in text.replace("&#39;", "'")
    status, text = await bench.form("sts", STS + "AssumeRole&DurationSeconds=soon")
    assert (status, "<Code>MalformedInput</Code>" in text) == (400, True)
    status, text = await bench.form("ec2", "Action=DescribeVpcs&Version=2016-11-15&MaxResults=2")
    assert (status, "<Code>InvalidParameterValue</Code>" in text) == (400, True)


async def test_unsigned_requests_are_refused_before_their_body_is_read() -> None:
    bench = Bench()
    status, answer = await bench.json("DescribeClusters", b"{", authorization=None)
    assert (status, answer["__type"]) == (400, "MissingAuthenticationTokenException")
    status, text = await bench.form("sts", STS + "GetCallerIdentity", authorization=None)
    assert (status, "<Code>MissingAuthenticationToken</Code>" in text) == (403, True)
    status, text = await bench.form("ec2", "Action=DescribeVpcs&Version=2016-11-15", authorization=None)
    assert (status, "<Code>AuthFailure</Code>" in text) == (401, True)


async def test_a_denied_action_never_runs_and_is_told_in_the_protocols_words() -> None:
    bench = Bench()
    bench.gate.denied = {"ecs:DescribeClusters", "ec2:DescribeVpcs", "sts:GetCallerIdentity"}
    status, answer = await bench.json("DescribeClusters", {})
    assert (status, answer["__type"]) == (400, "AccessDeniedException")
    status, text = await bench.form("ec2", "Action=DescribeVpcs&Version=2016-11-15")
    assert (status, "<Code>UnauthorizedOperation</Code>" in text) == (403, True)
    status, text = await bench.form("sts", STS + "GetCallerIdentity")
    assert (status, "<Code>AccessDenied</Code>" in text) == (403, True)
    assert bench.slice.seen == []


async def test_another_region_is_refused_with_the_cure() -> None:
    signed = "AWS4-HMAC-SHA256 Credential=AKID/20261123/eu-north-1/ecs/aws4_request, Signature=x"
    status, answer = await Bench().json("DescribeClusters", {}, authorization=signed)
    assert (status, answer["__type"]) == (400, "InvalidSignatureException")
    assert "AWS_REGION=us-east-1" in answer["message"]


async def test_too_many_at_once_are_told_to_come_back() -> None:
    bench = Bench(settings=FrontSettings("us-east-1", "123456789012", in_flight=0))
    status, answer = await bench.json("DescribeClusters", {})
    assert (status, answer["__type"]) == (503, "ServiceUnavailableException")


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (Refusal.BODY_TOO_LARGE, 413, "RequestEntityTooLargeException"),
        (Refusal.TIMED_OUT, 408, "RequestTimeoutException"),
        (Refusal.HEADERS_TOO_LARGE, 431, "RequestHeaderSectionTooLargeException"),
        (Refusal.MALFORMED, 400, "BadRequestException"),
        (Refusal.TOO_MANY_CONNECTIONS, 503, "ServiceUnavailableException"),
    ],
)
def test_what_the_server_refuses_is_worded_by_the_service(refusal: Refusal, status: int, code: str) -> None:
    headers = {"x-amz-target": "AmazonEC2ContainerServiceV20141113.RunTask"}
    response = Bench().front.refuse(refusal, Request("POST", "/", "/", "", headers, b"", Peer("127.0.0.1")))
    assert isinstance(response.body, bytes)
    assert (response.status, orjson.loads(response.body)["__type"]) == (status, code)


def test_a_refusal_without_any_head_is_still_an_answer() -> None:
    assert Bench().front.refuse(Refusal.MALFORMED, None).status == 400


async def test_the_audit_trail_tells_who_did_what_and_is_bounded() -> None:
    bench = Bench()
    await bench.json("DescribeClusters", {"clusters": ["a"]})
    await bench.json("DeleteCluster", {"cluster": "x"})
    newest, older = bench.front.audit.recent(2)
    assert (older.principal, older.action, older.decision, older.status) == (
        ALICE.arn,
        "ecs:DescribeClusters",
        "allowed",
        200,
    )
    assert (newest.action, newest.decision, newest.status) == ("ecs:DeleteCluster", "ClusterNotFoundException", 400)
    small = AuditTrail(capacity=3)
    for _ in range(10):
        small.record(newest)
    assert len(small.recent()) == 3


async def test_steps_stand_in_the_order_that_is_written_down() -> None:
    assert [name for name, _ in Bench().front.steps] == [
        "limits", "browsers", "locate", "authenticate", "parse", "validate", "authorise", "dispatch", "serialise",
    ]  # fmt: skip


async def test_each_resource_is_told_with_its_own_conditions() -> None:
    bench = Bench()
    bench.slice.told = {"aws:ResourceTag/env": ["prod"]}
    await bench.json("DescribeClusters", {"clusters": ["a", "b"]})
    assert bench.gate.told == [bench.slice.told, bench.slice.told]
