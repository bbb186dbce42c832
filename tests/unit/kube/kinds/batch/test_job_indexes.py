"""Indexes of indexed jobs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.kinds.batch import indexes


@pytest.mark.parametrize(("listed", "expected"), [("", 0), ("0", 1), ("1,3-5,7", 5), ("0-9", 10)])
def test_counted(listed: str, expected: int) -> None:
    assert indexes.count(listed, 10) == expected


@pytest.mark.parametrize(
    ("listed", "complaint"),
    [
        ("10", 'too large index: "10"'),
        ("1-10", 'too large index: "10"'),
        ("a", 'cannot convert string to integer for index: "a"'),
        ("3,2", "non-increasing order, previous: 3, current: 2"),
        ("3-3", "non-increasing order, previous: 3, current: 3"),
        ("1-3,3", "non-increasing order, previous: 3, current: 3"),
        ("1-2-3", "at most two parts separated by '-'"),
        (",", 'cannot convert string to integer for index: ""'),
    ],
)
def test_out_of_form(listed: str, complaint: str) -> None:
    with pytest.raises(ValueError) as caught:
        indexes.count(listed, 10)
    assert complaint in str(caught.value)


def _spelled(chosen: set[int]) -> str:
    return ",".join(str(index) for index in sorted(chosen))


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_the_first_in_both(completed: set[int], failed: set[int]) -> None:
    both = completed & failed
    assert indexes.overlap(_spelled(completed), _spelled(failed), 31) == (min(both) if both else None)


@given(st.sets(st.integers(0, 30)))
def test_every_index_counts_once(chosen: set[int]) -> None:
    assert indexes.count(_spelled(chosen), 31) == len(chosen)
