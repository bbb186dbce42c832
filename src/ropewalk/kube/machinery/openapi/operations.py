"""What can be done at which URL: one list for both versions of OpenAPI, from a resource's names and verbs.

Ids, tags and descriptions are formed as kube-apiserver forms them, since client generators name their methods by them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ropewalk.kube.machinery.openapi import parameters as common
from ropewalk.kube.machinery.openapi.parameters import Parameter
from ropewalk.kube.machinery.resources import GroupVersionKind, ResourceInfo, Subresource

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
STATUS, DELETE_OPTIONS, PATCH, WATCH_EVENT = (
    META + name for name in ("Status", "DeleteOptions", "Patch", "WatchEvent")
)
JSON, YAML, TEXT, ANY = "application/json", "application/yaml", "text/plain", "*/*"
STREAM = "application/json;stream=watch"
OBJECTS = (JSON, YAML)
PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
CUSTOM_PATCHES = tuple(kind for kind in PATCHES if "strategic" not in kind)
PLAIN = ("log",)
"""Subresources that are text, whatever kind they are said to have."""

Namer = Callable[[GroupVersionKind], str | None]
"""The definition of a kind; None where there is none: then requests to it are connections, whose options stand in the
query.
"""


@dataclass(frozen=True, slots=True)
class Operation:
    path: str
    method: str
    """Lower case."""
    id: str
    tag: str
    description: str
    action: str = ""
    """x-kubernetes-action; "" for discovery."""
    gvk: GroupVersionKind | None = None
    shared: tuple[Parameter, ...] = ()
    """Of the path: the same for all its operations."""
    parameters: tuple[Parameter, ...] = ()
    body: str = ""
    """Its definition; "" where there is none."""
    body_required: bool = True
    consumes: tuple[str, ...] = (ANY,)
    produces: tuple[str, ...] = OBJECTS
    results: tuple[tuple[int, str], ...] = ()
    """(status, definition); "" is plain text."""


def resource_operations(
    info: ResourceInfo,
    name_of: Namer,
    *,
    custom: bool = False,
    answers_deleted: bool = False,
    queries: Mapping[str, Sequence[Parameter]] | None = None,
) -> Iterator[Operation]:
    """Everything that this resource and its subresources offer.

    `queries`, by `plural/subresource`, has the parameters of connections and logs. With `answers_deleted` a DELETE
    answers with the object.
    """
    maker = _Maker(info, name_of, custom=custom)
    yield from maker.collection()
    yield from maker.item(answers_deleted=answers_deleted)
    if "watch" in info.verbs and not custom:
        yield from maker.watches()
    for sub in info.subresources:
        yield from maker.subresource(sub, tuple((queries or {}).get(f"{info.plural}/{sub.name}", ())))


def discovery_operation(path: str, id: str, description: str, definition: str) -> Operation:
    """A GET of one of the discovery documents; `path` ends in a slash."""
    return Operation(path, "get", id, tag_of(path), description, results=((200, META + definition),))


def tag_of(path: str) -> str:
    """`apps_v1`, `core_v1`, `apis`."""
    parts = path.strip("/").split("/")
    if parts[0] == "api":
        parts = ["apis", "core", *parts[1:]]
    if len(parts) == 1 or parts[0] != "apis":
        return _joined(parts[0])
    named = [_joined(parts[1].removesuffix(".k8s.io")), *(_joined(part) for part in parts[2:3])]
    return "_".join(named)


def group_id(group: str, version: str = "") -> str:
    """`CoreV1`, `RbacAuthorizationV1`: the part of an operation's id that names group and version."""
    return _titled((group or "core").removesuffix(".k8s.io")) + _titled(version)


