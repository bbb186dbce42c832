"""Wildcards and policy variables: text of a policy against text of a request.

`*` is any run of characters, `?` any one. `${aws:username}` stands for the request's value and is taken literally,
whatever characters it holds; `${*}`, `${?}` and `${$}` are those characters themselves; `${key, 'text'}` falls back.
A variable without a value (or with several) matches nothing. Variables need Version 2012-10-17.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

Context = Mapping[str, Sequence[str]]
"""Condition keys of one request, in lower case, with their values."""
Matcher = Callable[[str, Context], bool]

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_KEPT = 4096


def has_variables(text: str) -> bool:
    return "${" in text and _VARIABLE.search(text) is not None


def resolve(text: str, context: Context, literal: Callable[[str], str] = lambda value: value) -> str | None:
    """`text` with its variables replaced, values passed through `literal`; None where one has no single value."""
    parts: list[str] = []
    at = 0
    for found in _VARIABLE.finditer(text):
        parts.append(text[at : found.start()])
        value = _value(found.group(1), context)
        if value is None:
            return None
        parts.append(literal(value))
        at = found.end()
    parts.append(text[at:])
    return "".join(parts)


def _value(name: str, context: Context) -> str | None:
    if name in {"*", "?", "$"}:
        return name
    key, comma, fallback = name.partition(",")
    values = context.get(key.strip().lower())
    if values:
        return values[0] if len(values) == 1 else None
    fallback = fallback.strip()
    if comma and len(fallback) >= 2 and fallback[0] == fallback[-1] == "'":
        return fallback[1:-1]
    return None


_STAR, _MARK = "\ue000", "\ue001"
"""Private-use characters that stand for a literal `*` and `?` out of a variable, until the pattern is compiled."""


def _literal(value: str) -> str:
    return value.replace("*", _STAR).replace("?", _MARK)


@lru_cache(maxsize=_KEPT)
def glob(pattern: str, ignore_case: bool = False, segments: int = 0) -> re.Pattern[str]:
    """A compiled wildcard pattern. With `segments`, a wildcard stays within each of so many first parts of the text, as
    colons separate them (an ARN has five before its resource).
    """
    parts: list[str] = []
    colons = 0
    for character in pattern:
        inside = colons < segments
        if character == "*":
            parts.append("[^:]*" if inside else ".*")
        elif character == "?":
            parts.append("[^:]" if inside else ".")
        elif character in {_STAR, _MARK}:
            parts.append(re.escape("*" if character == _STAR else "?"))
        else:
            colons += character == ":"
            parts.append(re.escape(character))
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def matcher(pattern: str, *, variables: bool, ignore_case: bool = False, segments: int = 0) -> Matcher:
    """A function that tells whether a text matches `pattern`: the cheapest that can tell."""
    if variables and has_variables(pattern):
        return _with_variables(pattern, ignore_case, segments)
    if pattern == "*":
        return lambda text, context: True
    if ignore_case:
        pattern = pattern.lower()
    if "*" not in pattern and "?" not in pattern:
        if ignore_case:
            return lambda text, context: text.lower() == pattern
        return lambda text, context: text == pattern
    compiled = glob(pattern, ignore_case, segments)
    return lambda text, context: compiled.fullmatch(text) is not None


def _with_variables(pattern: str, ignore_case: bool, segments: int) -> Matcher:
    def matches(text: str, context: Context) -> bool:
        resolved = resolve(pattern, context, _literal)
        return resolved is not None and glob(resolved, ignore_case, segments).fullmatch(text) is not None

    return matches
