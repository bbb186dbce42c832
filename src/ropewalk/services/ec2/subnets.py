"""Subnets: CreateSubnet, CreateDefaultSubnet, DescribeSubnets, ModifySubnetAttribute, DeleteSubnet.

A subnet lies in one zone and inside its VPC's block, /16 to /28, and overlaps no other. Five of its addresses are
reserved. Source: docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html.
"""

from __future__ import annotations

import ipaddress
import re

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.base.errors import Fault
from ropewalk.base.settings import Settings
from ropewalk.model.ids import SubnetId
from ropewalk.services.ec2 import vpcs
from ropewalk.services.ec2.addresses import capacity
from ropewalk.services.ec2.describing import Description, tag_list
from ropewalk.services.ec2.faults import combination, has_dependencies, invalid, missing, not_found
from ropewalk.services.ec2.holds import InUse
from ropewalk.services.ec2.ids import new_id, parse_cidr
from ropewalk.services.ec2.lifecycle import make_default_subnet
from ropewalk.services.ec2.records import Subnet
from ropewalk.services.ec2.slice import Ec2, offer
from ropewalk.services.ec2.tagging import specified
from ropewalk.services.ec2.touching import on

DESCRIPTION = Description(
    kind="subnet",
    ids="SubnetIds",
    id_member="SubnetId",
    result="Subnets",
    filters={
        "availability-zone": "AvailabilityZone",
        "availabilityZone": "AvailabilityZone",
        "availability-zone-id": "AvailabilityZoneId",
        "availabilityZoneId": "AvailabilityZoneId",
        "available-ip-address-count": "AvailableIpAddressCount",
        "cidr": "CidrBlock",
        "cidr-block": "CidrBlock",
        "cidrBlock": "CidrBlock",
        "default-for-az": "DefaultForAz",
        "defaultForAz": "DefaultForAz",
        "ipv6-cidr-block-association.association-id": "Ipv6CidrBlockAssociationSet[].AssociationId",
        "ipv6-cidr-block-association.ipv6-cidr-block": "Ipv6CidrBlockAssociationSet[].Ipv6CidrBlock",
        "ipv6-cidr-block-association.state": "Ipv6CidrBlockAssociationSet[].Ipv6CidrBlockState.State",
        "ipv6-native": "Ipv6Native",
        "map-public-ip-on-launch": "MapPublicIpOnLaunch",
        "outpost-arn": "OutpostArn",
        "owner-id": "OwnerId",
        "state": "State",
        "subnet-arn": "SubnetArn",
        "subnet-id": "SubnetId",
        "vpc-id": "VpcId",
    },
)

_DIRECTIONS = {"northeast": "ne", "northwest": "nw", "southeast": "se", "southwest": "sw"}


def zone_id(zone: str) -> str:
    """`use1-az1` for us-east-1a. AWS shuffles these by account; here the letters count."""
    match = re.fullmatch(r"([a-z]+(?:-gov|-iso[a-z]*)?)-([a-z]+)-(\d+)([a-z])", zone)
    if match is None:
        return zone
    area, direction, number, letter = match.groups()
    country, _, partition = area.partition("-")
    short = country + partition[:1] + _DIRECTIONS.get(direction, direction[0]) + number
    return f"{short}-az{ord(letter) - ord('a') + 1}"


def chosen_zone(settings: Settings, params: Params) -> str:
    """The zone asked for by name or id, "" where none was. Raises InvalidParameterValue."""
    name, by_id = params.get("AvailabilityZone"), params.get("AvailabilityZoneId")
    if name and by_id:
        raise combination("The parameter availabilityZone cannot be used with the parameter availabilityZoneId")
    if not (name or by_id):
        return ""
    for zone in settings.zones:
        if zone == name or zone_id(zone) == by_id:
            return zone
    parameter = "availabilityZone" if name else "availabilityZoneId"
    raise invalid(
        f"Value ({name or by_id}) for parameter {parameter} is invalid. Subnets can currently only be created in the "
        f"following availability zones: {', '.join(settings.zones)}."
    )


def document(subnet: Subnet, call: Call, used: int) -> Params:
    return {
        "SubnetId": subnet.id,
        "SubnetArn": call.arn("ec2", f"subnet/{subnet.id}"),
        "VpcId": subnet.vpc,
        "OwnerId": call.account,
        "State": "available",
        "CidrBlock": subnet.cidr,
        "AvailableIpAddressCount": capacity(subnet.cidr) - used,
        "AvailabilityZone": subnet.zone,
        "AvailabilityZoneId": zone_id(subnet.zone),
        "DefaultForAz": subnet.default_for_zone,
        "MapPublicIpOnLaunch": subnet.map_public_ip,
        "MapCustomerOwnedIpOnLaunch": False,
        "AssignIpv6AddressOnCreation": False,
        "EnableDns64": False,
        "Ipv6Native": False,
        "Ipv6CidrBlockAssociationSet": [],
        "PrivateDnsNameOptionsOnLaunch": {
            "HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
        },
        "Tags": tag_list(subnet.tags),
    }


