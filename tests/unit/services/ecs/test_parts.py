"""The small pure parts: indexes, strategies, names, pages, locks."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.base.errors import Fault
from ropewalk.services.ecs import capacity, paging
from ropewalk.services.ecs.index import DefinitionIndex, TaskIndex
from ropewalk.services.ecs.locks import KeyedLocks
from ropewalk.services.ecs.names import Arns, cluster_name, definition_name, task_id
from ropewalk.services.ecs.records import DefinitionHead, Strategy, TaskHead
from ropewalk.services.ecs.task_states import STATES

ARNS = Arns("123456789012", "us-east-1")


def _head(version: int, status: str, machine: str = "m", token: str = "") -> TaskHead:
    return TaskHead("c", "f", 1, 1.0, "g", "FARGATE", 256, 512, machine, version=version, status=status, token=token)


_NEWS = st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(1, len(STATES))), max_size=30)


@given(_NEWS)
def test_counts_agree_with_what_was_last_heard_whatever_the_order_of_news(news: list[tuple[str, int]]) -> None:
    index = TaskIndex()
    newest: dict[str, int] = {}
    for task, version in news:
        index.note(task, _head(version, STATES[version - 1], token=task))
        newest[task] = max(version, newest.get(task, 0))
    states = [STATES[version - 1] for version in newest.values()]
    counts = index.counts("c")
    assert counts.running == states.count("RUNNING")
    assert counts.pending == sum(state in ("PROVISIONING", "PENDING", "ACTIVATING") for state in states)
    live = sum(state != "STOPPED" for state in states)
    assert (counts.active, index.used("m").cpu, index.users("f", 1)) == (live, 256 * live, live)
    for task in newest:
        assert index.with_token("c", task) == {0: task}
        index.note(task, None)
    assert index.counts("c").active == index.used("m").memory == index.users("f", 1) == 0
    assert not list(index.of_cluster("c"))


def test_a_definitions_status_only_moves_forward() -> None:
    index = DefinitionIndex()
    for status in ("ACTIVE", "INACTIVE", "ACTIVE"):
        index.note("f/0000000001", DefinitionHead(status))
    assert index.latest_active("f") is None and index.last("f") == 1
    index.note("f/0000000002", DefinitionHead())
    assert index.latest_active("f") == 2
    index.note("f/0000000002", None)
    assert (index.latest_active("f"), index.last("f")) == (None, 2)


_STRATEGY = st.lists(
    st.builds(Strategy, st.sampled_from(["FARGATE", "FARGATE_SPOT"]), st.integers(0, 5), st.integers(0, 3)),
    min_size=1,
    max_size=2,
    unique_by=lambda item: item.provider,
)


@given(strategy=_STRATEGY, count=st.integers(1, 10))
def test_a_strategy_gives_each_task_a_provider_bases_first(strategy: list[Strategy], count: int) -> None:
    shared = capacity.share(strategy, count)
    assert len(shared) == count
    first = strategy[0]
    assert shared[: min(first.base, count)] == [first.provider] * min(first.base, count)
    if any(item.weight for item in strategy):
        for item in strategy:
            if not item.weight:
                assert shared.count(item.provider) <= item.base


def test_weights_are_kept() -> None:
    shared = capacity.share([Strategy("FARGATE", 1), Strategy("FARGATE_SPOT", 4)], 10)
    assert shared.count("FARGATE") == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", ("web", None)),
        ("web:3", ("web", 3)),
        (f"{ARNS.prefix}task-definition/web:3", ("web", 3)),
        ("web:", None),
        ("we b", None),
        ("web:3:4", None),
    ],
)
def test_names_of_definitions(text: str, expected: tuple[str, int | None] | None) -> None:
    assert definition_name(ARNS, text) == expected


def test_names_of_clusters_and_tasks() -> None:
    assert cluster_name(ARNS, None) == "default" and cluster_name(ARNS, ARNS.cluster("x")) == "x"
    assert task_id(ARNS, "c", "a" * 32) == "a" * 32
    assert task_id(ARNS, "c", ARNS.task("c", "a" * 32)) == "a" * 32
    assert task_id(ARNS, "c", ARNS.task("d", "a" * 32)) is None
    with pytest.raises(Fault, match="Identifier is for task"):
        cluster_name(ARNS, ARNS.task("c", "a" * 32))


@given(st.text(max_size=30))
def test_any_text_names_something_or_is_refused(text: str) -> None:
    for parse in (lambda: cluster_name(ARNS, text), lambda: task_id(ARNS, "c", text)):
        try:
            parse()
        except Fault as fault:
            assert fault.status == 400
    definition_name(ARNS, text) if not text.startswith("arn:") else None


@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_tokens_return_what_they_hold_and_foreign_ones_are_refused(last: str, bogus: str) -> None:
    assert paging.decode("k", paging.encode("k", last)) == last
    with pytest.raises(Fault, match="Invalid token"):
        paging.decode("other", paging.encode("k", last))
    if bogus:
        with pytest.raises(Fault, match="Invalid token"):
            paging.decode("k", bogus)


async def test_locks_exclude_by_key_and_leave_nothing_behind() -> None:
    locks = KeyedLocks()
    inside: list[str] = []

    async def enter(key: str) -> None:
        async with locks.hold(key):
            assert key not in inside
            inside.append(key)
            await asyncio.sleep(0)
            inside.remove(key)

    await asyncio.gather(*(enter(key) for key in "aabba"))
    assert locks._locks == {}
