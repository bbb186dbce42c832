"""The planned filter against AWS's rules of security groups, told independently, through nftables in small."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.model.ids import SecurityGroupId
from ropewalk.model.network import FabricInterface, Rule, SecurityGroupSpec
from ropewalk.network.filter import FilterPlanner, Served
from ropewalk.network.names import ROUTER_UPLINK, Names
from ropewalk.network.ruleset import Ruleset, replacement, transaction
from unit.network.fabrics import group, interface
from unit.network.kernel import Kernel, Packet

NAMES = Names("rt")
HOST = "169.254.192.0"
Groups = dict[SecurityGroupId, SecurityGroupSpec]


def planned(interfaces: Sequence[FabricInterface], groups: Groups, served: Sequence[Served] = ()) -> Kernel:
    kernel = Kernel()
    kernel.run(replacement(FilterPlanner(NAMES).plan(interfaces, groups, served, HOST)))
    return kernel


# -- what AWS says (docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html), told a second time


def admits(rule: Rule, peer: str, peer_groups: Sequence[str], protocol: int, selector: int) -> bool:
    if rule.group:
        if rule.group not in peer_groups:
            return False
    elif IPv4Address(peer) not in IPv4Network(rule.cidr):
        return False
    if rule.protocol == "-1":
        return True
    if {"tcp": "6", "udp": "17", "icmp": "1"}.get(rule.protocol, rule.protocol) != str(protocol):
        return False
    if protocol in (6, 17):
        return rule.from_port == -1 or rule.from_port <= selector <= rule.to_port
    if protocol == 1 and rule.from_port != -1:
        return rule.from_port == selector >> 8 and rule.to_port in (-1, selector & 255)
    return True


def aws_admits(sender: FabricInterface | None, receiver: FabricInterface, groups: Groups, packet: Packet) -> bool:
    theirs = sender.groups if sender else ()
    out = sender is None or any(
        admits(rule, packet.destination, receiver.groups, packet.protocol, packet.selector)
        for name in sender.groups
        if name in groups
        for rule in groups[name].egress
    )
    return out and any(
        admits(rule, packet.source, theirs, packet.protocol, packet.selector)
        for name in receiver.groups
        if name in groups
        for rule in groups[name].ingress
    )


# -- generated fabrics

GROUP_NAMES = ["sg-a", "sg-b", "sg-c"]
PORTS = [0, 1, 22, 80, 81, 443, 65535]
CIDRS = ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/30", "10.0.0.1/32", "10.0.0.2/32", "10.0.0.2/31", "169.254.0.0/16"]


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    peer = draw(st.sampled_from([*((c, "") for c in CIDRS), *(("", g) for g in [*GROUP_NAMES, "sg-gone"])]))
    protocol = draw(st.sampled_from(["tcp", "udp", "icmp", "-1", "6", "50", "1"]))
    first = last = -1
    if protocol in ("tcp", "udp", "6") and draw(st.booleans()):
        first, last = sorted((draw(st.sampled_from(PORTS)), draw(st.sampled_from(PORTS))))
    elif protocol in ("icmp", "1") and draw(st.booleans()):
        first, last = draw(st.sampled_from([0, 3, 8])), draw(st.sampled_from([-1, 0, 4]))
    return Rule(protocol=protocol, from_port=first, to_port=last, cidr=peer[0], group=peer[1])


specs = st.builds(
    lambda members: {SecurityGroupId(n): group(n, i, o) for n, (i, o) in members.items()},
    st.dictionaries(
        st.sampled_from(GROUP_NAMES), st.tuples(st.lists(rules(), max_size=6), st.lists(rules(), max_size=6))
    ),
)
memberships = st.lists(st.lists(st.sampled_from(GROUP_NAMES), max_size=3), min_size=2, max_size=4)


def packets(sender: FabricInterface | None, receiver: FabricInterface) -> list[Packet]:
    came_by = NAMES.interface(sender.id) if sender else ROUTER_UPLINK
    source = sender.addresses[0] if sender else HOST
    kinds = [*((p, port) for p in (6, 17) for port in (*PORTS, 79, 444)), (50, 0), (47, 0)]
    kinds += [(1, kind * 256 + code) for kind in (0, 3, 8, 9) for code in (0, 4, 5)]
    return [
        Packet(source, receiver.addresses[0], p, selector, came_by, NAMES.interface(receiver.id))
        for p, selector in kinds
    ]


@settings(max_examples=80, deadline=None)
@given(specs, memberships)
def test_a_first_packet_passes_exactly_where_aws_lets_it(groups: Groups, memberships: list[list[str]]) -> None:
    interfaces = [interface(n + 1, *names) for n, names in enumerate(memberships)]
    kernel = planned(interfaces, groups)
    for receiver in interfaces:
        for sender in [None, *(i for i in interfaces if i is not receiver)]:
            for packet in packets(sender, receiver):
                assert kernel.passes(packet, "forward") == aws_admits(sender, receiver, groups, packet), packet


@settings(max_examples=80, deadline=None)
@given(specs, specs, st.lists(st.tuples(st.booleans(), memberships), min_size=2, max_size=5))
def test_any_change_is_one_transaction_that_gives_what_a_fresh_start_gives(
    one: Groups, other: Groups, history: list[tuple[bool, list[list[str]]]]
) -> None:
    """Memberships change under the same rules, and rules under the same memberships."""
    planner, kernel, present = FilterPlanner(NAMES), Kernel(), Ruleset()
    for first, members in history:
        interfaces, groups = [interface(n + 1, *names) for n, names in enumerate(members)], one if first else other
        wanted = planner.plan(interfaces, groups, (), HOST)
        kernel.run(transaction(present, wanted))
        present = wanted
        fresh = Kernel()
        fresh.run(replacement(wanted))
        assert (kernel.sets, kernel.chains) == (fresh.sets, fresh.chains)
        assert transaction(wanted, planner.plan(interfaces, groups, (), HOST)) == ""
        for receiver in interfaces:
            for packet in packets(interfaces[0], receiver):
                assert kernel.passes(packet, "forward") == aws_admits(interfaces[0], receiver, groups, packet)


def test_an_attach_to_a_known_combination_touches_no_group() -> None:
    groups = {
        SecurityGroupId("sg-a"): group(
            "sg-a", [Rule(protocol="tcp", from_port=n, to_port=n, group="sg-a") for n in range(60)]
        )
    }
    planner = FilterPlanner(NAMES)
    before = planner.plan([interface(1, "sg-a")], groups, (), HOST)
    text = transaction(before, planner.plan([interface(1, "sg-a"), interface(2, "sg-a")], groups, (), HOST))
    assert len(text.splitlines()) == 4, text
    assert "sg-a" not in text


def spoof(**differs: str) -> Packet:
    own = {"source": "10.0.0.1", "came_by": NAMES.interface(interface(1).id), "mac": "02:00:00:00:00:01"}
    return Packet(destination="10.0.0.2", protocol=6, **{**own, **differs})


def test_only_an_interfaces_own_addresses_come_in() -> None:
    kernel = planned([interface(1, "sg-a"), interface(2, checked=False)], {})
    assert kernel.passes(spoof(), "prerouting")
    assert not kernel.passes(spoof(source="10.0.0.9"), "prerouting")
    assert not kernel.passes(spoof(mac="02:00:00:00:00:09"), "prerouting")
    assert not kernel.passes(spoof(came_by="rt000000000009"), "prerouting")
    unchecked = {"came_by": NAMES.interface(interface(2).id), "mac": "02:00:00:00:00:02"}
    assert kernel.passes(spoof(source="10.0.0.9", **unchecked), "prerouting")
    assert not kernel.passes(spoof(source="10.0.0.9", came_by=unchecked["came_by"]), "prerouting")


def test_the_host_comes_in_under_its_one_address_only() -> None:
    kernel = planned([], {})
    assert kernel.passes(spoof(source=HOST, came_by=ROUTER_UPLINK), "prerouting")
    assert not kernel.passes(spoof(source="192.168.1.5", came_by=ROUTER_UPLINK), "prerouting")


def test_only_served_ports_are_open_in_the_router() -> None:
    kernel = planned([interface(1, "sg-a")], {}, [Served("169.254.170.2", "tcp", 80)])
    assert kernel.passes(Packet("10.0.0.1", "169.254.170.2", 6, 80), "input")
    for packet in (
        Packet("10.0.0.1", "169.254.170.2", 17, 80),
        Packet("10.0.0.1", "169.254.170.2", 6, 81),
        Packet("10.0.0.1", "10.0.0.1", 6, 80),
    ):
        assert not kernel.passes(packet, "input")


def test_nothing_leaves_towards_the_host_but_answers() -> None:
    everything = Rule(protocol="-1", cidr="0.0.0.0/0")
    groups = {SecurityGroupId("sg-a"): group("sg-a", [everything], [everything])}
    kernel = planned([interface(1, "sg-a")], groups)
    packet = Packet("10.0.0.1", HOST, 6, 22, NAMES.interface(interface(1).id), ROUTER_UPLINK)
    assert not kernel.passes(packet, "forward")


def test_a_groups_id_never_becomes_syntax() -> None:
    odd = 'sg-a; delete table ip x {"'
    groups = {SecurityGroupId(odd): group(odd, [Rule(protocol="-1", cidr="0.0.0.0/0")])}
    text = replacement(FilterPlanner(NAMES).plan([interface(1, odd)], groups, (), HOST))
    assert ";" not in "".join(line for line in text.splitlines() if "odd" in line and "flags" not in line)
    assert "delete table ip x" not in text
