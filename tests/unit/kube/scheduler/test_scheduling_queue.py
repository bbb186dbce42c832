"""The queue: who is next, and when what was tried in vain is tried again."""

from __future__ import annotations

from ropewalk.kube.scheduler.queue import Queue
from ropewalk.planning.demands import Unit
from ropewalk.planning.hints import MachineChanged, SpaceChanged, UnitMoved
from ropewalk.planning.sieve import Lack

CPU = ((Lack.CPU, ""),)
GONE = UnitMoved(Unit("o"), None)


def filled(*units: Unit) -> Queue:
    queue = Queue()
    for unit in units:
        queue.add("ns", unit.id, unit, unit.since)
    return queue


def popped(queue: Queue, now: float) -> list[str]:
    found = []
    while (waiting := queue.pop(now)) is not None:
        found.append(waiting.unit.id)
    return found


def test_the_more_important_come_first_then_the_older() -> None:
    queue = filled(
        Unit("late", since=2), Unit("high", priority=5, since=3), Unit("early", since=1), Unit("same", since=2)
    )
    assert popped(queue, 9) == ["high", "early", "late", "same"]
    assert len(queue) == 4, "until they are bound"


def test_what_was_tried_in_vain_waits_for_what_helps() -> None:
    queue = filled(Unit("u"))
    queue.pop(0)
    queue.park("u", CPU, 0)
    assert popped(queue, 100) == []
    assert not queue.wake(GONE, lambda found: False, 100) and popped(queue, 100) == []
    assert not queue.wake(SpaceChanged(), lambda found: True, 100), "that helps only who minds other pods"
    assert not queue.wake(UnitMoved(None, Unit("o")), lambda found: True, 100)
    assert queue.wake(MachineChanged(None, None), lambda found: found.lacks == CPU, 100) and popped(queue, 100) == ["u"]


def test_back_off_doubles_from_one_second_to_ten() -> None:
    queue = filled(Unit("u"))
    now, waits = 0.0, []
    for _ in range(6):
        assert popped(queue, now) == ["u"]
        queue.park("u", CPU, now)
        queue.wake(GONE, lambda found: True, now)
        began = now
        while not queue.tick(now):
            now += 0.5
        waits.append(now - began)
    assert waits == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_a_failure_without_reasons_is_tried_again_after_its_back_off() -> None:
    queue = filled(Unit("u"))
    queue.pop(0)
    queue.park("u", (), 0)
    assert popped(queue, 0.9) == [] and popped(queue, 1.0) == ["u"]


def test_after_five_minutes_it_is_tried_whatever_happened() -> None:
    queue = filled(Unit("u"))
    queue.pop(0)
    queue.park("u", CPU, 0)
    queue.wake_overdue(299)
    assert popped(queue, 299) == []
    queue.wake_overdue(300)
    assert popped(queue, 300) == ["u"]


def test_a_pod_that_changed_is_tried_with_what_it_is_now() -> None:
    queue = filled(Unit("u"), Unit("v", since=1))
    queue.add("ns", "v", Unit("v", priority=3), 2)
    found = queue.pop(2)
    assert found is not None and (found.unit.id, found.unit.priority) == ("v", 3)
    queue.park("v", CPU, 2)
    queue.add("ns", "v", Unit("v", priority=4), 2.5)
    assert popped(queue, 2.5) == ["u"] and popped(queue, 3.0) == ["v"]


def test_a_pod_that_is_gone_is_not_tried() -> None:
    queue = filled(Unit("u"), Unit("v"))
    queue.pop(0)
    queue.park("u", CPU, 0)
    queue.remove("u")
    queue.remove("v")
    assert not queue.wake(GONE, lambda found: True, 50)
    queue.park("u", CPU, 50)
    assert popped(queue, 50) == [] and len(queue) == 0
