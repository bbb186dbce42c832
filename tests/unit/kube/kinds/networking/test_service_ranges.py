"""Service CIDRs, and the IP addresses that are taken from them."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.networking import STRATEGIES
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.agreement import agree
from unit.kube.kinds.verdicts import cells, changed, created, creation, status_update, update, updated

ADDRESSES = STRATEGIES["ipaddresses"]
RANGES = STRATEGIES["servicecidrs"]
V4, V6 = "10.0.0.0/24", "2001:db8::/64"
NO_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
ONE_A_FAMILY = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
READY: Object = {
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Made",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    ]
}


def _address(**parent: Any) -> Object:
    found = {"resource": "services", "namespace": "default", "name": "web", **parent}
    return {"metadata": {"name": "10.0.0.1"}, "spec": {"parentRef": found}}


def _ranges(*cidrs: str) -> Object:
    return {"spec": {"cidrs": list(cidrs)}}


class TestAddresses:
    @pytest.mark.parametrize("parent", [{}, {"namespace": ""}, {"group": "example.com", "resource": "Things"}])
    def test_good(self, parent: Object) -> None:
        assert creation(ADDRESSES, _address(**parent)) == []

    @pytest.mark.parametrize(
        ("address", "complaints"),
        [
            ({"metadata": {"name": "10.0.0.1"}}, ["spec.parentRef: Required value"]),
            (
                {"metadata": {"name": "10.0.0.1"}, "spec": {"parentRef": {}}},
                ["spec.parentRef.resource: Required value", "spec.parentRef.name: Required value"],
            ),
            (
                _address(group="Example.com", resource="a/b", name="a%b", namespace="/"),
                [
                    'spec.parentRef.group: Invalid value: "Example.com": a lowercase RFC 1123 subdomain…',
                    "spec.parentRef.resource: Invalid value: \"a/b\": may not contain '/'",
                    "spec.parentRef.name: Invalid value: \"a%b\": may not contain '%'",
                    "spec.parentRef.namespace: Invalid value: \"/\": may not contain '/'",
                ],
            ),
        ],
    )
    def test_bad(self, address: Object, complaints: list[str]) -> None:
        agree(creation(ADDRESSES, address), complaints)

    @pytest.mark.parametrize(
        ("name", "problem"),
        [
            ("2001:db8::1", ""),
            ("web", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
            ("010.0.0.1", "must not have leading 0s"),
            ("::ffff:10.0.0.1", "must not be an IPv4-mapped IPv6 address"),
            ("2001:DB8::1", 'must be in canonical form ("2001:db8::1")'),
        ],
    )
    def test_the_name_is_the_address(self, name: str, problem: str) -> None:
        assert ADDRESSES.name_problems(name, prefix=False) == ([problem] if problem else [])

    def test_the_parent_stays(self) -> None:
        old = created(ADDRESSES, _address())
        assert update(ADDRESSES, changed(old, "metadata", "labels", {"a": "b"}), old) == []
        agree(
            update(ADDRESSES, changed(old, "spec", "parentRef", "name", "other"), old),
            ["spec.parentRef: Invalid value: {…"],
        )
        assert update(ADDRESSES, changed(old, "spec", "parentRef", None), old) == [
            "spec.parentRef: Required value",
            "spec.parentRef: Invalid value: null: field is immutable",
        ]

    @pytest.mark.parametrize(
        ("parent", "text"),
        [
            ({}, "services/default/web"),
            ({"namespace": ""}, "services/web"),
            ({"namespace": "", "name": ""}, "services/"),
            ({"group": "example.com", "resource": "Things"}, "things.example.com/default/web"),
        ],
    )
    def test_table(self, parent: Object, text: str) -> None:
        row = cells(ADDRESSES, created(ADDRESSES, _address(**parent)))
        assert (row["Name"], row["ParentRef"]) == ("10.0.0.1", text)


class TestRanges:
    @pytest.mark.parametrize("cidrs", [[V4], [V6], [V4, V6], [V6, V4]])
    def test_good(self, cidrs: list[str]) -> None:
        assert creation(RANGES, _ranges(*cidrs)) == []

    @pytest.mark.parametrize(
        ("ranges", "complaints"),
        [
            ({}, ["spec.cidrs: Required value: at least one CIDR required"]),
            (_ranges("a", "b", "c"), ["spec.cidrs: Invalid value: {…"]),
            (
                _ranges(V4, "10.0.1.0/24"),
                [f'spec.cidrs: Invalid value: ["{V4}","10.0.1.0/24"]: {ONE_A_FAMILY}'],
            ),
            (_ranges(V4, "x"), [f'spec.cidrs[1]: Invalid value: "x": {NO_CIDR}']),
            *[
                (_ranges(cidr), [f'spec.cidrs[0]: Invalid value: "{cidr}": {problem}'])
                for cidr, problem in (
                    ("10.0.0.0", NO_CIDR),
                    ("10.0.0.1/24", "must not have bits set beyond the prefix length"),
                    ("010.0.0.0/24", "must not have leading 0s in IP or prefix length"),
                    ("10.0.0.0/024", "must not have leading 0s in IP or prefix length"),
                    ("::ffff:10.0.0.0/104", "must not have an IPv4-mapped IPv6 address"),
                    ("2001:DB8::/64", f'must be in canonical form ("{V6}")'),
                )
            ],
        ],
    )
    def test_bad(self, ranges: Object, complaints: list[str]) -> None:
        agree(creation(RANGES, ranges), complaints)

    @pytest.mark.parametrize(
        ("before", "after", "complaints"),
        [
            ([V4], [V4], []),
            ([V4], [V4, V6], []),
            ([V4], ["10.0.1.0/24"], ['spec.cidrs[0]: Invalid value: "10.0.1.0/24": field is immutable']),
            ([V4], ["10.0.1.0/24", V6], ['spec.cidrs[0]: Invalid value: "10.0.1.0/24": field is immutable']),
            ([V4], [V4, "x"], [f'spec.cidrs[1]: Invalid value: "x": {NO_CIDR}']),
            ([V4], [V4, "10.0.1.0/24"], [f'spec.cidrs: Invalid value: ["{V4}","10.0.1.0/24"]: {ONE_A_FAMILY}']),
            ([V4], [], ["spec.cidrs: Invalid value: null: field is immutable"]),
            ([V4, V6], [V4], [f'spec.cidrs: Invalid value: ["{V4}"]: field is immutable']),
            (
                [V4, V6],
                [V6, V4],
                [
                    f'spec.cidrs[0]: Invalid value: "{V6}": field is immutable',
                    f'spec.cidrs[1]: Invalid value: "{V4}": field is immutable',
                ],
            ),
        ],
    )
    def test_a_second_family_may_come(self, before: list[str], after: list[str], complaints: list[str]) -> None:
        old = created(RANGES, _ranges(*before))
        assert update(RANGES, {**old, **_ranges(*after)}, old) == complaints

    def test_the_status_comes_by_either_door(self) -> None:
        made = created(RANGES, {**_ranges(V4), "status": READY})
        assert made["status"] == READY
        old = created(RANGES, _ranges(V4))
        assert updated(RANGES, {**old, "status": READY}, old)["status"] == READY
        assert status_update(RANGES, READY, old) == []

    def test_its_own_door_lets_no_specification_pass(self) -> None:
        old = created(RANGES, _ranges(V4))
        new = {**old, **_ranges("10.0.1.0/24"), "metadata": dict(old["metadata"]), "status": READY}
        RANGES.prepare_status_update(new, old)
        assert (new["spec"], new["status"]) == (old["spec"], READY)

    def test_table(self) -> None:
        assert cells(RANGES, created(RANGES, _ranges(V4, V6))) == {"Name": "one", "CIDRs": f"{V4},{V6}", "Age": "0s"}
