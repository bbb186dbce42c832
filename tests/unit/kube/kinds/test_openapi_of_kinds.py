"""The OpenAPI documents: references resolve, kubectl and fuzzers find what they look for, bytes are stable."""

from __future__ import annotations

import re
from functools import lru_cache

import orjson
import pytest

from ropewalk.kube.kinds.connections import QUERIES
from ropewalk.kube.kinds.published import published
from ropewalk.kube.kinds.table import DELETED_IS_ANSWERED, RESOURCES
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.openapi.operations import PATCHES
from ropewalk.kube.machinery.openapi.schemas import CustomKind
from ropewalk.kube.machinery.openapi.specification import Specification
from ropewalk.kube.machinery.resources import GroupVersionKind, ResourceInfo, Subresource

SCALE = Subresource("scale", GroupVersionKind("autoscaling", "v1", "Scale"), ("get", "patch", "update"))
WIDGET = ResourceInfo(
    "stable.example.com", "v1", "Widget", "widgets", "widget", True, list_kind="WidgetList", subresources=(SCALE,)
)
WIDGET_SCHEMA: Object = {
    "type": "object",
    "description": "A thing.",
    "required": ["maybe", "spec"],
    "properties": {
        "maybe": {"type": "string", "nullable": True},
        "spec": {
            "type": "object",
            "properties": {
                "port": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                "template": {"type": "object", "x-kubernetes-embedded-resource": True},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": {}}},
            },
        },
    },
}


def specification(*custom: CustomKind, reverse: bool = False) -> Specification:
    infos = list(RESOURCES)
    if reverse:
        infos.reverse()
    return Specification(published(), infos, custom, queries=QUERIES, answers_deleted=DELETED_IS_ANSWERED)


@lru_cache(maxsize=1)
def built_in() -> Specification:
    return specification()


def v3(place: str, of: Specification | None = None) -> Object:
    found = (of or built_in()).v3(place)
    assert found is not None
    content: Object = orjson.loads(found.content)
    return content


@lru_cache(maxsize=1)
def v2() -> Object:
    content: Object = orjson.loads(specification(CustomKind(WIDGET, WIDGET_SCHEMA)).v2().content)
    return content


def references(node: Json) -> set[str]:
    if isinstance(node, list):
        return {name for part in node for name in references(part)}
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
    return own.union(*(references(part) for part in node.values()))


def operations(document: Object) -> dict[tuple[str, str], Object]:
    return {
        (path, method): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }


# --- v3


@pytest.mark.parametrize("place", built_in().places)
def test_v3_documents_are_closed_and_their_ids_unique(place: str) -> None:
    document = v3(place)
    prefix = "#/components/schemas/"
    assert {name.removeprefix(prefix) for name in references(document)} == set(document["components"]["schemas"])
    ids = [operation["operationId"] for operation in operations(document).values()]
    assert len(ids) == len(set(ids)) > 0
    for path, item in document["paths"].items():
        places = {given["name"] for given in item.get("parameters", ()) if given["in"] == "path"}
        assert places == set(re.findall(r"{(\w+)}", path))


def test_the_index_leads_to_every_document_by_its_hash() -> None:
    index: Object = orjson.loads(built_in().index().content)
    for place, entry in index["paths"].items():
        found = built_in().v3(place)
        assert found is not None and entry == {"serverRelativeURL": f"/openapi/v3/{place}?hash={found.hash}"}
    assert {"api", "api/v1", "apis", "apis/apps", "apis/apps/v1", "version"} <= set(index["paths"])
    assert built_in().v3("apis/none/v1") is None


def test_every_resource_and_verb_has_its_operation() -> None:
    methods = {"create": "post", "update": "put", "patch": "patch", "delete": "delete", "get": "get"}
    for info in RESOURCES:
        root = f"apis/{info.group}/{info.version}" if info.group else f"api/{info.version}"
        found = operations(v3(root))
        own = f"/{root}/namespaces/{{namespace}}" if info.namespaced else f"/{root}"
        for verb in set(info.verbs) & set(methods):
            path = f"{own}/{info.plural}" + ("" if verb == "create" else "/{name}")
            assert (path, methods[verb]) in found
        for sub in info.subresources:
            assert any(path == f"{own}/{info.plural}/{{name}}/{sub.name}" for path, _ in found)


