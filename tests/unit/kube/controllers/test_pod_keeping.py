"""What the controllers that keep pods running decide by: the book, expectations, who goes first, what is told."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.base.clock import VirtualClock
from ropewalk.kube.controllers.expectations import Expectations
from ropewalk.kube.controllers.pod_book import PODS, PodBook, PodSeen
from ropewalk.kube.controllers.pod_control import NotDone, pod_from, slow_start
from ropewalk.kube.controllers.pod_ranking import deletion_cost, first_to_go
from ropewalk.kube.controllers.replica_status import is_available, is_told, next_availability, replica_status
from ropewalk.kube.controllers.retrying import Patience
from ropewalk.kube.machinery import conditions, times
from ropewalk.kube.machinery.api import OwnerReference
from ropewalk.kube.machinery.recorder import COMBINED, EVENTS, Correlator, Events, Happening
from support.kube_api import MemoryApi

NOW = 1_700_000_000.0
OWNER = OwnerReference("apps/v1", "ReplicaSet", "web", "owner", controller=True)


def seen(uid: str = "u", **more: Any) -> PodSeen:
    fields: dict[str, Any] = {
        "namespace": "default",
        "name": uid,
        "uid": uid,
        "labels": {"app": "web"},
        "controller": OWNER,
        "is_going": False,
        "node": "n",
        "phase": "Running",
        "address": "",
        "is_ready": True,
        "ready_since": times.rfc3339(NOW - 100),
    }
    return PodSeen(**(fields | more))


# --- the book


def pod(name: str, uid: str = "", controller: str = "", **more: Any) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": name, "namespace": "default", "uid": uid or name, "labels": {"app": "web"}}
    if controller:
        meta["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "s", "uid": controller, "controller": True}
        ]
    return {"metadata": meta | more.pop("metadata", {}), "spec": {}, **more}


async def test_the_book_tells_what_matters_and_nothing_else() -> None:
    api, told = MemoryApi((PODS, pod("before"))), []
    book = PodBook(api)
    await book.follow(lambda old, new: told.append((old and old.uid, new and new.uid)))
    assert told == []
    assert [found.uid for found in book.uncontrolled("default")] == ["before"]
    api.put(PODS, pod("a", controller="s-1"))
    api.put(PODS, pod("a", controller="s-1", status={"hostIP": "10.0.0.1"}))
    assert told == [(None, "a")], "nothing that the book has changed"
    api.put(PODS, pod("a", controller="s-1", status={"phase": "Running"}))
    api.put(PODS, pod("a", uid="a-2", controller="s-2"))
    api.drop(PODS, "default", "a")
    assert told[1:] == [("a", "a"), ("a", None), (None, "a-2"), ("a-2", None)]
    assert book.controlled_by("s-1") == book.controlled_by("s-2") == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["", "x", "y", None]), st.booleans())))
def test_the_book_finds_pods_by_whoever_controls_them_now(steps: list[tuple[str, str | None, bool]]) -> None:
    async def run() -> None:
        api = MemoryApi()
        book = PodBook(api)
        await book.follow(lambda old, new: None)
        wanted: dict[str, str] = {}
        for number, (name, controller, fresh) in enumerate(steps):
            if controller is None:
                api.drop(PODS, "default", name)
                wanted.pop(name, None)
            else:
                api.put(PODS, pod(name, uid=f"{name}-{number}" if fresh else name, controller=controller))
                wanted[name] = controller
        for controller in ("x", "y"):
            found = {each.name for each in book.controlled_by(controller)}
            assert found == {name for name, held in wanted.items() if held == controller}
        assert {each.name for each in book.uncontrolled("default")} == {n for n, held in wanted.items() if not held}
        assert {each.name for each in book.all()} == set(wanted)

    asyncio.run(run())


# --- expectations


async def test_what_was_written_is_waited_for() -> None:
    clock = VirtualClock()
    made = Expectations(clock)
    made.begin("k")
    made.observe("k", "early", gone=False)
    made.created("k", "early")
    made.created("k", "late")
    made.deleted("k", "going")
    made.end("k")
    assert not made.are_met("k")
    made.observe("k", "late", gone=False)
    made.observe("k", "going", gone=False)
    assert not made.are_met("k"), "it was told to be there, not to be going"
    made.observe("k", "going", gone=True)
    assert made.are_met("k")
    assert made.are_met("another")


async def test_a_second_batch_leaves_the_first_expected() -> None:
    made = Expectations(VirtualClock())
    for uid in ("one", "two"):
        made.begin("k")
        made.created("k", uid)
        made.end("k")
    made.observe("k", "two", gone=False)
    assert not made.are_met("k")


async def test_what_never_comes_is_looked_for_after_a_while() -> None:
    clock = VirtualClock()
    made = Expectations(clock)
    made.begin("k")
    made.created("k", "lost")
    made.end("k")
    await clock.advance(9.0)
    assert not made.are_overdue("k")
    await clock.advance(1.0)
    assert made.are_overdue("k")
    made.begin("k")
    made.observe("k", "seen", gone=False)
    made.renew("k", ["seen", "unseen"], ["going"])
    made.end("k")
    assert not made.are_overdue("k"), "a new wait begins"
    made.observe("k", "unseen", gone=False)
    assert not made.are_met("k")
    made.observe("k", "going", gone=True)
    assert made.are_met("k")


# --- who goes first


def ranked(uid: str, **fields: Any) -> dict[str, Any]:
    ready = fields.pop("ready", 3600)
    since = {"type": "Ready", "status": "True", "lastTransitionTime": times.rfc3339(NOW - ready)}
    return {
        "metadata": {
            "name": uid,
            "uid": uid,
            "creationTimestamp": times.rfc3339(NOW - fields.pop("age", 7200)),
            "annotations": fields.pop("annotations", {}),
        },
        "spec": {"nodeName": fields.pop("node", "n-1"), "initContainers": [{"name": "s", "restartPolicy": "Always"}]},
        "status": {
            "phase": fields.pop("phase", "Running"),
            "conditions": [since] if ready else [],
            "containerStatuses": [{"name": "c", "restartCount": fields.pop("restarts", 0)}],
            "initContainerStatuses": [{"name": "s", "restartCount": fields.pop("aside", 0)}],
        },
    }


COST = "controller.kubernetes.io/pod-deletion-cost"


@pytest.mark.parametrize(
    ("goes", "stays"),
    [
        ({"node": ""}, {"phase": "Pending"}),
        ({"phase": "Pending"}, {"phase": "Unknown"}),
        ({"phase": "Unknown"}, {"ready": 0}),
        ({"ready": 0}, {"annotations": {COST: "-100"}}),
        ({"annotations": {COST: "-1"}}, {"node": "full"}),
        ({"annotations": {COST: "-1"}}, {"annotations": {COST: "01"}}),
        ({"node": "full"}, {"ready": 5}),
        ({"ready": 5}, {"restarts": 9}),
        ({"restarts": 9}, {"aside": 10}),
        ({"aside": 2}, {"age": 5}),
        ({"age": 5}, {}),
    ],
)
def test_which_of_two_goes(goes: dict[str, Any], stays: dict[str, Any]) -> None:
    pods = [ranked("b", **goes), ranked("a", **stays)]
    for order in (pods, pods[::-1]):
        assert [found["metadata"]["uid"] for found in first_to_go(order, Counter(full=3, **{"n-1": 1}), 1, NOW)] == [
            "b"
        ]


def test_of_like_ages_the_uid_decides() -> None:
    pods = [ranked("b", ready=1000), ranked("a", ready=1001)]
    assert first_to_go(pods, Counter(), 1, NOW)[0]["metadata"]["uid"] == "a"


@given(st.lists(st.tuples(*(st.integers(0, 3) for _ in range(5))), max_size=8), st.integers(0, 8))
def test_whoever_goes_is_no_better_than_who_stays(rows: list[tuple[int, ...]], count: int) -> None:
    """By the rules that say which is better; times and uids say only which of the like."""
    related = Counter({"n-1": 2, "n-2": 1})

    def make(number: int, row: tuple[int, ...]) -> dict[str, Any]:
        cost, node = {COST: str(row[2])}, f"n-{row[0]}" if row[0] else ""
        return ranked(str(number), node=node, ready=row[1] * 40, annotations=cost, age=60 * row[3] + 1, restarts=row[4])

    def worth(found: dict[str, Any]) -> tuple[Any, ...]:
        node = found["spec"]["nodeName"]
        return bool(node), bool(found["status"]["conditions"]), deletion_cost(found), -related[node]

    pods = [make(number, row) for number, row in enumerate(rows)]
    gone = first_to_go(pods, related, count, NOW)
    assert len(gone) == min(count, len(pods))
    stay = [found for found in pods if found not in gone]
    assert all(worth(went) <= worth(left) for went in gone for left in stay)


@pytest.mark.parametrize(
    ("text", "cost"),
    [("", 0), ("0", 0), ("10", 10), ("-10", -10), ("+1", 0), ("010", 0), ("1.5", 0), ("2147483648", 0), ("-0", 0)],
)
def test_what_a_pod_costs(text: str, cost: int) -> None:
    assert deletion_cost({"metadata": {"annotations": {COST: text}}}) == cost


# --- status


def test_when_a_pod_is_available() -> None:
    fresh = seen(ready_since=times.rfc3339(NOW - 10))
    assert is_available(fresh, 0, NOW)
    assert not is_available(fresh, 30, NOW)
    assert is_available(fresh, 10, NOW)
    assert not is_available(seen(is_ready=False, ready_since=""), 0, NOW)
    assert next_availability([fresh, seen(ready_since=times.rfc3339(NOW - 5))], 30, NOW) == 20
    assert next_availability([seen()], 30, NOW) is None


def test_a_status_that_is_told_already_is_not_written() -> None:
    owner: dict[str, Any] = {"metadata": {"generation": 2}, "spec": {"replicas": 2, "template": {}}}
    status = replica_status(owner, [seen()], 0, "no room", NOW)
    assert status["conditions"][0]["reason"] == "FailedCreate"
    assert not is_told(owner, status)
    owner["status"] = status
    assert is_told(owner, replica_status(owner, [seen()], 0, "no room at all", NOW + 60))
    assert not is_told(owner, replica_status(owner, [seen()], 1, "no room", NOW))
    assert not is_told(owner, replica_status(owner, [seen()], 0, "", NOW))
    assert "conditions" not in replica_status(owner, [seen()], 0, "", NOW)
    surplus = replica_status({**owner, "status": {}}, [seen(str(n)) for n in range(3)], 0, "no", NOW)
    assert surplus["conditions"][0]["reason"] == "FailedDelete"


def test_conditions_of_the_same_reason_stay_as_they_are() -> None:
    old = {"type": "A", "status": "True", "reason": "R", "message": "first"}
    assert conditions.replaced([old], {**old, "message": "second"}) == [old]
    changed = {**old, "reason": "S"}
    assert conditions.replaced([old, {"type": "B"}], changed) == [{"type": "B"}, changed]
    assert conditions.without([old], "A") == []


# --- making pods


def test_names_that_leave_no_room_for_a_dash() -> None:
    owner = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "n" * 253, "namespace": "d", "uid": "u"}}
    assert pod_from({}, owner)["metadata"]["generateName"] == "n" * 253


async def test_a_start_is_slow_and_ends_with_the_first_failure() -> None:
    batches: list[int] = []
    running = 0

    async def make() -> None:
        nonlocal running
        running += 1
        await asyncio.sleep(0)
        if running:
            batches.append(running)
            running = 0
        if sum(batches) >= 15:
            raise NotDone("no", in_doubt=False)

    with pytest.raises(NotDone):
        await slow_start(100, make)
    assert batches == [1, 2, 4, 8]
    batches.clear()
    await slow_start(6, make)
    assert batches == [1, 2, 3]


def test_patience_grows_and_is_forgotten() -> None:
    made = Patience()
    assert [made.next("k") for _ in range(3)] == [0.05, 0.1, 0.2]
    assert [made.next("k") for _ in range(30)][-1] == 60.0
    made.forget("k")
    assert made.next("k") == 0.05


# --- events


def happened(message: str = "m", name: str = "web", reason: str = "R") -> Happening:
    return Happening(("v1", "Pod", "default", name, "u"), "1", "tester", reason, message, False)


def test_the_same_again_is_counted() -> None:
    made = Correlator()
    first = made.correlate(happened(), NOW)
    assert first is not None
    assert first.count == 1
    again = made.correlate(happened(), NOW + 1)
    assert again is first
    assert again.count == 2
    other = made.correlate(happened("other"), NOW + 1)
    assert other is not None
    assert other.count == 1


def test_ten_alike_become_one() -> None:
    made = Correlator()
    told = [made.correlate(happened(f"pod {n}"), NOW) for n in range(12)]
    texts = [(found.message, found.count) for found in told if found is not None]
    assert texts[8] == ("pod 8", 1)
    assert [text for text, _ in texts[9:]] == [COMBINED + "pod 11"] * 3, "one event, told anew"
    assert told[11] is not None
    assert told[11].count == 3
    later = made.correlate(happened("pod 50"), NOW + 601)
    assert later is not None
    assert later.message == "pod 50"


def test_of_one_object_not_too_many() -> None:
    made = Correlator()
    told = [made.correlate(happened(reason=f"R{n}"), NOW) for n in range(30)]
    assert [found is not None for found in told] == [True] * 25 + [False] * 5
    assert made.correlate(happened(name="other"), NOW) is not None
    assert made.correlate(happened(), NOW + 299) is None
    assert made.correlate(happened(), NOW + 301) is not None


async def test_events_are_written_counted_and_written_anew_where_they_are_gone() -> None:
    api, clock = MemoryApi(), VirtualClock()
    made = Events(api, clock)
    task = asyncio.get_running_loop().create_task(made.run())
    about = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "uid": "u", "resourceVersion": "5"}}
    told = made.recorder("node-controller")
    for _ in range(2):
        told.record(about, "Gone", "it went", warning=True)
        await clock.advance(1.0)
    events = api.cache(EVENTS).all()
    assert len(events) == 1
    event = events[0]
    assert event["metadata"]["name"].startswith("n.")
    assert event["metadata"]["namespace"] == "default"
    assert event["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Node",
        "name": "n",
        "uid": "u",
        "resourceVersion": "5",
    }
    assert (event["type"], event["reason"], event["message"], event["count"]) == ("Warning", "Gone", "it went", 2)
    assert event["source"] == {"component": "node-controller"}
    assert event["lastTimestamp"] > event["firstTimestamp"]
    api.drop(EVENTS, "default", event["metadata"]["name"])
    told.record(about, "Gone", "it went", warning=True)
    await clock.advance(1.0)
    assert [found["count"] for found in api.cache(EVENTS).all()] == [3]
    task.cancel()
