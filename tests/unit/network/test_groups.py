"""Rules as disjoint elements: the same packets, no overlap, and not more elements than rules deserve."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.base.errors import Fault
from ropewalk.model.network import Rule
from ropewalk.network.groups import Elements, Peer, elements, protocol_number

CLASSES = {"sg-a": [1, 2], "sg-b": [2, 3]}
ADDRESSES = [f"10.0.0.{n}" for n in range(4)] + ["192.168.0.1"]
CIDRS = ["0.0.0.0/0", "10.0.0.0/30", "10.0.0.0/31", "10.0.0.2/31", "10.0.0.1/32", "10.0.0.2/32"]

bounds = st.tuples(st.integers(0, 7), st.integers(0, 7)).map(sorted)
peers = st.sampled_from([{"cidr": c} for c in CIDRS] + [{"group": g} for g in [*CLASSES, "sg-gone"]])
port_rules = st.builds(
    lambda peer, protocol, span: Rule(protocol=protocol, from_port=span[0], to_port=span[1], **peer),
    peers,
    st.sampled_from(["tcp", "udp"]),
    bounds,
)
codes = st.sampled_from([-1, 0, 1, 254, 255])
icmp_rules = st.builds(
    lambda peer, kind, code: Rule(protocol="icmp", from_port=kind, to_port=code, **peer),
    peers,
    st.sampled_from([0, 1, 2]),
    codes,
)
whole_rules = st.builds(lambda peer, p: Rule(protocol=p, **peer), peers, st.sampled_from(["-1", "tcp", "50", "49"]))
rule_lists = st.lists(st.one_of(port_rules, icmp_rules, whole_rules), max_size=8)


def matching(peer: Peer, address: str, classes: set[int]) -> bool:
    return peer in classes if isinstance(peer, int) else IPv4Address(address) in peer


def times_admitted(found: Elements, address: str, own: int, protocol: int, selector: int) -> dict[str, int]:
    """How many elements of each set match a packet: the kernel allows at most one a kind of peer."""
    kinds = {
        "protocols": [p for p, (a, b) in found.protocols if a <= protocol <= b],
        "ports": [p for p, n, (a, b) in found.ports if n == protocol and a <= selector <= b],
        "icmp": [
            p
            for p, (a, b), (c, d) in found.icmp
            if protocol == 1 and a <= selector >> 8 <= b and c <= selector & 255 <= d
        ],
    }
    counts = {}
    for name, matched in kinds.items():
        counts[f"{name} cidr"] = sum(not isinstance(p, int) and matching(p, address, set()) for p in matched)
        counts[f"{name} class"] = sum(isinstance(p, int) and matching(p, address, {own}) for p in matched)
    return counts


def rule_admits(rule: Rule, address: str, own: int, protocol: int, selector: int) -> bool:
    peer = own in CLASSES.get(rule.group, ()) if rule.group else IPv4Address(address) in IPv4Network(rule.cidr)
    number = protocol_number(rule.protocol)
    if not peer or number not in (None, protocol):
        return False
    if number is None or rule.from_port == -1:
        return True
    if protocol == 1:
        return rule.from_port == selector >> 8 and rule.to_port in (-1, selector & 255)
    return rule.from_port <= selector <= rule.to_port


PROBES = [
    *((p, port) for p in (6, 17) for port in range(9)),
    *((1, kind * 256 + code) for kind in (0, 1, 2, 3) for code in (0, 1, 2, 253, 254, 255)),
    (49, 0),
    (50, 0),
    (51, 0),
]


def check(given_rules: list[Rule]) -> None:
    """The rules' elements admit what the rules admit, and none overlap."""
    found = elements(given_rules, CLASSES)
    for address in ADDRESSES:
        for own in (0, 1, 2, 3):
            for protocol, selector in PROBES:
                counts = times_admitted(found, address, own, protocol, selector)
                expected = any(rule_admits(rule, address, own, protocol, selector) for rule in given_rules)
                assert any(counts.values()) == expected, (address, own, protocol, selector)
                assert max(counts.values()) <= 1, counts


@settings(max_examples=60, deadline=None)
@given(rule_lists)
def test_any_rules_become_disjoint_elements_that_admit_the_same(given_rules: list[Rule]) -> None:
    check(given_rules)


ranged = st.builds(lambda cidr, span: Rule("tcp", span[0], span[1], cidr), st.sampled_from(CIDRS), bounds)


@settings(max_examples=120, deadline=None)
@given(st.lists(ranged, min_size=2, max_size=5))
def test_port_ranges_of_nested_networks(given_rules: list[Rule]) -> None:
    check(given_rules)


@settings(max_examples=120, deadline=None)
@given(st.lists(icmp_rules, min_size=2, max_size=6))
def test_icmp_types_and_codes(given_rules: list[Rule]) -> None:
    check(given_rules)


def test_a_thousand_hostile_rules_stay_near_a_thousand_elements() -> None:
    """Every range nested in others and every span shifted: the worst for cutting."""
    many = [
        Rule("tcp", n * 7 % 3000, n * 7 % 3000 + 500, str(IPv4Network(f"10.{n % 256}.0.0/{8 + n % 9}", strict=False)))
        for n in range(1000)
    ]
    assert len(elements(many, {}).ports) <= 2 * len(many)


def test_ipv6_ranges_admit_nothing_of_ipv4() -> None:
    assert elements([Rule(protocol="-1", cidr="::/0")], {}) == Elements()


@pytest.mark.parametrize(("name", "number"), [("tcp", 6), ("udp", 17), ("icmp", 1), ("-1", None), ("50", 50), ("0", 0)])
def test_protocols(name: str, number: int | None) -> None:
    assert protocol_number(name) == number


@pytest.mark.parametrize("name", ["", "TCP", "sctp", "256", "-2", "٣"])
def test_a_protocol_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(Fault) as refused:
        protocol_number(name)
    assert refused.value.code == "InvalidParameterValue"
