"""Cron schedules, in the words of the parser that Kubernetes uses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.kinds.batch import schedules


@pytest.mark.parametrize(
    "schedule",
    [
        "* * * * *",
        "*/5 * * * ?",
        "0 0 1 1 *",
        "0-30/10 8-17 * JAN-mar Mon-Fri",
        "1,2,3 * * * *",
        "5/15 * * * *",
        "@hourly",
        "@midnight",
        "@every 1h30m",
        "TZ=UTC 0 0 * * *",
        "CRON_TZ=UTC @daily",
        "  0 0 * * *  ",
    ],
)
def test_good(schedule: str) -> None:
    assert schedules.problem(schedule) == ""


@pytest.mark.parametrize(
    ("schedule", "complaint"),
    [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("* * * * * *", "expected exactly 5 fields, found 6: [* * * * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* 5-3 * * *", "beginning of range (5) beyond end of range (3): 5-3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("@never", "unrecognized descriptor: @never"),
        ("@every day", 'failed to parse duration @every day: time: invalid duration "day"'),
        ("TZ=Nowhere/At_All 0 0 * * *", "provided bad location Nowhere/At_All: unknown time zone Nowhere/At_All"),
    ],
)
def test_bad(schedule: str, complaint: str) -> None:
    assert schedules.problem(schedule) == complaint


def test_a_zone_alone_does_not_break_the_parser() -> None:
    assert schedules.problem("TZ=0").startswith("invalid schedule format: ")


@given(st.text(alphabet="0123456789*/-,? @TZ=xyz", max_size=30))
def test_any_text_gets_a_verdict(text: str) -> None:
    assert isinstance(schedules.problem(text), str)
