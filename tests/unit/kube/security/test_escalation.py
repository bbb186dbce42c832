"""Writes of roles and bindings: nobody grants what they do not hold."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.requests import Attributes, Call, User
from ropewalk.kube.machinery.resources import GroupResource, ResourceInfo
from ropewalk.kube.security.authorizer import Chain, Masters
from ropewalk.kube.security.escalation import Escalation
from ropewalk.kube.security.rbac import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES, Rbac
from support.kube_api import MemoryApi

Object = dict[str, Any]
JANE = User("jane", ("devs", "system:authenticated"))
READ = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
WRITE = {"apiGroups": ["", "apps"], "resources": ["pods"], "verbs": ["create", "get"]}


def holding(*rules: Object, namespace: str = "") -> MemoryApi:
    """Jane holds these; there are roles called reader, writer and admin besides."""
    subject = [{"kind": "User", "name": "jane"}]
    meta = {"name": "janes", **({"namespace": namespace} if namespace else {})}
    api = MemoryApi(
        (CLUSTER_ROLES, {"metadata": {"name": "held"}, "rules": list(rules)}),
        (CLUSTER_ROLES, {"metadata": {"name": "reader"}, "rules": [READ]}),
        (CLUSTER_ROLES, {"metadata": {"name": "writer"}, "rules": [WRITE]}),
        (ROLES, {"metadata": {"name": "local", "namespace": "web"}, "rules": [WRITE]}),
    )
    given = {"metadata": meta, "subjects": subject, "roleRef": {"kind": "ClusterRole", "name": "held"}}
    api.put(ROLE_BINDINGS if namespace else CLUSTER_ROLE_BINDINGS, given)
    return api


async def refusal(
    api: MemoryApi, resource: GroupResource, new: Object, old: Object | None = None, user: User = JANE
) -> str:
    """ "" where the write may go on."""
    rbac = Rbac(api)
    plugin = Escalation(rbac, Chain([Masters(), rbac]))
    info = api.info(resource)
    assert isinstance(info, ResourceInfo)
    name, namespace = new["metadata"]["name"], new["metadata"].get("namespace", "")
    verb = "create" if old is None else "update"
    called = "" if old is None else name
    call = Call(user, Attributes(user, verb, "", resource.group, "v1", resource.resource, "", namespace, called), info)
    operation = verb.upper()
    assert plugin.concerns(info, "", operation) == (False, True)
    admission = Admission(call, operation, info, "", namespace, name, new, old, {}, info.gvk)
    try:
        await plugin.validate(admission)
    except StatusFault as fault:
        return fault.message
    return ""


def role(*rules: Object, name: str = "new", **fields: Any) -> Object:
    return {"metadata": {"name": name}, "rules": list(rules), **fields}


def binding(kind: str, name: str, namespace: str = "") -> Object:
    meta = {"name": "new", **({"namespace": namespace} if namespace else {})}
    return {"metadata": meta, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}}


async def test_what_is_held_may_be_granted() -> None:
    assert await refusal(holding(READ, WRITE), CLUSTER_ROLES, role(READ, WRITE)) == ""


async def test_what_is_not_held_may_not() -> None:
    assert await refusal(holding(READ), CLUSTER_ROLES, role(READ, WRITE)) == (
        'clusterroles.rbac.authorization.k8s.io "new" is forbidden: user "jane"'
        ' (groups=["devs" "system:authenticated"])'
        " is attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["pods"], Verbs:["create"]}\n'
        '{APIGroups:["apps"], Resources:["pods"], Verbs:["create" "get"]}'
    )


async def test_masters_may_grant_anything() -> None:
    assert await refusal(holding(), CLUSTER_ROLES, role(WRITE), user=User("root", ("system:masters",))) == ""


@pytest.mark.parametrize(
    ("verb", "names", "old", "allowed"),
    [
        ("escalate", None, None, True),
        ("escalate", ["new"], None, False),
        ("escalate", ["new"], role(), True),
        ("escalate", ["other"], role(), False),
        ("bind", None, None, False),
    ],
)
async def test_the_verb_escalate(verb: str, names: list[str] | None, old: Object | None, allowed: bool) -> None:
    rule: Object = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": [verb]}
    if names:
        rule["resourceNames"] = names
    told = await refusal(holding(rule), CLUSTER_ROLES, role(WRITE), old)
    assert (told == "") is allowed


@pytest.mark.parametrize(
    ("resource", "kind", "name", "namespace", "held_in", "allowed"),
    [
        (CLUSTER_ROLE_BINDINGS, "ClusterRole", "reader", "", "", True),
        (CLUSTER_ROLE_BINDINGS, "ClusterRole", "writer", "", "", False),
        (CLUSTER_ROLE_BINDINGS, "ClusterRole", "reader", "", "web", False),
        (ROLE_BINDINGS, "ClusterRole", "reader", "web", "web", True),
        (ROLE_BINDINGS, "ClusterRole", "reader", "other", "web", False),
        (ROLE_BINDINGS, "Role", "local", "web", "web", False),
    ],
)
async def test_bindings(
    resource: GroupResource, kind: str, name: str, namespace: str, held_in: str, allowed: bool
) -> None:
    told = await refusal(holding(READ, namespace=held_in), resource, binding(kind, name, namespace))
    assert (told == "") is allowed
    if not allowed:
        assert told.startswith(f'{resource} "new" is forbidden: user "jane"')


async def test_the_verb_bind_names_the_role() -> None:
    rule = {
        "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["clusterroles"],
        "verbs": ["bind"],
        "resourceNames": ["writer"],
    }
    api = holding(rule, namespace="web")
    assert await refusal(api, ROLE_BINDINGS, binding("ClusterRole", "writer", "web")) == ""
    assert await refusal(api, ROLE_BINDINGS, binding("ClusterRole", "reader", "web")) != ""
    assert await refusal(api, CLUSTER_ROLE_BINDINGS, binding("ClusterRole", "writer")) != ""


async def test_a_role_that_is_not_there_cannot_be_bound() -> None:
    told = await refusal(holding(READ), CLUSTER_ROLE_BINDINGS, binding("ClusterRole", "gone"))
    assert told == 'clusterroles.rbac.authorization.k8s.io "gone" not found'


async def test_only_who_may_everything_makes_aggregated_roles() -> None:
    aggregated = role(READ, aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]})
    refused = 'clusterroles.rbac.authorization.k8s.io "new" is forbidden: must have cluster-admin privileges to use the'
    everything = ({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, {"nonResourceURLs": ["*"], "verbs": ["*"]})
    assert (await refusal(holding(READ), CLUSTER_ROLES, aggregated)).startswith(refused)
    assert (await refusal(holding(READ), CLUSTER_ROLES, role(READ), aggregated)).startswith(refused)
    assert await refusal(holding(*everything), CLUSTER_ROLES, aggregated) == ""


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({"finalizers": ["x"], "ownerReferences": [], "managedFields": [{}]}, True),
        ({"labels": {"a": "b"}}, False),
    ],
)
async def test_the_garbage_collector_may_change_what_it_must(change: Object, allowed: bool) -> None:
    old = role(WRITE)
    new = {**old, "metadata": {**old["metadata"], **change}}
    assert (await refusal(holding(), CLUSTER_ROLES, new, old) == "") is allowed
