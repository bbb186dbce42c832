"""The OpenAPI documents of what is served at one time: each made when it is first asked for, then kept as bytes.

Made anew (another `Specification`) whenever what is served changes. The tags of v3's documents come from what goes into
a document, not from its bytes, so that the index, which names them all, costs next to nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

import orjson

from ropewalk.kube.machinery.documents import Document, document
from ropewalk.kube.machinery.openapi import rendering
from ropewalk.kube.machinery.openapi.operations import (
    Operation,
    discovery_operation,
    group_id,
    resource_operations,
)
from ropewalk.kube.machinery.openapi.parameters import Parameter
from ropewalk.kube.machinery.openapi.schemas import CustomKind, Schemas, Source
from ropewalk.kube.machinery.resources import GroupResource, ResourceInfo

_FORMAT = "1"
"""Goes into every tag: another when the same input is rendered otherwise."""


class Specification:
    def __init__(
        self,
        source: Source,
        infos: Iterable[ResourceInfo],
        custom: Iterable[CustomKind] = (),
        *,
        queries: Mapping[str, Sequence[Parameter]] | None = None,
        answers_deleted: Container[GroupResource] = frozenset(),
    ) -> None:
        """`infos` are the built-in resources only; the rest is as for `operations.resource_operations`."""
        self._source = source
        self._queries = queries or {}
        self._answers_deleted = answers_deleted
        self._built_in: dict[str, list[ResourceInfo]] = {}
        self._custom: dict[str, list[CustomKind]] = {}
        for info in infos:
            self._built_in.setdefault(_place(info), []).append(info)
        for kind in custom:
            self._custom.setdefault(_place(kind.info), []).append(kind)
        self._documents: dict[str, Document] = {}
        self._index: Document | None = None
        self._v2: Document | None = None

    # --- v3

    def index(self) -> Document:
        """`/openapi/v3`."""
        if self._index is None:
            places = {
                place: {"serverRelativeURL": f"/openapi/v3/{place}?hash={self.hash(place)}"} for place in self.places
            }
            self._index = document({"paths": places})
        return self._index

    @property
    def places(self) -> list[str]:
        """What has a document: `api/v1`, `apis`, `apis/apps`, `apis/apps/v1`, …"""
        versions = {*self._built_in, *self._custom}
        parents = {place.rpartition("/")[0] for place in versions}
        return sorted({*versions, *parents, "apis", "version"})

    def hash(self, place: str) -> str:
        said = [_FORMAT, self._source.digest, place, *map(repr, self._sorted(place))]
        customs = self._sorted_custom(place)
        digest = hashlib.sha512("\n".join([*said, *(repr(kind.info) for kind in customs)]).encode())
        for kind in customs:
            digest.update(orjson.dumps([kind.schema, kind.selectable_fields], option=orjson.OPT_SORT_KEYS))
        return digest.hexdigest().upper()

    def v3(self, place: str) -> Document | None:
        """`/openapi/v3/PLACE`; None where there is no such document."""
        if place not in self.places:
            return None
        found = self._documents.get(place)
        if found is None:
            schemas = Schemas(self._source, self._sorted_custom(place), v3=True)
            operations = list(self._operations(place, schemas))
            names = rendering.definitions_of(operations)
            content = rendering.v3_document(operations, schemas.closed(names), schemas.reference)
            found = self._documents[place] = Document(orjson.dumps(content), self.hash(place))
        return found

    # --- v2

    def v2(self) -> Document:
        """`/openapi/v2`, all in one."""
        if self._v2 is None:
            customs = [kind for place in sorted(self._custom) for kind in self._sorted_custom(place)]
            schemas = Schemas(self._source, customs, v3=False)
            operations = [one for place in self.places for one in self._operations(place, schemas)]
            names = rendering.definitions_of(operations)
            self._v2 = document(rendering.v2_document(operations, schemas.closed(names), schemas.reference))
        return self._v2

    # --- what stands where

    def _sorted(self, place: str) -> list[ResourceInfo]:
        return sorted(self._built_in.get(place, ()), key=lambda info: info.plural)

    def _sorted_custom(self, place: str) -> list[CustomKind]:
        return sorted(self._custom.get(place, ()), key=lambda kind: kind.info.plural)

    def _operations(self, place: str, schemas: Schemas) -> Iterator[Operation]:
        yield _discovery(place)
        for info in self._sorted(place):
            yield from resource_operations(
                info,
                schemas.name_of,
                queries=self._queries,
                answers_deleted=info.group_resource in self._answers_deleted,
            )
        for kind in self._sorted_custom(place):
            yield from resource_operations(kind.info, schemas.name_of, custom=True)


def _place(info: ResourceInfo) -> str:
    return f"apis/{info.group}/{info.version}" if info.group else f"api/{info.version}"


def _discovery(place: str) -> Operation:
    parts = place.split("/")
    path = f"/{place}/"
    if place == "version":
        what = "get the version information for this server"
        return Operation(path, "get", "getCodeVersion", place, what, results=((200, _VERSION),))
    if place == "api":
        return discovery_operation(path, "getCoreAPIVersions", "get available API versions", "APIVersions")
    if place == "apis":
        return discovery_operation(path, "getAPIVersions", "get available API versions", "APIGroupList")
    if len(parts) == 2 and parts[0] == "apis":
        return discovery_operation(path, f"get{group_id(parts[1])}APIGroup", "get information of a group", "APIGroup")
    name = group_id("" if parts[0] == "api" else parts[1], parts[-1])
    return discovery_operation(path, f"get{name}APIResources", "get available resources", "APIResourceList")


_VERSION = "io.k8s.apimachinery.pkg.version.Info"
