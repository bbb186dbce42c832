"""Endpoint slices."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.discovery import STRATEGIES
from ropewalk.kube.machinery.objects import Object, copied
from unit.kube.kinds.agreement import agree
from unit.kube.kinds.verdicts import cells, changed, created, creation, update, updated

SLICES = STRATEGIES["endpointslices"]
ONE: Object = {
    "addressType": "IPv4",
    "endpoints": [{"addresses": ["10.0.0.1"]}],
    "ports": [{"name": "http", "port": 80}],
}
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"


def _addresses(kind: str, *addresses: str) -> Object:
    return {"addressType": kind, "endpoints": [{"addresses": list(addresses)}]}


def _endpoint(**fields: Any) -> Object:
    return {**ONE, "endpoints": [{"addresses": ["10.0.0.1"], **fields}]}


def _ports(*ports: Object) -> Object:
    return {**ONE, "ports": list(ports)}


def _named(prefix: str, count: int) -> list[Object]:
    return [{"name": f"{prefix}{number}"} for number in range(count)]


@pytest.mark.parametrize(
    "endpoint_slice",
    [
        ONE,
        {"addressType": "IPv4", "endpoints": []},
        _addresses("IPv4", *[f"10.0.0.{last}" for last in range(100)]),
        _addresses("IPv4", "010.0.0.1", "::ffff:10.0.0.1"),
        _addresses("IPv6", "2001:db8::1"),
        _addresses("FQDN", "a.example.com", "a.b."),
        _endpoint(nodeName="n.1", hostname="web-0", zone="z", conditions={"ready": True}),
        _endpoint(hints={"forZones": _named("z", 8), "forNodes": _named("n", 8)}),
        _endpoint(hints={}),
        _ports({}),
        _ports({"port": 0}, {"name": "a", "port": 70000}),
        _ports({"name": "a", "protocol": "SCTP", "appProtocol": "kubernetes.io/h2c"}),
    ],
)
def test_good(endpoint_slice: Object) -> None:
    assert creation(SLICES, endpoint_slice) == []


@pytest.mark.parametrize(
    ("endpoint_slice", "complaints"),
    [
        ({}, ["addressType: Required value"]),
        (
            {"addressType": "IPX"},
            ['addressType: Unsupported value: "IPX": supported values: "FQDN", "IPv4", "IPv6"'],
        ),
        (_addresses("IPv4"), ["endpoints[0].addresses: Required value: must contain at least 1 address"]),
        (
            _addresses("IPv4", *["10.0.0.1"] * 101),
            ["endpoints[0].addresses: Too many: 101: must have at most 100 items"],
        ),
        (
            {**ONE, "endpoints": [{"addresses": [""]}] * 1001},
            ["endpoints: Too many: 1001: must have at most 1000 items"],
        ),
        ({**ONE, "ports": _named("p", 20_001)}, ["ports: Too many: 20001: must have at most 20000 items"]),
        (_endpoint(nodeName="N"), ['endpoints[0].nodeName: Invalid value: "N": a lowercase RFC 1123 subdomain…']),
        (_endpoint(nodeName=""), ['endpoints[0].nodeName: Invalid value: "": a lowercase RFC 1123 subdomain…']),
        (_endpoint(hostname="a.b"), ['endpoints[0].hostname: Invalid value: "a.b": must not contain dots']),
        (_endpoint(hostname=""), ['endpoints[0].hostname: Invalid value: "": a lowercase RFC 1123 label…']),
        (
            _endpoint(hints={"forZones": _named("z", 9), "forNodes": [{"name": "N"}]}),
            ["endpoints[0].hints.forZones: Too many: 9: must have at most 8 items"],
        ),
        (
            _endpoint(hints={"forNodes": _named("n", 9)}),
            ["endpoints[0].hints.forNodes: Too many: 9: must have at most 8 items"],
        ),
        (
            _endpoint(hints={"forZones": [{"name": "a"}, {"name": "a"}, {"name": "b c"}]}),
            [
                'endpoints[0].hints.forZones[1].name: Duplicate value: "a"',
                'endpoints[0].hints.forZones[2].name: Invalid value: "b c": a valid label must be…',
            ],
        ),
        (
            _endpoint(hints={"forNodes": [{"name": "N"}, {"name": "n"}, {"name": "n"}]}),
            [
                'endpoints[0].hints.forNodes[0].name: Invalid value: "N": a lowercase RFC 1123 subdomain…',
                'endpoints[0].hints.forNodes[2].name: Duplicate value: "n"',
            ],
        ),
        (_ports({}, {}), ['ports[1].name: Duplicate value: ""']),
        (_ports({"name": "A"}), ['ports[0].name: Invalid value: "A": a lowercase RFC 1123 label…']),
        (_ports({"name": "a.b"}), ['ports[0].name: Invalid value: "a.b": must not contain dots']),
        (
            _ports({"protocol": "X"}),
            ['ports[0].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"'],
        ),
        (
            _ports({"protocol": ""}),
            ['ports[0].protocol: Unsupported value: "": supported values: "SCTP", "TCP", "UDP"'],
        ),
        (
            _addresses("FQDN", f"{'x' * 64}.{'y' * 64}.com"),
            [f'endpoints[0].addresses[0]: Invalid value: "{"x" * 64}": must be no more than 63 characters'],
        ),
        (_ports({"appProtocol": "a b"}), ['ports[0].appProtocol: Invalid value: "a b": name part must consist of…']),
    ],
)
def test_bad(endpoint_slice: Object, complaints: list[str]) -> None:
    agree(creation(SLICES, endpoint_slice), complaints)


NO_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"


@pytest.mark.parametrize(
    ("kind", "address", "complaint"),
    [
        ("IPv4", "", f"[0]: Invalid value: {NO_IP}"),
        ("IPv4", "256.1.1.1", f"[0]: Invalid value: {NO_IP}"),
        ("IPv4", "2001:db8::1", ": Invalid value: must be an IPv4 address"),
        ("IPv4", "0.0.0.0", "[0]: Invalid value: may not be unspecified (0.0.0.0)"),
        ("IPv4", "127.0.0.1", "[0]: Invalid value: may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (
            "IPv4",
            "169.254.1.1",
            "[0]: Invalid value: may not be in the link-local range (169.254.0.0/16, fe80::/10)",
        ),
        (
            "IPv4",
            "224.0.0.1",
            "[0]: Invalid value: may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        ),
        ("IPv6", "x", f"[0]: Invalid value: {NO_IP}"),
        ("IPv6", "10.0.0.1", ": Invalid value: must be an IPv6 address"),
        ("IPv6", "2001:DB8::1", '[0]: Invalid value: must be in canonical form ("2001:db8::1")'),
        ("IPv6", "::ffff:10.0.0.1", "[0]: Invalid value: must not be an IPv4-mapped IPv6 address"),
        ("IPv6", "fe80::1", "[0]: Invalid value: may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (
            "IPv6",
            "ff02::1",
            "[0]: Invalid value: may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        ),
        (
            "IPv6",
            "ff12::1",
            "[0]: Invalid value: may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        ),
        ("FQDN", "a", "[0]: Invalid value: should be a domain with at least two segments separated by dots"),
        ("FQDN", "A.b", "[0]: Invalid value: a lowercase RFC 1123 subdomain must consist of…"),
        ("FQDN", f"{'x' * 64}.com", "[0]: Invalid value: must be no more than 63 characters"),
    ],
)
def test_bad_addresses(kind: str, address: str, complaint: str) -> None:
    named = address.removesuffix(".com") if kind == "FQDN" else address
    expected = complaint.replace("Invalid value: ", f'Invalid value: "{named}": ')
    agree(creation(SLICES, _addresses(kind, address)), [f"endpoints[0].addresses{expected}"])


def test_a_name_must_be_given() -> None:
    agree(creation(SLICES, _addresses("FQDN", "")), ["endpoints[0].addresses[0]: Required value"])


def test_defaults_come_once() -> None:
    made = created(SLICES, _ports({}, {"name": "a", "protocol": "UDP"}))
    assert made["ports"] == [{"name": "", "protocol": "TCP"}, {"name": "a", "protocol": "UDP"}]
    again: Object = copied(made)
    SLICES.default(again)
    assert again == made


def test_the_topology_of_v1beta1_cannot_be_written() -> None:
    made = created(SLICES, _endpoint(deprecatedTopology={"kubernetes.io/hostname": "n1"}))
    assert made["endpoints"] == [{"addresses": ["10.0.0.1"]}]


class TestUpdate:
    def test_the_address_type_stays(self) -> None:
        old = created(SLICES, ONE)
        assert update(SLICES, old, old) == []
        assert update(SLICES, {**old, "addressType": "FQDN"}, old) == [
            'addressType: Invalid value: "FQDN": field is immutable'
        ]

    def test_endpoints_that_were_wrong_may_stay(self) -> None:
        old = created(SLICES, _addresses("IPv4", "1.2"))
        assert update(SLICES, old, old) == []
        agree(
            update(SLICES, {**old, "ports": [{"name": "B"}]}, old), ['ports[0].name: Invalid value: "B": a lowercase…']
        )
        worse = changed(old, "endpoints", 0, "addresses", ["1.3"])
        assert update(SLICES, worse, old) == [f'endpoints[0].addresses[0]: Invalid value: "1.3": {NO_IP}']

    @pytest.mark.parametrize(
        ("path", "value", "generation"),
        [
            (("metadata", "annotations"), {"a": "b"}, 1),
            (("metadata", "labels"), {"a": "b"}, 2),
            (("ports",), [], 2),
            (("endpoints", 0, "nodeName"), "n1", 2),
            (("endpoints", 0, "conditions"), {}, 1),
        ],
    )
    def test_generation(self, path: tuple[str | int, ...], value: object, generation: int) -> None:
        old = created(SLICES, ONE)
        assert old["metadata"]["generation"] == 1
        assert updated(SLICES, changed(old, *path, value), old)["metadata"]["generation"] == generation

    def test_no_ports_are_no_ports(self) -> None:
        old = created(SLICES, {**ONE, "ports": []})
        new = {name: value for name, value in old.items() if name != "ports"}
        assert updated(SLICES, new, old)["metadata"]["generation"] == 1

    def test_a_removed_address_type_is_told_as_empty(self) -> None:
        old = created(SLICES, ONE)
        assert update(SLICES, {name: value for name, value in old.items() if name != "addressType"}, old) == [
            "addressType: Required value",
            'addressType: Invalid value: "": field is immutable',
        ]


class TestWarnings:
    def test_names_are_deprecated(self) -> None:
        made = created(SLICES, _addresses("FQDN", "a.example.com"))
        assert SLICES.warnings(made, None) == ["spec.addressType: FQDN endpoints are deprecated"]
        assert SLICES.warnings(made, made) == []

    def test_odd_addresses(self) -> None:
        made = created(SLICES, _addresses("IPv4", "10.0.0.1", "010.0.0.1"))
        assert SLICES.warnings(made, made) == [
            'endpoints[0].addresses[1]: non-standard IP address "010.0.0.1" will be considered invalid in a future'
            ' Kubernetes release: use "10.0.0.1"'
        ]

    @pytest.mark.parametrize("manager", ["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"])
    def test_controllers_are_trusted(self, manager: str) -> None:
        made = created(SLICES, {**_addresses("IPv4", "010.0.0.1"), "metadata": {"labels": {MANAGED_BY: manager}}})
        assert SLICES.warnings(made, None) == []


class TestTable:
    def test_a_row(self) -> None:
        assert cells(SLICES, created(SLICES, ONE)) == {
            "Name": "one",
            "AddressType": "IPv4",
            "Ports": "80",
            "Endpoints": "10.0.0.1",
            "Age": "0s",
        }

    @pytest.mark.parametrize(
        ("ports", "text"),
        [
            ([], "<unset>"),
            ([{}], "<unset>"),
            ([{}, {"name": ""}], ","),
            ([{"name": "noport"}], "noport"),
            ([{"name": f"p{port}", "port": port} for port in range(1, 4)], "1,2,3"),
            ([{"name": f"p{port}", "port": port} for port in range(1, 6)], "1,2,3 + 2 more..."),
        ],
    )
    def test_ports(self, ports: list[Object], text: str) -> None:
        assert cells(SLICES, created(SLICES, _ports(*ports)))["Ports"] == text

    def test_addresses_of_all_endpoints_count(self) -> None:
        pairs: list[Object] = [{"addresses": ["10.0.0.1", "10.0.0.2"]}, {"addresses": ["10.0.0.3", "10.0.0.4"]}]
        row = cells(SLICES, created(SLICES, {**ONE, "endpoints": pairs}))
        assert row["Endpoints"] == "10.0.0.1,10.0.0.2,10.0.0.3 + 1 more..."
        assert cells(SLICES, created(SLICES, {**ONE, "endpoints": []}))["Endpoints"] == "<unset>"
