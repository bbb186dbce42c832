"""Leases judged in this process, on its monotonic clock. Knows no disk: whoever owns the file keeps the rows.

A renewal changes nothing that must be kept: after a restart every lease found runs its full time once more, which is
safe (nobody else may take it early) and needs no write.
"""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.base.clock import Clock
from ropewalk.store.protocol import Lease


@dataclass(frozen=True, slots=True)
class Held:
    """A lease as kept: the holder is empty after a release, for the term must outlive it."""

    lease: Lease
    seconds: float


class LeaseBook:
    """All leases of one store."""

    def __init__(self, clock: Clock, found: tuple[Held, ...] = ()) -> None:
        self._clock = clock
        self._held = {held.lease.name: held for held in found}
        now = clock.monotonic()
        self._expiry = {held.lease.name: now + held.seconds for held in found if held.lease.holder}

    def acquire(self, name: str, holder: str, seconds: float) -> tuple[Lease, Held | None]:
        """Who holds it now, and the row to write where one changed."""
        now = self._clock.monotonic()
        held = self._held.get(name)
        if held is not None and held.lease.holder and self._expiry[name] > now:
            if held.lease.holder != holder:
                return held.lease, None
            changed = held if held.seconds == seconds else Held(held.lease, seconds)
        else:
            changed = Held(Lease(name, holder, 1 if held is None else held.lease.term + 1), seconds)
        self._held[name] = changed
        self._expiry[name] = now + seconds
        return changed.lease, None if changed is held else changed

    def release(self, name: str, holder: str) -> Held | None:
        """The row to write where the holder had it."""
        held = self._held.get(name)
        if held is None or held.lease.holder != holder:
            return None
        freed = Held(Lease(name, "", held.lease.term), held.seconds)
        self._held[name] = freed
        self._expiry.pop(name, None)
        return freed
