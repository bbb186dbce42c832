"""When a client that was turned away shall come again: later, the more of them there are. Pure but for its counts.

As kube-apiserver's: a second at first, doubled while three a second or more are turned away, half a minute at most,
and down again a second at a time.
"""

from __future__ import annotations

from collections import deque

LONGEST = 32


class Refusals:
    """Of one priority level."""

    __slots__ = ("_count", "_history", "_raised", "_second", "after")

    def __init__(self) -> None:
        self.after = 1
        """Seconds."""
        self._history: deque[tuple[int, int]] = deque()
        self._second = 0
        self._count = 0
        self._raised = 0

    def note(self, wall: float) -> int:
        """One more was turned away; when it shall come again."""
        second = int(wall)
        if second != self._second:
            self._history.append((self._second, self._count))
            while self._history and second - self._history[0][0] > LONGEST:
                self._history.popleft()
            self._second, self._count = second, 0
            self._revise(second)
        self._count += 1
        return self.after

    def _revise(self, now: int) -> None:
        lately = sum(count for second, count in self._history if now - second <= self.after)
        if now - self._raised >= self.after and lately >= 3 * self.after:
            self.after = min(self.after * 2, LONGEST)
            self._raised = now
        elif lately < self.after and self.after > 1:
            self.after -= 1