class _Maker:
    def __init__(self, info: ResourceInfo, name_of: Namer, *, custom: bool) -> None:
        self._info = info
        self._name_of = name_of
        self._custom = custom
        self._root = f"/apis/{info.group}/{info.version}" if info.group else f"/api/{info.version}"
        self._own = f"{self._root}/namespaces/{{namespace}}" if info.namespaced else self._root
        self._scope = "Namespaced" if info.namespaced else ""
        self._in = (common.NAMESPACE, common.PRETTY) if info.namespaced else (common.PRETTY,)
        self._definition = name_of(info.gvk) or ""
        self._list = name_of(GroupVersionKind(info.group, info.version, info.list_kind)) or ""

    def collection(self) -> Iterator[Operation]:
        info = self._info
        path = f"{self._own}/{info.plural}"
        watch = "list or watch" if "watch" in info.verbs else "list"
        if "deletecollection" in info.verbs:
            yield self._one(
                path, "delete", "deletecollection", f"delete collection of {info.kind}",
                self._id("delete", f"Collection{self._scope}{info.kind}"), common.DELETE_COLLECTION, ((200, STATUS),),
                body=DELETE_OPTIONS, body_required=False,
            )  # fmt: skip
        if "list" in info.verbs:
            listed = ((200, self._list),)
            what = f"{watch} objects of kind {info.kind}"
            produces = (*OBJECTS, STREAM)
            own = self._id("list", f"{self._scope}{info.kind}")
            yield self._one(path, "get", "list", what, own, common.LIST, listed, produces=produces)
            if info.namespaced:
                everywhere = self._id("list", f"{info.kind}ForAllNamespaces")
                yield self._one(
                    f"{self._root}/{info.plural}", "get", "list", what, everywhere, common.LIST, listed,
                    produces=produces, shared=(common.PRETTY,),
                )  # fmt: skip
        if "create" in info.verbs:
            yield self._one(
                path, "post", "post", f"create {_some(info.kind)}",
                self._id("create", f"{self._scope}{info.kind}"), common.WRITE,
                _results(self._definition, 200, 201, 202), body=self._definition,
            )  # fmt: skip

    def item(self, *, answers_deleted: bool) -> Iterator[Operation]:
        info = self._info
        path = f"{self._own}/{info.plural}/{{name}}"
        if "delete" in info.verbs:
            yield self._one(
                path, "delete", "delete", f"delete {_some(info.kind)}",
                self._id("delete", f"{self._scope}{info.kind}"), common.DELETE,
                _results(self._definition if answers_deleted else STATUS, 200, 202), body=DELETE_OPTIONS,
                body_required=False, named=info.kind,
            )  # fmt: skip
        yield from self._read_and_written(path, info.gvk, info.verbs, "")

    def subresource(self, sub: Subresource, query: tuple[Parameter, ...]) -> Iterator[Operation]:
        path = f"{self._own}/{self._info.plural}/{{name}}/{sub.name}"
        if self._name_of(sub.kind) is None:
            yield from self._connections(path, sub, query)
            return
        if "create" in sub.verbs:
            definition = self._name_of(sub.kind) or ""
            yield self._one(
                path, "post", "post", f"create {sub.name} of {_some(self._info.kind)}",
                self._sub_id("create", sub.name), common.WRITE, _results(definition, 200, 201, 202),
                body=definition, gvk=sub.kind, named=sub.kind.kind,
            )  # fmt: skip
        yield from self._read_and_written(path, sub.kind, sub.verbs, sub.name, query)

    def watches(self) -> Iterator[Operation]:
        """The old spelling: `/watch/` in the path."""
        info = self._info
        own = self._own.replace(self._root, f"{self._root}/watch")
        of_list = f"watch individual changes to a list of {info.kind}. Deprecated: use watch=true with a list."
        of_one = f"watch changes to an object of kind {info.kind}. Deprecated: use watch=true with a field selector."
        for path, what, name, action in (
            (f"{own}/{info.plural}", of_list, f"{self._scope}{info.kind}List", "watchlist"),
            (f"{own}/{info.plural}/{{name}}", of_one, f"{self._scope}{info.kind}", "watch"),
            (f"{self._root}/watch/{info.plural}", of_list, f"{info.kind}ListForAllNamespaces", "watchlist"),
        )[: 3 if info.namespaced else 2]:
            here = (*self._in, *common.LIST) if "{namespace}" in path else (common.PRETTY, *common.LIST)
            yield self._one(
                path, "get", action, what, self._id("watch", name), (), ((200, WATCH_EVENT),),
                produces=(*OBJECTS, STREAM), shared=here, named=info.kind if action == "watch" else "",
            )  # fmt: skip

    def _read_and_written(
        self,
        path: str,
        gvk: GroupVersionKind,
        verbs: Sequence[str],
        sub: str,
        query: tuple[Parameter, ...] = (),
    ) -> Iterator[Operation]:
        """GET, PATCH, PUT of an item or a subresource of it."""
        definition = self._name_of(gvk) or ""
        of = f"{sub} of the specified" if sub else "the specified"
        kind = self._info.kind
        if "get" in verbs:
            yield self._one(
                path, "get", "get", f"read {of} {kind}", self._sub_id("read", sub), query,
                ((200, "" if sub in PLAIN else definition),), gvk=gvk, named=gvk.kind,
                produces=(*OBJECTS, TEXT) if sub in PLAIN else OBJECTS,
            )  # fmt: skip
        if "patch" in verbs:
            yield self._one(
                path, "patch", "patch", f"partially update {of} {kind}", self._sub_id("patch", sub), common.PATCH,
                _results(definition, 200, 201), body=PATCH, gvk=gvk, named=gvk.kind,
                consumes=CUSTOM_PATCHES if self._custom else PATCHES,
            )  # fmt: skip
        if "update" in verbs:
            yield self._one(
                path, "put", "put", f"replace {of} {kind}", self._sub_id("replace", sub), common.WRITE,
                _results(definition, 200, 201), body=definition, gvk=gvk, named=gvk.kind,
            )  # fmt: skip

    def _connections(self, path: str, sub: Subresource, query: tuple[Parameter, ...]) -> Iterator[Operation]:
        proxies = "delete" in sub.verbs
        methods = ("delete", "get", "head", "options", "patch", "post", "put") if proxies else ("get", "post")
        kind, name = self._info.kind, _titled(sub.name)
        places = tuple(place for place in (common.NAME, *self._in) if place is not common.PRETTY)
        for method in methods:
            what = f"connect {method.upper()} requests to {sub.name} of {kind}"
            id = self._id("connect", f"{method.title()}{self._scope}{kind}{name}")
            for where, more, suffix in ((path, (), ""), (f"{path}/{{path}}", (common.PROXIED_PATH,), "WithPath")):
                if suffix and not proxies:
                    continue
                yield self._one(
                    where, method, "connect", what, id + suffix, (), ((200, ""),), gvk=sub.kind,
                    named=sub.kind.kind, shared=(*places, *more, *query), produces=(ANY,),
                )  # fmt: skip

    def _one(
        self,
        path: str,
        method: str,
        action: str,
        description: str,
        id: str,
        query: tuple[Parameter, ...],
        results: tuple[tuple[int, str], ...],
        *,
        body: str = "",
        body_required: bool = True,
        consumes: tuple[str, ...] = (ANY,),
        produces: tuple[str, ...] = OBJECTS,
        gvk: GroupVersionKind | None = None,
        shared: tuple[Parameter, ...] | None = None,
        named: str = "",
    ) -> Operation:
        places = self._in if shared is None else shared
        if named:
            name = Parameter("name", "string", common.NAME.description.format(kind=named), "path")
            places = (name, *(place for place in places if place is not common.NAME))
        return Operation(
            path, method, id, tag_of(path), description, action, gvk or self._info.gvk, places, query, body,
            body_required, consumes, produces, results,
        )  # fmt: skip

    def _id(self, verb: str, what: str) -> str:
        return verb + group_id(self._info.group, self._info.version) + what

    def _sub_id(self, verb: str, sub: str) -> str:
        return self._id(verb, f"{self._scope}{self._info.kind}{_titled(sub)}")


def _results(definition: str, *codes: int) -> tuple[tuple[int, str], ...]:
    return tuple((code, definition) for code in codes)


def _some(kind: str) -> str:
    """`a Pod`, `an Eviction`, `Endpoints`."""
    if kind.endswith("s") and not kind.endswith("ss"):
        return kind
    return f"an {kind}" if kind[0] in "AEIOU" else f"a {kind}"


def _titled(text: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9_]+", text))


def _joined(text: str) -> str:
    """camelCase."""
    titled = _titled(text)
    return text[:1] + titled[1:]
