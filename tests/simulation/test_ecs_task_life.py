"""A Fargate task's whole life against scripted peers, in virtual time: every path from RunTask to its last trace."""

from __future__ import annotations

import pytest

from ropewalk.model.status import ContainerPhase, ContainerStatus, Health, StopCause, WorkloadPhase
from ropewalk.model.workload import Desire
from support.ecs import HOST, exited, running, world


async def test_a_task_lives_from_provisioning_to_stopped_and_vanishes_after_an_hour() -> None:
    async with world() as w:
        await w.register()
        answer = await w.run_task(startedBy="me", tags=[{"key": "team", "value": "a"}])
        assert answer["failures"] == []
        [task] = answer["tasks"]
        assert (task["lastStatus"], task["desiredStatus"], task["version"]) == ("PROVISIONING", "RUNNING", 1)
        identifier = task["taskArn"].rpartition("/")[2]
        await w.settle()

        claim = await w.ecs.claim_table.get(f"ecs/{identifier}")
        assert claim is not None
        assert (claim.subnet, claim.groups, claim.machine) == ("subnet-a", ("sg-1",), HOST)
        assert (await w.task(identifier))["lastStatus"] == "PROVISIONING"
        assert await w.workload(identifier) is None

        await w.fill_claim(identifier)
        pending = await w.task(identifier)
        assert pending["lastStatus"] == "PENDING"
        details = {item["name"]: item["value"] for item in pending["attachments"][0]["details"]}
        assert details == {
            "subnetId": "subnet-a",
            "networkInterfaceId": f"eni-{identifier[:17]}",
            "macAddress": "0e:00:00:00:00:05",
            "privateDnsName": "ip-172-31-0-5.ec2.internal",
            "privateIPv4Address": "172.31.0.5",
        }
        workload = await w.workload(identifier)
        assert workload is not None
        assert workload.desire is Desire.RUN
        assert workload.interface is not None and workload.interface.address == "172.31.0.5"

        await w.report(identifier, WorkloadPhase.ACCEPTED)
        accepted = await w.task(identifier)
        assert (accepted["lastStatus"], accepted["connectivity"]) == ("PENDING", "CONNECTED")
        await w.report(identifier, WorkloadPhase.PREPARING, pull_started_at=10.0)
        activating = await w.task(identifier)
        assert (activating["lastStatus"], activating["pullStartedAt"]) == ("ACTIVATING", 10.0)
        assert activating["attachments"][0]["status"] == "ATTACHED"
        await w.report(identifier, WorkloadPhase.STARTING, pull_started_at=10.0, pull_stopped_at=11.0)
        await w.report(
            identifier,
            WorkloadPhase.RUNNING,
            running(health=Health.UNKNOWN),
            pull_started_at=10.0,
            pull_stopped_at=11.0,
            started_at=12.0,
        )
        up = await w.task(identifier)
        assert (up["lastStatus"], up["startedAt"], up["pullStoppedAt"]) == ("RUNNING", 12.0, 11.0)
        [container] = up["containers"]
        assert (container["lastStatus"], container["runtimeId"], container["imageDigest"]) == (
            "RUNNING",
            "run-1",
            "sha256:1",
        )
        assert container["networkInterfaces"][0]["privateIpv4Address"] == "172.31.0.5"

        stopped = (await w.call("StopTask", task=identifier, reason="enough"))["task"]
        assert (stopped["lastStatus"], stopped["desiredStatus"]) == ("RUNNING", "STOPPED")
        await w.settle()
        stopping = await w.task(identifier)
        assert (stopping["lastStatus"], stopping["stopCode"], stopping["stoppedReason"]) == (
            "STOPPING",
            "UserInitiated",
            "enough",
        )
        told = await w.workload(identifier)
        assert told is not None and told.desire is Desire.STOP and told.stop_reason == "enough"
        assert told.generation.supersedes(workload.generation)
        await w.report(
            identifier,
            WorkloadPhase.STOPPED,
            exited(143),
            cause=StopCause.REQUESTED,
            execution_stopped_at=20.0,
            stopped_at=21.0,
        )
        ended = await w.task(identifier)
        assert ended["lastStatus"] == "STOPPED"
        assert ended["executionStoppedAt"] == 20.0 and ended["stoppedAt"] >= ended["stoppingAt"]
        assert ended["containers"][0]["exitCode"] == 143
        assert ended["attachments"][0]["status"] == "DELETED"
        assert await w.workload(identifier) is None
        assert await w.ecs.claim_table.get(f"ecs/{identifier}") is None

        await w.clock.advance(3599)
        assert (await w.task(identifier))["lastStatus"] == "STOPPED"
        await w.clock.advance(2)
        gone = await w.call("DescribeTasks", tasks=[identifier])
        assert gone["failures"][0]["reason"] == "MISSING"
        left = (await w.ecs.store.list("/waist/")).entries
        assert [entry.key for entry in left if identifier in entry.key] == []


