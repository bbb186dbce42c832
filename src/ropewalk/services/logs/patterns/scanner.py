"""Reading a pattern from left to right, and the values that conditions compare with."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from ropewalk.services.logs.patterns.expressions import BadExpression, Expression, compile_expression

MOST_EXPRESSIONS = 2
"""Regular expressions in one pattern, as AWS limits them."""


class BadPattern(Exception):
    """The pattern says nothing that could be looked for; the text says where it goes wrong."""


Test = Callable[[str], bool]


class Scanner:
    """A cursor on a pattern's text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._expressions = 0

    def skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    @property
    def rest(self) -> str:
        return self.text[self.at :]

    @property
    def done(self) -> bool:
        return self.at >= len(self.text)

    def take(self, *options: str) -> str:
        """The first of `options` that comes next (spaces aside), taken; "" where none does."""
        self.skip()
        for option in options:
            if self.text.startswith(option, self.at):
                self.at += len(option)
                return option
        return ""

    def take_word(self, *words: str) -> str:
        """As `take`, for words in any case that end where they end."""
        self.skip()
        for word in words:
            end = self.at + len(word)
            following = self.text[end : end + 1]
            if self.text[self.at : end].upper() == word and not (following.isalnum() or following == "_"):
                self.at = end
                return word
        return ""

    def need(self, option: str) -> None:
        if not self.take(option):
            found = f"found {self.rest[:20]!r}" if not self.done else "the pattern ends"
            raise self.bad(f"expected {option!r}, {found}")

    def matching(self, pattern: re.Pattern[str]) -> str:
        """What of `pattern` comes next, taken; "" where it does not."""
        self.skip()
        found = pattern.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found.group()

    def quoted(self) -> str:
        """A string in double quotes, which come next; a backslash keeps the character after it."""
        self.need('"')
        parts: list[str] = []
        while not self.done:
            character = self.text[self.at]
            self.at += 1
            if character == '"':
                return "".join(parts)
            if character == "\\" and not self.done:
                character = self.text[self.at]
                self.at += 1
                if character not in '"\\':
                    parts.append("\\")
            parts.append(character)
        raise self.bad("a quotation is not closed")

    def expression(self) -> Expression:
        """A regular expression between per cent signs, which come next."""
        self.need("%")
        end = self.text.find("%", self.at)
        if end < 0:
            raise self.bad("a regular expression is not closed with %")
        self._expressions += 1
        if self._expressions > MOST_EXPRESSIONS:
            raise self.bad(f"there may be at most {MOST_EXPRESSIONS} regular expressions")
        text, self.at = self.text[self.at : end], end + 1
        try:
            return compile_expression(text)
        except BadExpression as error:
            raise self.bad(str(error)) from error

    def bad(self, message: str) -> BadPattern:
        return BadPattern(f"Invalid filter pattern at character {self.at + 1}: {message}")


def number(text: str) -> float | None:
    """A number as conditions understand it, None for other text."""
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_BARE = re.compile(r"[^\s\"%,()\[\]{}=<>!&|]+")
OPERATORS = ("!=", "<=", ">=", "=", "<", ">")


def wildcard(text: str) -> Test:
    """Text in which each `*` is any run of characters."""
    if "*" not in text:
        return lambda given: given == text
    first, *middle, last = text.split("*")

    def test(given: str) -> bool:
        if len(given) < len(first) + len(last) or not given.startswith(first) or not given.endswith(last):
            return False
        at, end = len(first), len(given) - len(last)
        for part in middle:
            at = given.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True

    return test


def comparison(scanner: Scanner) -> tuple[Test, bool]:
    """An operator and its value: (a test of a present value's text, whether it compares numbers only)."""
    operator = scanner.take(*OPERATORS)
    if not operator:
        raise scanner.bad("expected a comparison operator")
    scanner.skip()
    if scanner.rest.startswith("%"):
        if operator not in ("=", "!="):
            raise scanner.bad(f"a regular expression cannot be compared with {operator}")
        expression = scanner.expression()
        return (expression.search if operator == "=" else lambda given: not expression.search(given)), False
    quoted = scanner.rest.startswith('"')
    text = scanner.quoted() if quoted else scanner.matching(_BARE)
    if not text and not quoted:
        raise scanner.bad("expected a value")
    wanted = None if quoted else number(text)
    if operator in ("=", "!="):
        same = wildcard(text) if wanted is None else _same_number(text, wanted)
        return (same if operator == "=" else lambda given: not same(given)), False
    if wanted is None:
        raise scanner.bad(f"{operator} compares numbers")
    return _ordered(operator, wanted), True


def _same_number(text: str, wanted: float) -> Test:
    def test(given: str) -> bool:
        return given == text or number(given) == wanted

    return test


def _ordered(operator: str, wanted: float) -> Test:
    def test(given: str) -> bool:
        value = number(given)
        if value is None:
            return False
        match operator:
            case "<":
                return value < wanted
            case "<=":
                return value <= wanted
            case ">":
                return value > wanted
            case _:
                return value >= wanted

    return test
