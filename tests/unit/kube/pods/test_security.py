"""Whom containers run as, what they may do, and what is refused where the machine confines nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ropewalk.kube.pods.refusals import Refused
from ropewalk.kube.pods.security import check_pod, groups, of_container
from ropewalk.kube.pods.sources import Place
from ropewalk.model.ids import Owner

REAL = Place(Owner("c"), "10.1.1.1", "10.0.0.1", files=True)
CONFINED = replace(REAL, host_access=True)
SIMULATED = replace(REAL, files=False)


def lowered(own: dict[str, Any], whole: dict[str, Any] | None = None, place: Place = REAL) -> Any:
    container = {"name": "web", "securityContext": own}
    return of_container({"spec": {"securityContext": whole or {}, "containers": [container]}}, container, place)


@pytest.mark.parametrize(
    ("own", "whole", "user"),
    [
        ({}, {}, ""),
        ({"runAsUser": 5}, {"runAsUser": 6, "runAsGroup": 7}, "5:7"),
        ({"runAsUser": 0}, {"runAsUser": 6}, "0"),
        ({}, {"runAsGroup": 7}, ":7"),
    ],
)
def test_the_containers_word_goes_before_the_pods(own: Any, whole: Any, user: str) -> None:
    assert lowered(own, whole).user == user


def test_each_word_has_its_place() -> None:
    own = {
        "runAsNonRoot": True,
        "runAsUser": 5,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "seccompProfile": {"type": "Unconfined"},
        "capabilities": {"add": ["CAP_NET_ADMIN"], "drop": ["ALL"]},
    }
    found = lowered(own)
    assert found.must_not_be_root and found.read_only_root and found.no_new_privileges and not found.privileged
    assert (found.seccomp, found.add, found.drop) == ("unconfined", ("NET_ADMIN",), ("ALL",))
    plain = lowered({"seccompProfile": {"type": "RuntimeDefault"}})
    assert plain.seccomp == lowered({}).seccomp == "" and not plain.no_new_privileges


@pytest.mark.parametrize(
    ("own", "named", "where_confined"),
    [
        ({"privileged": True}, "privileged", True),
        ({"capabilities": {"add": ["SYS_ADMIN"]}}, "SYS_ADMIN", True),
        ({"capabilities": {"add": ["ALL"]}}, "ALL", True),
        ({"procMount": "Unmasked"}, "procMount", False),
        ({"seccompProfile": {"type": "Localhost", "localhostProfile": "x"}}, "seccomp", False),
        ({"appArmorProfile": {"type": "Localhost", "localhostProfile": "x"}}, "AppArmor", False),
    ],
)
def test_what_reaches_the_machine_is_refused_unless_it_is_confined(own: Any, named: str, where_confined: bool) -> None:
    with pytest.raises(Refused, match=named):
        lowered(own)
    lowered(own, place=SIMULATED)
    if where_confined:
        lowered(own, place=CONFINED)
    else:
        with pytest.raises(Refused, match=named):
            lowered(own, place=CONFINED)


def test_root_that_must_not_be_root() -> None:
    with pytest.raises(Refused, match="container's runAsUser breaks non-root policy"):
        lowered({"runAsNonRoot": True, "runAsUser": 0})


@pytest.mark.parametrize(
    ("spec", "offered"),
    [
        ({"hostPID": True}, ()),
        ({"hostIPC": True}, ()),
        ({"hostNetwork": True}, (CONFINED,)),
        ({"hostUsers": False}, ()),
        ({"hostUsers": True}, (REAL, CONFINED)),
        ({"securityContext": {"supplementalGroupsPolicy": "Strict"}}, ()),
        ({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}, ()),
        ({"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]}}, (REAL, CONFINED)),
        ({"runtimeClassName": "kata"}, ()),
        ({"resourceClaims": [{"name": "gpu"}]}, ()),
        ({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]}, ()),
    ],
)
def test_the_machines_own_namespaces(spec: Any, offered: tuple[Place, ...]) -> None:
    check_pod({"spec": spec}, SIMULATED)
    for place in (REAL, CONFINED):
        if place in offered:
            check_pod({"spec": spec}, place)
        else:
            with pytest.raises(Refused):
                check_pod({"spec": spec}, place)


def test_groups() -> None:
    assert groups({"spec": {"securityContext": {"fsGroup": 9, "supplementalGroups": [1, 2]}}}) == (9, 1, 2)
    assert groups({"spec": {}}) == ()
