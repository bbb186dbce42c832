"""Limit ranges and resource quotas."""

import asyncio

import pytest

from ropewalk.kube.kinds.core.limit_ranges import LimitRanges
from ropewalk.kube.kinds.core.resource_quotas import ResourceQuotas
from ropewalk.kube.machinery.objects import Object
from support.kube_front import Server
from unit.kube.kinds.verdicts import cells, created, creation, status_update, update

RANGES, QUOTAS = LimitRanges(), ResourceQuotas()


def limited(**limit: object) -> Object:
    return {"spec": {"limits": [{"type": "Container", **limit}]}}


@pytest.mark.parametrize(
    ("limit", "default", "request_"),
    [
        ({"max": {"cpu": "2"}}, {"cpu": "2"}, {"cpu": "2"}),
        ({"min": {"cpu": "1"}}, None, {"cpu": "1"}),
        ({"max": {"cpu": "4"}, "min": {"cpu": "1"}, "default": {"cpu": "2"}}, {"cpu": "2"}, {"cpu": "2"}),
        ({"default": {"cpu": "2"}, "defaultRequest": {"cpu": "1"}}, {"cpu": "2"}, {"cpu": "1"}),
    ],
)
def test_defaults_of_containers(limit: Object, default: Object | None, request_: Object) -> None:
    made = created(RANGES, limited(**limit))["spec"]["limits"][0]
    assert (made.get("default"), made["defaultRequest"]) == (default, request_)


def test_a_nameless_one_gets_a_name() -> None:
    made: Object = {"metadata": {"uid": "u-1"}}
    RANGES.prepare_create(made)
    assert made["metadata"]["name"] == "u-1"


def test_a_nameless_one_is_made() -> None:
    async def act() -> Object:
        server = await Server().start()
        try:
            limits = [{"type": "Container", "max": {"cpu": "2"}}]
            made = await server.post("/api/v1/namespaces/default/limitranges", {"spec": {"limits": limits}})
            assert made.status == 201
            found: Object = made.json["metadata"]
            assert (await server.get(f"/api/v1/namespaces/default/limitranges/{found['name']}")).status == 200
            return found
        finally:
            await server.stop()

    found = asyncio.run(act())
    assert found["name"] == found["uid"]


def test_pods_have_no_defaults() -> None:
    made = created(RANGES, {"spec": {"limits": [{"type": "Pod", "max": {"cpu": "2"}}]}})
    assert made["spec"]["limits"] == [{"type": "Pod", "max": {"cpu": "2"}}]


