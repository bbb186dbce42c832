"""Regular expressions as filter patterns have them: no groups, and time linear in the text.

Python's `re` backtracks: `a*a*a*b` on a long line would hold the process for minutes, and whoever may search logs could
ask for that. The language allowed here needs no backtracking: it is compiled to a non-deterministic automaton, whose
sets of states are integers, and run through a cache of the transitions seen.

Allowed: letters, digits, spaces, the symbols `: _ # = @ / ; , -`, the operators `^ $ ? [ ] { } | \\ * + .` and the
classes \\d \\w \\s with their opposites. Source: "Supported regular expressions syntax" in the CloudWatch Logs guide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

LONGEST = 512
MOST_STATES = 4000
KEPT_TRANSITIONS = 20_000

_PLAIN = re.compile(r"[A-Za-z0-9:_#=@/;,\- ]")
_CLASSES: dict[str, Callable[[str], bool]] = {
    "d": lambda c: c in "0123456789",
    "D": lambda c: c not in "0123456789",
    "w": lambda c: (c.isascii() and c.isalnum()) or c == "_",
    "W": lambda c: not ((c.isascii() and c.isalnum()) or c == "_"),
    "s": lambda c: c in " \t\r\n\f\v",
    "S": lambda c: c not in " \t\r\n\f\v",
}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
_BOUNDS = re.compile(r"\{(\d{1,3})(?:(,)(\d{1,3})?)?\}", re.ASCII)

Accepts = Callable[[str], bool]


class BadExpression(Exception):
    """Not a regular expression of this language."""


@dataclass(frozen=True, slots=True)
class _Step:
    accepts: Accepts
    skippable: bool
    repeats: bool


@dataclass(frozen=True, slots=True)
class _Branch:
    steps: tuple[_Step, ...]
    from_start: bool
    to_end: bool


class Expression:
    """A compiled expression. `search` tells whether it matches anywhere in a text."""

    def __init__(self, branches: list[_Branch]) -> None:
        self._steps: list[_Step] = []
        self._first: list[tuple[int, bool]] = []
        self._ends: list[tuple[int, bool]] = []
        for branch in branches:
            start = len(self._steps)
            self._steps.extend(branch.steps)
            self._steps.append(_Step(lambda c: False, False, False))
            self._first.append((start, branch.from_start))
            self._ends.append((len(self._steps) - 1, branch.to_end))
        if len(self._steps) > MOST_STATES:
            raise BadExpression("the regular expression is too large")
        self._anywhere = self._closure(start for start, anchored in self._first if not anchored)
        self._at_start = self._closure(start for start, _ in self._first)
        self._accepting = sum(1 << end for end, at_end in self._ends if not at_end)
        self._accepting_at_end = sum(1 << end for end, _ in self._ends)
        self._transitions: dict[tuple[int, str], int] = {}

    def _closure(self, states: Iterable[int]) -> int:
        """A set with every state reachable by leaving out skippable steps."""
        found = 0
        for state in states:
            while not found >> state & 1:
                found |= 1 << state
                if not self._steps[state].skippable:
                    break
                state += 1
        return found

    def search(self, text: str) -> bool:
        states = self._at_start
        accepting, transitions = self._accepting, self._transitions
        for character in text:
            if states & accepting:
                return True
            key = (states, character)
            following = transitions.get(key)
            if following is None:
                following = self._follow(states, character)
            states = following
        return bool(states & self._accepting_at_end)

    def _follow(self, states: int, character: str) -> int:
        reached: list[int] = []
        rest = states
        while rest:
            state = (rest & -rest).bit_length() - 1
            rest &= rest - 1
            step = self._steps[state]
            if step.accepts(character):
                reached.append(state + 1)
                if step.repeats:
                    reached.append(state)
        following = self._closure(reached) | self._anywhere
        if len(self._transitions) >= KEPT_TRANSITIONS:
            self._transitions.clear()
        self._transitions[states, character] = following
        return following


def compile_expression(text: str) -> Expression:
    """Raises `BadExpression`."""
    if not text or len(text) > LONGEST:
        raise BadExpression(f"a regular expression has 1 to {LONGEST} characters")
    branches: list[_Branch] = []
    at = 0
    while True:
        branch, at = _branch(text, at)
        branches.append(branch)
        if at >= len(text):
            return Expression(branches)
        at += 1


def _branch(text: str, at: int) -> tuple[_Branch, int]:
    """Up to the next `|` or the end."""
    from_start = text[at : at + 1] == "^"
    at += from_start
    steps: list[_Step] = []
    to_end = False
    while at < len(text) and text[at] != "|":
        if text[at] == "$" and text[at + 1 : at + 2] in ("", "|"):
            to_end = True
            at += 1
            break
        accepts, at = _atom(text, at)
        low, high, at = _quantifier(text, at)
        steps.extend(_Step(accepts, False, False) for _ in range(low))
        if high is None:
            steps.append(_Step(accepts, True, True))
        else:
            steps.extend(_Step(accepts, True, False) for _ in range(high - low))
    return _Branch(tuple(steps), from_start, to_end), at


def _atom(text: str, at: int) -> tuple[Accepts, int]:
    character = text[at]
    if character == ".":
        return (lambda c: c != "\n"), at + 1
    if character == "[":
        return _set(text, at + 1)
    if character == "\\":
        return _escape(text, at + 1)
    if _PLAIN.fullmatch(character):
        return character.__eq__, at + 1
    raise BadExpression(f"{character!r} is not supported in a regular expression")


def _escape(text: str, at: int) -> tuple[Accepts, int]:
    character = text[at : at + 1]
    if character in _CLASSES:
        return _CLASSES[character], at + 1
    if character in _CONTROLS:
        return _CONTROLS[character].__eq__, at + 1
    if not character or character.isalnum():
        raise BadExpression(f"\\{character} is not supported in a regular expression")
    return character.__eq__, at + 1


def _set(text: str, at: int) -> tuple[Accepts, int]:
    """Between brackets; `at` is after the opening one."""
    inverted = text[at : at + 1] == "^"
    at += inverted
    tests: list[Accepts] = []
    singles: set[str] = set()
    while True:
        character = text[at : at + 1]
        if not character:
            raise BadExpression("a [set] is not closed")
        if character == "]" and (tests or singles):
            break
        if character == "\\":
            test, at = _escape(text, at + 1)
            tests.append(test)
        elif text[at + 1 : at + 2] == "-" and text[at + 2 : at + 3] not in ("", "]"):
            low, high = character, text[at + 2]
            if low > high:
                raise BadExpression(f"the range {low}-{high} is empty")
            tests.append(_range(low, high))
            at += 3
        else:
            singles.add(character)
            at += 1
    known = frozenset(singles)
    among = tuple(tests)

    def accepts(c: str) -> bool:
        return (c in known or any(test(c) for test in among)) != inverted

    return accepts, at + 1


def _range(low: str, high: str) -> Accepts:
    return lambda c: low <= c <= high


def _quantifier(text: str, at: int) -> tuple[int, int | None, int]:
    """(least, most or None for no end, where to go on)."""
    simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
    character = text[at : at + 1]
    if character in simple:
        return (*simple[character], at + 1)
    if character != "{":
        return 1, 1, at
    found = _BOUNDS.match(text, at)
    if found is None:
        raise BadExpression("a repetition is {n}, {n,} or {n,m}")
    low = int(found.group(1))
    high = low if found.group(2) is None else None if found.group(3) is None else int(found.group(3))
    if high is not None and high < low:
        raise BadExpression(f"the repetition {found.group()} is empty")
    return low, high, found.end()
