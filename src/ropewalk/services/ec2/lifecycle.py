"""What a VPC consists of from its first moment to its last, and the default one.

AWS gives every VPC a main route table, a default security group and a network ACL. The VPC's record names them before
they exist and says "pending" until they do; deleting says "deleting" until they are gone. So `complete` and `finish`
can be called again after a crash at any point, and `recover` does so at every start. Sources:
docs.aws.amazon.com/vpc/latest/userguide/default-vpc-components.html and default-security-group.html.
"""

from __future__ import annotations

import ipaddress
from typing import TypeVar

import msgspec

from ropewalk.model.ids import SecurityGroupId, SubnetId, VpcId
from ropewalk.runtime.table import Table
from ropewalk.services.ec2.ids import new_id, private_domain
from ropewalk.services.ec2.records import (
    DhcpOptions,
    GroupRule,
    InternetGateway,
    NetworkAcl,
    Route,
    RouteTable,
    SecurityGroup,
    Stored,
    Subnet,
    Tags,
    Vpc,
)
from ropewalk.services.ec2.slice import Ec2
from ropewalk.store.protocol import KeyExists

R = TypeVar("R", bound=Stored)

DEFAULT_SUBNET_PREFIX = 20
_SEED = "/ec2/seed"
"""Key that says that the account's default network was made once: deleting the default VPC must not bring it back."""


class Seeded(msgspec.Struct, frozen=True):
    """Names the default VPC that was, or is to be, made at first start."""

    vpc: VpcId


async def default_dhcp_options(ec2: Ec2) -> str:
    """The account's one set of DHCP options, made when first needed."""
    for item in await ec2.dhcp_options.list():
        return item.record.id
    options = DhcpOptions(id=new_id(ec2.entropy, "dopt"), domain_name=private_domain(ec2.settings.region))
    await ec2.dhcp_options.create(options.id, options)
    return options.id


async def make_vpc(
    ec2: Ec2, cidr: str, *, tags: Tags | None = None, is_default: bool = False, vpc_id: VpcId | None = None
) -> Vpc:
    """A VPC with all that belongs to it. The caller holds `topology` and has checked the range."""
    new = ec2.entropy
    vpc = Vpc(
        id=vpc_id or VpcId(new_id(new, "vpc")),
        tags=tags or {},
        cidr=cidr,
        cidr_association=new_id(new, "vpc-cidr-assoc"),
        is_default=is_default,
        created_at=ec2.clock.wall(),
        main_route_table=new_id(new, "rtb"),
        main_association=new_id(new, "rtbassoc"),
        default_group=SecurityGroupId(new_id(new, "sg")),
        network_acl=new_id(new, "acl"),
        dhcp_options=await default_dhcp_options(ec2),
        dns_hostnames=is_default,
    )
    await ec2.vpcs.create(vpc.id, vpc)
    return await complete(ec2, vpc)


async def complete(ec2: Ec2, vpc: Vpc) -> Vpc:
    """Make what a pending VPC still lacks, then call it available."""
    table = RouteTable(id=vpc.main_route_table, vpc=vpc.id)
    group = SecurityGroup(
        id=vpc.default_group,
        vpc=vpc.id,
        name="default",
        description="default VPC security group",
        rules=(
            GroupRule(id=new_id(ec2.entropy, "sgr"), protocol="-1", group=vpc.default_group),
            egress_to_everywhere(ec2),
        ),
    )
    await _create_unless_there(ec2.route_tables, table)
    await _create_unless_there(ec2.groups, group)
    await _create_unless_there(ec2.acls, NetworkAcl(id=vpc.network_acl, vpc=vpc.id))
    available = await ec2.vpcs.mutate(vpc.id, lambda v: msgspec.structs.replace(v, state="available"))
    return available or vpc


async def _create_unless_there(table: Table[R], record: R) -> None:
    try:
        await table.create(record.id, record)
    except KeyExists:
        return


