"""Small fabrics for unit tests."""

from __future__ import annotations

from collections.abc import Iterable

from ropewalk.model.ids import InterfaceId, SecurityGroupId, SubnetId, VpcId
from ropewalk.model.network import FabricInterface, Rule, SecurityGroupSpec, SubnetSpec, VpcSpec

VPC = VpcId("vpc-0123456789abcdef0")
SUBNET = SubnetSpec(SubnetId("subnet-1"), "10.0.0.0/20", "us-east-1a", "10.0.0.1")


def vpc(identifier: str = VPC, *cidrs: str, created_at: float = 0.0) -> VpcSpec:
    return VpcSpec(VpcId(identifier), cidrs or ("10.0.0.0/16",), (SUBNET,), created_at)


def group(name: str, ingress: Iterable[Rule] = (), egress: Iterable[Rule] = ()) -> SecurityGroupSpec:
    return SecurityGroupSpec(SecurityGroupId(name), VPC, tuple(ingress), tuple(egress))


def interface(number: int, *groups: str, checked: bool = True) -> FabricInterface:
    return FabricInterface(
        InterfaceId(f"eni-{number:017x}"),
        VPC,
        SUBNET.id,
        (f"10.0.0.{number}",),
        f"02:00:00:00:00:{number:02x}",
        tuple(SecurityGroupId(name) for name in groups),
        source_dest_check=checked,
    )
