"""What resources there are, as clients ask for it: plain documents, one a group and version, and the aggregated one.

Pure functions of a list of `ResourceInfo`; made anew whenever what is served changes.
https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.resources import GroupResource, GroupVersionKind, ResourceInfo


@dataclass(frozen=True, slots=True)
class Priority:
    """Higher comes first."""

    group: int
    version: int


CUSTOM = Priority(1000, 100)
"""Of custom resources' groups: after all built-in ones; their versions are ordered by name."""


@dataclass(frozen=True, slots=True)
class GroupVersion:
    version: str
    resources: tuple[ResourceInfo, ...]
    """By plural name."""
    fresh: bool = True
    """False: of an aggregated API service that cannot be asked at present."""


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    versions: tuple[GroupVersion, ...]
    """The preferred one first."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that is served, in the order in which it is listed."""

    groups: tuple[Group, ...]
    """Without the core group."""
    core: Group | None
    stored_as: Mapping[GroupResource, GroupVersionKind] = field(default_factory=dict)
    """Where a resource is not stored in its preferred version, or under another group's name (events)."""

    def group(self, name: str) -> Group | None:
        if not name:
            return self.core
        return next((group for group in self.groups if group.name == name), None)

    def version(self, group: str, version: str) -> GroupVersion | None:
        found = self.group(group)
        return next((one for one in found.versions if one.version == version), None) if found else None


def catalogue(
    infos: Iterable[ResourceInfo],
    priorities: Mapping[tuple[str, str], Priority],
    *,
    stored_as: Mapping[GroupResource, GroupVersionKind] | None = None,
    stale: frozenset[tuple[str, str]] = frozenset(),
) -> Catalogue:
    """Order what is served. `priorities` has (group, version) pairs; `CUSTOM` goes for those it leaves out. `stale` are
    those whose answers may be out of date.
    """
    members: dict[str, dict[str, list[ResourceInfo]]] = {}
    for info in infos:
        members.setdefault(info.group, {}).setdefault(info.version, []).append(info)

    def of(group: str, version: str) -> Priority:
        return priorities.get((group, version), CUSTOM)

    groups: list[tuple[int, str, Group]] = []
    for name, versions in members.items():
        ordered = sorted(versions, key=lambda version: (-of(name, version).version, *version_order(version)))
        group = Group(
            name,
            tuple(
                GroupVersion(
                    version,
                    tuple(sorted(versions[version], key=lambda info: info.plural)),
                    (name, version) not in stale,
                )
                for version in ordered
            ),
        )
        groups.append((-max(of(name, version).group for version in versions), name, group))
    listed = [group for _, _, group in sorted(groups, key=lambda entry: entry[:2])]
    core = next((group for group in listed if not group.name), None)
    return Catalogue(tuple(group for group in listed if group.name), core, stored_as or {})


_VERSION = re.compile(r"v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?")


def version_order(version: str) -> tuple[int, int, int, str]:
    """Sorts v2, v1, v1beta2, v1beta1, v1alpha1, then anything else by name.
    https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#version-priority
    """
    found = _VERSION.fullmatch(version)
    if found is None:
        return (3, 0, 0, version)
    major, stage, minor = found.groups()
    return ({None: 0, "beta": 1, "alpha": 2}[stage], -int(major), -int(minor or 0), "")