def test_an_operation_says_what_clients_look_for() -> None:
    """kubectl asks whether PATCH of a kind has `fieldValidation` and `dryRun`; generators read ids and tags."""
    patch = operations(v3("apis/apps/v1"))["/apis/apps/v1/namespaces/{namespace}/deployments/{name}", "patch"]
    assert {given["name"] for given in patch["parameters"]} == {"dryRun", "fieldManager", "fieldValidation", "force"}
    assert patch["x-kubernetes-action"] == "patch"
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert (patch["operationId"], patch["tags"]) == ("patchAppsV1NamespacedDeployment", ["apps_v1"])
    assert set(patch["requestBody"]["content"]) == set(PATCHES)
    assert set(patch["responses"]) == {"200", "201", "401"}


@pytest.mark.parametrize(
    ("place", "path", "method", "id", "action"),
    [
        ("api/v1", "/api/v1/pods", "get", "listCoreV1PodForAllNamespaces", "list"),
        ("api/v1", "/api/v1/namespaces/{namespace}/pods", "delete", "deleteCoreV1CollectionNamespacedPod",
         "deletecollection"),
        ("api/v1", "/api/v1/namespaces/{namespace}/pods/{name}/exec", "post", "connectCoreV1PostNamespacedPodExec",
         "connect"),
        ("api/v1", "/api/v1/nodes/{name}/proxy/{path}", "options", "connectCoreV1OptionsNodeProxyWithPath", "connect"),
        ("api/v1", "/api/v1/namespaces/{namespace}/pods/{name}/log", "get", "readCoreV1NamespacedPodLog", "get"),
        ("api/v1", "/api/v1/namespaces/{namespace}/pods/{name}/eviction", "post",
         "createCoreV1NamespacedPodEviction", "post"),
        ("api/v1", "/api/v1/watch/namespaces/{namespace}/pods", "get", "watchCoreV1NamespacedPodList", "watchlist"),
        ("apis/rbac.authorization.k8s.io/v1", "/apis/rbac.authorization.k8s.io/v1/clusterroles", "post",
         "createRbacAuthorizationV1ClusterRole", "post"),
        ("apis/apps", "/apis/apps/", "get", "getAppsAPIGroup", None),
        ("api/v1", "/api/v1/", "get", "getCoreV1APIResources", None),
    ],
)  # fmt: skip
def test_ids_are_kubernetes_own(place: str, path: str, method: str, id: str, action: str | None) -> None:
    found = operations(v3(place))[path, method]
    assert (found["operationId"], found.get("x-kubernetes-action")) == (id, action)


def test_deletion_answers_with_a_status_or_the_object() -> None:
    found = operations(v3("api/v1"))
    for plural, kind in (("pods", "core.v1.Pod"), ("configmaps", "meta.v1.Status")):
        answer = found[f"/api/v1/namespaces/{{namespace}}/{plural}/{{name}}", "delete"]["responses"]["200"]
        assert answer["content"]["application/json"]["schema"]["$ref"].endswith(kind)


def test_v3_schemas_have_defaults_descriptions_and_merge_keys() -> None:
    schemas = v3("api/v1")["components"]["schemas"]
    pod = schemas["io.k8s.api.core.v1.Pod"]
    assert pod["properties"]["spec"] == {
        "allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.PodSpec"}],
        "default": {},
        "description": pod["properties"]["spec"]["description"],
    }
    assert pod["x-kubernetes-group-version-kind"] == [{"group": "", "version": "v1", "kind": "Pod"}]
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name" and "description" in containers
    assert schemas["io.k8s.apimachinery.pkg.api.resource.Quantity"]["oneOf"] == [{"type": "string"}, {"type": "number"}]
    described = [name for name, schema in schemas.items() if schema.get("description")]
    assert len(described) == len(schemas)


