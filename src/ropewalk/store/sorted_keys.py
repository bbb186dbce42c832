"""A sorted set of strings in chunks, so that an insertion moves a thousand references, not fifty thousand.

Python compares strings by code point, which is also the byte order of their UTF-8: the order every backend lists in.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator

_CHUNK = 1024


class SortedKeys:
    """Keys in order; each held once."""

    __slots__ = ("_chunks", "_firsts", "_size")

    def __init__(self, keys: Iterable[str] = ()) -> None:
        ordered = sorted(keys)
        self._chunks = [ordered[i : i + _CHUNK] for i in range(0, len(ordered), _CHUNK)]
        self._firsts = [chunk[0] for chunk in self._chunks]
        self._size = len(ordered)

    def __len__(self) -> int:
        return self._size

    def add(self, key: str) -> None:
        """The key must not be there yet."""
        self._size += 1
        if not self._chunks:
            self._chunks.append([key])
            self._firsts.append(key)
            return
        at = max(bisect_right(self._firsts, key) - 1, 0)
        chunk = self._chunks[at]
        insort(chunk, key)
        self._firsts[at] = chunk[0]
        if len(chunk) > 2 * _CHUNK:
            half = chunk[_CHUNK:]
            del chunk[_CHUNK:]
            self._chunks.insert(at + 1, half)
            self._firsts.insert(at + 1, half[0])

    def remove(self, key: str) -> None:
        """The key must be there."""
        at = bisect_right(self._firsts, key) - 1
        chunk = self._chunks[at]
        place = bisect_left(chunk, key)
        if chunk[place] != key:
            raise KeyError(key)
        del chunk[place]
        self._size -= 1
        if chunk:
            self._firsts[at] = chunk[0]
        else:
            del self._chunks[at]
            del self._firsts[at]

    def count(self, prefix: str, after: str = "") -> int:
        """How many `under` would give, without looking at each."""
        exclusive = after >= prefix and bool(after)
        first = self._rank(after, bisect_right) if exclusive else self._rank(prefix, bisect_left)
        end = _end_of(prefix)
        last = self._rank(end, bisect_left) if end else self._size
        return max(last - first, 0)

    def _rank(self, key: str, find: Callable[[list[str], str], int]) -> int:
        """How many stand before the place that `find` gives the key."""
        at = bisect_right(self._firsts, key) - 1
        return sum(map(len, self._chunks[:at])) + find(self._chunks[at], key) if at >= 0 else 0

    def under(self, prefix: str, after: str = "") -> Iterator[str]:
        """Keys that start with `prefix` and are greater than `after`, in order. Do not change the set meanwhile."""
        exclusive = after >= prefix
        start = after if exclusive else prefix
        at = max(bisect_right(self._firsts, start) - 1, 0)
        find = bisect_right if exclusive and after else bisect_left
        place = find(self._chunks[at], start) if at < len(self._chunks) else 0
        while at < len(self._chunks):
            chunk = self._chunks[at]
            for index in range(place, len(chunk)):
                key = chunk[index]
                if not key.startswith(prefix):
                    return
                yield key
            at += 1
            place = 0


def _end_of(prefix: str) -> str:
    """The first string after all that begin with the prefix; "" where there is none."""
    while prefix:
        if ord(prefix[-1]) < sys.maxunicode:
            return prefix[:-1] + chr(ord(prefix[-1]) + 1)
        prefix = prefix[:-1]
    return ""
