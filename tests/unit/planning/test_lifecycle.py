"""The life cycle's rules, one at a time, and its promises for any order of events."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ropewalk.model.status import ContainerPhase, Health, StopCause, WorkloadPhase
from ropewalk.model.workload import (
    Container,
    Dependency,
    Desire,
    Mount,
    Probe,
    RestartRule,
    StartCondition,
    Workload,
)
from ropewalk.planning import lifecycle
from ropewalk.planning import lifecycle_records as words
from support.workloads import container, stop, workload

T0 = 1000.0


class Drive:
    """A state with events played into it, by hand."""

    def __init__(self, what: Workload, now: float = T0) -> None:
        self.now = now
        self.state = lifecycle.begin(what, now)
        self.actions: tuple[words.Action, ...] = ()
        self.tell(words.Tick())

    def tell(self, event: words.Event, later: float = 0.0) -> Drive:
        self.now += later
        self.state, self.actions = lifecycle.step(self.state, event, self.now)
        return self

    def prepared(self) -> Drive:
        self.tell(words.SandboxReady("box", "10.0.0.5"))
        for each in self.state.workload.containers:
            self.tell(words.Pulled(each.name, "sha256:1"))
        return self

    def start(self, name: str, attempt: int = 0) -> Drive:
        self.tell(words.Created(name, attempt, f"{name}-{attempt}"))
        return self.tell(words.Started(name, attempt, f"{name}-{attempt}", 42, self.now))

    def exit(self, name: str, code: int = 0, attempt: int = 0, **more: object) -> Drive:
        return self.tell(words.Exited(name, attempt, code, self.now, **more))  # type: ignore[arg-type]  # forwarded

    def wanted(self, kind: type) -> list[str]:
        return [a.container for a in self.actions if isinstance(a, kind)]

    def one(self, name: str = "app") -> words.ContainerState:
        found = self.state.container(name)
        assert found is not None
        return found


def test_the_plain_path_from_accepted_to_stopped() -> None:
    drive = Drive(workload())
    assert drive.state.phase is WorkloadPhase.PREPARING
    assert {type(a) for a in drive.actions} == {words.Prepare, words.Pull}
    drive.tell(words.PullStarted("app"), 1).tell(words.Pulled("app", "sha256:1"), 1)
    assert (drive.state.pull_started_at, drive.state.pull_stopped_at) == (T0 + 1, T0 + 2)
    drive.tell(words.SandboxReady("box", "10.0.0.5"))
    assert drive.wanted(words.Launch) == ["app"]
    drive.start("app")
    assert drive.state.phase is WorkloadPhase.RUNNING and drive.actions == ()
    drive.tell(words.Desired(stop(workload(), 2)), 5)
    assert drive.state.phase is WorkloadPhase.STOPPING
    assert drive.actions == (words.Stop("app", 0, "", drive.now + 30.0),)
    drive.exit("app", 143)
    assert drive.actions == (words.Clean(),)
    drive.tell(words.Cleaned(), 1)
    report = lifecycle.status(drive.state)
    assert report.phase is WorkloadPhase.STOPPED and report.cause is StopCause.REQUESTED
    assert report.reason == "Task stopped by user" and report.containers[0].exit_code == 143
    assert report.started_at == T0 + 2 and report.stopping_at == T0 + 7
    assert report.execution_stopped_at == T0 + 7 and report.stopped_at == T0 + 8
    assert report.generation.number == 2


@pytest.mark.parametrize(
    ("condition", "blocked_after_start", "release"),
    [
        (StartCondition.STARTED, False, None),
        (StartCondition.COMPLETED, True, words.Exited("db", 0, 3, T0)),
        (StartCondition.SUCCEEDED, True, words.Exited("db", 0, 0, T0)),
        (StartCondition.HEALTHY, True, words.Probed("db", 0, True)),
    ],
)
def test_a_dependant_waits_for_its_condition(
    condition: StartCondition, blocked_after_start: bool, release: words.Event | None
) -> None:
    db = container("db", essential=False, health=Probe(("true",)))
    drive = Drive(workload("w", db, container(depends_on=(Dependency("db", condition),)))).prepared()
    assert drive.wanted(words.Launch) == ["db"]
    drive.start("db")
    assert ("app" in drive.wanted(words.Launch)) is not blocked_after_start
    if release is not None:
        drive.tell(release)
        assert "app" in drive.wanted(words.Launch)


def test_a_dependency_that_cannot_come_true_fails_the_essential_dependant() -> None:
    migrate = container("migrate", essential=False)
    app = container(depends_on=(Dependency("migrate", StartCondition.SUCCEEDED),))
    drive = Drive(workload("w", migrate, app)).prepared().start("migrate").exit("migrate", 1)
    assert drive.state.phase is WorkloadPhase.STOPPING and drive.state.cause is StopCause.DEPENDENCY_FAILED
    assert drive.one().started_at == 0 and drive.actions == (words.Clean(),)


def test_a_dependency_times_out_counted_from_its_start() -> None:
    db = container("db", health=Probe(("true",)))
    app = container(depends_on=(Dependency("db", StartCondition.HEALTHY, timeout=60.0),))
    drive = Drive(workload("w", db, app)).prepared()
    drive.tell(words.Tick(), 500)
    assert drive.state.phase is not WorkloadPhase.STOPPING
    drive.start("db")
    assert lifecycle.wake_at(drive.state, drive.now) == drive.now + 30  # the probe; the time-out is later
    drive.tell(words.Tick(), 59.9)
    assert drive.state.phase is WorkloadPhase.STARTING
    drive.tell(words.Tick(), 0.1)
    assert drive.state.cause is StopCause.DEPENDENCY_FAILED
    assert drive.wanted(words.Stop) == ["db"]


def test_a_start_timeout_counts_from_the_wait() -> None:
    app = container(depends_on=(Dependency("db", StartCondition.COMPLETED),), start_timeout=10.0)
    drive = Drive(workload("w", container("db", essential=False), app)).prepared().start("db")
    assert lifecycle.wake_at(drive.state, drive.now) == drive.now + 10
    drive.tell(words.Tick(), 10)
    assert drive.state.cause is StopCause.DEPENDENCY_FAILED


def test_containers_stop_in_the_reverse_of_their_start_order() -> None:
    web = container("web", depends_on=(Dependency("app", StartCondition.STARTED),))
    app = container("app", depends_on=(Dependency("db", StartCondition.STARTED),))
    drive = Drive(workload("w", container("db"), app, web)).prepared().start("db").start("app").start("web")
    assert drive.state.phase is WorkloadPhase.RUNNING
    drive.tell(words.Unwanted("gone"))
    for name in ("web", "app", "db"):
        assert drive.wanted(words.Stop) == [name]
        drive.exit(name, 143)
    assert drive.actions == (words.Clean(),)


def test_an_essential_exit_ends_the_workload_and_a_sidecars_does_not() -> None:
    drive = Drive(workload("w", container("app"), container("side", essential=False))).prepared()
    drive.start("app").start("side").exit("side", 1)
    assert drive.state.phase is WorkloadPhase.RUNNING
    drive.exit("app", 0)
    assert drive.state.cause is StopCause.ESSENTIAL_EXITED and drive.actions == (words.Clean(),)


def test_a_workload_without_essential_containers_completes() -> None:
    drive = Drive(workload("w", container("a", essential=False), container("b", essential=False))).prepared()
    drive.start("a").start("b").exit("a").exit("b", 2)
    assert drive.state.cause is StopCause.COMPLETED


def test_restarts_back_off_and_forget_after_a_long_run() -> None:
    drive = Drive(workload("w", container(restart=RestartRule.ALWAYS))).prepared()
    waits = []
    for attempt in range(8):
        drive.start("app", attempt).exit("app", 1, attempt)
        waits.append(drive.one().restart_at - drive.now)
        drive.tell(words.Tick(), waits[-1])
        assert drive.wanted(words.Launch) == ["app"]
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]
    drive.start("app", 8)
    drive.tell(words.Tick(), 600).exit("app", 0, 8)
    assert drive.one().restart_at == drive.now and drive.one().restarts == 9
    assert drive.state.phase is WorkloadPhase.RUNNING


@pytest.mark.parametrize(("code", "again"), [(0, False), (1, True)])
def test_on_failure_restarts_only_failures(code: int, again: bool) -> None:
    drive = Drive(workload("w", container(restart=RestartRule.ON_FAILURE))).prepared().start("app").exit("app", code)
    assert (drive.wanted(words.Launch) == ["app"]) is again


def test_health_turns_after_consecutive_failures_and_heals() -> None:
    drive = Drive(workload("w", container(health=Probe(("x",), interval=10, failures=3, grace=25)))).prepared()
    drive.start("app")
    assert drive.wanted(words.RunProbe) == []
    drive.tell(words.Tick(), 10)
    assert drive.wanted(words.RunProbe) == ["app"]
    for healthy, expected in [
        (False, Health.UNKNOWN),  # 10 s and 20 s: within the grace
        (False, Health.UNKNOWN),
        (False, Health.UNKNOWN),
        (False, Health.UNKNOWN),
        (False, Health.UNHEALTHY),
        (False, Health.UNHEALTHY),
        (True, Health.HEALTHY),
        (False, Health.HEALTHY),
        (False, Health.HEALTHY),
        (True, Health.HEALTHY),
        (False, Health.HEALTHY),
        (False, Health.HEALTHY),
        (False, Health.UNHEALTHY),
    ]:
        drive.tell(words.Probed("app", 0, healthy))
        assert drive.one().health is expected
        drive.tell(words.Tick(), 10)
    assert drive.state.phase is WorkloadPhase.RUNNING


def test_a_transient_sandbox_failure_is_tried_again_and_given_up_in_the_end() -> None:
    drive = Drive(workload())
    while drive.state.phase is WorkloadPhase.PREPARING:
        drive.tell(words.SandboxFailed("the fabric does not know it", transient=True))
        wake = lifecycle.wake_at(drive.state, drive.now)
        if wake is not None:
            assert not any(isinstance(a, words.Prepare) for a in drive.actions)
            drive.tell(words.Tick(), wake - drive.now)
    assert drive.state.cause is StopCause.RESOURCE_FAILED
    assert 120 <= drive.now - T0 < 130


def test_a_pull_that_fails_for_good_ends_an_essential_container() -> None:
    drive = Drive(workload()).tell(words.PullFailed("app", "no such image"))
    assert drive.state.cause is StopCause.IMAGE_PULL_FAILED and drive.state.reason == "no such image"
    drive = Drive(workload())
    for tries in range(4):
        assert drive.wanted(words.Pull) == ["app"], tries
        drive.tell(words.PullFailed("app", "timeout", transient=True))
        drive.tell(words.Tick(), 8)
    assert drive.state.cause is StopCause.IMAGE_PULL_FAILED


def test_out_of_memory_is_kept_with_its_reason() -> None:
    drive = Drive(workload()).prepared().start("app").exit("app", 137, out_of_memory=True, reason="OutOfMemoryError: x")
    report = lifecycle.status(drive.state).containers[0]
    assert report.out_of_memory and report.reason == "OutOfMemoryError: x" and report.exit_code == 137


def test_a_workload_over_its_storage_is_stopped_within_a_second() -> None:
    drive = Drive(workload("w-1", container(stop_timeout=120.0), container("quick", stop_timeout=0.5))).prepared()
    drive.start("app").start("quick")
    drive.tell(words.StorageExceeded("too much"), 5)
    assert (drive.state.phase, drive.state.cause) == (WorkloadPhase.STOPPING, StopCause.STORAGE_EXCEEDED)
    assert drive.state.reason == "too much"
    assert drive.actions == (
        words.Stop("app", 0, "", drive.now + 1.0),
        words.Stop("quick", 0, "", drive.now + 0.5),
    )
    late = Drive(workload()).prepared().start("app").tell(words.Desired(stop(workload(), 2)))
    assert late.tell(words.StorageExceeded("x")).state.cause is StopCause.REQUESTED, "the first cause stays"


def test_an_older_generation_never_wins_and_a_foreign_store_cannot_revive() -> None:
    drive = Drive(workload(number=5)).prepared().start("app")
    drive.tell(words.Desired(stop(workload(), 4)))
    assert drive.state.phase is WorkloadPhase.RUNNING
    drive.tell(words.Desired(stop(workload(), 6)))
    assert drive.state.phase is WorkloadPhase.STOPPING
    drive.tell(words.Desired(workload(number=9, store_id="another")))
    assert drive.state.phase is WorkloadPhase.STOPPING and drive.state.cause is StopCause.REQUESTED


def test_a_change_of_what_runs_is_refused_and_not_acknowledged() -> None:
    drive = Drive(workload()).prepared().start("app")
    drive.tell(words.Desired(workload("w-1", container(image="other"), number=2)))
    report = lifecycle.status(drive.state)
    assert report.generation.number == 1 and "refused" in report.reason
    drive.tell(words.Desired(replace(workload(number=3), labels=(("a", "b"),))))
    assert drive.state.workload.labels == (("a", "b"),) and lifecycle.status(drive.state).generation.number == 3


def test_a_lost_sandbox_is_made_again_for_containers_that_restart() -> None:
    drive = Drive(workload("w", container(restart=RestartRule.ALWAYS))).prepared().start("app")
    drive.tell(words.SandboxLost())
    assert words.Prepare(1, 0) in drive.actions and drive.wanted(words.Launch) == []
    drive.tell(words.SandboxReady("box-1"))
    assert drive.actions == (words.Launch("app", 1),)


@pytest.mark.parametrize(
    ("containers", "why"),
    [
        ((), "no containers"),
        ((container("a"), container("a")), "same name"),
        ((container("a", depends_on=(Dependency("b", StartCondition.STARTED),)),), "no other container"),
        (
            (
                container("a", depends_on=(Dependency("b", StartCondition.STARTED),)),
                container("b", depends_on=(Dependency("a", StartCondition.STARTED),)),
            ),
            "circle",
        ),
        ((container("a", depends_on=(Dependency("b", StartCondition.HEALTHY),)), container("b")), "no health check"),
        ((container("a", mounts=(Mount("v", "/x"),)),), "not declared"),
    ],
)
def test_what_can_never_run_is_refused(containers: tuple[Container, ...], why: str) -> None:
    state = lifecycle.begin(replace(workload(), containers=containers), T0)
    assert state.phase is WorkloadPhase.STOPPED and state.cause is StopCause.REFUSED and why in state.reason
    assert lifecycle.actions(state, T0) == ()


# --- promises for any order of events


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    count = draw(st.integers(1, 4))
    made: list[Container] = []
    for index in range(count):
        depends = tuple(
            Dependency(
                f"c{earlier}",
                draw(st.sampled_from(list(StartCondition))),
                timeout=draw(st.sampled_from([0.0, 20.0])),
            )
            for earlier in range(index)
            if draw(st.booleans())
        )
        made.append(
            container(
                f"c{index}",
                essential=draw(st.booleans()),
                restart=draw(st.sampled_from(list(RestartRule))),
                depends_on=depends,
                health=Probe(("x",), interval=5.0),
                stop_timeout=10.0,
            )
        )
    return workload("w", *made)


class World:
    """Does what is wished, in an order and with outcomes that hypothesis draws; checks the promises at each step."""

    def __init__(self, what: Workload, data: st.DataObject) -> None:
        self.drive = Drive(what)
        self.data = data
        self.running: set[tuple[str, int]] = set()
        self.started: set[str] = set()
        self.sequence = self.drive.state.sequence

    def check_launch(self, name: str) -> None:
        spec = self.drive.state.workload.container(name)
        for wanted in spec.depends_on if name not in self.started else ():
            target = self.drive.one(wanted.container)
            if wanted.condition is StartCondition.STARTED:
                assert target.started_at > 0
            elif wanted.condition is StartCondition.COMPLETED:
                assert target.phase is ContainerPhase.EXITED and target.final
            elif wanted.condition is StartCondition.SUCCEEDED:
                assert target.exit_code == 0 and target.final
            else:
                assert target.health is Health.HEALTHY

    def perform(self, action: words.Action) -> None:
        state, tell = self.drive.state, self.drive.tell
        if isinstance(action, words.Prepare):
            good = self.data.draw(st.sampled_from([True, True, True, False]))
            tell(words.SandboxReady(f"box-{action.attempt}") if good else words.SandboxFailed("x", transient=True))
        elif isinstance(action, words.Pull):
            tell(words.Pulled(action.container, "sha256:1"))
        elif isinstance(action, words.Launch):
            assert not state.ending
            self.check_launch(action.container)
            tell(words.Created(action.container, action.attempt, "id"))
            if self.data.draw(st.integers(0, 9)) == 0:
                tell(words.LaunchFailed(action.container, action.attempt, "x"))
            else:
                self.running.add((action.container, action.attempt))
                self.started.add(action.container)
                tell(words.Started(action.container, action.attempt, "id", 1, self.drive.now))
        elif isinstance(action, words.Stop):
            dependants = [
                c.name for c in state.workload.containers if any(d.container == action.container for d in c.depends_on)
            ]
            assert not {n for n, _ in self.running} & set(dependants)
            self.running.discard((action.container, action.attempt))
            tell(words.Exited(action.container, action.attempt, 143, self.drive.now))
        elif isinstance(action, words.RunProbe):
            tell(words.Probed(action.container, action.attempt, self.data.draw(st.booleans())))
        else:
            assert not self.running
            tell(words.Cleaned())

    def turn(self) -> None:
        before = self.drive.state
        choice = self.data.draw(st.integers(0, 9))
        if choice == 0 and self.running:
            name, attempt = self.data.draw(st.sampled_from(sorted(self.running)))
            self.running.discard((name, attempt))
            self.drive.tell(words.Exited(name, attempt, self.data.draw(st.integers(0, 1)), self.drive.now))
        elif choice == 1:
            self.drive.tell(words.Tick(), self.data.draw(st.sampled_from([0.1, 5.0, 400.0])))
        elif self.drive.actions:
            action = self.data.draw(st.sampled_from(self.drive.actions))
            self.perform(action)
        else:
            self.drive.tell(words.Tick(), 1.0)
        after = self.drive.state
        if before.ending:
            assert after.ending
        if before.phase is WorkloadPhase.STOPPED:
            assert after == before
        assert after.sequence >= before.sequence
        if lifecycle.status(before) != lifecycle.status(after):
            assert after.sequence > before.sequence
        # A restarted agent reads the same state and wants the same.
        assert lifecycle.actions(after, self.drive.now) == self.drive.actions


@settings(max_examples=150, deadline=None)
@given(workloads(), st.data())
def test_promises(what: Workload, data: st.DataObject) -> None:
    world = World(what, data)
    for _ in range(data.draw(st.integers(0, 40))):
        world.turn()
    world.drive.tell(words.Desired(stop(what, 2)))
    for _ in range(20):
        if world.drive.state.phase is WorkloadPhase.STOPPED:
            break
        assert world.drive.actions, "a workload that stops always has something to do"
        world.perform(world.drive.actions[0])
    assert world.drive.state.phase is WorkloadPhase.STOPPED
    assert all(c.phase is ContainerPhase.EXITED for c in world.drive.state.containers)
    for event in (words.Desired(replace(what, generation=replace(what.generation, number=3))), words.Tick()):
        world.drive.tell(event)
        assert world.drive.state.phase is WorkloadPhase.STOPPED and world.drive.actions == ()
    assert world.drive.state.workload.desire in (Desire.STOP, Desire.RUN)


@settings(max_examples=100, deadline=None)
@given(workloads(), st.lists(st.integers(0, 10**6), max_size=60))
def test_events_twice_late_and_shuffled_break_nothing(what: Workload, picks: list[int]) -> None:
    names = [c.name for c in what.containers]
    pool: list[words.Event] = [words.SandboxReady("box"), words.SandboxLost(), words.Tick(), words.Cleaned()]
    for name in names:
        for attempt in (0, 1):
            pool += [
                words.Created(name, attempt, "id"),
                words.Started(name, attempt, "id", 1, T0),
                words.Exited(name, attempt, 1, T0 + 1),
                words.LaunchFailed(name, attempt, "x"),
                words.Probed(name, attempt, True),
            ]
        pool += [words.Pulled(name, "d"), words.PullFailed(name, "x", transient=True)]
    pool += [words.Desired(stop(what, 2)), words.Desired(what), words.StorageExceeded("x")]
    drive = Drive(what)
    was_ending = False
    for pick in picks:
        event = pool[pick % len(pool)]
        drive.tell(event, 0.5)
        once = drive.state
        assert not was_ending or once.ending
        was_ending = once.ending
        assert not (once.ending and drive.wanted(words.Launch))
    assert lifecycle.status(drive.state).sequence == drive.state.sequence
