"""How tests of kinds ask: a complete object through a strategy as the registry would pass it, and what was found wrong,
as `field: message` lines.
"""

from __future__ import annotations

from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Json, Object, copied
from ropewalk.kube.machinery.strategy import Strategy

_NAME = ROOT / "metadata" / "name"


def told(errors: FieldErrors) -> list[str]:
    return [f"{cause.field}: {cause.message}" for cause in errors.causes]


def created(strategy: Strategy, obj: Object, uid: str = "u-1") -> Object:
    """Defaulted and prepared; a copy."""
    made: Object = copied(obj)
    made.setdefault("metadata", {}).setdefault("name", "one")
    made["metadata"].setdefault("uid", uid)
    made["metadata"].setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
    strategy.default(made)
    strategy.prepare_create(made)
    return made


def creation(strategy: Strategy, obj: Object) -> list[str]:
    """What is wrong with making it."""
    made = created(strategy, obj)
    errors = FieldErrors()
    for problem in strategy.name_problems(made["metadata"]["name"], prefix=False):
        errors.invalid(_NAME, made["metadata"]["name"], problem)
    strategy.validate_create(made, errors)
    return told(errors)


def updated(strategy: Strategy, new: Object, old: Object) -> Object:
    made: Object = copied(new)
    strategy.default(made)
    strategy.prepare_update(made, old)
    return made


def update(strategy: Strategy, new: Object, old: Object) -> list[str]:
    errors = FieldErrors()
    strategy.validate_update(updated(strategy, new, old), old, errors)
    return told(errors)


def status_update(strategy: Strategy, status: Object, old: Object) -> list[str]:
    made: Object = copied(old)
    made["status"] = copied(status)
    strategy.prepare_status_update(made, old)
    errors = FieldErrors()
    strategy.validate_status_update(made, old, errors)
    return told(errors)


def changed(obj: Object, *path_and_value: Json) -> Object:
    """A copy with one field set: `changed(job, "spec", "parallelism", 3)`; None takes it away."""
    *path, value = path_and_value
    made: Object = copied(obj)
    here: Json = made
    for step in path[:-1]:
        here = here[step] if isinstance(here, list) else here.setdefault(step, {})
    if value is None:
        here.pop(path[-1], None)
    else:
        here[path[-1]] = value
    return made


def cells(strategy: Strategy, obj: Object, *, now: float = 1767225600.0, wide: bool = False) -> dict[str, Json]:
    """A row of the table; `now` is 2026-01-01T00:00:00Z."""
    return {column.name: column.cell(obj, now) for column in strategy.columns if wide or column.priority == 0}