async def test_every_state_is_passed_in_order_and_written_once() -> None:
    async with world() as w:
        await w.register()
        start = w.ecs.store.revision
        [task] = (await w.run_task())["tasks"]
        identifier = task["taskArn"].rpartition("/")[2]
        await w.bring_up(identifier)
        await w.call("StopTask", task=identifier)
        await w.follow_stop(identifier)
        states: list[str] = []
        versions: list[int] = []
        async for event in w.ecs.store.watch("/ecs/tasks/", start):
            seen = w.ecs.tasks.decode(event.value)
            if not states or states[-1] != seen.status:
                states.append(seen.status)
            versions.append(seen.version)
            if seen.status == "STOPPED":
                break
        assert states == [
            "PROVISIONING",
            "PENDING",
            "ACTIVATING",
            "RUNNING",
            "DEACTIVATING",
            "STOPPING",
            "DEPROVISIONING",
            "STOPPED",
        ]
        assert versions == sorted(set(versions))


@pytest.mark.parametrize(
    ("cause", "reason", "code", "text"),
    [
        (StopCause.ESSENTIAL_EXITED, "web exited", "EssentialContainerExited", "Essential container in task exited"),
        (StopCause.IMAGE_PULL_FAILED, "no such image", "TaskFailedToStart", "CannotPullContainerError: no such image"),
        (
            StopCause.IMAGE_PULL_FAILED,
            "CannotPullContainerError: gone",
            "TaskFailedToStart",
            "CannotPullContainerError: gone",
        ),
        (StopCause.RESOURCE_FAILED, "no secret", "TaskFailedToStart", "ResourceInitializationError: no secret"),
        (StopCause.START_FAILED, "exec: x", "TaskFailedToStart", "CannotStartContainerError: exec: x"),
        (StopCause.REFUSED, "", "TaskFailedToStart", "Task failed to start"),
        (StopCause.STORAGE_EXCEEDED, "Usage of x", "EssentialContainerExited", "Usage of x"),
        (StopCause.MACHINE_LOST, "host gone", "InfrastructureHealth", "host gone"),
    ],
)
async def test_an_end_that_the_agent_reports_is_told_in_ecs_words(
    cause: StopCause, reason: str, code: str, text: str
) -> None:
    async with world() as w:
        await w.register()
        [task] = (await w.run_task())["tasks"]
        identifier = task["taskArn"].rpartition("/")[2]
        await w.settle()
        await w.fill_claim(identifier)
        await w.report(identifier, WorkloadPhase.STOPPED, exited(1), cause=cause, reason=reason, stopping_at=5.0)
        ended = await w.task(identifier)
        assert (ended["lastStatus"], ended["desiredStatus"]) == ("STOPPED", "STOPPED")
        assert (ended["stopCode"], ended["stoppedReason"], ended["stoppingAt"]) == (code, text, 5.0)


async def test_a_container_killed_for_memory_says_so() -> None:
    async with world() as w:
        await w.register()
        [task] = (await w.run_task())["tasks"]
        identifier = task["taskArn"].rpartition("/")[2]
        await w.bring_up(identifier)
        await w.report(
            identifier,
            WorkloadPhase.STOPPED,
            exited(137, out_of_memory=True),
            cause=StopCause.ESSENTIAL_EXITED,
            started_at=1.0,
        )
        [container] = (await w.task(identifier))["containers"]
        assert container["reason"] == "OutOfMemoryError: Container killed due to memory usage"
        assert container["exitCode"] == 137


async def test_an_interface_that_cannot_be_made_fails_the_start() -> None:
    async with world() as w:
        await w.register()
        [task] = (await w.run_task())["tasks"]
        identifier = task["taskArn"].rpartition("/")[2]
        await w.settle()
        await w.fill_claim(identifier, failure="InsufficientFreeAddressesInSubnet: none left")
        ended = await w.task(identifier)
        assert (ended["lastStatus"], ended["stopCode"]) == ("STOPPED", "TaskFailedToStart")
        assert "InsufficientFreeAddressesInSubnet" in ended["stoppedReason"]
        assert ended["containers"][0]["lastStatus"] == "STOPPED"
        assert "exitCode" not in ended["containers"][0]
        assert await w.ecs.claim_table.get(f"ecs/{identifier}") is None


async def test_a_missing_log_group_fails_the_start_as_on_aws() -> None:
    async with world() as w:
        await w.register()
        w.log_groups.groups.clear()
        [task] = (await w.run_task())["tasks"]
        identifier = task["taskArn"].rpartition("/")[2]
        await w.settle()
        await w.fill_claim(identifier)
        ended = await w.task(identifier)
        assert (ended["lastStatus"], ended["stopCode"]) == ("STOPPED", "TaskFailedToStart")
        assert ended["stoppedReason"].startswith("ResourceInitializationError: failed to validate logger args")
        assert await w.workload(identifier) is None


