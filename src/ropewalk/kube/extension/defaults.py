"""Whether the defaults of a schema are values of it: pruned, of the right shape, and as its rules demand. Pure.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting
"""

from __future__ import annotations

from collections.abc import Iterator

from ropewalk.kube.extension import causes, embedded, rules
from ropewalk.kube.extension.complaints import complaints
from ropewalk.kube.extension.shaping import META_FIELDS, pruned
from ropewalk.kube.extension.structural import EMBEDDED
from ropewalk.kube.machinery.cel.environment import Budget
from ropewalk.kube.machinery.errors import Cause
from ropewalk.kube.machinery.objects import Json, Object, copied
from ropewalk.kube.machinery.schema import Schema

_Steps = tuple["str | int", ...]


def validate(schema: Object, path: str, meta_schema: Schema) -> list[Cause]:
    """Of the whole schema of a structural custom resource."""
    return list(_Judge(meta_schema).part({**schema, EMBEDDED: True}, path, (), {}, in_meta=False))


class _Judge:
    def __init__(self, meta_schema: Schema) -> None:
        self._meta_schema = meta_schema
        self._budget = Budget()

    def part(self, schema: Object, path: str, steps: _Steps, around: Object, *, in_meta: bool) -> Iterator[Cause]:
        """`around`: the schema of the resource that it is part of; `steps` lead from there. `in_meta`: within that
        resource's apiVersion, kind or metadata.
        """
        if self._budget.left < 0:
            return
        is_resource = bool(schema.get(EMBEDDED))
        if is_resource:
            steps, around, in_meta = (), schema, False
        if schema.get("default") is not None:
            yield from self._default(schema, f"{path}.default", steps, around, in_meta=in_meta)
        if isinstance(schema.get("items"), dict):
            yield from self.part(schema["items"], f"{path}.items", (*steps, 0), around, in_meta=in_meta)
        for name, below in (schema.get("properties") or {}).items():
            within = in_meta or (is_resource and name in META_FIELDS)
            yield from self.part(below, f"{path}.properties[{name}]", (*steps, name), around, in_meta=within)

    def _default(self, schema: Object, path: str, steps: _Steps, around: Object, *, in_meta: bool) -> Iterator[Cause]:
        value = schema["default"]
        if in_meta:
            problem = self._metadata_problem(value, steps, around)
            if problem:
                yield causes.invalid(path, value, f"must result in valid metadata: {problem}")
                return
        else:
            if pruned(copied(value), schema, root=bool(schema.get(EMBEDDED))):
                yield causes.invalid(path, value, "must not have unknown fields")
            found = self._embedded(value, schema, path)
            if found:
                yield from found
                return
        found = complaints(schema, value, path, default=True)
        yield from found or self._rules(schema, value, path)

    def _metadata_problem(self, value: Json, steps: _Steps, around: Object) -> str:
        obj = _surrounded(copied(value), steps)
        _, wrong = embedded.coerced(obj, {**around, EMBEDDED: True}, self._meta_schema)
        if wrong:
            return wrong
        told = [f"{cause.field}: {cause.message}" for cause in embedded.validate(obj, {**around, EMBEDDED: True})]
        return told[0] if len(told) == 1 else f"[{', '.join(told)}]" if told else ""

    def _embedded(self, value: Json, schema: Object, path: str) -> list[Cause]:
        if type(value) is not dict:
            return []
        _, wrong = embedded.coerced(copied(value), schema, self._meta_schema)
        if wrong:
            where, _, message = wrong.partition(": ")
            return [Cause("FieldValueInvalid", message, _joined(path, where))]
        found = embedded.validate(value, schema)
        return [Cause(cause.reason, cause.message, _joined(path, cause.field)) for cause in found]

    def _rules(self, schema: Object, value: Json, path: str) -> list[Cause]:
        """As an update that changes nothing, and as a creation."""
        ruled = rules.compiled(schema, resource=bool(schema.get(EMBEDDED)))
        if ruled is None:
            return []
        left = self._budget.left
        found = rules.check(ruled, value, value, self._budget, path=path).errors
        if not found:
            again = Budget(left)
            found = rules.check(ruled, value, None, again, path=path).errors
            self._budget.left = min(self._budget.left, again.left)
        return found


def _joined(path: str, field: str) -> str:
    return f"{path}{field}" if field.startswith("[") else f"{path}.{field}"


def _surrounded(value: Json, steps: _Steps) -> Object:
    """A resource that has the value where the steps lead."""
    for step in reversed(steps):
        value = [value] if step == 0 and type(step) is int else {step: value}
    return {"apiVersion": "validation/v1", "kind": "Validation", **value}
