"""One level's seats and queues: laws that hold whatever comes, and the order in which flows are served."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.kube.flowcontrol.dealing import flow_hash, hand
from ropewalk.kube.flowcontrol.levels import Entry, Level, Queue, Seat


class Asked(Seat):
    __slots__ = ("flow", "woken")

    def __init__(self, flow: int) -> None:
        self.flow = flow
        self.woken = 0

    def seated(self) -> None:
        self.woken += 1


def a_level(limit: int, queues: int = 8, queue_limit: int = 4) -> Level:
    level = Level("busy", 0.0)
    level.set_queues(queues, queue_limit)
    level.set_limit(limit, 0.0)
    return level


def cards(level: Level, flow: int, size: int = 3) -> tuple[Queue, ...]:
    return tuple(level.queues[card] for card in hand(flow_hash("schema", str(flow)), len(level.queues), size))


@given(st.integers(0, 2**64 - 1), st.integers(1, 200), st.integers(1, 12))
def test_a_hand_holds_different_cards_of_the_deck(hashed: int, queues: int, size: int) -> None:
    dealt = hand(hashed, queues, size)
    assert len(dealt) == len(set(dealt)) == min(size, queues)
    assert all(0 <= card < queues for card in dealt)


def test_hands_are_spread_over_the_deck() -> None:
    counts = Counter(card for flow in range(2000) for card in hand(flow_hash("s", str(flow)), 16, 4))
    assert len(counts) == 16
    assert max(counts.values()) < 1.3 * min(counts.values())


def test_every_hand_there_is_can_be_dealt() -> None:
    assert {hand(number, 4, 2) for number in range(12)} == {(a, b) for a in range(4) for b in range(4) if a != b}


Step = tuple[str, int, float]
steps = st.lists(
    st.tuples(st.sampled_from(["come", "come", "come", "go", "withdraw", "limit"]), st.integers(0, 9), st.floats(0, 2)),
    max_size=80,
)


@settings(max_examples=300)
@given(steps, st.integers(1, 5), st.integers(0, 4))
def test_seats_and_queues_keep_their_bounds(plan: list[Step], limit: int, queue_limit: int) -> None:
    level = a_level(limit, queue_limit=queue_limit)
    seated: list[Asked] = []
    waiting: list[Asked] = []
    now = 0.0
    for word, number, later in plan:
        now += later
        if word == "come":
            before = level.in_use
            asked = Asked(number)
            entry = level.enter(asked, cards(level, number), now)
            if entry is Entry.SEATED:
                assert before < limit
                seated.append(asked)
            elif entry is Entry.WAITING:
                assert before >= limit
                waiting.append(asked)
            else:
                assert before >= limit
                assert any(len(queue.waiting) >= queue_limit for queue in cards(level, number))
        elif word == "go" and seated:
            level.leave(seated.pop(number % len(seated)), now)
        elif word == "withdraw" and waiting:
            level.withdraw(waiting.pop(number % len(waiting)), now)
        elif word == "limit":
            limit = 1 + number
            level.set_limit(limit, now)
        begun = [asked for asked in waiting if asked.holds]
        assert all(asked.woken == 1 for asked in begun)
        waiting = [asked for asked in waiting if not asked.holds]
        seated += begun
        assert level.in_use == len(seated)
        assert level.waiting == len(waiting)
        assert not waiting or level.in_use >= limit, "a seat stays free while somebody waits"
        assert all(len(queue.waiting) <= max(queue_limit, 0) for queue in level.queues)
        assert sum(queue.executing for queue in level.queues) == level.in_use
        assert level._active == sum(1 for queue in level.queues if queue.waiting or queue.executing)
    for asked in [*waiting]:
        level.withdraw(asked, now)
    for asked in seated:
        level.leave(asked, now)
    assert level.is_idle
    assert level._active == 0
    assert not level._backlog


def served(
    level: Level, flows: dict[int, int], seconds: float, lasts: dict[int, float], every: list[Asked] | None = None
) -> Counter[int]:
    """Requests that each flow got through; flow → how many it keeps asking at once."""
    now, done = 0.0, Counter[int]()
    ends: list[tuple[float, Asked]] = []
    asking: list[Asked] = []

    def ask(flow: int) -> None:
        asked = Asked(flow)
        entry = level.enter(asked, (level.queues[flow],), now)
        assert entry is not Entry.FULL
        asking.append(asked)
        if every is not None:
            every.append(asked)

    for flow, at_once in flows.items():
        for _ in range(at_once):
            ask(flow)
    while now < seconds:
        for asked in [asked for asked in asking if asked.holds]:
            asking.remove(asked)
            ends.append((asked.began + lasts[asked.flow], asked))
        ends.sort(key=lambda end: end[0])
        now, asked = ends.pop(0)
        level.leave(asked, now)
        done[asked.flow] += 1
        ask(asked.flow)
    return done


@pytest.mark.parametrize(("greedy", "limit"), [(10, 1), (40, 2), (90, 5)])
def test_a_flow_that_asks_little_is_not_kept_waiting_by_one_that_asks_much(greedy: int, limit: int) -> None:
    level = a_level(limit, queues=4, queue_limit=100)
    done = served(level, {0: greedy, 1: limit}, 20.0, {0: 0.01, 1: 0.01})
    assert done[1] == pytest.approx(done[0], rel=0.2)


def test_who_asks_for_long_work_gets_as_many_seconds_not_as_many_requests() -> None:
    level = a_level(2, queues=4, queue_limit=100)
    done = served(level, {0: 10, 1: 10}, 60.0, {0: 0.5, 1: 0.01})
    assert done[1] * 0.01 == pytest.approx(done[0] * 0.5, rel=0.2)


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.integers(0, 7), st.integers(1, 20), min_size=2),
    st.integers(1, 4),
    st.lists(st.sampled_from([0.001, 0.01, 0.1]), min_size=8, max_size=8),
)
def test_nobody_starves(flows: dict[int, int], limit: int, lasts: list[float]) -> None:
    level = a_level(limit, queue_limit=100)
    done = served(level, flows, 2.5, dict(enumerate(lasts)))
    assert all(done[flow] > 0 for flow in flows)


def test_turns_are_not_saved_up_while_idle() -> None:
    level = a_level(1, queues=2, queue_limit=100)
    held: list[Asked] = []
    done = served(level, {0: 3}, 30.0, {0: 0.01}, held)
    assert done[0] > 2900
    now = level._updated
    while level.in_use:
        level.leave(next(asked for asked in held if asked.holds), now)
    asked = [Asked(number % 2) for number in range(21)]
    for one in asked:
        level.enter(one, (level.queues[one.flow],), now)
    order: list[int] = []
    while level.in_use:
        now += 0.01
        one = next(one for one in asked if one.holds)
        order.append(one.flow)
        level.leave(one, now)
    assert order[:10].count(1) == pytest.approx(5, abs=1)


def test_turns_are_not_saved_up_by_using_less_than_ones_share() -> None:
    level = a_level(4, queues=2, queue_limit=500)
    now = 0.0
    modest = Asked(1)
    level.enter(modest, (level.queues[1],), now)
    greedy = [Asked(0) for _ in range(6)]
    for one in greedy:
        level.enter(one, (level.queues[0],), now)
    for _ in range(1000):  # a hundred seconds: one seat for the modest, three for the greedy
        now += 0.1
        following = Asked(1)
        level.enter(following, (level.queues[1],), now)
        level.leave(modest, now)
        modest = following
        for one in [one for one in greedy if one.holds][:3]:
            greedy.remove(one)
            greedy.append(Asked(0))
            level.enter(greedy[-1], (level.queues[0],), now)
            level.leave(one, now)
    asked = [*greedy, modest, *(Asked(flow) for flow in [0] * 200 + [1] * 200)]
    for one in asked[-400:]:
        level.enter(one, (level.queues[one.flow],), now)
    done: Counter[int] = Counter()
    for _ in range(30):
        now += 0.1
        for one in [one for one in asked if one.holds]:
            asked.remove(one)
            level.leave(one, now)
            done[one.flow] += 1
    assert done[0] == pytest.approx(60, rel=0.15)


def test_a_queue_that_was_idle_starts_from_the_meter() -> None:
    level = a_level(1, queues=2)
    busy = Asked(0)
    level.enter(busy, (level.queues[0],), 0.0)
    level.leave(busy, 50.0)
    level.enter(Asked(1), (level.queues[1],), 60.0)
    assert level.queues[1].start == pytest.approx(50.0, abs=0.01)


def test_without_queues_what_finds_no_seat_is_turned_away() -> None:
    level = a_level(2, queues=0)
    first, second, third = Asked(0), Asked(0), Asked(0)
    assert [level.enter(asked, (), 0.0) for asked in (first, second, third)] == [
        Entry.SEATED,
        Entry.SEATED,
        Entry.FULL,
    ]
    level.leave(first, 1.0)
    assert level.enter(third, (), 1.0) is Entry.SEATED
    assert level.refused == 1


def test_a_level_without_seats_serves_one_at_a_time() -> None:
    level = a_level(0)
    assert level.enter(Asked(0), cards(level, 0), 0.0) is Entry.SEATED
    assert level.enter(Asked(1), cards(level, 1), 0.0) is Entry.WAITING


def test_more_seats_let_those_in_who_wait() -> None:
    level = a_level(1)
    asked = [Asked(number) for number in range(4)]
    for one in asked:
        level.enter(one, cards(level, one.flow), 0.0)
    level.set_limit(3, 1.0)
    assert [one.holds for one in asked].count(True) == 3


def test_fewer_queues_lose_nobody() -> None:
    level = a_level(1, queues=8)
    asked = [Asked(number) for number in range(8)]
    for one in asked:
        level.enter(one, (level.queues[one.flow],), 0.0)
    level.set_queues(1, 4)
    for number in range(8):
        held = [one for one in asked if one.holds]
        assert len(held) == 1
        asked.remove(held[0])
        level.leave(held[0], number + 1.0)
    assert level.is_idle


def test_demand_is_weighted_by_time() -> None:
    level = a_level(1)
    first, second = Asked(0), Asked(1)
    level.enter(first, cards(level, 0), 0.0)
    level.enter(second, cards(level, 1), 5.0)
    level.leave(first, 10.0)
    found = level.demand(10.0)
    assert (found.peak, found.average, found.deviation) == (2, 1.5, 0.5)
    assert (level.demand(20.0).peak, level.demand(30.0).average) == (1, 1.0)
