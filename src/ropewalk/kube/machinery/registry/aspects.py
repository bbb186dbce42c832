"""Through which door an object is updated: the object itself, its status, or another subresource that edits it.

Each lets through a part of the object and keeps the rest as it is, by rules of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.strategy import Strategy, keep


@dataclass(frozen=True, slots=True)
class Aspect:
    name: str
    """The subresource; "" for the object itself."""
    reset: Callable[[Strategy, Object, Object], None]
    """(strategy, new, old): undo, in place, what this door does not let through, before ownership of fields is noted.
    """
    prepare: Callable[[Strategy, Object, Object], None]
    validate: Callable[[Strategy, Object, Object, FieldErrors], None]
    warn: Callable[[Strategy, Object, Object], list[str]] = lambda strategy, new, old: []
    """`Warning:` headers; most doors have none."""


def _reset_main(strategy: Strategy, new: Object, old: Object) -> None:
    if strategy.has_status:
        keep(new, old, "status")


MAIN = Aspect(
    "",
    _reset_main,
    lambda strategy, new, old: strategy.prepare_update(new, old),
    lambda strategy, new, old, errors: strategy.validate_update(new, old, errors),
    lambda strategy, new, old: strategy.warnings(new, old),
)
STATUS = Aspect(
    "status",
    lambda strategy, new, old: strategy.prepare_status_update(new, old),
    lambda strategy, new, old: strategy.prepare_status_update(new, old),
    lambda strategy, new, old, errors: strategy.validate_status_update(new, old, errors),
    lambda strategy, new, old: strategy.status_warnings(new, old),
)


def nothing(strategy: Strategy, new: Object, old: Object) -> None:
    """An aspect that resets nothing."""
