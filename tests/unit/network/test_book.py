"""The fabric as last heard: what changes, and what silence does not take away."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ropewalk.model.ids import InterfaceId
from ropewalk.model.network import Fabric, FabricChange
from ropewalk.network.book import FabricBook
from unit.network.fabrics import VPC, group, interface, vpc

ONE, TWO = interface(1, "sg-a"), interface(2, "sg-b")
WHOLE = Fabric(
    (vpc(), vpc("vpc-other")), (group("sg-a"), group("sg-b")), (ONE, TWO), ((VPC, "A.ec2.internal.", "10.0.0.1"),), 7
)


def test_a_whole_fabric_replaces_what_is_not_attached() -> None:
    book = FabricBook()
    book.replace(WHOLE, ())
    assert book.replace(Fabric(), ()) == {VPC, "vpc-other"}
    assert not book.vpcs and not book.groups and not book.interfaces and not book.names


def test_what_is_attached_outlives_a_fabric_that_has_forgotten_it() -> None:
    book = FabricBook()
    book.replace(WHOLE, ())
    book.replace(Fabric(), [ONE.id])
    assert book.interfaces == {ONE.id: ONE}
    assert set(book.vpcs) == {VPC}
    assert set(book.groups) == {"sg-a"}


def test_a_named_removal_counts_for_what_is_attached_too() -> None:
    book = FabricBook()
    book.replace(WHOLE, [ONE.id])
    concerned = book.change(
        FabricChange(8, removed_interfaces=(ONE.id,), removed_groups=("sg-b",), removed_vpcs=("x",))
    )
    assert ONE.id not in book.interfaces
    assert "sg-b" not in book.groups
    assert concerned == {VPC, "x"}


def test_unchanged_records_stay_the_same_objects() -> None:
    """Planners recognise by it what they need not plan again."""
    book = FabricBook()
    book.replace(WHOLE, ())
    before = book.groups["sg-a"]
    book.replace(Fabric((vpc(),), (group("sg-a"), group("sg-b", ())), (interface(1, "sg-a"),)), ())
    assert book.groups["sg-a"] is before
    assert book.interfaces[ONE.id] is ONE


def test_names_are_kept_in_one_spelling_and_may_have_several_addresses() -> None:
    book = FabricBook()
    book.replace(WHOLE, ())
    assert book.names[VPC] == {"a.ec2.internal": ("10.0.0.1",)}
    book.change(FabricChange(8, names=((VPC, "a.EC2.internal", "10.0.0.2"), (VPC, "a.ec2.internal", "10.0.0.2"))))
    assert book.names[VPC] == {"a.ec2.internal": ("10.0.0.1", "10.0.0.2")}
    book.change(FabricChange(9, removed_names=((VPC, "a.ec2.internal.", "10.0.0.1"), (VPC, "never", "10.0.0.1"))))
    assert book.names[VPC] == {"a.ec2.internal": ("10.0.0.2",)}
    book.change(FabricChange(10, removed_names=((VPC, "a.ec2.internal", "10.0.0.2"),)))
    assert book.names[VPC] == {}


numbers = st.sets(st.integers(1, 9))


@given(numbers, numbers)
def test_a_change_gives_what_the_whole_would_have_given(before: set[int], after: set[int]) -> None:
    changed, whole = FabricBook(), FabricBook()
    changed.replace(Fabric((vpc(),), (), tuple(interface(n) for n in before)), ())
    changed.change(
        FabricChange(
            2,
            interfaces=tuple(interface(n) for n in after - before),
            removed_interfaces=tuple(interface(n).id for n in before - after),
        )
    )
    whole.replace(Fabric((vpc(),), (), tuple(interface(n) for n in after)), ())
    assert changed.interfaces == whole.interfaces
    assert InterfaceId("eni-x") not in changed.interfaces
