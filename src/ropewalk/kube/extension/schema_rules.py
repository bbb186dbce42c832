"""What a definition's schema must be, in apiextensions' words: structural, with defaults, list types and rules that
hold, and rules that cannot cost too much. Pure.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ropewalk.kube.extension import causes, defaults, rules, structure_rules
from ropewalk.kube.extension.declared import MAX_REQUEST
from ropewalk.kube.extension.rules import VALIDATIONS, Compiled
from ropewalk.kube.extension.shaping import META_FIELDS
from ropewalk.kube.extension.structural import EMBEDDED, PRESERVE
from ropewalk.kube.kinds.apiextensions.field_paths import follow
from ropewalk.kube.machinery.cel.declarations import Declared
from ropewalk.kube.machinery.errors import Cause
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.schema import Schema

COST_LIMIT = 10_000_000
"""Of one expression."""
TOTAL_COST_LIMIT = 100_000_000
"""Of all rules of a schema."""
_MAX = (1 << 64) - 1
_MOST_EXPENSIVE = 4
_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_LINE_BREAKS = re.compile(r"[\n\r]")
_LIST_TYPE, _LIST_KEYS, _MAP_TYPE = "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"
_ROOT_FIELDS = (
    "Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern"
    " MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields"
    " XValidations"
)
_NOT_AT_ROOT = frozenset(
    "id $schema $ref default enum maxProperties minProperties allOf oneOf anyOf not additionalProperties"
    f" patternProperties dependencies additionalItems definitions nullable {EMBEDDED} x-kubernetes-int-or-string"
    f" {_LIST_KEYS} {_LIST_TYPE} {_MAP_TYPE}".split()
)


def validate(schema: Object, path: str, meta_schema: Schema, *, status: bool) -> list[Cause]:
    """`path`: where the schema stands (`….openAPIV3Schema`); `status`: it is a subresource."""
    found = list(_root(schema, path, status=status))
    unreadable = structure_rules.unreadable(schema)
    context: _Context | None = None
    if not unreadable:
        wrong = structure_rules.validate(schema, path) or defaults.validate(schema, path, meta_schema)
        found += wrong
        context = None if wrong else _Context()
    walk = _Walk()
    found += walk.errors(schema, path, _Place(context=context, root=True))
    if not found and unreadable:
        found.append(causes.invalid(path, "", unreadable))
    return [*found, *walk.total.errors(path)]


def _root(schema: Object, path: str, *, status: bool) -> Iterator[Cause]:
    if status:
        kind = schema.get("type")
        if kind and kind != "object":
            told = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
            yield causes.invalid(f"{path}.type", kind, told)
        elif any(schema.get(word) not in (None, False, "", [], {}) for word in _NOT_AT_ROOT):
            told = (
                f"only [{_ROOT_FIELDS}] fields are allowed at the root of the schema if the status subresource is"
                " enabled"
            )
            yield causes.invalid(path, schema, told)
    if schema.get("nullable"):
        yield causes.forbidden(f"{path}.nullable", "nullable cannot be true at the root")


# --- the walk


@dataclass(frozen=True, slots=True)
class _Context:
    """How often a part can occur in an object at most: None where nothing bounds it."""

    cardinality: int | None = 1

    def below(self, schema: Object) -> _Context:
        most = _most_elements(schema)
        if self.cardinality is None or most is None:
            return _Context(None)
        return _Context(_times(self.cardinality, most))


def _most_elements(schema: Object) -> int | None:
    if schema.get("type") == "array":
        limit = schema.get("maxItems")
    elif schema.get("type") == "object" and schema.get("additionalProperties") is not None:
        limit = schema.get("maxProperties")
    else:
        return 1
    return None if limit is None else max(limit, 0)


def _times(left: int, right: int) -> int:
    return min(left * right, _MAX)


@dataclass(frozen=True, slots=True)
class _Place:
    """What holds where a part of the schema stands."""

    context: _Context | None
    """None within logic, and where the schema is wrong: rules are not compiled there."""
    root: bool = False
    no_defaults: str = ""
    """Why no default may stand here."""
    in_meta: bool = False
    not_correlatable: str = ""
    """The outermost list whose items cannot be told apart before and after an update."""

    def below(self, schema: Object) -> _Place:
        return replace(self, root=False, context=self.context.below(schema) if self.context is not None else None)


@dataclass(slots=True)
class _Total:
    """What all rules cost together."""

    cost: int = 0
    dearest: list[tuple[int, str]] = field(default_factory=list)

    def observe(self, path: str, cost: int) -> None:
        self.cost = min(self.cost + cost, _MAX)
        if cost >= TOTAL_COST_LIMIT // 100:
            self.dearest.append((cost, path))
            self.dearest.sort(key=lambda one: -one[0])
            del self.dearest[_MOST_EXPENSIVE:]

    def errors(self, path: str) -> Iterator[Cause]:
        if self.cost <= TOTAL_COST_LIMIT:
            return
        for _, where in self.dearest:
            yield causes.forbidden(
                where, "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
            )
        name = f"{VALIDATIONS} estimated rule cost total for entire OpenAPIv3 schema"
        yield causes.forbidden(path, _too_dear(name, self.cost, TOTAL_COST_LIMIT))


def _too_dear(name: str, cost: int, limit: int) -> str:
    factor = cost / limit
    if factor > 100:
        times = "more than 100x"
    elif factor < 1.5:
        times = f"{factor:.6f}x"
    else:
        times = f"{factor:.1f}x"
    return (
        f"{name} exceeds budget by factor of {times} (try simplifying the rule, or adding maxItems, maxProperties, and"
        " maxLength where arrays, maps, and strings are declared)"
    )


class _Walk:
    def __init__(self) -> None:
        self.total = _Total()

    def errors(self, schema: Object, path: str, place: _Place) -> list[Cause]:
        of_schema, of_rules = self._part(schema, path, place)
        return [*of_schema, *of_rules]

    def _part(self, schema: Object, path: str, place: _Place) -> tuple[list[Cause], list[Cause]]:
        """(what is wrong with the schema here and below, what is wrong with rules)."""
        found = list(_own_problems(schema, path, place))
        of_rules: list[Cause] = []
        for below, where, there in _below(schema, path, place):
            wrong, wrong_rules = self._part(below, where, there)
            found += wrong
            of_rules += wrong_rules
        found += _list_problems(schema, path)
        found += _map_list_problems(schema, path)
        found += _rule_problems(schema, path)
        if schema.get(VALIDATIONS) and not found and place.context is not None:
            of_rules += self._rules(schema, path, place, place.context)
        return found, of_rules

    def _rules(self, schema: Object, path: str, place: _Place, context: _Context) -> Iterator[Cause]:
        root = rules.declaration(schema, resource=place.root or bool(schema.get(EMBEDDED)))
        if root is None:
            told = (
                "Internal error: internal error: failed to construct type information for x-kubernetes-validations"
                " rules: unable to convert structural schema to CEL declarations"
            )
            yield Cause("InternalError", told, f"{path}.{VALIDATIONS}")
            return
        for number, given in enumerate(schema[VALIDATIONS]):
            where = f"{path}.{VALIDATIONS}[{number}]"
            made = rules.compile_rule(given, schema, root)
            yield from self._rule(given, made, where, context, root)
            if made.uses_old:
                if place.not_correlatable:
                    told = (
                        "oldSelf cannot be used on the uncorrelatable portion of the schema within"
                        f" {place.not_correlatable}"
                    )
                    yield causes.invalid(f"{where}.rule", given["rule"], told)
            elif given.get("optionalOldSelf") is not None:
                told = "may not be set if oldSelf is not used in rule"
                yield causes.invalid(f"{where}.optionalOldSelf", given["optionalOldSelf"], told)

    def _rule(self, given: Object, made: Compiled, where: str, context: _Context, root: Declared) -> Iterator[Cause]:
        often = context.cardinality if context.cardinality is not None else MAX_REQUEST // (root.min_size + 1)
        cost = _times(made.cost, often)
        if cost > COST_LIMIT:
            yield causes.forbidden(f"{where}.rule", _too_dear("estimated rule cost", cost, COST_LIMIT))
        self.total.observe(f"{where}.rule", cost)
        if made.error:
            yield _with_rule(f"{where}.rule", given, made.error)
        if made.message_error:
            yield _with_rule(f"{where}.messageExpression", given, made.message_error)
        elif made.message is not None:
            cost = made.message_cost
            if cost > COST_LIMIT:
                told = _too_dear("estimated messageExpression cost", cost, COST_LIMIT)
                yield causes.forbidden(f"{where}.messageExpression", told)
            self.total.observe(f"{where}.messageExpression", cost)


def _with_rule(path: str, given: Object, detail: str) -> Cause:
    shown = ",".join(
        f'"{word[0].upper()}{word[1:]}":{causes.marshalled(given.get(word, empty))}'
        for word, empty in (
            ("rule", ""),
            ("message", ""),
            ("messageExpression", ""),
            ("reason", None),
            ("fieldPath", ""),
            ("optionalOldSelf", None),
        )
    )
    return Cause("FieldValueInvalid", f"Invalid value: {{{shown}}}: {detail}", path)


def _below(schema: Object, path: str, place: _Place) -> Iterator[tuple[Object, str, _Place]]:
    there = place.below(schema)
    additional = schema.get("additionalProperties")
    if isinstance(additional, dict):
        forbidden = "inside additionalProperties applying to object metadata" if place.in_meta else there.no_defaults
        yield additional, f"{path}.additionalProperties", replace(there, no_defaults=forbidden)
    for name, part in (schema.get("properties") or {}).items():
        below = there
        if (place.root or schema.get(EMBEDDED)) and name in META_FIELDS:
            forbidden = f"in top-level {name}" if place.root else there.no_defaults
            below = replace(there, in_meta=True, no_defaults=forbidden)
        yield part, f"{path}.properties[{name}]", below
    logic = replace(there, context=None)
    if isinstance(schema.get("not"), dict):
        yield schema["not"], f"{path}.not", logic
    for word in ("allOf", "oneOf", "anyOf"):
        for number, part in enumerate(schema.get(word) or ()):
            yield part, f"{path}.{word}[{number}]", logic
    for name, part in (schema.get("definitions") or {}).items():
        yield part, f"{path}.definitions[{name}]", logic
    items = schema.get("items")
    apart = there
    if schema.get(_LIST_TYPE) != "map" and not there.not_correlatable:
        apart = replace(there, not_correlatable=path)
    if isinstance(items, dict):
        yield items, f"{path}.items", apart
    elif isinstance(items, list):
        for number, part in enumerate(items):
            yield part, f"{path}.items[{number}]", apart
    for name, part in (schema.get("dependencies") or {}).items():
        if isinstance(part, dict):
            yield part, f"{path}.dependencies[{name}]", logic


# --- one part


def _own_problems(schema: Object, path: str, place: _Place) -> Iterator[Cause]:
    kind = schema.get("type")
    if kind and kind not in _TYPES:
        yield causes.not_supported(f"{path}.type", kind, _TYPES)
    if schema.get("default") is not None and place.no_defaults:
        yield causes.forbidden(f"{path}.default", f"must not be set {place.no_defaults}")
    for word in ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"):
        given = schema.get(word)
        if given is not None and (given or word in ("additionalItems", "dependencies", "$ref")):
            yield causes.forbidden(f"{path}.{word}", f"{word} is not supported")
    if kind == "null":
        yield causes.forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative")
    if isinstance(schema.get("items"), list) and schema["items"]:
        yield causes.forbidden(f"{path}.items", "items must be a schema object and not an array")
    if place.in_meta and schema.get(EMBEDDED):
        yield causes.forbidden(f"{path}.{EMBEDDED}", "must not be used inside of resource meta")
    if schema.get("uniqueItems"):
        told = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield causes.forbidden(f"{path}.uniqueItems", told)
    additional = schema.get("additionalProperties")
    if additional is not None and additional is not True and schema.get("properties"):
        told = "additionalProperties and properties are mutual exclusive"
        yield causes.forbidden(f"{path}.additionalProperties", told)


def _list_problems(schema: Object, path: str) -> Iterator[Cause]:
    if schema.get(PRESERVE) is False:
        yield causes.invalid(f"{path}.{PRESERVE}", False, "must be true or undefined")
    map_type, list_type, kind = schema.get(_MAP_TYPE), schema.get(_LIST_TYPE), schema.get("type") or ""
    if map_type is not None and kind != "object":
        yield _wrong_type(path, kind, f"must be object if {_MAP_TYPE} is specified")
    if map_type not in (None, "atomic", "granular"):
        yield causes.not_supported(f"{path}.{_MAP_TYPE}", map_type, ("atomic", "granular"))
    items = schema.get("items")
    if list_type is not None and kind != "array":
        yield _wrong_type(path, kind, f"must be array if {_LIST_TYPE} is specified")
    elif list_type == "set" and isinstance(items, dict):
        told = f"must be atomic as item of a list with {_LIST_TYPE}=set"
        if items.get("type") == "array" and items.get(_LIST_TYPE) not in (None, "atomic"):
            yield causes.invalid(f"{path}.items.{_LIST_TYPE}", items[_LIST_TYPE], told)
        if items.get("type") == "object" and items.get(_MAP_TYPE) != "atomic":
            yield causes.invalid(f"{path}.items.{_MAP_TYPE}", items.get(_LIST_TYPE), told)
    if list_type not in (None, "atomic", "set", "map"):
        yield causes.not_supported(f"{path}.{_LIST_TYPE}", list_type, ("atomic", "set", "map"))
    if schema.get(_LIST_KEYS) and list_type != "map":
        told = f"must be map if {_LIST_KEYS} is non-empty"
        where = f"{path}.{_LIST_TYPE}"
        yield causes.required(where, told) if list_type is None else causes.invalid(where, list_type, told)
    if list_type == "map":
        yield from _map_list(schema, path)


def _wrong_type(path: str, kind: str, told: str) -> Cause:
    return causes.invalid(f"{path}.type", kind, told) if kind else causes.required(f"{path}.type", told)


def _map_list(schema: Object, path: str) -> Iterator[Cause]:
    keys, items = schema.get(_LIST_KEYS) or [], schema.get("items")
    if not keys:
        yield causes.required(f"{path}.{_LIST_KEYS}", f"must not be empty if {_LIST_TYPE} is map")
    if items is None:
        yield causes.required(f"{path}.items", f"must have a schema if {_LIST_TYPE} is map")
    elif not isinstance(items, dict):
        yield causes.invalid(f"{path}.items", items, f"must only have a single schema if {_LIST_TYPE} is map")
    elif items.get("type") != "object":
        told = f"must be object if parent array's {_LIST_TYPE} is map"
        yield causes.invalid(f"{path}.items.type", items.get("type") or "", told)
    else:
        seen: set[str] = set()
        for key in keys:
            part = (items.get("properties") or {}).get(key)
            if part is None:
                yield causes.invalid(f"{path}.{_LIST_KEYS}", keys, "entries must all be names of item properties")
            elif part.get("type") in ("array", "object"):
                told = f"must be a scalar type if parent array's {_LIST_TYPE} is map"
                yield causes.invalid(f"{path}.items.properties[{key}].type", items["type"], told)
            if key in seen:
                yield causes.invalid(f"{path}.{_LIST_KEYS}", keys, "must not contain duplicate entries")
            seen.add(key)


def _map_list_problems(schema: Object, path: str) -> Iterator[Cause]:
    """Keys must always be there; items must be something."""
    list_type, items = schema.get(_LIST_TYPE), schema.get("items")
    if list_type not in ("set", "map") or not isinstance(items, dict):
        return
    if items.get("nullable"):
        yield causes.forbidden(f"{path}.items.nullable", f"cannot be nullable when {_LIST_TYPE} is {list_type}")
    if list_type != "map":
        return
    for key in schema.get(_LIST_KEYS) or ():
        part = (items.get("properties") or {}).get(key)
        if part is None:
            continue
        where = f"{path}.items.properties[{key}]"
        if key not in (items.get("required") or ()) and part.get("default") is None:
            told = f"this property is in {_LIST_KEYS}, so it must have a default or be a required property"
            yield causes.required(f"{where}.default", told)
        if part.get("nullable"):
            yield causes.forbidden(f"{where}.nullable", f"this property is in {_LIST_KEYS}, so it cannot be nullable")


def _rule_problems(schema: Object, path: str) -> Iterator[Cause]:
    for number, given in enumerate(schema.get(VALIDATIONS) or ()):
        where = f"{path}.{VALIDATIONS}[{number}]"
        yield from _text_problems(given, where)
        expression = given.get("messageExpression") or ""
        if expression and not expression.strip():
            yield causes.required(f"{where}.messageExpression", "messageExpression must be non-empty if specified")
        reason = given.get("reason")
        if reason is not None and reason not in _REASONS:
            yield causes.not_supported(f"{where}.reason", reason, _REASONS)
        field_path = given.get("fieldPath") or ""
        if field_path and not field_path.strip():
            yield causes.invalid(f"{where}.fieldPath", field_path, "must be non-empty if specified")
        if _LINE_BREAKS.search(field_path):
            yield causes.invalid(f"{where}.fieldPath", field_path, "must not contain line breaks")
        if field_path and not _leads_somewhere(field_path, schema):
            yield causes.invalid(f"{where}.fieldPath", field_path, "must be a valid path")


def _text_problems(given: Object, where: str) -> Iterator[Cause]:
    rule, message = given.get("rule") or "", given.get("message") or ""
    if not rule.strip():
        yield causes.required(f"{where}.rule", "rule is not specified")
    elif message and not message.strip():
        yield causes.invalid(f"{where}.message", message, "must be non-empty if specified")
    elif _LINE_BREAKS.search(message.strip()):
        yield causes.invalid(f"{where}.message", message, "must not contain line breaks")
    elif _LINE_BREAKS.search(rule.strip()) and not message.strip():
        yield causes.required(f"{where}.message", "message must be specified if rule contains line breaks")


def _leads_somewhere(field_path: str, schema: Object) -> bool:
    if structure_rules.unreadable(schema):
        return True
    try:
        follow(field_path, schema)
    except ValueError:
        return False
    return True
