"""Network policies."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.networking import STRATEGIES
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.agreement import agree
from unit.kube.kinds.verdicts import cells, changed, created, creation, update, updated

POLICIES = STRATEGIES["networkpolicies"]


def _policy(**spec: Any) -> Object:
    return {"spec": {"podSelector": {}, **spec}}


def _port(**port: Any) -> Object:
    return _policy(egress=[{"ports": [port]}])


def _peer(**peer: Any) -> Object:
    return _policy(ingress=[{"from": [peer]}])


def _block(cidr: str, *parts: str) -> Object:
    return _peer(ipBlock={"cidr": cidr, "except": list(parts)})


@pytest.mark.parametrize(
    "policy",
    [
        {},
        _policy(),
        _policy(ingress=[{}], egress=[{}], policyTypes=["Egress"]),
        _policy(policyTypes=["Ingress", "Ingress"]),
        _port(),
        _port(port=80),
        _port(port="http", protocol="SCTP"),
        _port(port=80, endPort=80),
        _peer(podSelector={}),
        _peer(podSelector={}, namespaceSelector={"matchLabels": {"a": "b"}}),
        _block("10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16"),
        _block("0.0.0.0/0", "10.0.0.0/8"),
        _block("2001:db8::/32", "2001:db8:1::/48"),
    ],
)
def test_good(policy: Object) -> None:
    made = created(POLICIES, policy)
    assert creation(POLICIES, policy) == []
    assert update(POLICIES, made, made) == []
    assert POLICIES.warnings(made, None) == []


PORT = "spec.egress[0].ports[0]"
PEER = "spec.ingress[0].from[0]"


@pytest.mark.parametrize(
    ("policy", "complaints"),
    [
        (
            _policy(policyTypes=["Ingress", "Egress", "Ingress"]),
            [
                'spec.policyTypes: Invalid value: ["Ingress","Egress","Ingress"]: may not specify more than two'
                " policyTypes"
            ],
        ),
        (
            _policy(policyTypes=["Odd"]),
            ['spec.policyTypes[0]: Unsupported value: "Odd": supported values: "Ingress", "Egress"'],
        ),
        (
            {"spec": {"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}},
            [
                "spec.podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In'"
                " or 'NotIn'"
            ],
        ),
        (_port(port=0), [f"{PORT}.port: Invalid value: 0: must be between 1 and 65535, inclusive"]),
        (_port(port=65536), [f"{PORT}.port: Invalid value: 65536: must be between 1 and 65535, inclusive"]),
        (
            _port(port="web_"),
            [
                f'{PORT}.port: Invalid value: "web_": must contain only alpha-numeric characters (a-z, 0-9), and'
                " hyphens (-)"
            ],
        ),
        (_port(protocol="X"), [f'{PORT}.protocol: Unsupported value: "X": supported values: "TCP", "UDP", "SCTP"']),
        (_port(protocol=""), [f'{PORT}.protocol: Unsupported value: "": supported values: "TCP", "UDP", "SCTP"']),
        (
            _port(endPort=5),
            [f"{PORT}.endPort: Invalid value: 5: may not be specified when `port` is not specified"],
        ),
        (
            _port(port="a", endPort=5),
            [f"{PORT}.endPort: Invalid value: 5: may not be specified when `port` is non-numeric"],
        ),
        (
            _port(port=80, endPort=0),
            [
                f"{PORT}.endPort: Invalid value: 80: must be greater than or equal to `port`",
                f"{PORT}.endPort: Invalid value: 0: must be between 1 and 65535, inclusive",
            ],
        ),
        (_peer(), [f"{PEER}: Required value: must specify a peer"]),
        (
            _peer(podSelector={}, ipBlock={"cidr": "10.0.0.0/8"}),
            [f"{PEER}: Forbidden: may not specify both ipBlock and another peer"],
        ),
        (
            _peer(namespaceSelector={"matchLabels": {"a b": ""}}),
            [f'{PEER}.namespaceSelector.matchLabels: Invalid value: "a b": name part must consist of…'],
        ),
        (_peer(ipBlock={}), [f"{PEER}.ipBlock.cidr: Required value"]),
        *[
            (
                _block(cidr, "also bad"),
                [
                    f'{PEER}.ipBlock.cidr: Invalid value: "{cidr}": must be a valid CIDR value,'
                    " (e.g. 10.9.8.0/24 or 2001:db8::/64)"
                ],
            )
            for cidr in ("x", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "2001:db8::/129")
        ],
        (
            _block("10.0.0.0/8", "x"),
            [
                f'{PEER}.ipBlock.except[0]: Invalid value: "x": must be a valid CIDR value,'
                " (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            ],
        ),
        *[
            (
                _block("10.0.0.0/8", part),
                [f'{PEER}.ipBlock.except[0]: Invalid value: "{part}": must be a strict subset of `cidr`'],
            )
            for part in ("10.0.0.0/8", "11.0.0.0/16", "10.0.0.0/7", "2001:db8::/32")
        ],
    ],
)
def test_bad(policy: Object, complaints: list[str]) -> None:
    agree(creation(POLICIES, policy), complaints)
    agree(update(POLICIES, created(POLICIES, policy), created(POLICIES, _policy())), complaints)


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ({}, ["Ingress"]),
        ({"egress": []}, ["Ingress"]),
        ({"egress": [{}]}, ["Ingress", "Egress"]),
        ({"egress": [{}], "policyTypes": ["Egress"]}, ["Egress"]),
    ],
)
def test_types_follow_the_rules(spec: Object, types: list[str]) -> None:
    assert created(POLICIES, _policy(**spec))["spec"]["policyTypes"] == types


def test_ports_are_of_tcp() -> None:
    assert created(POLICIES, _port(port=80))["spec"]["egress"][0]["ports"] == [{"port": 80, "protocol": "TCP"}]


def test_generation() -> None:
    old = created(POLICIES, _policy())
    assert old["metadata"]["generation"] == 1
    assert updated(POLICIES, changed(old, "metadata", "labels", {"a": "b"}), old)["metadata"]["generation"] == 1
    assert updated(POLICIES, changed(old, "spec", "ingress", [{}]), old)["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    ("cidr", "warning"),
    [
        (
            "10.0.0.1/8",
            'CIDR value "10.0.0.1/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.0.0.1/32"?)',
        ),
        (
            "010.0.0.0/8",
            'non-standard CIDR value "010.0.0.0/8" will be considered invalid in a future Kubernetes release: use'
            ' "10.0.0.0/8"',
        ),
        (
            "10.0.0.0/08",
            'non-standard CIDR value "10.0.0.0/08" will be considered invalid in a future Kubernetes release: use'
            ' "10.0.0.0/8"',
        ),
        (
            "::ffff:10.0.0.0/104",
            'non-standard CIDR value "::ffff:10.0.0.0/104" will be considered invalid in a future Kubernetes release:'
            ' use "10.0.0.0/8"',
        ),
        (
            "2001:DB8::/32",
            'IPv6 CIDR value "2001:DB8::/32" should be in RFC 5952 canonical format ("2001:db8::/32")',
        ),
    ],
)
def test_odd_ranges_are_warned_about(cidr: str, warning: str) -> None:
    assert creation(POLICIES, _block(cidr)) == []
    assert POLICIES.warnings(created(POLICIES, _block(cidr)), None) == [f"{PEER}.ipBlock.cidr: {warning}"]
    there = created(POLICIES, _policy(egress=[{"to": [{"ipBlock": {"cidr": "::/0", "except": [cidr]}}]}]))
    assert POLICIES.warnings(there, there) == [f"spec.egress[0].to[0].ipBlock.except[0]: {warning}"]


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({}, "<none>"),
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        (
            {
                "matchLabels": {"a": "1"},
                "matchExpressions": [
                    {"key": "c", "operator": "In", "values": ["z", "y"]},
                    {"key": "d", "operator": "DoesNotExist"},
                ],
            },
            "a=1,c in (y,z),!d",
        ),
    ],
)
def test_table(selector: Object, text: str) -> None:
    made = created(POLICIES, {"spec": {"podSelector": selector}})
    assert cells(POLICIES, made) == {"Name": "one", "Pod-Selector": text, "Age": "0s"}
