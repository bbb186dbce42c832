"""Which field is wrong, and how: the paths and error texts of apimachinery's `field` package.

A validation function takes a `FieldErrors` and a `Path` and adds what it finds; the caller turns all of it into one
422. Paths are linked nodes: spelling one out costs only where something is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from ropewalk.kube.machinery.errors import Cause, StatusFault, invalid
from ropewalk.kube.machinery.objects import Json


class Path:
    """`Path("spec") / "containers" / 0 / "env"` is `spec.containers[0].env`; `.key("a/b")` is `…[a/b]`."""

    __slots__ = ("_parent", "_step")

    def __init__(self, step: str = "", parent: Path | None = None) -> None:
        self._step = step
        self._parent = parent

    def __truediv__(self, step: str | int) -> Path:
        return Path(step if type(step) is str else f"[{step}]", self)

    def key(self, key: str) -> Path:
        """An entry of a map, or of a list told by its key."""
        return Path(f"[{key}]", self)

    def __str__(self) -> str:
        steps: list[str] = []
        here: Path | None = self
        while here is not None:
            if here._step:
                steps.append(here._step)
            here = here._parent
        text = ""
        for step in reversed(steps):
            text += step if step.startswith("[") or not text else f".{step}"
        return text


ROOT = Path()


def spelled(value: Json) -> str:
    """A value as Go's field errors print it: strings quoted, the rest as compact JSON."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


class FieldErrors:
    """What was found wrong so far. Falsy while nothing was."""

    __slots__ = ("causes",)

    def __init__(self) -> None:
        self.causes: list[Cause] = []

    def __bool__(self) -> bool:
        return bool(self.causes)

    def required(self, path: Path, detail: str = "") -> None:
        self._add("FieldValueRequired", path, "Required value" + (f": {detail}" if detail else ""))

    def invalid(self, path: Path, value: Json, detail: str) -> None:
        self._add("FieldValueInvalid", path, f"Invalid value: {spelled(value)}" + (f": {detail}" if detail else ""))

    def not_supported(self, path: Path, value: Json, supported: Iterable[str]) -> None:
        """`supported` in the order in which Kubernetes lists them: mostly the alphabet's, at times another."""
        known = ", ".join(spelled(word) for word in supported)
        self._add(
            "FieldValueNotSupported",
            path,
            f"Unsupported value: {spelled(value)}" + (f": supported values: {known}" if known else ""),
        )

    def duplicate(self, path: Path, value: Json, detail: str = "") -> None:
        self._add("FieldValueDuplicate", path, f"Duplicate value: {spelled(value)}" + (f": {detail}" if detail else ""))

    def forbidden(self, path: Path, detail: str) -> None:
        self._add("FieldValueForbidden", path, f"Forbidden: {detail}")

    def not_found(self, path: Path, value: Json, detail: str = "") -> None:
        self._add("FieldValueNotFound", path, f"Not found: {spelled(value)}" + (f": {detail}" if detail else ""))

    def too_long(self, path: Path, limit: int) -> None:
        self._add("FieldValueTooLong", path, f"Too long: may not be more than {_counted(limit, 'byte')}")

    def too_many(self, path: Path, count: int, limit: int) -> None:
        self._add("FieldValueTooMany", path, f"Too many: {count}: must have at most {_counted(limit, 'item')}")

    def type_invalid(self, path: Path, value: Json, detail: str) -> None:
        self._add("FieldValueTypeInvalid", path, f"Invalid value: {spelled(value)}: {detail}")

    def immutable(self, path: Path, new: Json) -> None:
        self.invalid(path, new, "field is immutable")

    def messages(self, path: Path, value: Json, details: Iterable[str]) -> None:
        """One `invalid` a message: what `names` and other format checks return."""
        for detail in details:
            self.invalid(path, value, detail)

    def _add(self, reason: str, path: Path, message: str) -> None:
        self.causes.append(Cause(reason, message, str(path) or "<nil>"))

    def fault(self, kind: str, group: str, name: str) -> StatusFault:
        return invalid(kind, group, name, self.causes)
