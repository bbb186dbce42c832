"""A kind in an older version: judged by the rules of the version it is kept in."""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.strategy import Column, Strategy

Convert = Callable[[Object], Object]


def converted(inner: Strategy, to_kept: Convert, to_shown: Convert) -> Strategy:
    """`inner` rules the kept version; the strategy made rules the other, by converting back and forth."""
    facts = {
        name: getattr(inner, name)
        for name in (
            "has_status",
            "has_generation",
            "allow_create_on_update",
            "allow_unconditional_update",
            "returns_deleted",
            "default_propagation",
        )
    }
    facts["columns"] = tuple(_column(column, to_kept) for column in inner.columns)
    made: Strategy = type("Converted", (_Converted,), facts)(inner, to_kept, to_shown)
    return made


def _column(column: Column, to_kept: Convert) -> Column:
    def cell(obj: Object, now: float) -> Json:
        return column.cell(to_kept(obj), now)

    return Column(column.name, cell, column.type, column.format, column.description, column.priority)


class _Converted(Strategy):
    def __init__(self, inner: Strategy, to_kept: Convert, to_shown: Convert) -> None:
        self._inner = inner
        self._to_kept = to_kept
        self._to_shown = to_shown

    def default(self, obj: Object) -> None:
        kept = self._to_kept(obj)
        self._inner.default(kept)
        shown = self._to_shown(kept)
        obj.clear()
        obj.update(shown)

    def name_problems(self, name: str, *, prefix: bool) -> list[str]:
        return self._inner.name_problems(name, prefix=prefix)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        self._inner.validate_create(self._to_kept(obj), errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self._inner.validate_update(self._to_kept(new), self._to_kept(old), errors)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self._inner.validate_status_update(self._to_kept(new), self._to_kept(old), errors)
