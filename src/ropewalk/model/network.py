"""What the ec2 slice wants of a host's network: the host agent realises it, interface by interface.

The fabric is desired state. `Fabric` holds everything one host must know: its VPCs, their subnets, and every interface
and security group of them. Addresses are strings as in the API; the network's plan parses them once.
"""

from __future__ import annotations

from ropewalk.model.ids import InterfaceId, MachineId, SecurityGroupId, SubnetId, VpcId
from ropewalk.model.workload import Record


class SubnetSpec(Record, frozen=True):
    id: SubnetId
    cidr: str
    zone: str
    gateway: str
    """The subnet's first usable address: the router answers for it."""


class VpcSpec(Record, frozen=True):
    id: VpcId
    cidrs: tuple[str, ...]
    subnets: tuple[SubnetSpec, ...] = ()
    created_at: float = 0.0
    """Where two VPCs share a range, the host's route goes to the older."""


class Rule(Record, frozen=True):
    """One permission of a security group, already split: exactly one of `cidr` and `group` is set."""

    protocol: str
    """"tcp", "udp", "icmp", "-1" (all), or an IANA number."""
    from_port: int = -1
    to_port: int = -1
    """For icmp, type and code; -1 is any."""
    cidr: str = ""
    group: str = ""


class SecurityGroupSpec(Record, frozen=True):
    id: SecurityGroupId
    vpc: VpcId
    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()


class FabricInterface(Record, frozen=True):
    """An interface that exists. It is realised once a workload or machine attaches it on this host."""

    id: InterfaceId
    vpc: VpcId
    subnet: SubnetId
    addresses: tuple[str, ...]
    """The primary first."""
    mac: str
    groups: tuple[SecurityGroupId, ...] = ()
    machine: MachineId = MachineId("")
    """The host that must carry it, where known."""
    source_dest_check: bool = True


class Fabric(Record, frozen=True):
    """Complete: what it does not name does not exist."""

    vpcs: tuple[VpcSpec, ...] = ()
    groups: tuple[SecurityGroupSpec, ...] = ()
    interfaces: tuple[FabricInterface, ...] = ()
    names: tuple[tuple[str, str, str], ...] = ()
    """(vpc, DNS name, address): what the VPC's resolver answers by itself."""
    serial: int = 0
    """Revision of the store it was read at."""


class FabricChange(Record, frozen=True):
    """What differs from the fabric last sent: whole records of what is new or changed, ids of what is gone."""

    serial: int
    vpcs: tuple[VpcSpec, ...] = ()
    groups: tuple[SecurityGroupSpec, ...] = ()
    interfaces: tuple[FabricInterface, ...] = ()
    names: tuple[tuple[str, str, str], ...] = ()
    removed_vpcs: tuple[str, ...] = ()
    removed_groups: tuple[str, ...] = ()
    removed_interfaces: tuple[str, ...] = ()
    removed_names: tuple[tuple[str, str, str], ...] = ()


class InterfaceClaim(Record, frozen=True):
    """Another slice's wish for an interface. The ec2 slice answers by filling in `interface` or `failure`; deleting the
    claim gives the interface back (it is deleted once nothing carries it).
    """

    subnet: SubnetId
    groups: tuple[SecurityGroupId, ...]
    description: str
    requester: str
    """Shown as `requesterId`; requester-managed interfaces cannot be deleted by users."""
    owner_arn: str
    machine: MachineId = MachineId("")
    interface: str = ""
    """eni-…, once made."""
    address: str = ""
    mac: str = ""
    private_dns: str = ""
    failure: str = ""
    """AWS code and message, where it cannot be made."""


INTERFACE_CLAIMS = "/waist/interface-claims/"
"""Store prefix; keys are chosen by the claimant: `<requester>/<uid>`."""