def storage_version_hash(gvk: GroupVersionKind) -> str:
    digest = hashlib.sha256(f"{gvk.group}/{gvk.version}/{gvk.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


# --- plain


def core_versions(found: Catalogue, address: str) -> Object:
    """`/api`; `address` is host:port, under which clients reach this server."""
    return {
        "kind": "APIVersions",
        "versions": [one.version for one in found.core.versions] if found.core else [],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def group_list(found: Catalogue) -> Object:
    """`/apis`."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(group) for group in found.groups]}


def api_group(found: Catalogue, name: str) -> Object | None:
    """`/apis/GROUP`; None where there is no such group."""
    group = found.group(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(group)} if group and name else None


def resource_list(found: Catalogue, group: str, version: str) -> Object | None:
    """`/api/v1`, `/apis/GROUP/VERSION`; None where there is no such version."""
    one = found.version(group, version)
    if one is None:
        return None
    rows: list[Object] = []
    for info in one.resources:
        rows.append(_resource(info, found))
        rows += [_subresource_row(info, index) for index in range(len(info.subresources))]
    return {
        "kind": "APIResourceList",
        **({"apiVersion": "v1"} if group else {}),
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": rows,
    }


def _group(group: Group) -> Object:
    versions = [{"groupVersion": f"{group.name}/{one.version}", "version": one.version} for one in group.versions]
    return {"name": group.name, "versions": versions, "preferredVersion": versions[0]}


def _resource(info: ResourceInfo, found: Catalogue) -> Object:
    row: Object = {
        "name": info.plural,
        "singularName": info.singular,
        "namespaced": info.namespaced,
        "kind": info.kind,
        "verbs": sorted(info.verbs),
    }
    if info.short_names:
        row["shortNames"] = list(info.short_names)
    if info.categories:
        row["categories"] = list(info.categories)
    if "list" in info.verbs and "create" in info.verbs:
        row["storageVersionHash"] = storage_version_hash(_stored_as(info, found))
    return row


def _stored_as(info: ResourceInfo, found: Catalogue) -> GroupVersionKind:
    said = found.stored_as.get(info.group_resource)
    group = found.group(info.group)
    if said or group is None:
        return said or info.gvk
    first = next(
        (one.version for one in group.versions if any(other.plural == info.plural for other in one.resources)),
        info.version,
    )
    return GroupVersionKind(info.group, first, info.kind)


def _subresource_row(info: ResourceInfo, index: int) -> Object:
    sub = info.subresources[index]
    row: Object = {
        "name": f"{info.plural}/{sub.name}",
        "singularName": "",
        "namespaced": info.namespaced,
        "kind": sub.kind.kind,
        "verbs": sorted(sub.verbs),
    }
    if (sub.kind.group, sub.kind.version) != (info.group, info.version):
        row |= {"group": sub.kind.group, "version": sub.kind.version}
    return row


# --- aggregated


def aggregated(found: Catalogue, *, core: bool, version: str = "v2") -> Object:
    """`/api` (`core`) or `/apis` for clients that accept `as=APIGroupDiscoveryList`."""
    groups: Sequence[Group] = ((found.core,) if found.core else ()) if core else found.groups
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": [_discovered_group(group) for group in groups],
    }


def _discovered_group(group: Group) -> Object:
    return {
        "metadata": {"name": group.name} if group.name else {},
        "versions": [
            {
                "version": one.version,
                "resources": [_discovered(info) for info in one.resources],
                "freshness": "Current" if one.fresh else "Stale",
            }
            for one in group.versions
        ],
    }


def _discovered(info: ResourceInfo) -> Object:
    row: Object = {
        "resource": info.plural,
        "responseKind": _response_kind(info.gvk, info),
        "scope": "Namespaced" if info.namespaced else "Cluster",
        "singularResource": info.singular,
        "verbs": sorted(info.verbs),
    }
    if info.short_names:
        row["shortNames"] = list(info.short_names)
    if info.categories:
        row["categories"] = list(info.categories)
    if info.subresources:
        row["subresources"] = [
            {"subresource": sub.name, "responseKind": _response_kind(sub.kind, info), "verbs": sorted(sub.verbs)}
            for sub in info.subresources
        ]
    return row


def _response_kind(gvk: GroupVersionKind, info: ResourceInfo) -> Object:
    """Group and version are empty where they are those of the resource."""
    own = (gvk.group, gvk.version) == (info.group, info.version)
    return {"group": "" if own else gvk.group, "version": "" if own else gvk.version, "kind": gvk.kind}
