"""Indexes of an indexed job as its status writes them: `1,3-5,7`.
https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode
"""

from __future__ import annotations

import re


def count(indexes: str, completions: int) -> int:
    """How many there are. ValueError, in Kubernetes' words, where they are out of form, order or bounds."""
    total, last = 0, -1
    for interval in indexes.split(",") if indexes else ():
        first, final = _interval(interval, completions)
        if last >= first:
            raise ValueError(f"non-increasing order, previous: {last}, current: {first}")
        total += final - first + 1
        last = final
    return total


def overlap(completed: str, failed: str, completions: int) -> int | None:
    """The first index in both; intervals that cannot be read are passed over."""
    ours, theirs = _readable(completed, completions), _readable(failed, completions)
    here = there = 0
    while here < len(ours) and there < len(theirs):
        (low, high), (first, final) = ours[here], theirs[there]
        if low <= final and first <= high:
            return max(low, first)
        if low <= first:
            here += 1
        else:
            there += 1
    return None


def _readable(indexes: str, completions: int) -> list[tuple[int, int]]:
    found = []
    for interval in indexes.split(",") if indexes else ():
        try:
            found.append(_interval(interval, completions))
        except ValueError:
            continue
    return found


def _interval(text: str, completions: int) -> tuple[int, int]:
    limits = text.split("-")
    if len(limits) > 2:
        raise ValueError(
            f'the fragment "{text}" violates the requirement that an index interval can have at most two parts'
            " separated by '-'"
        )
    numbers = []
    for limit in limits:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", limit):
            raise ValueError(f'cannot convert string to integer for index: "{limit}"')
        if int(limit) >= completions:
            raise ValueError(f'too large index: "{limit}"')
        numbers.append(int(limit))
    if len(numbers) == 2 and numbers[0] >= numbers[1]:
        raise ValueError(f"non-increasing order, previous: {numbers[0]}, current: {numbers[1]}")
    return numbers[0], numbers[-1]
