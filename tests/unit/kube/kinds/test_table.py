"""The table of resources: names are unambiguous, and samples are as `kubectl api-resources` shows them."""

from __future__ import annotations

import pytest

from ropewalk.kube.kinds.table import RESOURCES
from ropewalk.kube.machinery.resources import ALL_VERBS, GroupVersionKind, ResourceInfo

BY_NAME = {(info.api_version, info.plural): info for info in RESOURCES}


def test_names_are_unambiguous() -> None:
    assert len(BY_NAME) == len(RESOURCES) == 68
    assert len({info.gvk for info in RESOURCES}) == len(RESOURCES)
    short: dict[str, str] = {}
    for info in RESOURCES:
        for name in info.short_names:
            assert short.setdefault(name, info.kind) == info.kind


def test_all_groups_are_there() -> None:
    assert {info.group for info in RESOURCES} == {
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    }


@pytest.mark.parametrize(
    ("api_version", "plural", "short", "namespaced", "subresources"),
    [
        ("apps/v1", "deployments", ("deploy",), True, {"scale", "status"}),
        ("apps/v1", "controllerrevisions", (), True, set()),
        ("v1", "services", ("svc",), True, {"proxy", "status"}),
        ("v1", "nodes", ("no",), False, {"proxy", "status"}),
        ("apiextensions.k8s.io/v1", "customresourcedefinitions", ("crd", "crds"), False, {"status"}),
        ("certificates.k8s.io/v1", "certificatesigningrequests", ("csr",), False, {"approval", "status"}),
        ("admissionregistration.k8s.io/v1beta1", "mutatingadmissionpolicies", (), False, set()),
        ("resource.k8s.io/v1", "resourceclaims", (), True, {"status"}),
    ],
)
def test_samples(
    api_version: str, plural: str, short: tuple[str, ...], namespaced: bool, subresources: set[str]
) -> None:
    info = BY_NAME[api_version, plural]
    assert (info.short_names, info.namespaced) == (short, namespaced)
    assert {sub.name for sub in info.subresources} == subresources
    assert set(info.verbs) == set(ALL_VERBS)


def test_what_pods_and_namespaces_do_differently() -> None:
    pods = BY_NAME["v1", "pods"]
    eviction = pods.subresource("eviction")
    assert eviction and (eviction.kind, eviction.verbs) == (GroupVersionKind("policy", "v1", "Eviction"), ("create",))
    scale = BY_NAME["apps/v1", "statefulsets"].subresource("scale")
    assert scale and scale.kind == GroupVersionKind("autoscaling", "v1", "Scale")
    assert "deletecollection" not in BY_NAME["v1", "namespaces"].verbs
    assert pods.categories == ("all",)


def test_what_is_only_asked_cannot_be_listed() -> None:
    def only_created(info: ResourceInfo) -> bool:
        return info.verbs == ("create",)

    assert {info.plural for info in RESOURCES if only_created(info)} == {
        "bindings",
        "localsubjectaccessreviews",
        "selfsubjectaccessreviews",
        "selfsubjectreviews",
        "selfsubjectrulesreviews",
        "subjectaccessreviews",
        "tokenreviews",
    }
    assert all(bool(info.list_kind) == ("list" in info.verbs) for info in RESOURCES)
