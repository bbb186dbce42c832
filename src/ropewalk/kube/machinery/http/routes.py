"""What a URL and a method ask for. Pure.

https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.http.options import Query, is_true
from ropewalk.kube.machinery.resources import ResourceInfo
from ropewalk.kube.machinery.selectors import parse_field_selector

_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_PART = re.compile("[^/]+")
_NAMESPACE_PARTS = ("status", "finalize")
"""What follows a namespace's name and is no resource in it."""


@dataclass(frozen=True, slots=True)
class Route:
    """A URL taken apart. `resource` "" is a URL that is no resource (/healthz, /apis)."""

    path: str
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    rest: str = ""
    """What follows the subresource, with its slash, still encoded: only a proxy's may be anything but ""."""
    selected_name: str = ""
    """A list or watch that a field selector narrows to one name: authorization knows it by that name."""
    legacy_watch: bool = False
    """`/watch/` in the path: the old spelling of watch=true."""

    def namespace_of(self, info: ResourceInfo) -> str:
        """Where the named object lies: a namespace itself lies in none, though its URL looks as if."""
        return self.namespace if info.namespaced else ""


def route(method: str, raw_path: str, query: Query) -> Route:
    found = list(_PART.finditer(raw_path))
    ends = [part.end() for part in found]
    path, parts = raw_path, [part.group() for part in found]
    if "%" in raw_path:
        path, parts = unquote(path), [unquote(part) for part in parts]
    verb = _VERBS.get(method, "")
    plain = Route(path, method.lower())
    if len(parts) < 3 or parts[0] not in ("api", "apis"):
        return plain
    group = ""
    if parts.pop(0) == "apis":
        if len(parts) < 3:
            return plain
        group = parts.pop(0)
    version = parts.pop(0)
    legacy_watch = parts[0] == "watch" and len(parts) > 1 and verb == "get"
    if legacy_watch:
        parts.pop(0)
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in _NAMESPACE_PARTS:
            parts = parts[2:]
    resource, name = parts[0], parts[1] if len(parts) > 1 else ""
    subresource = parts[2] if len(parts) > 2 else ""
    rest = raw_path[ends[len(ends) - len(parts[3:]) - 1] :] if subresource else ""
    selected = ""
    if legacy_watch:
        verb = "watch"
    elif not name and verb == "get":
        verb = "watch" if is_true(query, "watch") else "list"
        selected = _selected_name(query)
    elif not name and verb == "delete":
        verb = "deletecollection"
    return Route(path, verb, group, version, resource, subresource, namespace, name, rest, selected, legacy_watch)


def _selected_name(query: Query) -> str:
    text = query.get("fieldSelector", [""])[0]
    if "metadata.name" not in text:
        return ""
    for field, operator, value in parse_field_selector(text).requirements:
        if field == "metadata.name" and operator in ("=", "==") and not names.path_segment(value):
            return str(value)
    return ""
