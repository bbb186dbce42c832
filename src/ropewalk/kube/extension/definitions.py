"""From CustomResourceDefinitions to resources that are served: what every replica does.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
Their status, and what becomes of objects of a definition that is deleted: `definition_controller`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ropewalk.base.entropy import Entropy
from ropewalk.base.log import logger
from ropewalk.kube.extension import custom, shaping, structural
from ropewalk.kube.extension import schema_rules as rules_of_schemas
from ropewalk.kube.extension.conversion import Converter, WebhookClient
from ropewalk.kube.extension.definition_controller import DEFINITIONS, DefinitionController
from ropewalk.kube.kinds.apiextensions.conditions import is_true
from ropewalk.kube.kinds.definitions import definitions
from ropewalk.kube.machinery.api import Api, ObjectChange
from ropewalk.kube.machinery.discovery import version_order
from ropewalk.kube.machinery.errors import Cause
from ropewalk.kube.machinery.objects import Object, at, copied, metadata
from ropewalk.kube.machinery.openapi.schemas import CustomKind
from ropewalk.kube.machinery.registry.registry import Registry
from ropewalk.kube.machinery.registry.served import Reader, Served, head_of
from ropewalk.kube.machinery.resources import GroupResource, GroupVersionKind, ResourceInfo, Subresource
from ropewalk.kube.machinery.schema import Schema

__all__ = ["DEFINITIONS", "DefinitionController", "Offer", "Serving", "offer", "schema_rules"]

log = logger(__name__)

SCALE = GroupVersionKind("autoscaling", "v1", "Scale")
_METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


@lru_cache(maxsize=1)
def _meta_schema() -> Schema:
    return definitions().schema_named(_METADATA)


def schema_rules(schema: Object, path: str, *, status: bool) -> list[Cause]:
    """What a definition's schema must be: structural, with patterns, defaults and rules that hold."""
    return rules_of_schemas.validate(schema, path, _meta_schema(), status=status)


# --- what a definition serves


@dataclass(frozen=True, slots=True)
class Offer:
    """One definition, as it is served."""

    resource: GroupResource
    served: list[Served]
    documented: list[CustomKind]


def offer(definition: Object, meta_schema: Schema, client: WebhookClient | None, entropy: Entropy) -> Offer:
    """What an established definition serves."""
    spec = definition["spec"]
    accepted = at(definition, "status", "acceptedNames") or spec["names"]
    resource = GroupResource(spec["group"], accepted["plural"])
    converter = Converter(definition, client, entropy)
    storage = next(version for version in spec["versions"] if version.get("storage"))
    several = len(spec["versions"]) > 1
    # Under a schema that never changed, every stored object is already what it would be made when it is read.
    as_stored = not several and metadata(definition).get("generation", 1) == 1
    terminating = is_true(definition, "Terminating")
    found: list[Served] = []
    documented: list[CustomKind] = []
    ordered = sorted(spec["versions"], key=lambda version: not version.get("storage"))
    for version in ordered:
        if not version.get("served"):
            continue
        info = _info(spec, accepted, version)
        found.append(
            Served(
                info,
                custom.custom_strategy(version, info, terminating=terminating),
                structural.schema_of(at(version, "schema", "openAPIV3Schema"), meta_schema),
                custom.body_reader(info, version, meta_schema),
                resource,
                custom=True,
                reader=None if as_stored else _reader(converter, version),
                writer=_writer(converter, storage["name"]) if several else None,
                head=head_of(info, custom=True),
                warning=_deprecation(version, info, spec["versions"]),
            )
        )
        schema = at(version, "schema", "openAPIV3Schema") or {}
        fields = tuple(field["jsonPath"] for field in version.get("selectableFields") or ())
        documented.append(CustomKind(info, schema, fields))
    return Offer(resource, found, documented)


