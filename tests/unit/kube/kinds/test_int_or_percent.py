"""Whole numbers or percentages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.kinds import int_or_percent
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from unit.kube.kinds.verdicts import told


@pytest.mark.parametrize("value", [0, 7, "0%", "25%", "250%", None])
def test_good(value: int | str | None) -> None:
    errors = FieldErrors()
    int_or_percent.check(value, ROOT / "x", errors)
    assert told(errors) == []


@pytest.mark.parametrize("value", ["", "7", "25 %", "-1%", "%", "1.5%", "25%\n"])
def test_a_string_must_be_a_percentage(value: str) -> None:
    errors = FieldErrors()
    int_or_percent.check(value, ROOT / "x", errors)
    (found,) = told(errors)
    assert found.endswith(f": {int_or_percent.NOT_A_PERCENT}")


def test_a_negative_number() -> None:
    errors = FieldErrors()
    int_or_percent.check(-1, ROOT / "x", errors)
    assert told(errors) == ["x: Invalid value: -1: must be greater than or equal to 0"]


def test_more_than_all() -> None:
    errors = FieldErrors()
    for value in (101, "100%", "101%"):
        int_or_percent.at_most_all(value, ROOT / "x", errors)
    assert told(errors) == ['x: Invalid value: "101%": must not be greater than 100%']


@pytest.mark.parametrize(
    ("value", "total", "up", "expected"),
    [("25%", 10, True, 3), ("25%", 10, False, 2), ("100%", 7, False, 7), ("0%", 7, True, 0), (4, 2, True, 4)],
)
def test_scaled(value: int | str, total: int, up: bool, expected: int) -> None:
    assert int_or_percent.scaled(value, total, round_up=up) == expected


def test_scaling_what_is_no_percentage() -> None:
    with pytest.raises(ValueError, match="string is not a percentage"):
        int_or_percent.scaled("7", 10, round_up=True)


@given(st.integers(0, 100), st.integers(0, 10_000))
def test_rounding_differs_by_at_most_one(share: int, total: int) -> None:
    down = int_or_percent.scaled(f"{share}%", total, round_up=False)
    up = int_or_percent.scaled(f"{share}%", total, round_up=True)
    assert down <= share * total / 100 <= up <= down + 1
