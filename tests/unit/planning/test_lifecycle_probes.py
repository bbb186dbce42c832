"""Probes of three kinds: when they are asked, what their answers add up to, what a verdict stops."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.model.status import Health, NoteKind, StopCause, Waiting, WorkloadPhase
from ropewalk.model.workload import (
    Container,
    Dependency,
    ExitCodes,
    HttpGet,
    Probe,
    ProbeKind,
    RestartRule,
    RunCommand,
    StartCondition,
)
from ropewalk.planning import lifecycle
from ropewalk.planning import lifecycle_records as words
from ropewalk.planning.lifecycle_changes import NOTES_KEPT
from ropewalk.planning.lifecycle_probes import counted
from support.workloads import container, stop, workload
from unit.planning.test_lifecycle import Drive

READINESS, LIVENESS, STARTUP = ProbeKind.READINESS, ProbeKind.LIVENESS, ProbeKind.STARTUP


def every(seconds: float = 10.0, **fields: Any) -> Probe:
    return Probe(question=HttpGet(80), interval=seconds, delay=fields.pop("delay", 0.0), **fields)


def podlike(name: str = "app", **fields: Any) -> Container:
    """A container as a pod's lowers."""
    fields = {"essential": False, "insists": True, "restart": RestartRule.ALWAYS} | fields
    return container(name, **fields)


def asked(drive: Drive) -> list[ProbeKind]:
    return [action.kind for action in drive.actions if isinstance(action, words.RunProbe)]


def answer(drive: Drive, good: bool, kind: ProbeKind, later: float = 0.0, **fields: Any) -> Drive:
    return drive.tell(words.Probed("app", drive.one().attempt, good, kind=kind, **fields), later)


def up(*containers: Container) -> Drive:
    drive = Drive(workload("w", *containers)).prepared()
    return drive.start("app")


def test_a_startup_probe_goes_alone_until_it_succeeds() -> None:
    drive = up(podlike(health=every(), liveness=every(), startup=every()))
    assert asked(drive) == [STARTUP] and not lifecycle.status(drive.state).containers[0].up
    answer(drive, False, STARTUP)
    assert asked(drive) == []
    drive.tell(words.Tick(), 10)
    assert asked(drive) == [STARTUP]
    answer(drive, True, STARTUP)
    assert set(asked(drive)) == {READINESS, LIVENESS} and lifecycle.status(drive.state).containers[0].up


def test_the_first_check_waits_for_its_delay() -> None:
    drive = up(podlike(liveness=every(delay=7.0), health=Probe(("true",), interval=30.0)))
    assert asked(drive) == [] and lifecycle.wake_at(drive.state, drive.now) == drive.now + 7
    drive.tell(words.Tick(), 7)
    assert asked(drive) == [LIVENESS]
    drive.tell(words.Tick(), 23)
    assert READINESS in asked(drive), "without a delay: one interval, as Docker"


def test_a_failed_liveness_probe_restarts_the_container() -> None:
    drive = up(podlike(liveness=every(failures=2, stop_timeout=5.0), stop_timeout=40.0))
    answer(drive, False, LIVENESS, output="no")
    assert drive.wanted(words.Stop) == []
    answer(drive, False, LIVENESS, 10, output="no")
    assert drive.actions == (words.Stop("app", 0, "", drive.now + 5.0),), "its own grace, and no more probes"
    kinds = [(note.kind, note.probe, note.count) for note in drive.state.notes]
    assert kinds == [(NoteKind.PROBE_FAILED, LIVENESS, 2), (NoteKind.STOPPING, LIVENESS, 1)]
    assert drive.state.phase is WorkloadPhase.RUNNING
    drive.exit("app", 143)
    assert drive.wanted(words.Launch) == ["app"] and drive.one().attempt == 1
    drive.start("app", 1)
    assert asked(drive) == [LIVENESS] and drive.one().failed is None
    assert drive.one().last is not None and drive.one().last.exit_code == 143


def test_a_failed_startup_probe_ends_a_container_that_is_never_restarted() -> None:
    drive = up(podlike(startup=every(failures=1), restart=RestartRule.NEVER))
    answer(drive, False, STARTUP)
    drive.exit("app", 137)
    assert drive.state.cause is StopCause.COMPLETED and drive.one().final


