"""What is remembered is bounded, and never more than was told."""

from __future__ import annotations

from ropewalk.kube.machinery import remembered
from ropewalk.kube.machinery.remembered import Remembered


def test_an_answer_is_found_under_its_part_alone() -> None:
    known: Remembered[int] = Remembered()
    known.keep(b"one", 1)
    assert (known.get(b"one"), known.get(b"two")) == (1, None)


def test_the_oldest_goes_first() -> None:
    known: Remembered[int] = Remembered()
    for number in range(remembered.KEPT + 1):
        known.keep(str(number).encode(), number)
    assert len(known) == remembered.KEPT
    assert known.get(b"0") is None
    assert known.get(str(remembered.KEPT).encode()) == remembered.KEPT


def test_large_parts_are_not_kept() -> None:
    known: Remembered[int] = Remembered()
    known.keep(b"x" * (remembered.LARGEST + 1), 1)
    assert len(known) == 0