@pytest.mark.parametrize(
    ("limits", "wrong"),
    [
        ([{"type": "Container", "max": {"cpu": "2", "memory": "1Gi"}, "min": {"cpu": "100m"}}], []),
        (
            [{"type": "Container"}, {"type": "Container"}],
            ['spec.limits[1].type: Duplicate value: "Container"'],
        ),
        (
            [{"type": "Box"}],
            ['spec.limits[0].type: Invalid value: "Box": must be a standard limit type or fully qualified'],
        ),
        (
            [{"type": "Pod", "max": {"cpu": "1"}, "min": {"cpu": "2"}}],
            ['spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1'],
        ),
        (
            [{"type": "Pod", "default": {"cpu": "1"}}],
            ["spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"],
        ),
        (
            [{"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "2"}}],
            [
                'spec.limits[0].defaultRequest[cpu]: Invalid value: "2": default request value 2 is greater than'
                " default limit value 1"
            ],
        ),
        (
            [{"type": "PersistentVolumeClaim", "max": {"cpu": "1"}}],
            [
                "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but"
                " neither was provided"
            ],
        ),
        (
            [{"type": "Pod", "maxLimitRequestRatio": {"cpu": "500m"}}],
            ['spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1'],
        ),
        (
            [{"type": "Pod", "max": {"cpu": "2"}, "min": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "3"}}],
            [
                'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min ='
                " 2.000000"
            ],
        ),
        (
            [{"type": "Container", "default": {"hugepages-2Mi": "4Mi"}, "defaultRequest": {"hugepages-2Mi": "2Mi"}}],
            [
                'spec.limits[0].defaultRequest[hugepages-2Mi]: Invalid value: "2Mi": default value 4Mi must equal to'
                " defaultRequest value 2Mi in hugepages-2Mi"
            ],
        ),
        (
            [{"type": "Pod", "max": {"wheels": "4"}}],
            [
                'spec.limits[0].max[wheels]: Invalid value: "wheels": must be a standard resource type or fully'
                " qualified",
                'spec.limits[0].max[wheels]: Invalid value: "wheels": must be a standard resource for containers',
            ],
        ),
    ],
)
def test_limit_ranges(limits: list[Object], wrong: list[str]) -> None:
    assert creation(RANGES, {"spec": {"limits": limits}}) == wrong


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({"hard": {"pods": "4", "requests.cpu": "1", "count/deployments.apps": "2", "hugepages-2Mi": "4Mi"}}, []),
        ({"hard": {"pods": "0.5"}}, ['spec.hard[pods]: Invalid value: "500m": must be an integer']),
        (
            {"hard": {"storage": "1Gi"}},
            ['spec.hard[storage]: Invalid value: "storage": must be a standard resource for quota'],
        ),
        (
            {"hard": {"wheels": "-1"}},
            [
                'spec.hard[wheels]: Invalid value: "wheels": must be a standard resource type or fully qualified',
                'spec.hard[wheels]: Invalid value: "wheels": must be a standard resource for quota',
                'spec.hard[wheels]: Invalid value: "-1": must be greater than or equal to 0',
            ],
        ),
        ({"hard": {"pods": "1"}, "scopes": ["BestEffort"]}, []),
        (
            {"hard": {"cpu": "1"}, "scopes": ["BestEffort"]},
            ['spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource'],
        ),
        (
            {"hard": {"pods": "1"}, "scopes": ["Terminating", "NotTerminating"]},
            ['spec.scopes: Invalid value: ["Terminating","NotTerminating"]: conflicting scopes'],
        ),
        ({"hard": {"pods": "1"}, "scopes": ["Odd"]}, ['spec.scopes: Invalid value: ["Odd"]: unsupported scope']),
        (
            {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In"}]}},
            [
                "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator`"
                " is 'In' or 'NotIn' for scope selector"
            ],
        ),
        (
            {"scopeSelector": {"matchExpressions": [{"scopeName": "Odd", "operator": "Near"}]}},
            [
                'spec.scopeSelector.matchExpressions.scopeName: Invalid value: "Odd": unsupported scope',
                'spec.scopeSelector.matchExpressions.operator: Invalid value: "Near": not a valid selector operator',
            ],
        ),
    ],
)
def test_resource_quotas(spec: Object, wrong: list[str]) -> None:
    assert creation(QUOTAS, {"spec": spec}) == wrong


def test_scopes_of_a_quota_stay() -> None:
    old = created(QUOTAS, {"spec": {"hard": {"pods": "1"}, "scopes": ["BestEffort", "NotBestEffort"]}})
    new = {**old, "spec": {"hard": {"pods": "2"}, "scopes": ["NotBestEffort"]}}
    assert update(QUOTAS, new, old) == ['spec.scopes: Invalid value: ["NotBestEffort"]: field is immutable']


def test_the_status_of_a_quota_names_its_version() -> None:
    old = created(QUOTAS, {"spec": {"hard": {"pods": "1"}}})
    assert status_update(QUOTAS, {"used": {"pods": "1"}}, old) == ["resourceVersion: Required value"]
    old["metadata"]["resourceVersion"] = "5"
    assert status_update(QUOTAS, {"used": {"pods": "1"}}, old) == []


def test_a_request_above_its_limit_is_warned_about() -> None:
    quota = created(QUOTAS, {"spec": {"hard": {"cpu": "2", "limits.cpu": "1", "requests.memory": "1Gi"}}})
    assert QUOTAS.warnings(quota, None) == ["ResourceQuota cpu (2) should be less than limits.cpu (1)"]
    assert QUOTAS.warnings(quota, quota) == []


def test_columns_of_a_quota() -> None:
    status = {"hard": {"pods": "4", "limits.cpu": "2", "cpu": "1"}, "used": {"pods": "1", "cpu": "500m"}}
    shown = cells(QUOTAS, {"metadata": {"name": "one"}, "status": status})
    assert (shown["Request"], shown["Limit"]) == ("cpu: 500m/1, pods: 1/4", "limits.cpu: 0/2")
