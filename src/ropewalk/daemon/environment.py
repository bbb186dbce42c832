"""What our processes inherit. Needs nothing imported: a command may start one as its first act."""

from __future__ import annotations

from collections.abc import Mapping


def passed_on(inherited: Mapping[str, str]) -> dict[str, str]:
    """All but the wish not to compile: what starts us often is worth compiling once, whatever suits the caller's own
    scripts.
    """
    return {name: value for name, value in inherited.items() if name != "PYTHONDONTWRITEBYTECODE"}
