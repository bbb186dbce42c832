"""VPCs: CreateVpc, CreateDefaultVpc, DescribeVpcs, ModifyVpcAttribute, DescribeVpcAttribute, DeleteVpc.

IPv4 only, one block a VPC, /16 to /28, as AWS bounds it. Dedicated tenancy, IPAM pools and IPv6 are refused by name.
"""

from __future__ import annotations

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.base.errors import Fault
from ropewalk.services.ec2.describing import Description, tag_list
from ropewalk.services.ec2.faults import combination, has_dependencies, missing, not_found
from ropewalk.services.ec2.holds import InUse
from ropewalk.services.ec2.ids import parse_cidr
from ropewalk.services.ec2.lifecycle import finish, furnish_default, make_vpc
from ropewalk.services.ec2.records import Vpc
from ropewalk.services.ec2.slice import Ec2, offer
from ropewalk.services.ec2.tagging import specified
from ropewalk.services.ec2.touching import on

WIDEST_PREFIX, NARROWEST_PREFIX = 16, 28

DESCRIPTION = Description(
    kind="vpc",
    ids="VpcIds",
    id_member="VpcId",
    result="Vpcs",
    filters={
        "cidr": "CidrBlock",
        "cidr-block": "CidrBlock",
        "cidr-block-association.association-id": "CidrBlockAssociationSet[].AssociationId",
        "cidr-block-association.cidr-block": "CidrBlockAssociationSet[].CidrBlock",
        "cidr-block-association.state": "CidrBlockAssociationSet[].CidrBlockState.State",
        "dhcp-options-id": "DhcpOptionsId",
        "ipv6-cidr-block-association.association-id": "Ipv6CidrBlockAssociationSet[].AssociationId",
        "ipv6-cidr-block-association.ipv6-cidr-block": "Ipv6CidrBlockAssociationSet[].Ipv6CidrBlock",
        "ipv6-cidr-block-association.ipv6-pool": "Ipv6CidrBlockAssociationSet[].Ipv6Pool",
        "ipv6-cidr-block-association.state": "Ipv6CidrBlockAssociationSet[].Ipv6CidrBlockState.State",
        "is-default": "IsDefault",
        "isDefault": "IsDefault",
        "owner-id": "OwnerId",
        "state": "State",
        "vpc-id": "VpcId",
    },
)


def document(vpc: Vpc, call: Call) -> Params:
    return {
        "VpcId": vpc.id,
        "OwnerId": call.account,
        "State": vpc.state,
        "CidrBlock": vpc.cidr,
        "DhcpOptionsId": vpc.dhcp_options,
        "InstanceTenancy": "default",
        "IsDefault": vpc.is_default,
        "CidrBlockAssociationSet": [
            {
                "AssociationId": vpc.cidr_association,
                "CidrBlock": vpc.cidr,
                "CidrBlockState": {"State": "associated"},
            }
        ],
        "Ipv6CidrBlockAssociationSet": [],
        "Tags": tag_list(vpc.tags),
    }


async def existing(ec2: Ec2, vpc_id: str) -> Vpc:
    """Raises InvalidVpcID.NotFound."""
    vpc = await ec2.vpcs.get(vpc_id)
    if vpc is None or vpc.state == "deleting":
        raise not_found("vpc", vpc_id)
    return vpc


@offer(
    "CreateVpc",
    "CidrBlock",
    "TagSpecifications",
    indifferent={"InstanceTenancy": "default"},
    resources=on("vpc"),
)
async def create_vpc(ec2: Ec2, call: Call, params: Params) -> Params:
    if not params.get("CidrBlock"):
        raise missing("cidrBlock")
    block = parse_cidr(params["CidrBlock"], "cidrBlock")
    if not WIDEST_PREFIX <= block.prefixlen <= NARROWEST_PREFIX:
        raise Fault("InvalidVpc.Range", f"The CIDR '{block}' is invalid.")
    tags = specified(params, "vpc")
    async with ec2.topology:
        vpc = await make_vpc(ec2, str(block), tags=tags)
    return {"Vpc": document(msgspec.structs.replace(vpc, state="pending"), call)}


