"""Patterns over JSON: `{ $.user.id = 1 && ($.tags[0] = "a*" || $.error IS NULL) }`.

A condition holds only where its property is there (`NOT EXISTS` apart); an event that is not JSON matches nothing.
`[*]` means any element.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import orjson

from ropewalk.services.logs.journal import Matches
from ropewalk.services.logs.patterns.scanner import Scanner, comparison

MOST_DEEP = 50

_NAME = re.compile(r"[A-Za-z0-9_\-@$]+")
_INDEX = re.compile(r"\d{1,6}")

Json = object
Holds = Callable[[Json], bool]
Selector = tuple[str | int | None, ...]
"""Names, indices, and None for any element."""


def json_pattern(text: str) -> Matches:
    """Raises `BadPattern`."""
    scanner = Scanner(text)
    scanner.need("{")
    holds = _either(scanner, 0)
    scanner.need("}")
    scanner.skip()
    if not scanner.done:
        raise scanner.bad("nothing may follow the closing brace")

    def matches(message: str) -> bool:
        if not message.lstrip().startswith(("{", "[")):
            return False
        try:
            return holds(orjson.loads(message))
        except orjson.JSONDecodeError:
            return False

    return matches


def _either(scanner: Scanner, depth: int) -> Holds:
    options = [_both(scanner, depth)]
    while scanner.take("||"):
        options.append(_both(scanner, depth))
    return options[0] if len(options) == 1 else lambda value: any(option(value) for option in options)


def _both(scanner: Scanner, depth: int) -> Holds:
    parts = [_condition(scanner, depth)]
    while scanner.take("&&"):
        parts.append(_condition(scanner, depth))
    return parts[0] if len(parts) == 1 else lambda value: all(part(value) for part in parts)


def _condition(scanner: Scanner, depth: int) -> Holds:
    if depth > MOST_DEEP:
        raise scanner.bad("too many parentheses")
    if scanner.take("("):
        inner = _either(scanner, depth + 1)
        scanner.need(")")
        return inner
    selector = _selector(scanner)
    if scanner.take_word("NOT"):
        if not scanner.take_word("EXISTS"):
            raise scanner.bad("expected EXISTS")
        return lambda value: not any(True for _ in _select(value, selector))
    if scanner.take_word("EXISTS"):
        return lambda value: any(True for _ in _select(value, selector))
    if scanner.take_word("IS"):
        wanted = {"NULL": None, "TRUE": True, "FALSE": False, "": ""}[scanner.take_word("NULL", "TRUE", "FALSE")]
        if wanted == "":
            raise scanner.bad("expected NULL, TRUE or FALSE")
        return lambda value: any(found is wanted for found in _select(value, selector))
    test, numbers_only = comparison(scanner)

    def holds(value: Json) -> bool:
        for found in _select(value, selector):
            text = _text(found, numbers_only)
            if text is not None and test(text):
                return True
        return False

    return holds


def _text(value: Json, numbers_only: bool) -> str | None:
    """A property as comparisons see it: strings and numbers; None for all else."""
    if isinstance(value, bool) or value is None:
        return None if numbers_only else orjson.dumps(value).decode()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str) and not numbers_only:
        return value
    return None


def _selector(scanner: Scanner) -> Selector:
    scanner.need("$")
    steps: list[str | int | None] = []
    while True:
        following = scanner.rest[:1]
        if following == ".":
            scanner.at += 1
            if scanner.rest[:1] == "[":
                continue
            name = "" if scanner.rest[:1].isspace() else scanner.matching(_NAME)
            if not name:
                raise scanner.bad("expected a property's name")
            steps.append(name)
        elif following == "[":
            scanner.at += 1
            steps.append(_bracketed(scanner))
        else:
            break
    if not steps:
        raise scanner.bad("a selector is $.name")
    return tuple(steps)


def _bracketed(scanner: Scanner) -> str | int | None:
    """What stands in brackets; the opening one has been taken."""
    found: str | int | None
    if scanner.take("*"):
        found = None
    elif scanner.rest.startswith('"'):
        found = scanner.quoted()
    elif scanner.take("'"):
        end = scanner.text.find("'", scanner.at)
        if end < 0:
            raise scanner.bad("a quotation is not closed")
        found, scanner.at = scanner.text[scanner.at : end], end + 1
    else:
        digits = scanner.matching(_INDEX)
        if not digits:
            raise scanner.bad("expected an index, * or a name in quotes")
        found = int(digits)
    scanner.need("]")
    return found


def _select(value: Json, selector: Selector) -> Iterator[Json]:
    if not selector:
        yield value
        return
    step, rest = selector[0], selector[1:]
    if step is None:
        if isinstance(value, list):
            for item in value:
                yield from _select(item, rest)
    elif isinstance(step, int):
        if isinstance(value, list) and step < len(value):
            yield from _select(value[step], rest)
    elif isinstance(value, dict) and step in value:
        yield from _select(value[step], rest)
