"""Discovery of built-in and custom resources: orders, preferred versions, hashes, subresources."""

from __future__ import annotations

from ropewalk.kube.kinds.priorities import AGGREGATOR, PRIORITIES
from ropewalk.kube.kinds.table import RESOURCES
from ropewalk.kube.machinery import discovery
from ropewalk.kube.machinery.documents import document
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.resources import GroupResource, GroupVersionKind, ResourceInfo

ORDER = {**PRIORITIES, **AGGREGATOR}
EVENTS = {GroupResource("events.k8s.io", "events"): GroupVersionKind("", "v1", "Event")}
BUILT_IN = discovery.catalogue(RESOURCES, ORDER, stored_as=EVENTS)


def rows(group: str, version: str, catalogue: discovery.Catalogue = BUILT_IN) -> dict[str, Object]:
    found = discovery.resource_list(catalogue, group, version)
    assert found is not None
    return {row["name"]: row for row in found["resources"]}


def widget(version: str, group: str = "example.com") -> ResourceInfo:
    return ResourceInfo(group, version, "Widget", "widgets", "widget", True, ("wd",), ("all",))


def test_every_group_has_a_priority() -> None:
    assert {(info.group, info.version) for info in RESOURCES} == set(ORDER)


def test_groups_come_by_priority_and_versions_preferred_first() -> None:
    groups = discovery.group_list(BUILT_IN)["groups"]
    names = [group["name"] for group in groups]
    assert names[:4] == ["apiregistration.k8s.io", "apps", "events.k8s.io", "authentication.k8s.io"]
    assert names[-3:] == ["discovery.k8s.io", "resource.k8s.io", "flowcontrol.apiserver.k8s.io"]
    assert "" not in names
    scaling = discovery.api_group(BUILT_IN, "autoscaling")
    assert scaling is not None and scaling["preferredVersion"] == {"groupVersion": "autoscaling/v2", "version": "v2"}
    assert [version["version"] for version in scaling["versions"]] == ["v2", "v1"]
    assert discovery.api_group(BUILT_IN, "none.example.com") is None
    assert discovery.api_group(BUILT_IN, "") is None


def test_core() -> None:
    assert discovery.core_versions(BUILT_IN, "10.0.0.1:6443") == {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "10.0.0.1:6443"}],
    }
    pods = rows("", "v1")
    assert list(pods) == sorted(pods)
    assert pods["pods"] == {
        "name": "pods",
        "singularName": "pod",
        "namespaced": True,
        "kind": "Pod",
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "shortNames": ["po"],
        "categories": ["all"],
        "storageVersionHash": "xPOwRZ+Yhw8=",
    }
    assert pods["pods/eviction"] == {
        "name": "pods/eviction",
        "singularName": "",
        "namespaced": True,
        "group": "policy",
        "version": "v1",
        "kind": "Eviction",
        "verbs": ["create"],
    }
    assert "group" not in pods["pods/status"]
    assert "storageVersionHash" not in pods["bindings"]
    assert discovery.resource_list(BUILT_IN, "apps", "v2") is None


def test_hashes_are_of_the_stored_version() -> None:
    """They are public: `kubectl get --raw` shows the same ones on any cluster."""
    assert rows("", "v1")["configmaps"]["storageVersionHash"] == "qFsyl6wFWjQ="
    assert rows("autoscaling", "v1")["horizontalpodautoscalers"]["storageVersionHash"] == "qwQve8ut294="
    assert rows("autoscaling", "v2")["horizontalpodautoscalers"]["storageVersionHash"] == "qwQve8ut294="
    assert rows("events.k8s.io", "v1")["events"]["storageVersionHash"] == "r2yiGXH7wu8="
    assert rows("", "v1")["events"]["storageVersionHash"] == "r2yiGXH7wu8="


def test_aggregated() -> None:
    core = discovery.aggregated(BUILT_IN, core=True)
    assert (core["kind"], core["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
    (group,) = core["items"]
    assert group["metadata"] == {}
    found = {row["resource"]: row for row in group["versions"][0]["resources"]}
    assert found["services"]["responseKind"] == {"group": "", "version": "", "kind": "Service"}
    assert found["services"]["scope"] == "Namespaced" and found["nodes"]["scope"] == "Cluster"
    subresources = {sub["subresource"]: sub for sub in found["replicationcontrollers"]["subresources"]}
    assert subresources["scale"]["responseKind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    others = discovery.aggregated(BUILT_IN, core=False, version="v2beta1")
    assert others["apiVersion"] == "apidiscovery.k8s.io/v2beta1"
    assert [item["metadata"]["name"] for item in others["items"]] == [group.name for group in BUILT_IN.groups]


def test_custom_resources_come_last_with_their_versions_in_order() -> None:
    versions = ["v1alpha1", "v2beta1", "v10", "v2", "foo", "v2beta2", "v1"]
    both = discovery.catalogue([*RESOURCES, *map(widget, versions), widget("v1", "a.example.com")], ORDER)
    assert [group.name for group in both.groups][-2:] == ["a.example.com", "example.com"]
    group = discovery.api_group(both, "example.com")
    assert group is not None
    assert [one["version"] for one in group["versions"]] == ["v10", "v2", "v1", "v2beta2", "v2beta1", "v1alpha1", "foo"]
    assert rows("example.com", "v1", both)["widgets"]["shortNames"] == ["wd"]


def test_an_aggregated_group_may_be_first_and_stale() -> None:
    key = ("metrics.example.com", "v1")
    both = discovery.catalogue(
        [*RESOURCES, widget("v1", key[0])], {**ORDER, key: discovery.Priority(30000, 1)}, stale=frozenset({key})
    )
    first = discovery.aggregated(both, core=False)["items"][0]
    assert first["metadata"]["name"] == key[0] and first["versions"][0]["freshness"] == "Stale"


def test_documents_are_the_same_whatever_the_order() -> None:
    other = discovery.catalogue(reversed(RESOURCES), ORDER, stored_as=EVENTS)
    here, there = (document(discovery.aggregated(found, core=False)) for found in (BUILT_IN, other))
    assert here == there and here.etag == f'"{here.hash}"' and len(here.hash) == 128
    assert document(discovery.aggregated(BUILT_IN, core=True)).hash != here.hash


def test_nothing_served() -> None:
    empty = discovery.catalogue([], ORDER)
    assert discovery.group_list(empty)["groups"] == []
    assert discovery.core_versions(empty, "x")["versions"] == []
    assert discovery.aggregated(empty, core=True)["items"] == []
