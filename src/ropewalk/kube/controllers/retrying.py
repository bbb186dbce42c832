"""How long to wait after failures that are the world's, not ours: longer each time, up to a minute."""

from __future__ import annotations

FIRST, LONGEST = 0.05, 60.0


class Patience:
    """By key."""

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}

    def next(self, key: str) -> float:
        """Seconds to wait after one more failure."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        return float(min(LONGEST, FIRST * (1 << min(failures, 16))))

    def forget(self, key: str) -> None:
        """It went well."""
        self._failures.pop(key, None)
