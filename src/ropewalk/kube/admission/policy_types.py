"""What a ValidatingAdmissionPolicy's expressions get wrong about the kinds they are for. Pure but for whom it asks.

At a request `object` may be anything, so that a misspelt field shows only when it is missed. Here each expression is
checked once for every kind that the policy names outright, with `object` of that kind's type: warnings for the policy's
status, which alter nothing of what it does. Types are made as Kubernetes makes them; what its schemas do not type
(quantities, for one) has no field here either.
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/#type-checking
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

from ropewalk.kube.machinery.cel.declarations import Declared, escape, structs
from ropewalk.kube.machinery.cel.environment import CompileError, Environment
from ropewalk.kube.machinery.cel.type_check import Checked, check
from ropewalk.kube.machinery.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    Type,
    list_of,
    map_of,
    parsed,
)
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.machinery.resources import GroupVersionKind, ResourceInfo
from ropewalk.kube.machinery.schema import Schema, Shape

MOST_KINDS = 10
_SIMPLE: dict[Shape, Type] = {
    Shape.BOOLEAN: BOOL,
    Shape.INTEGER: INT,
    Shape.INT_OR_STRING: DYN,
    Shape.NUMBER: DOUBLE,
}
_STRINGS = {"byte": BYTES, "duration": DURATION, "date": TIMESTAMP, "date-time": TIMESTAMP}
_KEPT = (BOOL, BYTES, DOUBLE, DURATION, INT, NULL, STRING, TIMESTAMP, UINT)
_FREE_FORM = ("RawExtension", "FieldsV1")
"""Definitions that say "an object" and no more."""

Schemas = Callable[[GroupVersionKind], Schema | None]


def warnings(policy: Object, infos: Sequence[ResourceInfo], schema_of: Schemas) -> list[Object]:
    """`ExpressionWarning`s, for `status.typeChecking`."""
    params, variables = _params(policy, schema_of), at(policy, "spec", "variables") or ()
    scenes = [
        (gvk, _Names(kind, params, variables))
        for gvk in _kinds(policy, infos)
        if (kind := _declared_kind(gvk, schema_of)) is not None
    ]
    told: list[Object] = []
    for place, validation in enumerate(at(policy, "spec", "validations") or ()):
        for name in ("expression", "messageExpression"):
            text = validation.get(name)
            complaints = [(gvk, scene.complaint(text)) for gvk, scene in scenes] if text else []
            warning = "\n".join(f"{_spelled(gvk)}: {why}\n" for gvk, why in complaints if why)
            if warning:
                told.append({"fieldRef": f"spec.validations[{place}].{name}", "warning": warning})
    return told


def _spelled(gvk: GroupVersionKind) -> str:
    return f"{gvk.api_version if gvk.group else '/' + gvk.version}, Kind={gvk.kind}"


# --- which kinds


def _kinds(policy: Object, infos: Sequence[ResourceInfo]) -> list[GroupVersionKind]:
    """Those that the policy's rules name outright; of many the first."""
    found: set[GroupVersionKind] = set()
    for rule in at(policy, "spec", "matchConstraints", "resourceRules") or ():
        groups, versions = rule.get("apiGroups") or [], rule.get("apiVersions") or []
        if any("*" in word for word in (*groups, *versions)):
            continue
        plain = sorted(word for word in rule.get("resources") or [] if "*" not in word and "/" not in word)
        named = list(islice(_named(sorted(groups), sorted(versions), plain, infos), MOST_KINDS))
        found.update(named)
        if len(named) == MOST_KINDS:
            break
    return _ordered(found)


def _named(
    groups: list[str], versions: list[str], resources: list[str], infos: Sequence[ResourceInfo]
) -> Iterable[GroupVersionKind]:
    for group in groups:
        for version in versions:
            for resource in resources:
                for info in infos:
                    of_group = group in ("", info.group)  # none given: any, as Kubernetes' own look-up has it
                    if of_group and info.version == version and resource in (info.plural, info.singular):
                        yield info.gvk


def _ordered(kinds: Iterable[GroupVersionKind]) -> list[GroupVersionKind]:
    return sorted(kinds, key=lambda gvk: (gvk.group, gvk.version, gvk.kind))


# --- their types


def _declared_kind(gvk: GroupVersionKind, schema_of: Schemas) -> Declared | None:
    schema = schema_of(gvk)
    return None if schema is None else declared(schema, gvk.kind)


def _params(policy: Object, schema_of: Schemas) -> Declared | None:
    kind = at(policy, "spec", "paramKind")
    if not kind:
        return None
    return _declared_kind(GroupVersionKind.of(kind.get("apiVersion", ""), kind.get("kind", "")), schema_of)


def declared(schema: Schema, name: str, within: frozenset[str] = frozenset()) -> Declared | None:
    """None for what expressions cannot see. `name`: of the struct types under it; `within`: definitions around it."""
    shape = schema.shape
    if shape in _SIMPLE:
        return Declared(_SIMPLE[shape])
    if shape is Shape.STRING:
        return Declared(_STRINGS.get(schema.format, STRING))
    if shape is Shape.LIST or shape is Shape.MAP:
        element = declared(schema.items, f"{name}.{'@idx' if shape is Shape.LIST else '@elem'}", within)
        if element is None:
            return None
        kind = list_of(element.type) if shape is Shape.LIST else map_of(STRING, element.type)
        return Declared(kind, element=element)
    if shape is Shape.OBJECT:
        return _object(schema, name, within)
    if schema.definition.endswith(_FREE_FORM):
        return Declared(Type("struct", name), fields={})
    return None