async def existing(ec2: Ec2, subnet_id: str) -> Subnet:
    """Raises InvalidSubnetID.NotFound."""
    subnet = await ec2.subnets.get(subnet_id)
    if subnet is None:
        raise not_found("subnet", subnet_id)
    return subnet


@offer(
    "CreateSubnet",
    "VpcId",
    "CidrBlock",
    "AvailabilityZone",
    "AvailabilityZoneId",
    "TagSpecifications",
    resources=on("subnet", vpc="VpcId"),
)
async def create_subnet(ec2: Ec2, call: Call, params: Params) -> Params:
    if not params.get("CidrBlock"):
        raise missing("cidrBlock")
    block = parse_cidr(params["CidrBlock"], "cidrBlock")
    zone = chosen_zone(ec2.settings, params) or ec2.settings.zones[0]
    tags = specified(params, "subnet")
    async with ec2.topology:
        vpc = await vpcs.existing(ec2, params["VpcId"])
        inside = block.subnet_of(ipaddress.IPv4Network(vpc.cidr))
        if not (inside and vpcs.WIDEST_PREFIX <= block.prefixlen <= vpcs.NARROWEST_PREFIX):
            raise Fault("InvalidSubnet.Range", f"The CIDR '{block}' is invalid.")
        for item in await ec2.subnets.list():
            if item.record.vpc == vpc.id and block.overlaps(ipaddress.IPv4Network(item.record.cidr)):
                raise Fault("InvalidSubnet.Conflict", f"The CIDR '{block}' conflicts with another subnet")
        subnet = Subnet(
            id=SubnetId(new_id(ec2.entropy, "subnet")),
            tags=tags,
            vpc=vpc.id,
            cidr=str(block),
            zone=zone,
            acl_association=new_id(ec2.entropy, "aclassoc"),
        )
        await ec2.subnets.create(subnet.id, subnet)
    return {"Subnet": document(subnet, call, 0)}


@offer("CreateDefaultSubnet", "AvailabilityZone", "AvailabilityZoneId", resources=on("subnet"))
async def create_default_subnet(ec2: Ec2, call: Call, params: Params) -> Params:
    zone = chosen_zone(ec2.settings, params)
    if not zone:
        raise missing("availabilityZone")
    async with ec2.topology:
        defaults = [i.record for i in await ec2.vpcs.list() if i.record.is_default and i.record.state != "deleting"]
        if not defaults:
            raise Fault("DefaultVpcDoesNotExist", "No default VPC exists for this account in this region.")
        for item in await ec2.subnets.list():
            if item.record.vpc == defaults[0].id and item.record.zone == zone and item.record.default_for_zone:
                raise Fault(
                    "DefaultSubnetAlreadyExistsInAvailabilityZone",
                    f"'{item.record.id}' is already the default subnet in {zone}.",
                )
        subnet = await make_default_subnet(ec2, defaults[0], zone)
        if subnet is None:
            raise Fault(
                "InsufficientFreeAddressesInVpc", f"The VPC '{defaults[0].id}' has no free block for a default subnet."
            )
    return {"Subnet": document(subnet, call, 0)}


@offer("DescribeSubnets", "SubnetIds", "Filters", "MaxResults", "NextToken")
async def describe_subnets(ec2: Ec2, call: Call, params: Params) -> Params:
    documents = []
    for item in await ec2.subnets.list():
        used = await ec2.addresses.used(item.record.vpc)
        documents.append(document(item.record, call, used[item.record.id]))
    return DESCRIPTION.answer(documents, params)


@offer("ModifySubnetAttribute", "SubnetId", "MapPublicIpOnLaunch", resources=on("subnet", "SubnetId"))
async def modify_subnet_attribute(ec2: Ec2, call: Call, params: Params) -> Params:
    given = params.get("MapPublicIpOnLaunch")
    if given is None:
        raise missing("MapPublicIpOnLaunch")
    await existing(ec2, params["SubnetId"])
    value = bool(given.get("Value"))
    await ec2.subnets.mutate(params["SubnetId"], lambda s: msgspec.structs.replace(s, map_public_ip=value))
    return {}


@offer("DeleteSubnet", "SubnetId", resources=on("subnet", "SubnetId"))
async def delete_subnet(ec2: Ec2, call: Call, params: Params) -> Params:
    async with ec2.topology:
        subnet = await existing(ec2, params["SubnetId"])
        try:
            with ec2.holds.deleting([subnet.id]):
                ec2.addresses.forget(subnet.vpc)
                if (await ec2.addresses.used(subnet.vpc))[subnet.id]:
                    raise has_dependencies("subnet", subnet.id)
                await ec2.subnets.delete(subnet.id)
        except InUse:
            raise has_dependencies("subnet", subnet.id) from None
    return {}
