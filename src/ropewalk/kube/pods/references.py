"""`$(NAME)` in commands, arguments and variables. Pure.
https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(\$|\(([^)]*)\))")


def expanded(text: str, values: Mapping[str, str]) -> str:
    """`$(NAME)` becomes the variable's value, `$$` a dollar; what is not known stays as it is."""

    def one(match: re.Match[str]) -> str:
        return "$" if match[1] == "$" else values.get(match[2], match[0])

    return _REFERENCE.sub(one, text)


def unknown(text: str, values: Mapping[str, str]) -> tuple[str, str]:
    """The first name in `text` that has no value ("": all have), and the text expanded."""
    names = (match[2] for match in _REFERENCE.finditer(text) if match[1] != "$")
    return next((name for name in names if name not in values), ""), expanded(text, values)
