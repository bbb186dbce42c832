"""Which service and operation a request means."""

from __future__ import annotations

import pytest

from ropewalk.aws.protocols.rest import rest_router
from ropewalk.aws.protocols.values import Malformed
from ropewalk.aws.routing import ADDRESSES, UNSIGNED, Address, Scope, address_of, locate, scope_of
from ropewalk.aws.specs import UnknownService, service_spec
from ropewalk.base.http.messages import Peer, Request

FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


def request(
    headers: dict[str, str] | None = None, body: bytes = b"", target: str = "/", method: str = "POST", signed: str = ""
) -> Request:
    path, _, query = target.partition("?")
    merged = dict(headers or {})
    if signed:
        merged["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential=AK/20261123/us-east-1/{signed}/aws4_request, Signature=0"
        )
    return Request(method, target, path, query, merged, body, Peer("127.0.0.1"))


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address.service)
def test_the_table_repeats_the_models_facts(address: Address) -> None:
    spec = service_spec(address.service)
    assert address.signing_name == spec.signing_name
    assert address.protocols == spec.protocols
    if {"json", "smithy-rpc-v2-cbor"} & set(address.protocols):
        assert address.target_prefix == spec.target_prefix
    if {"query", "ec2"} & set(address.protocols):
        assert address.version == spec.version


def test_scopes_are_read_from_header_and_query() -> None:
    assert scope_of(request(signed="ecs")) == Scope("us-east-1", "ecs")
    presigned = request(target="/?X-Amz-Credential=AK%2F20261123%2Feu-west-1%2Fsts%2Faws4_request&Action=x")
    assert scope_of(presigned) == Scope("eu-west-1", "sts")
    assert scope_of(request()) == scope_of(request({"authorization": "Basic abc"})) == UNSIGNED


def test_a_target_decides_even_against_the_scope() -> None:
    located = locate(request({"x-amz-target": "Logs_20140328.PutLogEvents"}, signed="ecs"))
    assert located.address is address_of("logs")
    assert (located.operation, located.wire.name) == ("PutLogEvents", "json-1.1")


def test_json_versions_follow_the_content_type() -> None:
    headers = {"x-amz-target": "AmazonSQS.ListQueues", "content-type": "application/x-amz-json-1.0"}
    assert locate(request(headers)).wire.name == "json-1.0"


def test_a_form_is_routed_by_its_version_when_unsigned() -> None:
    located = locate(request(FORM, b"Action=GetCallerIdentity&Version=2011-06-15"))
    assert located.address is address_of("sts")
    assert located.operation == "GetCallerIdentity"


def test_a_get_carries_its_action_in_the_query() -> None:
    located = locate(request(method="GET", target="/?Action=DescribeVpcs&Version=2016-11-15", signed="ec2"))
    assert (located.address, located.operation, located.wire.name) == (address_of("ec2"), "DescribeVpcs", "ec2")


def test_another_version_is_no_operation_of_ours() -> None:
    located = locate(request(FORM, b"Action=DescribeLoadBalancers&Version=2012-06-01", signed="elasticloadbalancing"))
    assert located.operation == ""  # the classic load balancer, which shares elbv2's signing name
    assert locate(request(FORM, b"Action=DescribeVpcs&Version=2014-10-01", signed="ec2")).operation == "DescribeVpcs"


def test_cloudwatch_is_reached_by_each_of_its_protocols() -> None:
    cbor = request(
        {"smithy-protocol": "rpc-v2-cbor"}, target="/service/GraniteServiceVersion20100801/operation/PutMetricData"
    )
    json = request({"x-amz-target": "GraniteServiceVersion20100801.PutMetricData"})
    query = request(FORM, b"Action=PutMetricData&Version=2010-08-01", signed="monitoring")
    for one in (cbor, json, query):
        located = locate(one)
        assert (located.address, located.operation) == (address_of("cloudwatch"), "PutMetricData")


def test_paths_find_rest_operations() -> None:
    located = locate(request(method="GET", target="/clusters/a%2Fb", signed="eks"))
    assert (located.operation, located.labels) == ("DescribeCluster", {"name": "a/b"})
    by_host = locate(request({"host": "eks.us-east-1.localhost:4566"}, method="GET", target="/clusters"))
    assert by_host.operation == "ListClusters"
    assert locate(request(method="PATCH", target="/nowhere", signed="eks")).operation == ""


def test_a_path_with_more_fixed_words_wins() -> None:
    router = rest_router(service_spec("cloudfront"))
    assert router.find("POST", "/2020-05-31/distribution", "WithTags") == ("CreateDistributionWithTags", {})
    assert router.find("POST", "/2020-05-31/distribution", "") == ("CreateDistribution", {})
    assert router.find("POST", "/2020-05-31/distribution/", "") == ("CreateDistribution", {})


@pytest.mark.parametrize("target", ["/clusters/%ff", "/clusters/\xff"])
def test_a_path_that_is_no_text_is_malformed(target: str) -> None:
    with pytest.raises(Malformed):
        locate(request(method="GET", target=target, signed="eks"))


@pytest.mark.parametrize("service", ["nonsense", "", "../..", "ecs/2014-11-13"])
def test_unknown_models_are_named_so(service: str) -> None:
    with pytest.raises(UnknownService):
        service_spec(service)
