"""How two objects differ, line by line: what a refusal shows of a change that is not allowed."""

from __future__ import annotations

from difflib import unified_diff

import orjson

from ropewalk.kube.machinery.objects import Json


def difference(old: Json, new: Json) -> str:
    """A unified difference of the two as indented JSON, keys in order."""
    before, after = (
        orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode().splitlines(keepends=True)
        for value in (old, new)
    )
    return "".join(unified_diff(before, after, n=2)).rstrip("\n") + "\n"
