"""Tags of a request as conditions see them, however a service spells them; and a front that tells them."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.aws.request_tags import request_tags
from unit.aws.fronts import Bench

TOLD = {"aws:RequestTag/env": ("prod",), "aws:RequestTag/team": ("",), "aws:TagKeys": ("env", "team")}


@pytest.mark.parametrize(
    "params",
    [
        {"tags": [{"key": "env", "value": "prod"}, {"key": "team"}]},
        {"Tags": [{"Key": "env", "Value": "prod"}, {"Key": "team", "Value": ""}]},
        {"tags": {"env": "prod", "team": ""}},
        {
            "TagSpecifications": [
                {"ResourceType": "vpc", "Tags": [{"Key": "env", "Value": "prod"}]},
                {"ResourceType": "subnet", "Tags": [{"Key": "team", "Value": ""}]},
            ]
        },
    ],
)
def test_every_spelling_is_told_alike(params: dict[str, Any]) -> None:
    assert request_tags(params) == TOLD


def test_untagging_tells_the_keys_alone() -> None:
    assert request_tags({"tagKeys": ["env"]}) == {"aws:TagKeys": ("env",)}
    assert request_tags({"TagKeys": ["env"]}) == {"aws:TagKeys": ("env",)}


@pytest.mark.parametrize("params", [{}, {"tags": []}, {"tags": None}, {"TagSpecifications": [{}]}, {"tags": ["x"]}])
def test_a_request_without_tags_tells_nothing(params: dict[str, Any]) -> None:
    assert request_tags(params) == {}


async def test_the_front_tells_the_authorizer_beside_the_services_own_keys() -> None:
    bench = Bench()
    arn = "arn:aws:ecs:us-east-1:123456789012:cluster/a"
    status, _ = await bench.json("TagResource", {"resourceArn": arn, "tags": [{"key": "env", "value": "prod"}]})
    assert status == 200
    told = {"ecs:cluster": ["a"], "aws:RequestTag/env": ("prod",), "aws:TagKeys": ("env",)}
    assert bench.gate.told == [told]
