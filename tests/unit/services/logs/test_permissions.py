"""What policies are asked about: a group's ARN as AWS writes it, and the group's tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ropewalk.services.logs import operations
from unit.services.logs.test_logs import ARN, Harness

TOLD = {"aws:ResourceTag/env": ("prod",)}


async def asked(logs: Harness, operation: str, **params: Any) -> list[tuple[str, Mapping[str, Sequence[str]]]]:
    found = await operations.offered[operation].resources(logs.logs, logs.call(operation), params)
    return [(touched.arn, touched.conditions) for touched in found]


async def test_policies_are_told_a_groups_tags() -> None:
    logs = Harness()
    await logs("CreateLogGroup", logGroupName="g", tags={"env": "prod"})
    stream = f"{ARN}:log-stream:"
    assert await asked(logs, "DeleteLogGroup", logGroupName="g") == [(stream, TOLD)]
    assert await asked(logs, "FilterLogEvents", logGroupIdentifier=f"{ARN}:*") == [(stream, TOLD)]
    assert await asked(logs, "GetLogEvents", logGroupName="g", logStreamName="s") == [(f"{stream}s", TOLD)]
    assert await asked(logs, "TagResource", resourceArn=ARN, tags={"a": "b"}) == [(ARN, TOLD)]
    assert await asked(logs, "DescribeLogGroups") == [(ARN[:-1] + ":log-stream:", {})]


@pytest.mark.parametrize("name", ["other", "", "a b", "x" * 5000, "\0"])
async def test_a_group_that_is_not_there_has_no_tags(name: str) -> None:
    for operation, member in (("DeleteLogGroup", "logGroupName"), ("ListTagsForResource", "resourceArn")):
        [(_, conditions)] = await asked(Harness(), operation, **{member: name})
        assert conditions == {}
