"""What the ec2 slice keeps in the store: one frozen record per resource.

They stand together, apart from the operations, because the fabric, the claims and the readers all look at several of
them. Identity is in the record as well as in the key, so that a record says what it is wherever it turns up. Facts that
two records would share are kept once: a subnet names its route table, the VPC names its main one, so that moving an
association is one write.
"""

from __future__ import annotations

import msgspec

from ropewalk.model.ids import InterfaceId, MachineId, SecurityGroupId, SubnetId, VpcId

Tags = dict[str, str]


class Stored(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of the records: immutable; an older record may lack a field that has a default."""

    id: str
    tags: Tags = msgspec.field(default_factory=dict)


class Vpc(Stored, frozen=True, kw_only=True):
    id: VpcId
    cidr: str
    cidr_association: str
    """vpc-cidr-assoc-…"""
    state: str = "pending"
    """"pending" until its own table and group exist, "available", "deleting" once DeleteVpc was accepted."""
    is_default: bool = False
    created_at: float
    main_route_table: str
    main_association: str
    default_group: SecurityGroupId
    network_acl: str
    dhcp_options: str
    dns_support: bool = True
    dns_hostnames: bool = False


class Subnet(Stored, frozen=True, kw_only=True):
    id: SubnetId
    vpc: VpcId
    cidr: str
    zone: str
    default_for_zone: bool = False
    map_public_ip: bool = False
    route_table: str = ""
    """"" follows the VPC's main one."""
    route_association: str = ""
    """rtbassoc-…, where a table was associated explicitly."""
    acl_association: str
    """aclassoc-…"""


class Route(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    destination: str
    gateway: str
    """igw-…, or "local"."""


class RouteTable(Stored, frozen=True, kw_only=True):
    vpc: VpcId
    routes: tuple[Route, ...] = ()
    """Beyond the local route, which follows from the VPC."""


class InternetGateway(Stored, frozen=True, kw_only=True):
    vpc: str = ""
    """"" while detached."""


class NetworkAcl(Stored, frozen=True, kw_only=True):
    """The default one of a VPC: it lets everything through, as AWS's does. Others are not offered yet."""

    vpc: VpcId


class DhcpOptions(Stored, frozen=True, kw_only=True):
    domain_name: str


class GroupRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One rule object (sgr-…): exactly one of `cidr` and `group` is set."""

    id: str
    egress: bool = False
    protocol: str
    """"tcp", "udp", "icmp", "-1" (all), or an IANA number."""
    from_port: int = -1
    to_port: int = -1
    cidr: str = ""
    group: str = ""
    description: str = ""
    tags: Tags = msgspec.field(default_factory=dict)

    @property
    def identity(self) -> tuple[bool, str, int, int, str, str]:
        """What makes two rules the same to AWS: everything but id, description and tags."""
        return (self.egress, self.protocol, self.from_port, self.to_port, self.cidr, self.group)


class SecurityGroup(Stored, frozen=True, kw_only=True):
    id: SecurityGroupId
    vpc: VpcId
    name: str
    description: str
    rules: tuple[GroupRule, ...] = ()


class Interface(Stored, frozen=True, kw_only=True):
    id: InterfaceId
    vpc: VpcId
    subnet: SubnetId
    zone: str
    addresses: tuple[str, ...]
    """Private IPv4 addresses, the primary first."""
    mac: str
    groups: tuple[SecurityGroupId, ...]
    description: str = ""
    source_dest_check: bool = True
    created_at: float
    claim: str = ""
    """Key of the InterfaceClaim it was made for; "" for a user's own."""
    requester: str = ""
    machine: MachineId = MachineId("")


class Address(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who has an address. Its key, `<vpc>/<address>`, is the lock: whoever created it owns it."""

    subnet: SubnetId
    interface: InterfaceId
    claim: str = ""
