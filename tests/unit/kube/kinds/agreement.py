"""Comparing complaints: a line that ends in "…" stands for every line that begins with it (formats of names end in long
explanations, which `machinery/names.py` has tests of its own for).
"""

from __future__ import annotations

from collections.abc import Sequence


def agree(found: Sequence[str], expected: Sequence[str]) -> None:
    same = len(found) == len(expected) and all(map(_alike, found, expected))
    assert same, f"found {list(found)}, expected {list(expected)}"


def _alike(found: str, expected: str) -> bool:
    return found.startswith(expected[:-1]) if expected.endswith("…") else found == expected
