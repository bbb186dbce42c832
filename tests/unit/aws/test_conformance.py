"""Answers of slices are held against the model where that is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.aws.conformance import deviations
from ropewalk.aws.front import FrontSettings
from ropewalk.aws.operations import Call, Params
from ropewalk.aws.specs import service_spec
from unit.aws.fronts import Bench, Slice, ecs


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"tasks": [{"taskARN": "x"}]}, "tasks[0].taskARN is no member of Task"),
        ({"tasks": [{"taskArn": None}]}, "tasks[0].taskArn is NoneType, not string"),
        ({"tasks": {}}, "tasks is dict, not list"),
        ({"tasks": [{"version": True}]}, "tasks[0].version is bool, not long"),
        ({"tasks": [{"createdAt": "now"}]}, "tasks[0].createdAt is str, not timestamp"),
        ({"failures": "x"}, "failures is str, not list"),
    ],
)
def test_each_deviation_is_named(answer: dict[str, Any], said: str) -> None:
    operation = service_spec("ecs").operation("DescribeTasks")
    assert operation is not None and operation.output is not None
    assert deviations(operation.output, answer) == [said]


def test_a_right_answer_has_none() -> None:
    operation = service_spec("ecs").operation("DescribeTasks")
    assert operation is not None and operation.output is not None
    answer = {"tasks": [{"taskArn": "a", "createdAt": 1.5, "version": 3, "launchType": "FARGATE"}], "failures": []}
    assert deviations(operation.output, answer) == []


async def test_the_front_asks_only_when_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    async def misspelt(slice: Slice, call: Call, params: Params) -> Params:
        return {"custers": []}

    offered = ecs.offered["DescribeClusters"]
    changed = type(offered)(offered.name, misspelt, offered.action, offered.resources)
    monkeypatch.setitem(ecs.offered, "DescribeClusters", changed)
    assert (await Bench().json("DescribeClusters", {}))[0] == 200
    strict = Bench(settings=FrontSettings("us-east-1", "123456789012", check_answers=True))
    status, answer = await strict.json("DescribeClusters", {})
    assert (status, answer["__type"]) == (500, "InternalFailure")
