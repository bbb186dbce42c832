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