def _deprecation(version: Object, info: ResourceInfo, versions: Sequence[Object]) -> str:
    if not version.get("deprecated"):
        return ""
    if version.get("deprecationWarning") is not None:
        return str(version["deprecationWarning"])
    told = f"{info.api_version} {info.kind} is deprecated"
    order = version_order(info.version)
    better = [
        other["name"]
        for other in versions
        if other.get("served") and not other.get("deprecated") and version_order(other["name"]) < order
    ]
    if not better:
        return told
    return f"{told}; use {info.group}/{min(better, key=version_order)} {info.kind}"


def _info(spec: Object, accepted: Object, version: Object) -> ResourceInfo:
    name = version["name"]
    gvk = GroupVersionKind(spec["group"], name, accepted["kind"])
    given = version.get("subresources") or {}
    subresources = []
    if "status" in given:
        subresources.append(Subresource("status", gvk, ("get", "patch", "update")))
    if "scale" in given:
        subresources.append(Subresource("scale", SCALE, ("get", "patch", "update")))
    return ResourceInfo(
        spec["group"],
        name,
        accepted["kind"],
        accepted["plural"],
        accepted.get("singular") or accepted["kind"].lower(),
        spec["scope"] == "Namespaced",
        tuple(accepted.get("shortNames") or ()),
        tuple(accepted.get("categories") or ()),
        subresources=tuple(subresources),
        list_kind=accepted.get("listKind") or f"{accepted['kind']}List",
    )


def _reader(converter: Converter, version: Object) -> Reader:
    """Stored objects as this version shows them: converted, pruned by its schema, defaulted."""
    schema = at(version, "schema", "openAPIV3Schema") or {}
    shape, fill = custom.shaper(schema), shaping.filler(schema)

    async def read(objects: Sequence[Object]) -> list[Object]:
        converted = await converter.convert(objects, version["name"])
        for obj in converted:
            shape(obj)
            if fill is not None:
                fill(obj)
        return converted

    return read


def _writer(converter: Converter, storage: str) -> Callable[[Object], Awaitable[Object]]:
    async def write(obj: Object) -> Object:
        return (await converter.convert([copied(obj)], storage))[0]

    return write


# --- serving, on every replica


class Serving:
    """Keeps the registry at what the definitions say."""

    def __init__(
        self, api: Api, registry: Registry, meta_schema: Schema, client: WebhookClient | None, entropy: Entropy
    ) -> None:
        self._registry = registry
        self._meta_schema = meta_schema
        self._client = client
        self._entropy = entropy
        self._offers: dict[str, Offer] = {}
        self._api = api

    @property
    def documented(self) -> list[CustomKind]:
        return [kind for offered in self._offers.values() for kind in offered.documented]

    def begin(self) -> None:
        self._api.cache(DEFINITIONS).on_change(self._observe)

    def _observe(self, change: ObjectChange) -> None:
        name = metadata(change.present)["name"]
        if change.new is None:
            self._withdraw(name, keep=())
            return
        if not is_true(change.new, "Established"):
            return
        if change.old is not None and name in self._offers and not _differs(change.old, change.new):
            return
        try:
            offered = offer(change.new, self._meta_schema, self._client, self._entropy)
        except (ValueError, KeyError) as error:
            log.error("definition cannot be served", name=name, error=error)
            return
        self._withdraw(name, keep=[served.info.version for served in offered.served])
        self._offers[name] = offered
        self._registry.serve(offered.served)

    def _withdraw(self, name: str, *, keep: Sequence[str]) -> None:
        before = self._offers.pop(name, None)
        if before is None:
            return
        gone = [served.info.version for served in before.served if served.info.version not in keep]
        if gone:
            self._registry.withdraw(before.resource, gone)


def _differs(old: Object, new: Object) -> bool:
    return (
        old["spec"] != new["spec"]
        or at(old, "status", "acceptedNames") != at(new, "status", "acceptedNames")
        or is_true(old, "Terminating") != is_true(new, "Terminating")
        or not is_true(old, "Established")
    )
