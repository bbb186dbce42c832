"""The sorted set against sorted()."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.store import sorted_keys
from ropewalk.store.sorted_keys import SortedKeys

KEYS = st.text(alphabet="ab/é\U0001f600\U0010ffff", max_size=5)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.sets(KEYS, max_size=30), st.lists(KEYS, max_size=60), KEYS, KEYS)
def test_it_equals_a_sorted_set(start: set[str], toggled: list[str], prefix: str, after: str) -> None:
    chunk = sorted_keys._CHUNK
    sorted_keys._CHUNK = 3
    try:
        keys, model = SortedKeys(start), set(start)
        for key in toggled:
            if key in model:
                keys.remove(key)
                model.discard(key)
            else:
                keys.add(key)
                model.add(key)
        assert len(keys) == len(model)
        assert list(keys.under("")) == sorted(model)
        wanted = [key for key in sorted(model) if key.startswith(prefix) and (not after or key > after)]
        assert list(keys.under(prefix, after)) == wanted
        assert keys.count(prefix, after) == len(wanted)
    finally:
        sorted_keys._CHUNK = chunk


def test_its_order_is_that_of_the_bytes() -> None:
    source = random.Random(1)
    words = {"".join(chr(source.choice((65, 233, 0xFFFD, 0x1F600))) for _ in range(6)) for _ in range(5_000)}
    keys = SortedKeys()
    for word in words:
        keys.add(word)
    assert list(keys.under("")) == sorted(words, key=str.encode)


def test_removing_what_is_not_there_is_an_error() -> None:
    keys = SortedKeys(["a", "c"])
    with pytest.raises(KeyError):
        keys.remove("b")
