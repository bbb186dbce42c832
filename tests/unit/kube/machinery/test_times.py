import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.machinery import times


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("2026-02-01T10:00:00Z", 1769940000.0),
        ("2026-02-01T12:00:00+02:00", 1769940000.0),
        ("2026-02-01T10:00:00.25Z", 1769940000.25),
        ("0001-01-01T00:00:00Z", -62135596800.0),
    ],
)
def test_times_are_read(text: str, seconds: float) -> None:
    assert times.parse(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "now", "2026-02-30T00:00:00Z", "2026-02-01 10:00:00Z", "2026-02-01T10:00:00", "2026-02-01T25:00:00Z"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        times.parse(text)


@given(st.integers(min_value=0, max_value=4_000_000_000))
def test_writing_and_reading_agree(wall: int) -> None:
    assert times.parse(times.rfc3339(wall)) == wall
    assert times.parse(times.rfc3339_micro(wall)) == wall


def test_seconds_are_cut_and_millionths_kept() -> None:
    assert times.rfc3339(1769940000.9) == "2026-02-01T10:00:00Z"
    assert times.rfc3339_micro(1769940000.5) == "2026-02-01T10:00:00.500000Z"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"), (-1, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (130, "2m10s"), (600, "10m"),
        (10799, "179m"), (10800, "3h"), (11520, "3h12m"), (28800, "8h"), (172799, "47h"), (172800, "2d"),
        (183600, "2d3h"), (8 * 86400, "8d"), (729 * 86400, "729d"), (740 * 86400, "2y10d"), (3650 * 86400, "10y"),
    ],
)  # fmt: skip
def test_ages(seconds: int, text: str) -> None:
    start = 1769940000.0
    assert times.age(start + seconds, times.rfc3339(start)) == text


def test_no_time_has_no_age() -> None:
    assert times.age(0.0, "") == "<unknown>"
