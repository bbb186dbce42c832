"""Quotas: what objects use, what is reserved, and never more than there is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.kube.admission.resource_quota import QUOTAS, ResourceQuota
from ropewalk.kube.kinds.core import quota_usage
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import at
from ropewalk.kube.machinery.resources import GroupResource

Make = Callable[..., Any]
PODS, SERVICES, CLAIMS = quota_usage.PODS, quota_usage.SERVICES, quota_usage.CLAIMS


def resources(**kinds: Any) -> Any:
    return {"containers": [{"name": "c", "resources": kinds}]}


@pytest.mark.parametrize(
    ("resource", "obj", "used"),
    [
        (PODS, {"spec": resources()}, {"count/pods": "1", "pods": "1"}),
        (PODS, {"spec": resources(), "status": {"phase": "Failed"}}, {"count/pods": "1"}),
        (
            PODS,
            {
                "spec": {
                    "containers": [{"name": "c", "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "1"}}}],
                    "initContainers": [
                        {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "50m"}}},
                        {"name": "i", "resources": {"requests": {"cpu": "300m", "x.io/gpu": "1"}}},
                    ],
                    "overhead": {"cpu": "10m"},
                }
            },
            {
                "count/pods": "1",
                "pods": "1",
                "cpu": "360m",
                "requests.cpu": "360m",
                "limits.cpu": "1010m",
                "requests.x.io/gpu": "1",
            },
        ),
        (
            SERVICES,
            {"spec": {"type": "LoadBalancer", "ports": [{}, {}]}},
            {"count/services": "1", "services": "1", "services.loadbalancers": "1", "services.nodeports": "2"},
        ),
        (
            CLAIMS,
            {"spec": {"storageClassName": "g", "resources": {"requests": {"storage": "1Gi"}}}},
            {
                "count/persistentvolumeclaims": "1",
                "persistentvolumeclaims": "1",
                "requests.storage": "1Gi",
                "g.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
                "g.storageclass.storage.k8s.io/requests.storage": "1Gi",
            },
        ),
        (GroupResource("apps", "deployments"), {}, {"count/deployments.apps": "1"}),
        (GroupResource("", "secrets"), {}, {"count/secrets": "1", "secrets": "1"}),
    ],
)
def test_usage(resource: GroupResource, obj: Any, used: dict[str, str]) -> None:
    assert quota_usage.usage(resource, obj, 0.0) == used


def test_a_pod_that_should_be_gone_uses_nothing() -> None:
    about = {"deletionTimestamp": "1970-01-01T00:01:00Z", "deletionGracePeriodSeconds": 30}
    assert "pods" in quota_usage.usage(PODS, {"metadata": about}, 90.0)
    assert "pods" not in quota_usage.usage(PODS, {"metadata": about}, 91.0)


@pytest.mark.parametrize(
    ("scope", "spec", "inside"),
    [
        ({"scopeName": "BestEffort"}, resources(), True),
        ({"scopeName": "NotBestEffort"}, resources(), False),
        ({"scopeName": "BestEffort"}, resources(limits={"cpu": "1"}), False),
        ({"scopeName": "Terminating"}, {"activeDeadlineSeconds": 0}, True),
        ({"scopeName": "NotTerminating"}, {}, True),
        ({"scopeName": "PriorityClass", "operator": "In", "values": ["a"]}, {"priorityClassName": "a"}, True),
        ({"scopeName": "PriorityClass", "operator": "NotIn", "values": ["a"]}, {"priorityClassName": "a"}, False),
        ({"scopeName": "PriorityClass", "operator": "DoesNotExist"}, {}, True),
        (
            {"scopeName": "CrossNamespacePodAffinity"},
            {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"namespaces": ["x"]}]}}},
            True,
        ),
    ],
)
def test_scopes(scope: Any, spec: Any, inside: bool) -> None:
    assert quota_usage.in_scope(PODS, scope, {"spec": spec}) is inside


def quota(api: Any, hard: dict[str, str], used: dict[str, str] | None = None, name: str = "q", **spec: Any) -> Any:
    status = {"hard": hard, "used": dict.fromkeys(hard, "0") if used is None else used}
    return api.add("ResourceQuota", name, "ns", spec={"hard": hard, **spec}, status=status)


def used_of(api: Any, name: str = "q") -> Any:
    return at(api.cache(QUOTAS).get("ns", name), "status", "used")


@pytest.fixture
def plugin(api: Any) -> ResourceQuota:
    return ResourceQuota(api, VirtualClock())


async def refusal(plugin: ResourceQuota, admission: Any) -> str:
    with pytest.raises(StatusFault) as fault:
        await plugin.validate(admission)
    assert fault.value.status == 403
    return fault.value.message


async def test_reserves_and_refuses(api: Any, plugin: ResourceQuota, request_for: Make, pod: Make) -> None:
    quota(api, {"pods": "2"})
    await plugin.validate(request_for("Pod", pod()))
    await plugin.validate(request_for("Pod", pod()))
    assert used_of(api) == {"pods": "2"}
    assert await refusal(plugin, request_for("Pod", pod("late"))) == (
        'pods "late" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2'
    )
    assert used_of(api) == {"pods": "2"}


async def test_a_dry_run_reserves_nothing(api: Any, plugin: ResourceQuota, request_for: Make, pod: Make) -> None:
    quota(api, {"pods": "1"})
    await plugin.validate(request_for("Pod", pod(), dry_run=True))
    assert used_of(api) == {"pods": "0"}
    quota(api, {"pods": "0"})
    assert "exceeded quota" in await refusal(plugin, request_for("Pod", pod(), dry_run=True))


async def test_what_a_quota_demands(api: Any, plugin: ResourceQuota, request_for: Make, pod: Make) -> None:
    quota(api, {"requests.cpu": "1", "limits.memory": "1Gi"})
    assert await refusal(plugin, request_for("Pod", pod())) == (
        'pods "p" is forbidden: failed quota: q: must specify limits.memory for: c; requests.cpu for: c'
    )
    quota(api, {"pods": "2"}, used={})
    assert await refusal(plugin, request_for("Pod", pod())) == (
        'pods "p" is forbidden: status unknown for quota: q, resources: pods'
    )


async def test_an_update_counts_what_it_adds(api: Any, plugin: ResourceQuota, request_for: Make) -> None:
    quota(api, {"services": "1", "services.nodeports": "3"}, used={"services": "1", "services.nodeports": "1"})

    def service(ports: int) -> Any:
        about = {"name": "s", "namespace": "ns", "resourceVersion": "1"}
        return {"metadata": about, "spec": {"type": "NodePort", "ports": [{}] * ports}}

    await plugin.validate(request_for("Service", service(3), old=service(1)))
    assert used_of(api) == {"services": "1", "services.nodeports": "3"}
    message = await refusal(plugin, request_for("Service", service(4), old=service(3)))
    assert "requested: services.nodeports=1, used: services.nodeports=3, limited: services.nodeports=3" in message


@pytest.mark.parametrize("stale", [1, 3])
async def test_somebody_elses_write_is_read_again(
    api: Any, plugin: ResourceQuota, request_for: Make, pod: Make, stale: int
) -> None:
    quota(api, {"pods": "1"})
    api.stale_updates = stale
    await plugin.validate(request_for("Pod", pod()))
    assert used_of(api) == {"pods": "1"}


async def test_two_quotas_are_each_charged_once_over_a_conflict(
    api: Any, plugin: ResourceQuota, request_for: Make, pod: Make
) -> None:
    quota(api, {"pods": "5"}, name="a")
    quota(api, {"pods": "5"}, name="b")
    api.stale_updates = 1
    await plugin.validate(request_for("Pod", pod()))
    assert (used_of(api, "a"), used_of(api, "b")) == ({"pods": "1"}, {"pods": "1"})


async def test_never_more_than_there_is(api: Any, plugin: ResourceQuota, request_for: Make, pod: Make) -> None:
    quota(api, {"pods": "7"})
    asked = [plugin.validate(request_for("Pod", pod(f"p{index}"))) for index in range(20)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(result is None for result in results) == 7
    assert used_of(api) == {"pods": "7"}
    assert not plugin._locks


def test_the_controllers_count() -> None:
    pods = [{"spec": resources(requests={"cpu": "250m"})}] * 3 + [{"spec": resources(), "status": {"phase": "Failed"}}]
    hard = {"hard": {"pods": "9", "requests.cpu": "1", "count/pods": "9", "services": "1"}}
    assert quota_usage.total(PODS, {"spec": hard}, pods, 0.0) == {
        "pods": "3",
        "requests.cpu": "750m",
        "count/pods": "4",
    }
