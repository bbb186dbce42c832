"""Answers worth keeping for those who ask the same again: a workload's pods differ in their names and little else.

What a pure function said of an object's part is kept under the part's own bytes, so nothing can go stale and two
parts never share an answer. Bounded in number and in bytes: the oldest goes first, and large parts are not kept.
"""

from __future__ import annotations

from typing import Generic, TypeVar

KEPT = 256
LARGEST = 8 * 1024
"""Bytes of a part. With `KEPT` of them it is two megabytes at most."""

T = TypeVar("T")


class Remembered(Generic[T]):
    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: dict[bytes, T] = {}

    def __len__(self) -> int:
        return len(self._found)

    def get(self, part: bytes) -> T | None:
        return self._found.get(part)

    def keep(self, part: bytes, answer: T) -> None:
        """The answer is shared from now on: nobody may change it."""
        if len(part) > LARGEST:
            return
        if len(self._found) >= KEPT:
            del self._found[next(iter(self._found))]
        self._found[part] = answer