def test_readiness_stops_nothing_and_needs_its_successes_again() -> None:
    drive = up(podlike(health=every(successes=2, failures=1)))
    answer(drive, True, READINESS)
    assert drive.one().health is Health.UNKNOWN
    answer(drive, True, READINESS, 10)
    assert drive.one().health is Health.HEALTHY
    answer(drive, False, READINESS, 10)
    assert drive.one().health is Health.UNHEALTHY and drive.wanted(words.Stop) == []
    answer(drive, True, READINESS, 10)
    assert drive.one().health is Health.UNHEALTHY


def test_an_answer_of_an_earlier_run_counts_for_nothing() -> None:
    drive = up(podlike(liveness=every(failures=1)))
    drive.exit("app", 1).start("app", 1)
    drive.tell(words.Probed("app", 0, False, kind=LIVENESS))
    assert drive.wanted(words.Stop) == [] and drive.state.notes == ()


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 5), st.integers(1, 5))
def test_a_verdict_is_so_many_same_answers_in_a_row(answers: list[bool], failures: int, successes: int) -> None:
    probe = Probe(("x",), failures=failures, successes=successes)
    probing = words.Probing()
    for number, good in enumerate(answers, 1):
        probing, verdict = counted(probe, probing, good)
        needed = successes if good else failures
        tail = answers[max(0, number - needed) : number]
        expected = good if len(tail) == needed and set(tail) == {good} else None
        assert verdict is expected and probing.asked == number


def test_what_waits_for_a_start_waits_for_the_startup_probe() -> None:
    side = podlike("side", background=True, startup=every())
    app = podlike(depends_on=(Dependency("side", StartCondition.STARTED),))
    drive = Drive(workload("w", side, app)).prepared().start("side")
    assert "app" not in drive.wanted(words.Launch)
    drive.tell(words.Probed("side", 0, True, kind=STARTUP))
    assert drive.wanted(words.Launch) == ["app"]
    drive.exit("side", 1)
    assert "app" in drive.wanted(words.Launch), "once started, always so"


def test_what_serves_the_others_ends_with_them() -> None:
    side = podlike("side", background=True)
    app = podlike(restart=RestartRule.NEVER, depends_on=(Dependency("side", StartCondition.STARTED),))
    drive = Drive(workload("w", side, app)).prepared().start("side").start("app").exit("app", 0)
    assert drive.state.cause is StopCause.COMPLETED and drive.wanted(words.Stop) == ["side"]


def test_a_pull_is_tried_for_ever_by_one_that_insists() -> None:
    drive = Drive(workload("w", podlike()))
    drive.tell(words.SandboxReady("box"))
    delays = []
    for _ in range(8):
        drive.tell(words.PullFailed("app", "no such image"))
        assert drive.one().waiting is Waiting.PULL_FAILED
        delays.append(drive.one().pull_at - drive.now)
        drive.tell(words.Tick(), 1.0)
        assert drive.one().waiting is Waiting.PULL_DELAYED and drive.wanted(words.Pull) == []
        drive.tell(words.Tick(), delays[-1])
        assert drive.wanted(words.Pull) == ["app"]
    assert delays == [10, 20, 40, 80, 160, 300, 300, 300]
    drive.tell(words.Pulled("app", "sha256:1"))
    assert drive.one().waiting is Waiting.NOTHING and drive.wanted(words.Launch) == ["app"]


def test_what_cannot_be_made_is_tried_again_and_what_cannot_be_started_counts_as_a_run() -> None:
    drive = Drive(workload("w", podlike(restart=RestartRule.NEVER))).prepared()
    drive.tell(words.LaunchFailed("app", 0, "no such user"))
    assert drive.one().waiting is Waiting.NOT_CREATED and drive.wanted(words.Launch) == []
    drive.tell(words.Tick(), 10)
    assert drive.wanted(words.Launch) == ["app"] and drive.one().attempt == 0
    drive.tell(words.Created("app", 0, "id")).tell(words.LaunchFailed("app", 0, "no such file", created=True))
    report = lifecycle.status(drive.state).containers[0]
    assert report.not_started and report.exit_code == 128 and drive.state.cause is StopCause.COMPLETED


def test_a_held_container_waits_for_its_control_plane() -> None:
    drive = Drive(workload("w", podlike(hold='configmap "c" not found'), podlike("other"))).prepared()
    assert drive.wanted(words.Launch) == ["other"]
    report = lifecycle.status(drive.state).containers[0]
    assert (report.waiting, report.reason) == (Waiting.HELD, 'configmap "c" not found')