def _object(schema: Schema, name: str, within: frozenset[str]) -> Declared:
    fields: dict[str, Declared] = {}
    if schema.definition and schema.definition in within:  # a schema that holds itself ends at its first repetition
        return Declared(Type("struct", name), fields=fields)
    if schema.definition:
        within |= {schema.definition}
    for field, part in schema.fields.items():
        escaped = escape(field)
        found = declared(part, f"{name}.{escaped or field}", within)
        if found is not None and escaped is not None:
            fields[escaped] = found
    if schema.embedded:
        named = _struct(f"{name}.metadata", {"name": STRING, "generateName": STRING})
        fields = {"apiVersion": Declared(STRING), "kind": Declared(STRING), "metadata": named} | fields
    return Declared(Type("struct", name), fields=fields)


def _struct(name: str, fields: Mapping[str, Type | Declared]) -> Declared:
    parts = {field: part if isinstance(part, Declared) else Declared(part) for field, part in fields.items()}
    return Declared(Type("struct", name), fields=parts)


def _list(element: Declared) -> Declared:
    return Declared(list_of(element.type), element=element)


_KIND = _struct("kubernetes.GroupVersionKind", dict.fromkeys(("group", "version", "kind"), STRING))
_RESOURCE = _struct("kubernetes.GroupVersionResource", dict.fromkeys(("group", "version", "resource"), STRING))
_USER = _struct(
    "kubernetes.UserInfo",
    {
        "username": STRING,
        "uid": STRING,
        "groups": list_of(STRING),
        "extra": map_of(STRING, list_of(STRING)),
    },
)
_REQUEST = _struct(
    "kubernetes.AdmissionRequest",
    {
        **dict.fromkeys(("subResource", "requestSubResource", "name", "namespace", "operation"), STRING),
        "kind": _KIND,
        "resource": _RESOURCE,
        "requestKind": _KIND,
        "requestResource": _RESOURCE,
        "userInfo": _USER,
        "dryRun": BOOL,
        "options": DYN,
    },
)
_CONDITION = _struct(
    "kubernetes.NamespaceCondition",
    {**dict.fromkeys(("status", "type", "message", "reason"), STRING), "lastTransitionTime": TIMESTAMP},
)
_METADATA = _struct(
    "kubernetes.NamespaceMetadata",
    {
        **dict.fromkeys(("name", "generateName", "namespace", "UID", "resourceVersion"), STRING),
        **dict.fromkeys(("labels", "annotations"), map_of(STRING, STRING)),
        **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), TIMESTAMP),
        **dict.fromkeys(("deletionGracePeriodSeconds", "generation"), INT),
        "finalizers": list_of(STRING),
    },
)
_NAMESPACE = _struct(
    "kubernetes.Namespace",
    {
        "metadata": _METADATA,
        "spec": _struct("kubernetes.NamespaceSpec", {"finalizers": list_of(STRING)}),
        "status": _struct("kubernetes.NamespaceStatus", {"conditions": _list(_CONDITION), "phase": STRING}),
    },
)


# --- expressions


class _Names:
    """What the names of one policy's expressions mean where the object is of one kind."""

    def __init__(self, kind: Declared, params: Declared | None, variables: Sequence[Object]) -> None:
        composed: dict[str, Declared] = {}
        known = Declared(Type("struct", "kubernetes.variables"), fields=composed)
        roots = [kind, _REQUEST, _NAMESPACE, known, *([params] if params is not None else ())]
        self._structs = {name: part for root in roots for name, part in structs(root).items()}
        self._types = {
            "object": kind.type,
            "oldObject": kind.type,
            "request": _REQUEST.type,
            "namespaceObject": _NAMESPACE.type,
            "authorizer": parsed("Authorizer"),
            "variables": known.type,
        }
        if params is not None:
            self._types["params"] = params.type
        for variable in variables:  # each may speak of those before it
            found, _ = self._checked(variable.get("expression") or "")
            composed[variable.get("name") or ""] = Declared(DYN if found is None else _kept(found.type_of(found.root)))

    def complaint(self, text: str) -> str:
        """ "" where there is none."""
        return self._checked(text)[1]

    def _checked(self, text: str) -> tuple[Checked | None, str]:
        try:
            tree = _PARSER.parse(text)
        except CompileError as error:
            return None, str(error).removeprefix("compilation failed: ")
        found = check(text, tree, self._types, self._structs)
        return (None, "\n".join(found.errors)) if found.errors else (found, "")


_PARSER = Environment({})


def _kept(found: Type) -> Type:
    """What of its expression's type a variable keeps."""
    if found.kind == "list":
        return list_of(_kept(found.parameters[0]))
    if found.kind == "map":
        return map_of(*map(_kept, found.parameters))
    return found if found in _KEPT else DYN
