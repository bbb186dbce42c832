"""Families and revisions: register, describe, list, deregister, delete."""

from __future__ import annotations

import asyncio

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.model.status import StopCause, WorkloadPhase
from ropewalk.store.memory import MemoryStore
from support.ecs import ADMIN, World, build, lecture, running, world

ROLE = "arn:aws:iam::123456789012:role/ecsTaskExecutionRole"


async def test_a_registration_answers_the_whole_definition() -> None:
    async with world() as w:
        answer = await w.call("RegisterTaskDefinition", **lecture(), tags=[{"key": "a", "value": "b"}])
        definition = answer["taskDefinition"]
        assert definition["taskDefinitionArn"].endswith(":task-definition/webapp:1")
        assert (definition["revision"], definition["status"]) == (1, "ACTIVE")
        assert (definition["registeredBy"], definition["registeredAt"]) == (ADMIN.arn, w.clock.wall())
        assert answer["tags"] == [{"key": "a", "value": "b"}]
        described = await w.call("DescribeTaskDefinition", taskDefinition="webapp", include=["TAGS"])
        assert described == answer
        assert "tags" not in await w.call("DescribeTaskDefinition", taskDefinition="webapp:1")


async def test_the_caller_must_be_allowed_to_pass_the_roles() -> None:
    async with world() as w:
        await w.register()
        action, resource, context = w.authorizer.asked[-1]
        assert (action, resource) == ("iam:PassRole", ROLE)
        assert context == {"iam:PassedToService": ["ecs-tasks.amazonaws.com"]}
        w.authorizer.denied = ("iam:PassRole",)
        assert (await w.refusal("RegisterTaskDefinition", **lecture())).code == "AccessDeniedException"
        assert len((await w.call("ListTaskDefinitions"))["taskDefinitionArns"]) == 1


async def test_a_name_a_revision_and_an_arn_name_the_same() -> None:
    async with world() as w:
        first, second = await w.register(), await w.register()
        for name, expected in (("webapp", second), ("webapp:1", first), (first["taskDefinitionArn"], first)):
            found = await w.call("DescribeTaskDefinition", taskDefinition=name)
            assert found["taskDefinition"] == expected
        for missing in ("webapp:3", "other", "webapp:0", "a b", "webapp:x"):
            fault = await w.refusal("DescribeTaskDefinition", taskDefinition=missing)
            assert (fault.code, fault.message) == ("ClientException", "Unable to describe task definition.")


async def test_many_at_once_get_a_revision_each() -> None:
    async with world() as w:
        made = await asyncio.gather(*(w.register() for _ in range(20)))
        assert sorted(definition["revision"] for definition in made) == list(range(1, 21))


async def test_two_processes_never_share_a_revision() -> None:
    clock = VirtualClock()
    store = MemoryStore(SeededEntropy(1), clock=clock)
    one, other = build(store, clock, seed=1), build(store, clock, seed=2)
    made = [await (one, other)[i % 2].register() for i in range(6)]
    assert [definition["revision"] for definition in made] == [1, 2, 3, 4, 5, 6]


async def _families(w: World) -> None:
    for family in ("app", "app-2", "b"):
        for _ in range(2):
            await w.register(family=family)
    await w.call("DeregisterTaskDefinition", taskDefinition="app:1")


async def test_lists_are_filtered_sorted_and_paged() -> None:
    async with world() as w:
        await _families(w)

        async def listed(**params: object) -> list[str]:
            names: list[str] = []
            token: dict[str, str] = {}
            while True:
                answer = await w.call("ListTaskDefinitions", maxResults=2, **params, **token)
                assert len(answer["taskDefinitionArns"]) <= 2
                names += [arn.rpartition("/")[2] for arn in answer["taskDefinitionArns"]]
                if "nextToken" not in answer:
                    return names
                token = {"nextToken": answer["nextToken"]}

        everything = await listed()
        assert sorted(everything) == ["app-2:1", "app-2:2", "app:2", "b:1", "b:2"]
        assert await listed(sort="DESC") == everything[::-1]
        assert await listed(familyPrefix="app") == ["app:2"]
        assert await listed(status="INACTIVE") == ["app:1"]
        assert (await w.refusal("ListTaskDefinitions", nextToken="bogus")).code == "InvalidParameterException"
        assert (await w.refusal("ListTaskDefinitions", maxResults=101)).code == "InvalidParameterException"


