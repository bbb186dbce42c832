"""What is wrong with a cron schedule, in the words of the parser that Kubernetes uses (robfig/cron).
https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax
"""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass, field

DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
DURATION = re.compile(r"[+-]?(0|((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@dataclass(frozen=True, slots=True)
class Bounds:
    lowest: int
    highest: int
    names: dict[str, int] = field(default_factory=dict)


FIELDS = (
    Bounds(0, 59),
    Bounds(0, 23),
    Bounds(1, 31),
    Bounds(1, 12, {name: number for number, name in enumerate(MONTHS, 1)}),
    Bounds(0, 6, {name: number for number, name in enumerate(DAYS)}),
)


def problem(schedule: str) -> str:
    """ "" where nothing is wrong."""
    try:
        _parse(schedule)
    except ValueError as complaint:
        return str(complaint)
    return ""


def time_zone_problem(name: str) -> str:
    """ "" where the time zone database knows it."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return f"unknown time zone {name}"
    return ""


def _parse(schedule: str) -> None:
    if not schedule:
        raise ValueError("empty spec string")
    if schedule.startswith(("TZ=", "CRON_TZ=")):
        head, space, rest = schedule.partition(" ")
        if not space:
            raise ValueError("invalid schedule format: runtime error: slice bounds out of range [:-1]")
        zone = head.partition("=")[2]
        if zone and (found := time_zone_problem(zone)):
            raise ValueError(f"provided bad location {zone}: {found}")
        schedule = rest.strip()
    if schedule.startswith("@"):
        _parse_descriptor(schedule)
        return
    parts = schedule.split()
    if len(parts) != len(FIELDS):
        raise ValueError(f"expected exactly 5 fields, found {len(parts)}: [{' '.join(parts)}]")
    for part, bounds in zip(parts, FIELDS, strict=True):
        for expression in filter(None, part.split(",")):
            _parse_range(expression, bounds)


def _parse_descriptor(descriptor: str) -> None:
    if descriptor in DESCRIPTORS:
        return
    if not descriptor.startswith("@every "):
        raise ValueError(f"unrecognized descriptor: {descriptor}")
    duration = descriptor.removeprefix("@every ")
    if not DURATION.fullmatch(duration):
        raise ValueError(f'failed to parse duration {descriptor}: time: invalid duration "{duration}"')


def _parse_range(expression: str, bounds: Bounds) -> None:
    """`*`, `3`, `mon-fri`, `*/15`, `0-30/10`."""
    span, *steps = expression.split("/")
    low, *high = span.split("-")
    if low in ("*", "?"):
        start, end = bounds.lowest, bounds.highest
    else:
        start = _number(low, bounds)
        if len(high) > 1:
            raise ValueError(f"too many hyphens: {expression}")
        end = _number(high[0], bounds) if high else start
    if len(steps) > 1:
        raise ValueError(f"too many slashes: {expression}")
    step = _integer(steps[0]) if steps else 1
    if steps and not high:
        end = bounds.highest
    if start < bounds.lowest:
        raise ValueError(f"beginning of range ({start}) below minimum ({bounds.lowest}): {expression}")
    if end > bounds.highest:
        raise ValueError(f"end of range ({end}) above maximum ({bounds.highest}): {expression}")
    if start > end:
        raise ValueError(f"beginning of range ({start}) beyond end of range ({end}): {expression}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {expression}")


def _number(text: str, bounds: Bounds) -> int:
    named = bounds.names.get(text.lower())
    return _integer(text) if named is None else named


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise ValueError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    if int(text) < 0:
        raise ValueError(f"negative number ({int(text)}) not allowed: {text}")
    return int(text)