# --- v2


def test_v2_is_closed_and_says_the_same_in_its_dialect() -> None:
    document = v2()
    assert {name.removeprefix("#/definitions/") for name in references(document)} == set(document["definitions"])
    assert '"default"' not in orjson.dumps(document["definitions"]["io.k8s.api.core.v1.ContainerPort"]).decode()
    assert document["definitions"]["io.k8s.apimachinery.pkg.api.resource.Quantity"]["type"] == "string"
    port = document["definitions"]["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]
    assert (port["type"], port["format"]) == ("string", "int-or-string")
    patch = operations(document)["/api/v1/namespaces/{namespace}/pods/{name}", "patch"]
    assert patch["parameters"][0]["in"] == "body" and patch["consumes"] == list(PATCHES)
    assert {"dryRun", "fieldValidation"} <= {given["name"] for given in patch["parameters"]}


# --- custom resources


def test_custom_resources_appear_in_their_group() -> None:
    of = specification(CustomKind(WIDGET, WIDGET_SCHEMA, (".spec.port",)))
    document = v3("apis/stable.example.com/v1", of)
    schema = document["components"]["schemas"]["com.example.stable.v1.Widget"]
    assert schema["x-kubernetes-selectable-fields"] == [{"fieldPath": "spec.port"}]
    assert set(schema["properties"]) == {"apiVersion", "kind", "metadata", "maybe", "spec"}
    assert set(schema["properties"]["spec"]["properties"]["template"]["properties"]) == {
        "apiVersion",
        "kind",
        "metadata",
    }
    found = operations(document)
    create = found["/apis/stable.example.com/v1/namespaces/{namespace}/widgets", "post"]
    assert create["operationId"] == "createStableExampleComV1NamespacedWidget"
    patch = found["/apis/stable.example.com/v1/namespaces/{namespace}/widgets/{name}", "patch"]
    assert set(patch["requestBody"]["content"]) == set(PATCHES) - {"application/strategic-merge-patch+json"}
    listed = document["components"]["schemas"]["com.example.stable.v1.WidgetList"]
    assert listed["properties"]["items"]["items"]["$ref"].endswith("com.example.stable.v1.Widget")
    assert (
        "apis/stable.example.com" in of.places
        and "io.k8s.api.autoscaling.v1.Scale" in document["components"]["schemas"]
    )


def test_what_v2_cannot_say_of_a_custom_resource_is_left_out() -> None:
    schema = v2()["definitions"]["com.example.stable.v1.Widget"]
    assert schema["required"] == ["spec"]
    assert schema["properties"]["maybe"] == {}
    assert schema["properties"]["spec"]["properties"]["port"] == {"x-kubernetes-int-or-string": True}
    assert schema["properties"]["spec"]["properties"]["free"] == {"x-kubernetes-preserve-unknown-fields": True}


def test_a_custom_resource_without_a_schema_is_any_object() -> None:
    of = specification(CustomKind(WIDGET, None))
    schema = v3("apis/stable.example.com/v1", of)["components"]["schemas"]["com.example.stable.v1.Widget"]
    assert schema["type"] == "object" and "properties" not in schema


# --- stability


def test_bytes_and_hashes_depend_on_what_is_served_alone() -> None:
    one, other = specification(), specification(reverse=True)
    for place in ("apis/apps/v1", "apis", "api/v1"):
        assert one.v3(place) == other.v3(place)
    assert one.index() == other.index() and one.v2() == other.v2()


def test_a_changed_schema_changes_its_own_hash_only() -> None:
    before = specification(CustomKind(WIDGET, WIDGET_SCHEMA))
    after = specification(CustomKind(WIDGET, {**WIDGET_SCHEMA, "description": "Another."}))
    assert before.hash("apis/stable.example.com/v1") != after.hash("apis/stable.example.com/v1")
    assert before.hash("apis/apps/v1") == after.hash("apis/apps/v1")
    assert before.index().hash != after.index().hash