async def test_families_are_listed_by_whether_any_revision_is_active() -> None:
    async with world() as w:
        await _families(w)
        for revision in (1, 2):
            await w.call("DeregisterTaskDefinition", taskDefinition=f"b:{revision}")
        assert (await w.call("ListTaskDefinitionFamilies"))["families"] == ["app", "app-2"]
        assert (await w.call("ListTaskDefinitionFamilies", status="INACTIVE"))["families"] == ["b"]
        first = await w.call("ListTaskDefinitionFamilies", status="ALL", maxResults=2)
        assert first["families"] == ["app", "app-2"]
        rest = await w.call("ListTaskDefinitionFamilies", status="ALL", maxResults=2, nextToken=first["nextToken"])
        assert rest == {"families": ["b"]}
        assert (await w.call("ListTaskDefinitionFamilies", familyPrefix="app-"))["families"] == ["app-2"]


async def test_an_inactive_revision_runs_no_more_tasks_but_stays_describable() -> None:
    async with world() as w:
        await w.register()
        gone = (await w.call("DeregisterTaskDefinition", taskDefinition="webapp:1"))["taskDefinition"]
        assert (gone["status"], gone["deregisteredAt"]) == ("INACTIVE", w.clock.wall())
        assert (await w.call("DescribeTaskDefinition", taskDefinition="webapp:1"))["taskDefinition"] == gone
        fault = await w.refusal("DescribeTaskDefinition", taskDefinition="webapp")
        assert fault.message == "Unable to describe task definition."
        network = {"awsvpcConfiguration": {"subnets": ["subnet-a"]}}
        run = {"launchType": "FARGATE", "networkConfiguration": network}
        assert (await w.refusal("RunTask", taskDefinition="webapp:1", **run)).message == "TaskDefinition is inactive"
        assert (await w.refusal("RunTask", taskDefinition="webapp", **run)).message == "TaskDefinition not found."
        assert (
            await w.refusal("DeregisterTaskDefinition", taskDefinition="webapp")
        ).code == "InvalidParameterException"


async def test_deletion_waits_for_tasks_and_never_gives_a_revision_twice() -> None:
    async with world() as w:
        await w.register()
        [task] = (await w.run_task())["tasks"]
        identifier = task["taskArn"].rpartition("/")[2]
        await w.bring_up(identifier)
        refused = await w.call("DeleteTaskDefinitions", taskDefinitions=["webapp:1", "webapp:9"])
        assert len(refused["failures"]) == 2 and refused["taskDefinitions"] == []
        await w.call("DeregisterTaskDefinition", taskDefinition="webapp:1")
        deleted = await w.call("DeleteTaskDefinitions", taskDefinitions=["webapp:1"])
        assert deleted["taskDefinitions"][0]["status"] == "DELETE_IN_PROGRESS"
        await w.settle()
        assert (await w.call("DescribeTaskDefinition", taskDefinition="webapp:1"))["taskDefinition"]["revision"] == 1
        await w.report(identifier, WorkloadPhase.STOPPED, running(), cause=StopCause.ESSENTIAL_EXITED)
        assert (await w.refusal("DescribeTaskDefinition", taskDefinition="webapp:1")).code == "ClientException"
        assert (await w.call("ListTaskDefinitionFamilies", status="ALL"))["families"] == []
        assert (await w.register())["revision"] == 2
    async with world(store=w.ecs.store) as later:
        assert (await later.register())["revision"] == 3


async def test_an_empty_list_of_tags_is_refused_as_ecs_does() -> None:
    async with world() as w:
        fault = await w.refusal("RegisterTaskDefinition", **lecture(), tags=[])
        assert (fault.code, fault.message) == ("ClientException", "Tags can not be empty.")
