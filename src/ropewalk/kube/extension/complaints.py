"""What is wrong with a value, in kube-openapi's words: the slow walk, taken where `values` says no. Pure.

Of alternatives (anyOf, oneOf) the one that came closest is told: closeness is a count of the checks that were made,
kept here as kube-openapi keeps it. On an update, what did not change is not judged again (`correlation`).
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-ratcheting
"""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from ropewalk.kube.extension import causes, formats
from ropewalk.kube.extension.correlation import Correlated
from ropewalk.kube.extension.values import (
    NAMES,
    format_of,
    is_multiple,
    is_whole,
    matches_enum,
    reaches,
    types_of,
)
from ropewalk.kube.machinery.errors import Cause
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.patterns import pattern

_GO_FORMATS: dict[type, str] = {int: "int64", float: "float64"}


@dataclass(slots=True)
class _Result:
    found: dict[str, Cause] = field(default_factory=dict)
    """By the text that kube-openapi tells them apart by."""
    matches: int = 0

    def add(self, text: str, cause: Cause) -> None:
        self.found.setdefault(text, cause)

    def merge(self, other: _Result) -> None:
        for text, cause in other.found.items():
            self.found.setdefault(text, cause)
        self.matches += other.matches


def complaints(
    schema: Object, value: Json, prefix: str = "", correlated: Correlated | None = None, *, default: bool = False
) -> list[Cause]:
    """`prefix`: where the value stands ("" for a whole object, "status" for its status). `default`: it is the schema's
    own; of these int-or-string is not asked.
    """
    return list(_Walk(prefix, default=default).value(schema, value, "", correlated).found.values())


