"""Client tokens: one effect for a call sent twice, also when the first was cut short."""

from __future__ import annotations

import asyncio

import pytest

from ropewalk.aws.idempotency import KEPT_SECONDS, Attempt, ClientTokens
from ropewalk.aws.operations import Call, Params
from ropewalk.base.entropy import SeededEntropy
from ropewalk.base.errors import Fault
from ropewalk.store.memory import MemoryStore
from unit.aws.fronts import ALICE, Gate

MISMATCH = Fault("ConflictException", "This token was used with other parameters.")


def call(now: float = 0.0, operation: str = "RunTask") -> Call:
    return Call("ecs", operation, "rid", "123456789012", "us-east-1", ALICE, now, "127.0.0.1", "localhost", Gate())


class Acts:
    """Counts its runs; fails the first `crashes` times as a process that dies would."""

    def __init__(self, crashes: int = 0) -> None:
        self.seeds: list[str] = []
        self._crashes = crashes

    async def __call__(self, attempt: Attempt) -> Params:
        self.seeds.append(attempt.seed)
        await asyncio.sleep(0)
        if len(self.seeds) <= self._crashes:
            raise asyncio.CancelledError
        return {"made": attempt.seed, "run": len(self.seeds)}


def tokens() -> ClientTokens:
    return ClientTokens(MemoryStore(SeededEntropy(1)), "/ecs/tokens", SeededEntropy(2))


async def test_the_same_call_twice_acts_once() -> None:
    kept, acts = tokens(), Acts()
    first = await kept.once(call(), "t", {"a": 1}, acts, mismatch=MISMATCH)
    assert await kept.once(call(9), "t", {"a": 1}, acts, mismatch=MISMATCH) == first
    assert len(acts.seeds) == 1


async def test_at_the_same_time_too() -> None:
    kept, acts = tokens(), Acts()
    calls = [kept.once(call(), "t", {"a": 1}, acts, mismatch=MISMATCH) for _ in range(10)]
    answers = await asyncio.gather(*calls)
    assert answers == [answers[0]] * 10
    assert len(acts.seeds) == 1


async def test_other_parameters_are_a_mismatch_unless_they_do_not_count() -> None:
    kept, acts = tokens(), Acts()
    await kept.once(call(), "t", {"a": 1, "clientToken": "t"}, acts, mismatch=MISMATCH, ignoring=("clientToken",))
    with pytest.raises(Fault) as caught:
        await kept.once(call(), "t", {"a": 2}, acts, mismatch=MISMATCH, ignoring=("clientToken",))
    assert caught.value is MISMATCH
    await kept.once(call(), "t", {"a": 1, "clientToken": "T"}, acts, mismatch=MISMATCH, ignoring=("clientToken",))
    assert len(acts.seeds) == 1


async def test_without_a_token_or_with_another_every_call_acts() -> None:
    kept, acts = tokens(), Acts()
    for token in (None, "", "a", "b"):
        await kept.once(call(), token, {}, acts, mismatch=MISMATCH)
    await kept.once(call(operation="CreateService"), "a", {}, acts, mismatch=MISMATCH)
    assert len(acts.seeds) == len(set(acts.seeds)) == 5


async def test_a_call_cut_short_runs_again_with_the_same_seed() -> None:
    kept, acts = tokens(), Acts(crashes=1)
    with pytest.raises(asyncio.CancelledError):
        await kept.once(call(), "t", {}, acts, mismatch=MISMATCH)
    answer = await kept.once(call(), "t", {}, acts, mismatch=MISMATCH)
    assert answer == {"made": acts.seeds[0], "run": 2}
    assert acts.seeds[0] == acts.seeds[1]


async def test_a_refused_call_leaves_its_token_free() -> None:
    kept, acts = tokens(), Acts()

    async def refuse(attempt: Attempt) -> Params:
        raise Fault("InvalidParameterException", "no")

    with pytest.raises(Fault):
        await kept.once(call(), "t", {"a": 1}, refuse, mismatch=MISMATCH)
    await kept.once(call(), "t", {"a": 2}, acts, mismatch=MISMATCH)
    assert len(acts.seeds) == 1


async def test_records_end_after_a_day_and_are_collected() -> None:
    store = MemoryStore(SeededEntropy(1))
    kept, acts = ClientTokens(store, "/ecs/tokens", SeededEntropy(2)), Acts()
    for number in range(40):
        await kept.once(call(), f"t{number}", {}, acts, mismatch=MISMATCH)
    later = call(KEPT_SECONDS + 1)
    await kept.once(later, "t0", {"other": 1}, acts, mismatch=MISMATCH)
    for number in range(5):
        await kept.once(later, f"new{number}", {}, acts, mismatch=MISMATCH)
    assert len((await store.list("/ecs/tokens")).entries) == 6