@pytest.mark.parametrize("reached", ["PROVISIONING", "PENDING", "ACTIVATING", "RUNNING"])
async def test_a_stop_is_obeyed_at_every_state(reached: str) -> None:
    async with world() as w:
        await w.register()
        [task] = (await w.run_task())["tasks"]
        identifier = task["taskArn"].rpartition("/")[2]
        await w.settle()
        if reached != "PROVISIONING":
            await w.fill_claim(identifier)
        if reached == "ACTIVATING":
            await w.report(identifier, WorkloadPhase.PREPARING)
        if reached == "RUNNING":
            await w.report(identifier, WorkloadPhase.RUNNING, running(), started_at=1.0)
        assert (await w.task(identifier))["lastStatus"] == reached
        await w.call("StopTask", task=identifier)
        await w.settle()
        if reached != "PROVISIONING":
            assert (await w.task(identifier))["lastStatus"] == "STOPPING"
            await w.follow_stop(identifier)
        ended = await w.task(identifier)
        assert (ended["lastStatus"], ended["stopCode"], ended["stoppedReason"]) == (
            "STOPPED",
            "UserInitiated",
            "Task stopped by user",
        )
        again = (await w.call("StopTask", task=identifier, reason="another"))["task"]
        assert again["stoppedReason"] == "Task stopped by user"


async def test_older_news_of_an_agent_changes_nothing() -> None:
    async with world() as w:
        await w.register()
        [task] = (await w.run_task())["tasks"]
        identifier = task["taskArn"].rpartition("/")[2]
        await w.settle()
        await w.fill_claim(identifier)
        await w.report(identifier, WorkloadPhase.RUNNING, running(), sequence=5, started_at=2.0)
        before = await w.task(identifier)
        await w.report(identifier, WorkloadPhase.PREPARING, ContainerStatus("web"), sequence=3)
        await w.report(identifier, WorkloadPhase.RUNNING, running(), sequence=5, started_at=2.0)
        assert await w.task(identifier) == before


async def test_silence_and_a_lost_host_stop_nothing() -> None:
    async with world() as w:
        await w.register()
        [task] = (await w.run_task())["tasks"]
        identifier = task["taskArn"].rpartition("/")[2]
        await w.bring_up(identifier)
        await w.ecs.status_table.delete(f"{HOST}/{identifier}")
        await w.ecs.machines.table.delete(HOST)
        await w.clock.advance(86_400)
        alive = await w.task(identifier)
        assert (alive["lastStatus"], alive["desiredStatus"]) == ("RUNNING", "RUNNING")
        workload = await w.workload(identifier)
        assert workload is not None and workload.desire is Desire.RUN


async def test_health_of_containers_and_task() -> None:
    async with world() as w:
        definition = (await w.register())["containerDefinitions"][0]
        check = {"command": ["CMD-SHELL", "true"]}
        side = {"name": "side", "image": "busybox", "essential": False}
        await w.register(containerDefinitions=[{**definition, "healthCheck": check}, side])
        [task] = (await w.run_task())["tasks"]
        identifier = task["taskArn"].rpartition("/")[2]
        await w.bring_up(identifier)
        assert (await w.task(identifier))["healthStatus"] == "UNKNOWN"
        for health in (Health.HEALTHY, Health.UNHEALTHY):
            side_status = running("side", health=Health.HEALTHY)
            await w.report(identifier, WorkloadPhase.RUNNING, running(health=health), side_status, started_at=1.0)
            seen = await w.task(identifier)
            assert seen["healthStatus"] == health.value.upper()
            assert [c["healthStatus"] for c in seen["containers"]] == [health.value.upper(), "UNKNOWN"]


async def test_what_stopped_after_its_control_plane_forgot_it_is_swept_up() -> None:
    async with world() as w:
        await w.register()
        [task] = (await w.run_task())["tasks"]
        identifier = task["taskArn"].rpartition("/")[2]
        await w.bring_up(identifier)
        status = await w.ecs.status_table.get(f"{HOST}/{identifier}")
        assert status is not None
        await w.ecs.tasks.delete(identifier)
        await w.settle()
        still = await w.workload(identifier)
        assert still is not None and still.desire is Desire.RUN
        await w.ecs.workloads.delete(f"{HOST}/{identifier}")
        await w.ecs.status_table.put(
            f"{HOST}/{identifier}",
            type(status)(status.uid, status.generation, 99, WorkloadPhase.STOPPED),
        )
        await w.settle()
        assert await w.ecs.status_table.get(f"{HOST}/{identifier}") is None


async def test_a_container_that_never_came_up_has_no_exit_code() -> None:
    async with world() as w:
        await w.register()
        [task] = (await w.run_task())["tasks"]
        identifier = task["taskArn"].rpartition("/")[2]
        await w.settle()
        await w.fill_claim(identifier)
        pending = ContainerStatus("web", ContainerPhase.PENDING, reason="CannotPullContainerError: x")
        await w.report(identifier, WorkloadPhase.STOPPED, pending, cause=StopCause.IMAGE_PULL_FAILED, reason="x")
        [container] = (await w.task(identifier))["containers"]
        assert (container["lastStatus"], container["reason"]) == ("STOPPED", "CannotPullContainerError: x")
        assert "exitCode" not in container
