"""What makes a schema structural, in apiextensions' words. Pure.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

from __future__ import annotations

from collections.abc import Iterator

from ropewalk.kube.extension import causes
from ropewalk.kube.extension.structural import EMBEDDED, INT_OR_STRING, PRESERVE
from ropewalk.kube.machinery.errors import Cause
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.patterns import pattern

JUNCTORS = ("anyOf", "allOf", "oneOf")
UNSUPPORTED = ("id", "$schema", "$ref", "patternProperties", "dependencies", "additionalItems", "definitions")
_INTEGER_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_DECLARATIONS = (
    ("title", "empty"),
    ("description", "empty"),
    ("nullable", "false"),
    (PRESERVE, "false"),
    (EMBEDDED, "false"),
    (INT_OR_STRING, "false"),
    ("x-kubernetes-list-map-keys", "empty"),
    ("x-kubernetes-list-type", "undefined"),
    ("x-kubernetes-map-type", "undefined"),
    ("x-kubernetes-validations", "empty"),
)
"""What declares, and so may not stand in logic: (word, what it must be)."""


def unreadable(schema: Object) -> str:
    """Why it cannot be read as a structural schema at all; "" where it can."""
    for word in UNSUPPORTED:
        if _is_set(schema, word):
            return f"OpenAPIV3Schema '{word.removeprefix('$') if word == '$schema' else word}' is not supported"
    for part in (*every_junction(schema), *_spine(schema)):
        found = unreadable(part)
        if found:
            return found
    if schema.get(PRESERVE) is False:
        return f"internal error: '{PRESERVE}' must be true or undefined"
    if isinstance(schema.get("items"), list) and schema["items"]:
        return "OpenAPIV3Schema 'items' must be a schema, but is an array"
    return ""


def _is_set(schema: Object, word: str) -> bool:
    return schema.get(word) is not None if word == "additionalItems" else bool(schema.get(word))


def every_junction(schema: Object) -> Iterator[Object]:
    for word in JUNCTORS:
        yield from schema.get(word) or ()
    if isinstance(schema.get("not"), dict):
        yield schema["not"]


def _spine(schema: Object) -> Iterator[Object]:
    yield from (schema.get("properties") or {}).values()
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield schema[word]


def validate(schema: Object, path: str) -> list[Cause]:
    """Of a schema that can be read."""
    found = [*_invariants(schema, path, "root"), *_complete(schema, schema, path, path)]
    return sorted(found, key=lambda cause: f"{cause.field}: {cause.message}")


# --- the spine


def _invariants(schema: Object, path: str, level: str) -> Iterator[Cause]:
    if schema.get("type") == "array" and not isinstance(schema.get("items"), dict):
        yield causes.required(f"{path}.items", "must be specified")
    if isinstance(schema.get("items"), dict):
        yield from _invariants(schema["items"], f"{path}.items", "item")
    for name, part in (schema.get("properties") or {}).items():
        yield from _invariants(part, f"{path}.properties[{name}]", "field")
    if schema.get("additionalProperties") is not None:
        if level == "root":
            yield causes.forbidden(f"{path}.additionalProperties", "must not be used at the root")
        if isinstance(schema["additionalProperties"], dict):
            yield from _invariants(schema["additionalProperties"], f"{path}.additionalProperties", "field")
    if schema.get(INT_OR_STRING):
        for word in (PRESERVE, EMBEDDED):
            if schema.get(word):
                yield causes.invalid(f"{path}.{word}", True, f"must be false if {INT_OR_STRING} is true")
    first = (schema.get("allOf") or [{}])[0]
    yield from _logic(
        schema,
        path,
        skip_any=schema.get("anyOf") == _INTEGER_OR_STRING,
        skip_first=first.get("anyOf") == _INTEGER_OR_STRING,
    )
    yield from _typed(schema, path, level)
    yield from _resource(schema, path, level)


def _typed(schema: Object, path: str, level: str) -> Iterator[Cause]:
    kind, embedded = schema.get("type") or "", bool(schema.get(EMBEDDED))
    if embedded and kind != "object":
        told = f"must be object if {EMBEDDED} is true"
        yield causes.invalid(f"{path}.type", kind, told) if kind else causes.required(f"{path}.type", told)
    elif not kind and not schema.get(INT_OR_STRING) and not schema.get(PRESERVE):
        where = {"root": "at the root", "item": "for specified array items", "field": "for specified object fields"}
        yield causes.required(f"{path}.type", f"must not be empty {where[level]}")
    if embedded and schema.get("additionalProperties") is not None:
        yield causes.forbidden(f"{path}.additionalProperties", f"must not be used if {EMBEDDED} is set")
    if level == "root" and kind and kind != "object":
        yield causes.invalid(f"{path}.type", kind, "must be object at the root")


def _resource(schema: Object, path: str, level: str) -> Iterator[Cause]:
    """apiVersion, kind and metadata have a shape already; only names may be restricted."""
    properties, embedded = schema.get("properties") or {}, bool(schema.get(EMBEDDED))
    of_resource = level == "root" or embedded
    for name in ("kind", "apiVersion"):
        if of_resource and name in properties and properties[name].get("type") != "string":
            kind = properties[name].get("type") or ""
            yield causes.invalid(f"{path}.properties[{name}].type", kind, "must be string")
    metadata = properties.get("metadata")
    if metadata is not None:
        where = f"{path}.properties[metadata]"
        if of_resource and metadata.get("type") != "object":
            yield causes.invalid(f"{where}.type", metadata.get("type") or "", "must be object")
        if level == "root" and not _restricts_names_alone(metadata):
            yield causes.forbidden(
                where,
                "must not specify anything other than name and generateName, but metadata is implicitly specified",
            )
    if embedded and not schema.get(PRESERVE) and not properties:
        yield causes.required(f"{path}.properties", f"must not be empty if {EMBEDDED} is true without {PRESERVE}")


def _restricts_names_alone(metadata: Object) -> bool:
    further = {word for word, value in metadata.items() if value not in (None, False, "", [], {})}
    return (metadata.get("properties") or {}).keys() <= {"name", "generateName"} and further <= {
        "type",
        "default",
        "properties",
        "externalDocs",
        "example",
    }


# --- logic


def _logic(schema: Object, path: str, *, skip_any: bool = False, skip_first: bool = False) -> Iterator[Cause]:
    """`skip_…`: that anyOf spells out int-or-string, which is allowed to name types."""
    for word in JUNCTORS:
        if word == "anyOf" and skip_any:
            continue
        for place, part in enumerate(schema.get(word) or ()):
            spelled_out = word == "allOf" and place == 0 and skip_first
            yield from _nested(part, f"{path}.{word}[{place}]", skip_any=spelled_out)
    if isinstance(schema.get("not"), dict):
        yield from _nested(schema["not"], f"{path}.not")
    if schema.get("pattern"):
        try:
            pattern(schema["pattern"])
        except ValueError as error:
            told = f"must be a valid regular expression, but isn't: {error}"
            yield causes.invalid(f"{path}.pattern", schema["pattern"], told)


def _nested(schema: Object, path: str, *, skip_any: bool = False) -> Iterator[Cause]:
    yield from _logic(schema, path, skip_any=skip_any)
    if isinstance(schema.get("items"), dict):
        yield from _nested(schema["items"], f"{path}.items")
    for name, part in (schema.get("properties") or {}).items():
        yield from _nested(part, f"{path}.properties[{name}]")
    if schema.get("type"):
        yield causes.forbidden(f"{path}.type", "must be empty to be structural")
    if schema.get("additionalProperties") not in (None, False):
        yield causes.forbidden(f"{path}.additionalProperties", "must be undefined to be structural")
    if schema.get("default") is not None:
        yield causes.forbidden(f"{path}.default", "must be undefined to be structural")
    for word, what in _DECLARATIONS:
        if schema.get(word):
            yield causes.forbidden(f"{path}.{word}", f"must be {what} to be structural")
    if "metadata" in (schema.get("properties") or {}):
        yield causes.forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context")


def _complete(logic: Object, spine: Object, path: str, logic_path: str) -> Iterator[Cause]:
    """What logic speaks of must stand on the spine."""
    if isinstance(logic.get("not"), dict):
        yield from _complete_part(logic["not"], spine, path, f"{logic_path}.not")
    for word in ("allOf", "anyOf", "oneOf"):
        for place, part in enumerate(logic.get(word) or ()):
            yield from _complete_part(part, spine, path, f"{logic_path}.{word}[{place}]")


def _complete_part(part: Object, spine: Object, path: str, logic_path: str) -> Iterator[Cause]:
    yield from _complete(part, spine, path, logic_path)
    if isinstance(part.get("items"), dict):
        if isinstance(spine.get("items"), dict):
            yield from _complete_part(part["items"], spine["items"], f"{path}.items", f"{logic_path}.items")
        else:
            yield causes.required(f"{path}.items", f"because it is defined in {logic_path}.items")
    for name, below in (part.get("properties") or {}).items():
        there = (spine.get("properties") or {}).get(name)
        where, logic_where = f"{path}.properties[{name}]", f"{logic_path}.properties[{name}]"
        if there is None:
            yield causes.required(where, f"because it is defined in {logic_where}")
        else:
            yield from _complete_part(below, there, where, logic_where)
