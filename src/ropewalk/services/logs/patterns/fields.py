"""Patterns of fields between spaces: `[ip, user, ..., status = 4* || status = 5*, size]`.

A log event's fields are what its spaces part; what stands in double quotes or in brackets is one field. The pattern has
as many, unless `...` stands for any number of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ropewalk.services.logs.journal import Matches
from ropewalk.services.logs.patterns.scanner import OPERATORS, Scanner, Test, comparison

_NAME = re.compile(r"[A-Za-z_][\w-]*|\d+")
_FIELD = re.compile(r'"([^"]*)"|\[([^\]]*)\]|(\S+)')
MOST_FIELDS = 100
MOST_DEEP = 50


def fields_of(message: str) -> list[str]:
    found: list[str] = []
    for match in _FIELD.finditer(message):
        quoted, bracketed, plain = match.groups()
        found.append(next(part for part in (quoted, bracketed, plain) if part is not None))
        if len(found) > 10 * MOST_FIELDS:
            break
    return found


def fields_pattern(text: str) -> Matches:
    """Raises `BadPattern`."""
    scanner = Scanner(text)
    scanner.need("[")
    before: list[Test] = []
    after: list[Test] | None = None
    while True:
        if scanner.take("..."):
            if after is not None:
                raise scanner.bad("'...' may stand once")
            after = []
        else:
            (before if after is None else after).append(_field(scanner))
        if len(before) > MOST_FIELDS:
            raise scanner.bad(f"there may be at most {MOST_FIELDS} fields")
        if not scanner.take(","):
            break
    scanner.need("]")
    scanner.skip()
    if not scanner.done:
        raise scanner.bad("nothing may follow the closing bracket")
    return _matcher(before, after)


def _matcher(before: Sequence[Test], after: Sequence[Test] | None) -> Matches:
    def matches(message: str) -> bool:
        fields = fields_of(message)
        if after is None:
            return len(fields) == len(before) and all(t(f) for t, f in zip(before, fields, strict=True))
        if len(fields) < len(before) + len(after):
            return False
        ends = fields[len(fields) - len(after) :]
        return all(t(f) for t, f in zip(before, fields, strict=False)) and all(
            t(f) for t, f in zip(after, ends, strict=True)
        )

    return matches


def _field(scanner: Scanner) -> Test:
    scanner.skip()
    if scanner.rest[:1] in (",", "]"):
        return lambda field: True
    return _either(scanner, 0)


def _either(scanner: Scanner, depth: int) -> Test:
    options = [_both(scanner, depth)]
    while scanner.take("||"):
        options.append(_both(scanner, depth))
    return _joined(options, any)


def _both(scanner: Scanner, depth: int) -> Test:
    parts = [_condition(scanner, depth)]
    while scanner.take("&&"):
        parts.append(_condition(scanner, depth))
    return _joined(parts, all)


def _joined(tests: Sequence[Test], how: Callable[[list[bool]], bool]) -> Test:
    return tests[0] if len(tests) == 1 else lambda field: how([test(field) for test in tests])


def _condition(scanner: Scanner, depth: int) -> Test:
    if depth > MOST_DEEP:
        raise scanner.bad("too many parentheses")
    if scanner.take("("):
        inner = _either(scanner, depth + 1)
        scanner.need(")")
        return inner
    if scanner.rest.lstrip().startswith("%"):
        return scanner.expression().search
    if not scanner.matching(_NAME):
        raise scanner.bad("expected a field's name")
    scanner.skip()
    if not scanner.rest.startswith(OPERATORS):
        return lambda field: True
    return comparison(scanner)[0]