@offer("CreateDefaultVpc", resources=on("vpc"))
async def create_default_vpc(ec2: Ec2, call: Call, params: Params) -> Params:
    async with ec2.topology:
        for item in await ec2.vpcs.list():
            if item.record.is_default and item.record.state != "deleting":
                raise Fault(
                    "DefaultVpcAlreadyExists",
                    "A Default VPC already exists for this account in this region.",
                )
        vpc = await make_vpc(ec2, ec2.settings.default_vpc_cidr, is_default=True)
        await furnish_default(ec2, vpc)
    return {"Vpc": document(vpc, call)}


@offer("DescribeVpcs", "VpcIds", "Filters", "MaxResults", "NextToken")
async def describe_vpcs(ec2: Ec2, call: Call, params: Params) -> Params:
    documents = [document(item.record, call) for item in await ec2.vpcs.list() if item.record.state != "deleting"]
    return DESCRIPTION.answer(documents, params)


@offer("ModifyVpcAttribute", "VpcId", "EnableDnsSupport", "EnableDnsHostnames", resources=on("vpc", "VpcId"))
async def modify_vpc_attribute(ec2: Ec2, call: Call, params: Params) -> Params:
    fields = {"EnableDnsSupport": "dns_support", "EnableDnsHostnames": "dns_hostnames"}
    given = [name for name in fields if params.get(name) is not None]
    if not given:
        raise missing("EnableDnsSupport or EnableDnsHostnames")
    if len(given) > 1:
        raise combination("Only one attribute can be modified at a time.")
    await existing(ec2, params["VpcId"])
    change = {fields[given[0]]: bool(params[given[0]].get("Value"))}
    await ec2.vpcs.mutate(params["VpcId"], lambda vpc: msgspec.structs.replace(vpc, **change))
    return {}


@offer("DescribeVpcAttribute", "VpcId", "Attribute")
async def describe_vpc_attribute(ec2: Ec2, call: Call, params: Params) -> Params:
    vpc = await existing(ec2, params["VpcId"])
    attributes = {
        "enableDnsSupport": ("EnableDnsSupport", vpc.dns_support),
        "enableDnsHostnames": ("EnableDnsHostnames", vpc.dns_hostnames),
        "enableNetworkAddressUsageMetrics": ("EnableNetworkAddressUsageMetrics", False),
    }
    if params["Attribute"] not in attributes:
        raise Fault("InvalidParameterValue", f"Value ({params['Attribute']}) for parameter attribute is invalid.")
    member, value = attributes[params["Attribute"]]
    return {"VpcId": vpc.id, member: {"Value": value}}


@offer("DeleteVpc", "VpcId", resources=on("vpc", "VpcId"))
async def delete_vpc(ec2: Ec2, call: Call, params: Params) -> Params:
    async with ec2.topology:
        vpc = await existing(ec2, params["VpcId"])
        try:
            with ec2.holds.deleting([vpc.default_group]):
                if await _has_dependents(ec2, vpc):
                    raise has_dependencies("vpc", vpc.id)
                await ec2.vpcs.mutate(vpc.id, lambda v: msgspec.structs.replace(v, state="deleting"))
                await finish(ec2, vpc)
        except InUse:
            raise has_dependencies("vpc", vpc.id) from None
    return {}


async def _has_dependents(ec2: Ec2, vpc: Vpc) -> bool:
    own = {vpc.main_route_table, vpc.default_group}
    return (
        any(item.record.vpc == vpc.id for item in await ec2.subnets.list())
        or any(item.record.vpc == vpc.id for item in await ec2.gateways.list())
        or any(item.record.vpc == vpc.id and item.record.id not in own for item in await ec2.route_tables.list())
        or any(item.record.vpc == vpc.id and item.record.id not in own for item in await ec2.groups.list())
    )
