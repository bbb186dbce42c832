"""A kind in an older version: judged by the rules of the version it is kept in."""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.strategy import Column, Selectable, Strategy

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
            "reset_fields",
        )
    }
    facts["selectable_fields"] = {
        field: _selectable(value, to_kept) for field, value in inner.selectable_fields.items()
    }
    facts["columns"] = tuple(_column(column, to_kept) for column in inner.columns)
    made: Strategy = type("Converted", (_Converted,), facts)(inner, to_kept, to_shown)
    return made


def _selectable(value: Selectable, to_kept: Convert) -> Selectable:
    return lambda obj: value(to_kept(obj))


def _column(column: Column, to_kept: Convert) -> Column:
    def cell(obj: Object, now: float) -> Json:
        return column.cell(to_kept(obj), now)

    return Column(column.name, cell, column.type, column.format, column.description, column.priority)


class _Converted(Strategy):
    def __init__(self, inner: Strategy, to_kept: Convert, to_shown: Convert) -> None:
        self._inner = inner
        self._to_kept = to_kept
        self._to_shown = to_shown

    def _replace(self, obj: Object, kept: Object) -> None:
        shown = self._to_shown(kept)
        obj.clear()
        obj.update(shown)

    def default(self, obj: Object) -> None:
        kept = self._to_kept(obj)
        self._inner.default(kept)
        self._replace(obj, kept)

    def prepare_create(self, obj: Object) -> None:
        kept = self._to_kept(obj)
        self._inner.prepare_create(kept)
        self._replace(obj, kept)

    def prepare_update(self, new: Object, old: Object) -> None:
        kept = self._to_kept(new)
        self._inner.prepare_update(kept, self._to_kept(old))
        self._replace(new, kept)

    def prepare_status_update(self, new: Object, old: Object) -> None:
        kept = self._to_kept(new)
        self._inner.prepare_status_update(kept, self._to_kept(old))
        self._replace(new, kept)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        return self._inner.warnings(self._to_kept(new), None if old is None else self._to_kept(old))

    def status_warnings(self, new: Object, old: Object) -> list[str]:
        return self._inner.status_warnings(self._to_kept(new), self._to_kept(old))

    def name_problems(self, name: str, *, prefix: bool) -> list[str]:
        return self._inner.name_problems(name, prefix=prefix)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        self._inner.validate_create(self._to_kept(obj), errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self._inner.validate_update(self._to_kept(new), self._to_kept(old), errors)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self._inner.validate_status_update(self._to_kept(new), self._to_kept(old), errors)
