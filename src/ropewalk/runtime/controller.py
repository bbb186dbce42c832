"""A controller: keys in, `reconcile(key)` until it says `Done`.

Level-triggered: a key says only that something about it may have changed; reconcile reads the present state and moves
it one step towards what is wanted. The same key never runs twice at once. What a reconcile raises decides the next try:
`Retryable` after its own delay, anything else is logged as a bug and tried again with growing back-off.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, Union


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing more to do until the key is enqueued again."""


@dataclass(frozen=True, slots=True)
class RequeueAfter:
    """Look again after so many seconds (sooner if enqueued)."""

    seconds: float


Result = Union[Done, RequeueAfter]
Reconcile = Callable[[str], Awaitable[Result]]
DONE = Done()


class Runnable(Protocol):
    """Something a supervisor keeps running."""

    @property
    def name(self) -> str: ...

    async def run(self) -> None:
        """Runs until cancelled."""
        ...