class _Walk:
    def __init__(self, prefix: str, *, default: bool) -> None:
        self._prefix = prefix
        self._default = default

    def _types(self, schema: Object) -> tuple[tuple[str, ...], str]:
        """(the types it allows, its format)."""
        if self._default:
            kind = schema.get("type")
            return ((kind,) if kind else ()), schema.get("format") or ""
        return types_of(schema), format_of(schema)

    def _where(self, name: str) -> str:
        name = name.removeprefix(".")
        if not name:
            return self._prefix
        return f"{self._prefix}.{name}" if self._prefix else name

    def value(self, schema: Object, value: Json, name: str, correlated: Correlated | None) -> _Result:
        result = _Result()
        self._type(schema, value, name, result)
        if value is None:
            self._enum(schema, value, name, result)
            return self._unless_unchanged(result, correlated)
        result.matches += bool(any(self._types(schema)))
        self._logic(schema, value, name, result)
        kind = type(value)
        if kind is str:
            self._string(schema, value, name, result)
        elif kind is int or kind is float:
            self._number(schema, value, name, result)
        elif kind is list:
            self._list(schema, value, name, result, correlated)
        self._enum(schema, value, name, result)
        result.matches += 1
        if kind is dict:
            self._object(schema, value, name, result, correlated)
            result.matches += 1
        result.matches += 1
        return self._unless_unchanged(result, correlated)

    def _unless_unchanged(self, result: _Result, correlated: Correlated | None) -> _Result:
        if result.found and correlated is not None and correlated.unchanged:
            return _Result(matches=result.matches)
        return result

    # --- any value

    def _type(self, schema: Object, value: Json, name: str, result: _Result) -> None:
        types, form = self._types(schema)
        if value is None:
            if types and not schema.get("nullable"):
                self._mistyped(name, ",".join(types), "null", result)
            else:
                result.matches += 1
            return
        if not types and not form:
            return
        given = NAMES[type(value)]
        fits = (
            given in types
            or (given == "number" and "integer" in types and is_whole(value))
            or (given == "integer" and "number" in types)
        )
        if form and given not in ("string", "array") and not fits:
            self._mistyped(name, form, _GO_FORMATS.get(type(value), ""), result)
        elif form and given in ("string", "array") and not {"number", "integer"} & set(types):
            result.matches += 1
        elif not fits:
            self._mistyped(name, ",".join(types), given, result)
        else:
            result.matches += 1

    def _mistyped(self, name: str, wanted: str, given: str, result: _Result) -> None:
        text = f"{name} in body must be of type {wanted}: {causes.quoted(given)}"
        result.add(text, causes.type_invalid(self._where(name), given, text))

    def _enum(self, schema: Object, value: Json, name: str, result: _Result) -> None:
        allowed = schema.get("enum")
        if allowed and (value is None or not matches_enum(value, allowed)):
            words = [word if type(word) is str else causes.marshalled(word) for word in allowed]
            text = f"{name} in body should be one of {orjson.dumps(allowed).decode()}"
            result.add(text, causes.not_supported(self._where(name), value, words))

    def _invalid(self, name: str, value: Json, text: str, result: _Result) -> None:
        result.add(text, causes.invalid(self._where(name), value, text))

    # --- by type

    def _string(self, schema: Object, value: str, name: str, result: _Result) -> None:
        longest, shortest, expression = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
        if longest is not None and len(value) > longest:
            text = f"{name} in body should be at most {longest} chars long"
            result.add(text, causes.too_long(self._where(name), longest))
        elif shortest is not None and len(value) < shortest:
            self._invalid(name, value, f"{name} in body should be at least {shortest} chars long", result)
        elif expression and pattern(expression).search(value) is None:
            self._invalid(name, value, f"{name} in body should match '{expression}'", result)
        result.matches += 1
        known = formats.check_of(schema.get("format") or "")
        if known is not None:
            if not known(value):
                text = f"{name} in body must be of type {schema['format']}: {causes.quoted(value)}"
                result.add(text, causes.type_invalid(self._where(name), value, text))
            result.matches += 1

    def _number(self, schema: Object, value: float, name: str, result: _Result) -> None:
        least, most, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
        if step is not None and not is_multiple(value, step):
            given = int(step) if type(value) is int else step
            if given <= 0:
                text = f"factor MultipleOf declared for {name} must be positive: {causes.number(given)}"
                self._invalid(name, given, text, result)
            else:
                self._invalid(name, value, f"{name} in body should be a multiple of {causes.number(given)}", result)
        above, below = bool(schema.get("exclusiveMinimum")), bool(schema.get("exclusiveMaximum"))
        if least is not None and not reaches(value, least, exclusive=above):
            how = "greater than" if above else "greater than or equal to"
            self._invalid(name, value, f"{name} in body should be {how} {_bound(value, least)}", result)
        if most is not None and not reaches(-value, -most, exclusive=below):
            how = "less than" if below else "less than or equal to"
            self._invalid(name, value, f"{name} in body should be {how} {_bound(value, most)}", result)
        result.matches += 2

    def _list(
        self, schema: Object, value: list[Json], name: str, result: _Result, correlated: Correlated | None
    ) -> None:
        if isinstance(schema.get("items"), dict):
            for place, item in enumerate(value):
                below = correlated.item(place) if correlated is not None else None
                result.merge(self.value(schema["items"], item, f"{name}[{place}]", below))
        least, most = schema.get("minItems"), schema.get("maxItems")
        if least is not None and len(value) < least:
            self._invalid(name, len(value), f"{name} in body should have at least {least} items", result)
        if most is not None and len(value) > most:
            text = f"{name} in body should have at most {most} items"
            result.add(text, causes.too_many(self._where(name), len(value), most))
        result.matches += 2

    def _object(self, schema: Object, value: Object, name: str, result: _Result, correlated: Correlated | None) -> None:
        least, most = schema.get("minProperties"), schema.get("maxProperties")
        if least is not None and len(value) < least:
            self._invalid(name, len(value), f"{name} in body should have at least {least} properties", result)
        if most is not None and len(value) > most:
            text = f"{name} in body should have at most {most} properties"
            result.add(text, causes.too_many(self._where(name), len(value), most))
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, part in value.items():
            if key in properties:
                continue
            if additional is False:
                self._invalid(name, key, f"{name}.{key} in body is a forbidden property", result)
            elif isinstance(additional, dict):
                below = _field(correlated, key, name)
                result.merge(self.value(additional, part, f"{name}.{key}", below))
        for key, below_schema in properties.items():
            if key in value:
                below = _field(correlated, key, name)
                result.merge(self.value(below_schema, value[key], f"{name}.{key}" if name else key, below))
        for key in schema.get("required") or ():
            if key not in value:
                result.add(f"{name}.{key} in body is required", causes.required(self._where(f"{name}.{key}")))

    # --- logic; what stands in it is judged anew, changed or not

    def _logic(self, schema: Object, value: Json, name: str, result: _Result) -> None:
        self._any_of(schema, value, name, result)
        self._one_of(schema, value, name, result)
        results = [self.value(part, value, name, None) for part in schema.get("allOf") or ()]
        for one in results:
            result.merge(one)
        fitting = sum(not one.found for one in results)
        if fitting != len(results):
            more = "" if fitting else ". None validated"
            self._told(name, f"must validate all the schemas (allOf){more}", result)
        if isinstance(schema.get("not"), dict) and not self.value(schema["not"], value, name, None).found:
            self._told(name, "must not validate the schema (not)", result)
        result.matches += 2

    def _any_of(self, schema: Object, value: Json, name: str, result: _Result) -> None:
        best: _Result | None = None
        for part in schema.get("anyOf") or ():
            one = self.value(part, value, name, None)
            if not one.found:
                result.merge(one)
                return
            if best is None or one.matches > best.matches:
                best = one
        if best is not None:
            self._told(name, "must validate at least one schema (anyOf)", result)
            result.merge(best)

    def _one_of(self, schema: Object, value: Json, name: str, result: _Result) -> None:
        results = [self.value(part, value, name, None) for part in schema.get("oneOf") or ()]
        if not results:
            return
        fitting = [one for one in results if not one.found]
        if len(fitting) == 1:
            result.merge(fitting[0])
            return
        told = f"Found {len(fitting)} valid alternatives" if fitting else "Found none valid"
        self._told(name, f"must validate one and only one schema (oneOf). {told}", result)
        if not fitting:
            result.merge(max(results, key=lambda one: one.matches))

    def _told(self, name: str, words: str, result: _Result) -> None:
        """What is wrong with alternatives belongs to no field."""
        text = f"{causes.quoted(name)} {words}"
        result.add(text, causes.invalid(self._prefix, "", text))


def _bound(value: float, bound: float) -> str:
    return causes.number(int(bound) if type(value) is int else float(bound))


def _field(correlated: Correlated | None, key: str, name: str) -> Correlated | None:
    """apiVersion and kind of a whole object are never taken for unchanged: both sides were made one version."""
    if correlated is None or (not name and key in ("apiVersion", "kind")):
        return None
    return correlated.field(key)
