"""Definitions as the documents show them: with descriptions, in the dialect of v2 or v3, and all that they refer to.

https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-interface-definition
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.openapi.operations import META
from ropewalk.kube.machinery.resources import GroupVersionKind, ResourceInfo


class Source(Protocol):
    """The built-in definitions, with bare names in `$ref`."""

    @property
    def digest(self) -> str:
        """Changes whenever any definition does."""
        ...

    @property
    def kinds(self) -> Mapping[tuple[str, str, str], str]:
        """(group, version, kind) → definition."""
        ...

    @property
    def descriptions(self) -> Mapping[str, Mapping[str, str]]:
        """Definition → field ("" is itself) → text."""
        ...

    def definition(self, name: str) -> Object: ...


@dataclass(frozen=True, slots=True)
class CustomKind:
    """A custom resource in one version."""

    info: ResourceInfo
    schema: Object | None
    """`openAPIV3Schema` of its CustomResourceDefinition; None: anything goes."""
    selectable_fields: tuple[str, ...] = ()
    """Their JSON paths."""


def custom_name(gvk: GroupVersionKind) -> str:
    """`com.example.stable.v1.CronTab`."""
    return ".".join([*reversed(gvk.group.split(".")), gvk.version, gvk.kind])


class Schemas:
    """Shows definitions by name, in one dialect."""

    def __init__(self, source: Source, custom: Iterable[CustomKind], *, v3: bool) -> None:
        self._source = source
        self._v3 = v3
        self._prefix = "#/components/schemas/" if v3 else "#/definitions/"
        self._custom: dict[str, tuple[CustomKind, bool]] = {}
        for kind in custom:
            info = kind.info
            self._custom[custom_name(info.gvk)] = (kind, False)
            self._custom[custom_name(GroupVersionKind(info.group, info.version, info.list_kind))] = (kind, True)

    def name_of(self, gvk: GroupVersionKind) -> str | None:
        name = custom_name(gvk)
        return name if name in self._custom else self._source.kinds.get((gvk.group, gvk.version, gvk.kind))

    def reference(self, name: str) -> Object:
        return {"$ref": self._prefix + name}

    def closed(self, names: Iterable[str]) -> dict[str, Object]:
        """These definitions and all that they refer to, by name."""
        found: dict[str, Object] = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = self._shown(name)
                waiting += _referred(found[name], self._prefix)
        return dict(sorted(found.items()))

    def _shown(self, name: str) -> Object:
        custom = self._custom.get(name)
        if custom is not None:
            return self._custom_list(custom[0]) if custom[1] else self._custom_kind(custom[0])
        given = self._source.definition(name)
        if not self._v3 and "oneOf" in given:  # Quantity, IntOrString
            given = {"type": "string", **({"format": given["format"]} if "format" in given else {})}
        texts = self._source.descriptions.get(name, {})
        shown: Object = {"description": texts[""]} if "" in texts else {}
        for key, value in given.items():
            if key == "properties":
                shown[key] = {field: self._node(part, texts.get(field, "")) for field, part in value.items()}
            else:
                shown[key] = value
        return shown

    def _node(self, given: Object, description: str = "") -> Object:
        node: Object = {"description": description} if description else {}
        for key, value in given.items():
            if key == "$ref":
                reference = self.reference(value)
                alone = not self._v3 or (len(given) == 1 and not description)
                node |= reference if alone else {"allOf": [reference]}
            elif key in ("items", "additionalProperties"):
                node[key] = self._node(value)
            elif key != "default" or self._v3:
                node[key] = value
        return node

    # --- custom resources

    def _custom_kind(self, kind: CustomKind) -> Object:
        schema = kind.schema
        if schema is None or (not self._v3 and schema.get("x-kubernetes-preserve-unknown-fields")):
            shown: Object = {"type": "object"}
        else:
            shown = self._embedding(schema if self._v3 else _as_v2(schema))
            shown["properties"] = {**shown.get("properties", {}), **self._object_fields("ObjectMeta")}
        return {**shown, **_marked(kind.info.gvk, kind.selectable_fields)}

    def _custom_list(self, kind: CustomKind) -> Object:
        info = kind.info
        items = {
            "type": "array",
            "items": self.reference(custom_name(info.gvk)),
            "description": f"List of {info.plural}.",
        }
        gvk = GroupVersionKind(info.group, info.version, info.list_kind)
        return {
            "description": f"{info.list_kind} is a list of {info.kind}",
            "type": "object",
            "required": ["items"],
            "properties": {"items": items, **self._object_fields("ListMeta")},
            **_marked(gvk, kind.selectable_fields),
        }

    def _object_fields(self, meta: str) -> Object:
        texts = self._source.descriptions.get(META + "Status", {})
        reference = {"$ref": META + meta}
        return {
            "apiVersion": {"type": "string", "description": texts.get("apiVersion", "")},
            "kind": {"type": "string", "description": texts.get("kind", "")},
            "metadata": self._node(reference, "Standard object's metadata."),
        }

    def _embedding(self, given: Json) -> Json:
        """A copy in which embedded objects have the fields of any object."""
        if isinstance(given, list):
            return [self._embedding(part) for part in given]
        if not isinstance(given, dict):
            return given
        node = {key: self._embedding(value) for key, value in given.items()}
        if given.get("x-kubernetes-embedded-resource") is True:
            node["properties"] = {**node.get("properties", {}), **self._object_fields("ObjectMeta")}
        return node


def _marked(gvk: GroupVersionKind, selectable: tuple[str, ...]) -> Object:
    mark: Object = {"x-kubernetes-group-version-kind": [{"group": gvk.group, "version": gvk.version, "kind": gvk.kind}]}
    if selectable:
        mark["x-kubernetes-selectable-fields"] = [{"fieldPath": path.removeprefix(".")} for path in selectable]
    return mark


def _as_v2(given: Object) -> Object:
    """What v2 can say of a structural schema. kubectl cannot bear more: it takes the rest for errors."""
    node = {key: value for key, value in given.items() if key not in ("allOf", "anyOf", "oneOf", "not", "nullable")}
    preserves = bool(given.get("x-kubernetes-preserve-unknown-fields"))
    if given.get("nullable") or preserves:
        for key in ("items", "properties"):
            node.pop(key, None)
    untyped = (
        given.get("nullable")
        or (node.get("type") == "array" and "items" not in node)
        or (node.get("type") == "object" and preserves)
    )
    if untyped:
        node.pop("type", None)
    if isinstance(node.get("items"), dict):
        node["items"] = _as_v2(node["items"])
    if isinstance(node.get("additionalProperties"), dict):
        node["additionalProperties"] = _as_v2(node["additionalProperties"])
    if "properties" in node:
        node["properties"] = {field: _as_v2(part) for field, part in node["properties"].items()}
        nullable = {field for field, part in given["properties"].items() if part.get("nullable")}
        required = [field for field in node.pop("required", ()) if field not in nullable]
        node |= {"required": required} if required else {}
    return node


def _referred(node: Json, prefix: str) -> list[str]:
    if isinstance(node, list):
        return [name for part in node for name in _referred(part, prefix)]
    if not isinstance(node, dict):
        return []
    target = node.get("$ref")
    here = [target[len(prefix) :]] if isinstance(target, str) and target.startswith(prefix) else []
    return here + [name for part in node.values() for name in _referred(part, prefix)]
