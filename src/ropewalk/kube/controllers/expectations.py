"""What a controller has done and has not yet seen: until it has, it takes no stock of what there is.

A watch tells of a write a moment after it is done, or much later. Whoever counts meanwhile counts too few and makes too
many. So after each write its object's uid is expected, and the key is not acted upon until all are seen. What was lost
on the way (made and gone again while the watch was down) is never seen: so the owner looks at the store itself once it
has waited for long. (kube-controller-manager counts, and goes on after five minutes whatever it has seen.)
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, field

from ropewalk.base.clock import Clock

PATIENCE = 10.0


@dataclass(slots=True)
class _Expected:
    created: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    since: float = 0.0
    open: int = 0
    """Writes under way."""
    seen: set[str] = field(default_factory=set)
    """What was told while writes were under way: their answers may come later."""
    gone: set[str] = field(default_factory=set)


class Expectations:
    """By the controller's keys."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expected: dict[str, _Expected] = {}

    def are_met(self, key: str) -> bool:
        found = self._expected.get(key)
        return found is None or not (found.created or found.deleted)

    def are_overdue(self, key: str) -> bool:
        """Not met, for so long that it is time to look at the store."""
        return not self.are_met(key) and self._clock.monotonic() - self._expected[key].since >= PATIENCE

    def renew(self, key: str, created: Iterable[str], deleted: Iterable[str]) -> None:
        """What the store has, and was not seen: this alone is expected, of what has not been seen meanwhile. Between
        `begin` and `end`.
        """
        found = self._expected[key]
        found.created = set(created) - found.seen
        found.deleted = set(deleted) - found.gone

    def begin(self, key: str) -> None:
        """Writes for `key` begin; `end` follows each `begin`."""
        found = self._expected.setdefault(key, _Expected())
        found.since = self._clock.monotonic()
        found.open += 1

    def end(self, key: str) -> None:
        found = self._expected.get(key)
        if found is None:  # forgotten meanwhile
            return
        found.open -= 1
        if not found.open:
            found.seen.clear()
            found.gone.clear()
            if not (found.created or found.deleted):
                del self._expected[key]

    def created(self, key: str, uid: str) -> None:
        """It was created, and is to be seen."""
        found = self._expected.get(key)
        if found is not None and uid not in found.seen:
            found.created.add(uid)

    def deleted(self, key: str, uid: str) -> None:
        """Its deletion was asked for, and is to be seen."""
        found = self._expected.get(key)
        if found is not None and uid not in found.gone:
            found.deleted.add(uid)

    def going(self, key: str) -> Set[str]:
        """Whose deletion was asked for and is not seen yet."""
        found = self._expected.get(key)
        return found.deleted if found is not None else frozenset()

    def observe(self, key: str, uid: str, *, gone: bool) -> None:
        """It was told: to be there, or (also) to be going or gone."""
        found = self._expected.get(key)
        if found is None:
            return
        if found.open:
            found.seen.add(uid)
            if gone:
                found.gone.add(uid)
        found.created.discard(uid)
        if gone:
            found.deleted.discard(uid)

    def forget(self, key: str) -> None:
        self._expected.pop(key, None)
