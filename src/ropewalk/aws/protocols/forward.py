"""Compiling plans of shapes that may contain themselves.

A plan is a function. While a shape's plan is being built, an inner use of the same shape gets a stand-in that calls the
finished plan through a cell; later uses share the finished one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from ropewalk.aws.specs import Shape

P = TypeVar("P", bound=Callable[..., Any])


def _stand_in(cell: list[P]) -> P:
    def later(*arguments: object) -> object:
        return cell[0](*arguments)

    return cast(P, later)


class Plans(Generic[P]):
    """Plans by use of a shape; `build` compiles one and may ask `plan` for those inside it."""

    def __init__(self, build: Callable[[Shape], P]) -> None:
        self._build = build
        self._done: dict[object, P] = {}
        self._cells: dict[object, list[P]] = {}

    def plan(self, shape: Shape) -> P:
        identity = shape.identity
        if (done := self._done.get(identity)) is not None:
            return done
        if (cell := self._cells.get(identity)) is not None:
            return _stand_in(cell)
        cell = self._cells[identity] = []
        plan = self._build(shape)
        cell.append(plan)
        del self._cells[identity]
        self._done[identity] = plan
        return plan
