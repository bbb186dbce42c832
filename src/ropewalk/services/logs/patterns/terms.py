"""Patterns of terms: what a text must hold, must not hold, or should hold one of.

Case counts. Optional terms count only where there are no others, as in AWS.
"""

from __future__ import annotations

import re

from ropewalk.services.logs.journal import Matches
from ropewalk.services.logs.patterns.scanner import Scanner, Test

_WORD = re.compile(r"[^\s\"%]+")
_ALLOWED = re.compile(r"[\w.*]+")


def terms_pattern(text: str) -> Matches:
    """Raises `BadPattern`."""
    scanner = Scanner(text)
    needed: list[Test] = []
    excluded: list[Test] = []
    optional: list[Test] = []
    while True:
        scanner.skip()
        if scanner.done:
            break
        kind = scanner.take("-", "?")
        {"": needed, "-": excluded, "?": optional}[kind].append(_term(scanner))
    if needed or excluded:
        return lambda message: all(test(message) for test in needed) and not any(test(message) for test in excluded)
    return lambda message: any(test(message) for test in optional)


def _term(scanner: Scanner) -> Test:
    following = scanner.rest[:1]
    if following == '"':
        return _holding(scanner.quoted())
    if following == "%":
        return scanner.expression().search
    at = scanner.at
    word = "" if following.isspace() else scanner.matching(_WORD)
    if not _ALLOWED.fullmatch(word):
        scanner.at = at
        shown = word or following
        raise scanner.bad(f"Invalid character(s) in term '{shown}'. Put it in double quotes to look for it exactly.")
    return _holding(word)


def _holding(term: str) -> Test:
    return lambda message: term in message
