"""Filter patterns: which log events a search is for.

    ERROR -debug "exact phrase" ?one ?other     terms, in any text
    [ip, user, ..., status = 4*, size > 100]    fields between spaces
    { $.level = "error" && $.code > 499 }       properties of JSON
    %regular expression%                        as a term, or as a value in the other two

Source: "Filter pattern syntax" in the CloudWatch Logs user guide.
"""

from __future__ import annotations

from functools import lru_cache

from ropewalk.services.logs.journal import Matches
from ropewalk.services.logs.patterns.fields import fields_pattern
from ropewalk.services.logs.patterns.json_properties import json_pattern
from ropewalk.services.logs.patterns.scanner import BadPattern
from ropewalk.services.logs.patterns.terms import terms_pattern

__all__ = ["BadPattern", "compile_pattern"]


@lru_cache(maxsize=256)
def compile_pattern(text: str) -> Matches | None:
    """None where everything matches. Raises `BadPattern`."""
    text = text.strip()
    if not text:
        return None
    if text.startswith("{"):
        return json_pattern(text)
    if text.startswith("["):
        return fields_pattern(text)
    return terms_pattern(text)
