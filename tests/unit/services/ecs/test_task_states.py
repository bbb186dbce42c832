"""The life cycle's laws, whatever news come in whatever order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ropewalk.model.ids import SecurityGroupId, SubnetId, WorkloadUid
from ropewalk.model.network import InterfaceClaim
from ropewalk.model.status import ContainerPhase, ContainerStatus, Health, StopCause, WorkloadPhase, WorkloadStatus
from ropewalk.model.workload import Generation
from ropewalk.services.ecs.records import Task, TaskContainer, head_of
from ropewalk.services.ecs.task_states import STATES, Facts, advance, stop, why

TASK = Task(
    id="a" * 32,
    cluster="c",
    family="f",
    revision=1,
    created_at=1.0,
    group="g",
    launch_type="FARGATE",
    platform_version="1.4.0",
    cpu=256,
    memory=512,
    ephemeral_gib=20,
    machine="m",
    subnet="subnet-a",
    zone="z",
    security_groups=("sg",),
    attachment="att",
    containers=(TaskContainer("u", "web", "nginx", checked=True),),
)
CLAIM = InterfaceClaim(SubnetId("subnet-a"), (SecurityGroupId("sg"),), "", "ecs", "")

_CONTAINERS = st.builds(
    ContainerStatus,
    name=st.just("web"),
    phase=st.sampled_from(ContainerPhase),
    health=st.sampled_from(Health),
    exit_code=st.none() | st.integers(0, 255),
    out_of_memory=st.booleans(),
)
_STATUSES = st.builds(
    WorkloadStatus,
    uid=st.just(WorkloadUid(TASK.id)),
    generation=st.just(Generation("s", 1, 1)),
    sequence=st.integers(1, 9),
    phase=st.sampled_from(WorkloadPhase),
    containers=st.tuples(_CONTAINERS),
    cause=st.sampled_from(StopCause),
    reason=st.text(max_size=5),
    started_at=st.sampled_from([0.0, 5.0]),
)
_CLAIMS = st.sampled_from(
    [None, CLAIM, replace(CLAIM, interface="eni-1", address="10.0.0.5"), replace(CLAIM, failure="no")]
)
_FACTS = st.builds(
    Facts,
    now=st.floats(10, 20),
    claim=_CLAIMS,
    status=st.none() | _STATUSES,
    failure=st.sampled_from(["", "", "ResourceInitializationError: x"]),
    gone=st.booleans(),
    released=st.booleans(),
)


@given(st.lists(_FACTS | st.just("stop"), max_size=25))
def test_a_task_only_ever_moves_forward_one_state_at_a_time(news: list[Facts | str]) -> None:
    task = TASK
    for item in news:
        moved = stop(task, "UserInitiated", "x", 9.0) if isinstance(item, str) else advance(task, item)
        if moved is None or moved == task:
            continue
        before, after = STATES.index(task.status), STATES.index(moved.status)
        assert after >= before
        assert after - before <= 1 or (task.status, moved.status) in {
            ("PROVISIONING", "DEPROVISIONING"),
            ("PENDING", "STOPPING"),
            ("ACTIVATING", "STOPPING"),
        }
        if not isinstance(item, str):
            assert moved.version == task.version + 1
        assert not (task.desired == "STOPPED" and moved.desired == "RUNNING")
        assert task.status != "STOPPED"
        if task.stop_code:
            assert (moved.stop_code, moved.stopped_reason) == (task.stop_code, task.stopped_reason)
        if moved.status not in ("PROVISIONING", "PENDING", "ACTIVATING", "RUNNING"):
            assert moved.desired == "STOPPED" and moved.stopping_at
        assert (moved.stopped_at > 0) == (moved.status == "STOPPED")
        assert moved.started_at == 0 or moved.status not in ("PROVISIONING", "PENDING", "ACTIVATING")
        assert head_of(moved).status == moved.status
        task = moved


@given(st.lists(_FACTS, max_size=10))
def test_every_task_that_is_asked_to_stop_does_once_its_host_and_interface_let_go(news: list[Facts]) -> None:
    task = TASK
    for facts in news:
        task = advance(task, facts) or task
    task = stop(task, "UserInitiated", "x", 9.0)
    for _ in STATES:
        task = advance(task, Facts(30.0, gone=True, released=True)) or task
    assert task.status == "STOPPED"
    assert {container.status for container in task.containers} == {"STOPPED"}
    assert task.attachment_status == "DELETED"


@given(_FACTS)
def test_the_same_facts_twice_change_nothing_the_second_time_but_the_state(facts: Facts) -> None:
    once = advance(TASK, facts) or TASK
    twice = advance(once, facts) or once
    ignored = {
        name: getattr(once, name)
        for name in ("status", "version", "attachment_status", "containers", "started_at", "stopped_at")
    }
    assert replace(twice, **ignored) == once


@given(st.sampled_from([cause for cause in StopCause if cause is not StopCause.NONE]), st.text(max_size=2000))
def test_every_cause_has_a_code_and_a_reason(cause: StopCause, reason: str) -> None:
    status = WorkloadStatus(
        WorkloadUid("a"), Generation("s", 1, 1), 1, WorkloadPhase.STOPPED, cause=cause, reason=reason
    )
    code, text = why(status)
    assert code and text and len(text) <= 1024