@pytest.mark.parametrize(("code", "again"), [(0, False), (3, False), (42, True), (1, False)])
def test_exit_codes_may_ask_for_a_restart(code: int, again: bool) -> None:
    drive = up(podlike(restart=RestartRule.NEVER, restart_codes=(ExitCodes((42,)),)))
    assert (drive.exit("app", code).one().restarts == 1) is again


def test_the_whole_is_stopped_within_its_time_and_the_last_still_get_two_seconds() -> None:
    side = podlike("side", background=True, stop_timeout=30.0)
    app = podlike(depends_on=(Dependency("side", StartCondition.STARTED),), stop_timeout=30.0)
    what = workload("w", side, app, stop_timeout=20.0)
    drive = Drive(what).prepared().start("side").start("app")
    drive.tell(words.Desired(stop(what, 2)))
    begun = drive.now
    assert drive.actions == (words.Stop("app", 0, "", begun + 20.0),)
    drive.now += 19.5
    drive.exit("app", 137)
    assert drive.actions == (words.Stop("side", 0, "", drive.now + 2.0),)


def test_notes_are_few_and_count_their_repeats() -> None:
    drive = up(podlike(health=every(failures=1)))
    for number in range(40):
        answer(drive, False, READINESS, 10, output=f"way {number % 20}")
    assert len(drive.state.notes) == NOTES_KEPT
    ids = [note.id for note in drive.state.notes]
    assert len(set(ids)) == NOTES_KEPT and max(ids) == drive.state.noted


def test_a_container_is_up_once_its_first_hook_has_succeeded() -> None:
    drive = up(podlike(after_start=RunCommand(("x",)), liveness=every()))
    assert drive.actions == (words.RunHook("app", 0),) and not lifecycle.status(drive.state).containers[0].up
    drive.tell(words.HookEnded("app", 0), 3)
    assert lifecycle.status(drive.state).containers[0].up and asked(drive) == [LIVENESS]


def test_a_failed_first_hook_stops_the_container_and_it_is_tried_again() -> None:
    drive = up(podlike(after_start=RunCommand(("x",)), stop_timeout=9.0))
    drive.tell(words.HookEnded("app", 0, "exited with 1"))
    assert drive.actions == (words.Stop("app", 0, "", drive.now + 9.0),)
    assert [note.kind for note in drive.state.notes] == [NoteKind.START_HOOK_FAILED, NoteKind.STOPPING]
    drive.exit("app", 143)
    assert drive.wanted(words.Launch) == ["app"]
    drive.start("app", 1).tell(words.HookEnded("app", 0, "late news of the first run"))
    assert drive.actions == (words.RunHook("app", 1),)


def test_last_words_go_with_the_run_that_said_them() -> None:
    drive = up(podlike()).exit("app", 1, message="out of luck")
    assert lifecycle.status(drive.state).containers[0].message == "out of luck"
    drive.start("app", 1)
    report = lifecycle.status(drive.state).containers[0]
    assert report.message == "" and report.last is not None and report.last.message == "out of luck"


def test_a_new_sandbox_is_prepared_anew() -> None:
    """A machine that was restarted: what prepared the pod does so again, in its order, before the rest goes on."""
    first = podlike("first", restart=RestartRule.ON_FAILURE)
    side = podlike("side", background=True, depends_on=(Dependency("first", StartCondition.SUCCEEDED),))
    needs = (Dependency("first", StartCondition.SUCCEEDED), Dependency("side", StartCondition.STARTED))
    drive = Drive(workload("w", first, side, podlike(depends_on=needs))).prepared()
    drive.start("first").exit("first", 0).start("side").start("app")
    drive.exit("app", 1)
    assert drive.wanted(words.Launch) == ["app"], "a restart in the same sandbox waits for nothing"
    drive.start("app", 1).tell(words.SandboxLost())
    assert drive.state.phase is WorkloadPhase.RUNNING and drive.wanted(words.Launch) == []
    drive.tell(words.SandboxReady("box-2"))
    assert drive.wanted(words.Launch) == ["first"] and drive.one("first").attempt == 1
    last = drive.one("first").last
    assert last is not None and last.exit_code == 0
    drive.start("first", 1).exit("first", 0, 1)
    drive.tell(words.Tick(), 600)
    assert drive.wanted(words.Launch) == ["side"]
    drive.start("side", 1)
    assert drive.wanted(words.Launch) == ["app"]
