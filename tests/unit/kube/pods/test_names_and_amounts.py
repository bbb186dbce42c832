"""What a pod is called, whom it asks for names, and the numbers that go into its control groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ropewalk.kube.pods import amounts
from ropewalk.kube.pods.names import aliases, hostname, resolver
from ropewalk.kube.pods.sources import Place
from ropewalk.model.ids import Owner
from ropewalk.model.workload import Resources

PLACE = Place(
    Owner("c"),
    "10.1.1.1",
    "10.0.0.1",
    cluster_servers=("10.100.0.10",),
    host_servers=("169.254.169.253",),
    host_searches=("ec2.internal",),
)
SEARCHES = ("ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "ec2.internal")


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", "namespace": "ns"}, "spec": spec}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, ("p", "")),
        ({"hostname": "h"}, ("h", "")),
        ({"hostname": "h", "subdomain": "s"}, ("h", "s.ns.svc.cluster.local")),
        ({"subdomain": "s", "setHostnameAsFQDN": True}, ("p.s.ns.svc.cluster.local", "")),
        ({"hostnameOverride": "other.name", "subdomain": "s"}, ("other.name", "")),
        ({"hostname": "x" * 62 + "-y"}, ("x" * 62, "")),
    ],
)
def test_its_own_name(spec: Any, expected: tuple[str, str]) -> None:
    assert hostname(pod(**spec), PLACE) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, (("10.100.0.10",), SEARCHES, ("ndots:5",))),
        ({"dnsPolicy": "Default"}, (("169.254.169.253",), ("ec2.internal",), ())),
        ({"hostNetwork": True}, (("169.254.169.253",), ("ec2.internal",), ())),
        (
            {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"},
            (("10.100.0.10",), SEARCHES, ("ndots:5",)),
        ),
        (
            {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"], "searches": ["a"]}},
            (("1.1.1.1",), ("a",), ()),
        ),
        (
            {
                "dnsConfig": {
                    "nameservers": ["1.1.1.1", "10.100.0.10", "2.2.2.2", "3.3.3.3"],
                    "searches": ["a", "ec2.internal"],
                    "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
                }
            },
            (("10.100.0.10", "1.1.1.1", "2.2.2.2"), (*SEARCHES, "a"), ("ndots:2", "edns0")),
        ),
    ],
)
def test_whom_it_asks(spec: Any, expected: Any) -> None:
    assert resolver(pod(**spec), PLACE) == expected


def test_a_cluster_without_a_resolver_falls_back_to_the_machines() -> None:
    assert resolver(pod(), replace(PLACE, cluster_servers=())).servers == ("169.254.169.253",)


def test_searches_are_cut_where_resolvers_cut() -> None:
    many = [f"{'x' * 99}{n}" for n in range(40)] + ["y" * 300]
    found = resolver(pod(dnsPolicy="None", dnsConfig={"searches": many}), PLACE).searches
    assert 0 < len(found) <= 32 and len(" ".join(found)) <= 2048


def test_aliases() -> None:
    assert aliases(pod(hostAliases=[{"ip": "1.2.3.4", "hostnames": ["a", "b"]}])) == (
        ("a", "1.2.3.4"),
        ("b", "1.2.3.4"),
    )


def container(cpu: str = "", memory: str = "", limit_cpu: str = "", limit_memory: str = "", **more: Any) -> Any:
    def told(cpu: str, memory: str) -> dict[str, str]:
        return {name: value for name, value in (("cpu", cpu), ("memory", memory)) if value}

    resources = {"requests": told(cpu, memory), "limits": told(limit_cpu, limit_memory)}
    return {"name": "c", "resources": resources} | more


GIB = 1 << 30
PLAIN, BURST = container(), container("250m", "64Mi")
WHOLE = container("500m", "1Gi", "500m", "1Gi")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (PLAIN, Resources(cpu_shares=2)),
        (BURST, Resources(cpu_shares=256)),
        (container("1m", "", "5", "1Gi"), Resources(5000, 2, GIB)),
        (container("", "", "2", ""), Resources(2000, 2048)),
        (container("1000", "", "", ""), Resources(0, 262_144)),
    ],
)
def test_a_containers_group(given: Any, expected: Resources) -> None:
    assert amounts.of_container(given) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": [PLAIN]}, Resources(cpu_shares=2)),
        ({"containers": [WHOLE, WHOLE]}, Resources(1000, 1024, 2 * GIB)),
        ({"containers": [WHOLE, BURST]}, Resources(0, 768, 0)),
        ({"containers": [WHOLE], "initContainers": [container("2", "", "2", "3Gi")]}, Resources(2000, 2048, 3 * GIB)),
        ({"containers": [WHOLE], "overhead": {"cpu": "500m"}}, Resources(1000, 1024, GIB)),
    ],
)
def test_a_pods_group(spec: Any, expected: Resources) -> None:
    assert amounts.of_pod(pod(**spec)) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": [PLAIN]}, 1000),
        ({"containers": [WHOLE]}, -997),
        ({"containers": [container("", "1Gi")]}, 900),
        ({"containers": [container("", "20Gi")]}, 3),
        ({"containers": [container("1m")]}, 999),
        ({"containers": [PLAIN], "priority": 2_000_001_000}, -997),
    ],
)
def test_who_goes_first_when_memory_runs_out(spec: Any, expected: int) -> None:
    assert amounts.out_of_memory_score(pod(**spec), spec["containers"][0], 10 * GIB) == expected


def test_a_sidecar_goes_no_sooner_than_what_it_serves() -> None:
    sidecar = container("", "1Mi", restartPolicy="Always")
    what = pod(containers=[container("", "1Gi")], initContainers=[sidecar])
    assert amounts.out_of_memory_score(what, sidecar, 10 * GIB) == 900
