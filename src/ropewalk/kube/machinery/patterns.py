"""Regular expressions that clients write: run by RE2, which no pattern can make slow. Its complaints in Go's words."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

_WORDS = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "bad repetition operator": "invalid nested repetition operator",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "trailing \\": "trailing backslash at end of expression",
}


@lru_cache(maxsize=4096)
def pattern(text: str) -> Any:
    """A compiled RE2 pattern (`.search(text)`). Raises `ValueError` with what Go says of it."""
    import re2  # type: ignore[import-untyped]  # loaded where it is first needed

    options = re2.Options()
    options.log_errors = False
    options.max_mem = 8 << 20
    try:
        return re2.compile(text, options)
    except re2.error as error:
        raise ValueError(_told(error)) from None


def _told(error: Exception) -> str:
    given = error.args[0] if error.args else str(error)
    text = given.decode() if isinstance(given, bytes) else str(given)
    for words, meant in _WORDS.items():
        if text.startswith(words):
            rest = text[len(words) :].removeprefix(": ")
            return f"error parsing regexp: {meant}: `{rest}`"
    words, _, rest = text.partition(": ")
    return f"error parsing regexp: {words}: `{rest}`"
