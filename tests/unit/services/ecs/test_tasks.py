"""Describe, list, stop and tag tasks."""

from __future__ import annotations

import pytest

from support.ecs import World, world


def _id(arn: str) -> str:
    return arn.rpartition("/")[2]


async def _run(w: World, **params: object) -> str:
    return _id((await w.run_task(**params))["tasks"][0]["taskArn"])


async def test_describe_takes_ids_and_arns_and_names_what_is_missing() -> None:
    async with world() as w:
        await w.register()
        await w.call("CreateCluster", clusterName="other")
        task = await _run(w, tags=[{"key": "a", "value": "b"}])
        arn = f"arn:aws:ecs:us-east-1:123456789012:task/default/{task}"
        answer = await w.call("DescribeTasks", tasks=[task, arn, "0" * 32], include=["TAGS"])
        assert [found["taskArn"] for found in answer["tasks"]] == [arn, arn]
        assert answer["tasks"][0]["tags"] == [{"key": "a", "value": "b"}]
        assert answer["failures"] == [
            {"arn": f"arn:aws:ecs:us-east-1:123456789012:task/default/{'0' * 32}", "reason": "MISSING"}
        ]
        assert (await w.call("DescribeTasks", tasks=[task]))["tasks"][0]["tags"] == []
        for name in (task, arn):
            assert (await w.call("DescribeTasks", cluster="other", tasks=[name]))["failures"][0]["reason"] == "MISSING"


@pytest.mark.parametrize(
    ("tasks", "text"), [([], "cannot be empty"), (["x"] * 101, "more than 100"), (["short"], "one of [32,36]")]
)
async def test_describe_refuses(tasks: list[str], text: str) -> None:
    async with world() as w:
        fault = await w.refusal("DescribeTasks", tasks=tasks)
        assert fault.code == "InvalidParameterException" and text in fault.message


async def test_stop_refuses_what_is_not_there() -> None:
    async with world() as w:
        await w.register()
        await w.call("CreateCluster", clusterName="other")
        task = await _run(w)
        for params in ({"task": "0" * 32}, {"task": task, "cluster": "other"}):
            fault = await w.refusal("StopTask", **params)
            assert (fault.code, fault.message) == ("InvalidParameterException", "The referenced task was not found.")
        assert (await w.refusal("StopTask", task=task, reason="x" * 1025)).code == "InvalidParameterException"
        assert (await w.task(task))["desiredStatus"] == "RUNNING"


async def test_lists_are_filtered() -> None:
    async with world() as w:
        await w.register()
        await w.register(family="other")
        one = await _run(w, startedBy="ci")
        two = await _run(w, definition="other")
        await w.settle()
        await w.call("StopTask", task=two)

        async def listed(**params: object) -> set[str]:
            return {_id(arn) for arn in (await w.call("ListTasks", **params))["taskArns"]}

        assert await listed() == {one}
        assert await listed(desiredStatus="STOPPED") == {two}
        assert await listed(desiredStatus="PENDING") == set()
        assert await listed(family="webapp") == {one} and await listed(family="other") == set()
        assert await listed(startedBy="ci") == {one} and await listed(startedBy="me") == set()
        assert await listed(launchType="FARGATE") == {one} and await listed(launchType="EC2") == set()
        assert await listed(containerInstance="i") == set()
        assert (await w.refusal("ListTasks", serviceName="web")).code == "ServiceNotFoundException"
        assert (await w.refusal("ListTasks", desiredStatus="GONE")).code == "InvalidParameterException"


async def test_lists_are_paged_without_loss() -> None:
    async with world() as w:
        await w.register()
        made = set()
        for _ in range(3):
            made |= {_id(task["taskArn"]) for task in (await w.run_task(count=3))["tasks"]}
            await w.clock.advance(1)
        seen: list[str] = []
        token: dict[str, str] = {}
        while True:
            answer = await w.call("ListTasks", maxResults=2, **token)
            seen += [_id(arn) for arn in answer["taskArns"]]
            if "nextToken" not in answer:
                break
            token = {"nextToken": answer["nextToken"]}
        assert len(seen) == 9 and set(seen) == made


async def test_tasks_clusters_and_definitions_carry_tags() -> None:
    async with world() as w:
        definition = await w.register()
        task = await _run(w)
        cluster = "arn:aws:ecs:us-east-1:123456789012:cluster/default"
        for arn in (
            f"arn:aws:ecs:us-east-1:123456789012:task/default/{task}",
            definition["taskDefinitionArn"],
            cluster,
        ):
            await w.call("TagResource", resourceArn=arn, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
            await w.call("TagResource", resourceArn=arn, tags=[{"key": "a", "value": "3"}])
            await w.call("UntagResource", resourceArn=arn, tagKeys=["b", "c"])
            assert await w.call("ListTagsForResource", resourceArn=arn) == {"tags": [{"key": "a", "value": "3"}]}
        assert (await w.call("DescribeTasks", tasks=[task]))["tasks"][0]["version"] == 1


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        ("default", "InvalidParameterException"),
        ("arn:aws:ecs:us-east-1:123456789012:cluster/none", "ClusterNotFoundException"),
        ("arn:aws:ecs:us-east-1:123456789012:service/default/x", "InvalidParameterException"),
        ("arn:aws:ecs:us-east-1:123456789012:task/default/" + "0" * 32, "ResourceNotFoundException"),
        ("arn:aws:ecs:us-east-1:123456789012:task-definition/none:1", "ResourceNotFoundException"),
        ("arn:aws:ecs:us-east-1:123456789012:task-definition/none", "InvalidParameterException"),
    ],
)
async def test_what_cannot_be_tagged_is_refused(arn: str, code: str) -> None:
    async with world() as w:
        for operation, more in (("TagResource", {"tags": []}), ("ListTagsForResource", {})):
            assert (await w.refusal(operation, resourceArn=arn, **more)).code == code


async def test_a_resource_has_at_most_fifty_tags() -> None:
    async with world() as w:
        arn = "arn:aws:ecs:us-east-1:123456789012:cluster/default"
        tags = [{"key": f"k{i}", "value": ""} for i in range(50)]
        await w.call("TagResource", resourceArn=arn, tags=tags)
        fault = await w.refusal("TagResource", resourceArn=arn, tags=[{"key": "more", "value": ""}])
        assert "at most 50" in fault.message


async def test_start_task_has_no_instances_to_place_on() -> None:
    async with world() as w:
        answer = await w.call("StartTask", taskDefinition="webapp", containerInstances=["abc"])
        assert answer["tasks"] == [] and answer["failures"][0]["reason"] == "MISSING"