def egress_to_everywhere(ec2: Ec2) -> GroupRule:
    return GroupRule(id=new_id(ec2.entropy, "sgr"), egress=True, protocol="-1", cidr="0.0.0.0/0")


async def finish(ec2: Ec2, vpc: Vpc) -> None:
    """Delete what a VPC that is being deleted still has of its own, and it last."""
    await ec2.acls.delete(vpc.network_acl)
    await ec2.groups.delete(vpc.default_group)
    await ec2.route_tables.delete(vpc.main_route_table)
    await ec2.vpcs.delete(vpc.id)


async def make_default_subnet(ec2: Ec2, vpc: Vpc, zone: str) -> Subnet | None:
    """The first free /20 (or a third of a smaller VPC) of the default VPC; None where there is no room."""
    network = ipaddress.IPv4Network(vpc.cidr)
    taken = [ipaddress.IPv4Network(item.record.cidr) for item in await ec2.subnets.list() if item.record.vpc == vpc.id]
    prefix = min(28, max(DEFAULT_SUBNET_PREFIX, network.prefixlen + 2))
    for block in network.subnets(new_prefix=prefix):
        if not any(block.overlaps(other) for other in taken):
            subnet = Subnet(
                id=SubnetId(new_id(ec2.entropy, "subnet")),
                vpc=vpc.id,
                cidr=str(block),
                zone=zone,
                default_for_zone=True,
                map_public_ip=True,
                acl_association=new_id(ec2.entropy, "aclassoc"),
            )
            await ec2.subnets.create(subnet.id, subnet)
            return subnet
    return None


async def furnish_default(ec2: Ec2, vpc: Vpc) -> None:
    """Give the default VPC its internet gateway, the route to it and a subnet in each zone, as far as they lack."""
    gateways = [item.record for item in await ec2.gateways.list() if item.record.vpc == vpc.id]
    if not gateways:
        gateways = [InternetGateway(id=new_id(ec2.entropy, "igw"), vpc=vpc.id)]
        await ec2.gateways.create(gateways[0].id, gateways[0])
    out = Route(destination="0.0.0.0/0", gateway=gateways[0].id)

    def route_out(table: RouteTable) -> RouteTable | None:
        if any(route.destination == out.destination for route in table.routes):
            return None
        return msgspec.structs.replace(table, routes=(*table.routes, out))

    await ec2.route_tables.mutate(vpc.main_route_table, route_out)
    present = {item.record.zone for item in await ec2.subnets.list() if item.record.vpc == vpc.id}
    for zone in ec2.settings.zones:
        if zone not in present:
            await make_default_subnet(ec2, vpc, zone)


async def recover(ec2: Ec2) -> None:
    """Finish what a crash interrupted."""
    for item in await ec2.vpcs.list():
        if item.record.state == "pending":
            await complete(ec2, item.record)
        elif item.record.state == "deleting":
            await finish(ec2, item.record)


async def seed(ec2: Ec2) -> None:
    """At every start: recover, and at the first one make the default VPC. Idempotent, also when cut short."""
    async with ec2.topology:
        await recover(ec2)
        entry = await ec2.store.get(_SEED)
        if entry is None:
            wanted = Seeded(vpc=VpcId(new_id(ec2.entropy, "vpc")))
            await ec2.store.create(_SEED, msgspec.json.encode(wanted))
        else:
            wanted = msgspec.json.decode(entry.value, type=Seeded)
            if not wanted.vpc:
                return
        vpc = await ec2.vpcs.get(wanted.vpc)
        if vpc is None:
            vpc = await make_vpc(ec2, ec2.settings.default_vpc_cidr, is_default=True, vpc_id=wanted.vpc)
        await furnish_default(ec2, vpc)
        done = await ec2.store.get(_SEED)
        if done is not None:
            await ec2.store.update(_SEED, msgspec.json.encode(Seeded(vpc=VpcId(""))), done.revision)
