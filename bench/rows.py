"""What a measurement answers, and small helpers to take one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    ours: str
    other: str = ""
    """What it is measured against, in the same run."""
    ratio: float | None = None
    wanted: str = ""
    """The ratio or bound aimed at, in words."""


def median_ms(samples: Sequence[float]) -> float:
    return statistics.median(samples) * 1000


def timed(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun
