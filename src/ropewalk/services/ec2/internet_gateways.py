"""Internet gateways: CreateInternetGateway, Attach…, Detach…, Describe…, Delete….

A record of what routes may point at. Whether traffic really leaves the host is the host's decision (`--egress`).
"""

from __future__ import annotations

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.base.errors import Fault
from ropewalk.services.ec2 import vpcs
from ropewalk.services.ec2.describing import Description, tag_list
from ropewalk.services.ec2.faults import has_dependencies, invalid, not_found
from ropewalk.services.ec2.ids import new_id
from ropewalk.services.ec2.records import InternetGateway
from ropewalk.services.ec2.slice import Ec2, offer
from ropewalk.services.ec2.tagging import specified
from ropewalk.services.ec2.touching import on

DESCRIPTION = Description(
    kind="igw",
    ids="InternetGatewayIds",
    id_member="InternetGatewayId",
    result="InternetGateways",
    filters={
        "attachment.state": "Attachments[].State",
        "attachment.vpc-id": "Attachments[].VpcId",
        "internet-gateway-id": "InternetGatewayId",
        "owner-id": "OwnerId",
    },
)


def document(gateway: InternetGateway, call: Call) -> Params:
    return {
        "InternetGatewayId": gateway.id,
        "OwnerId": call.account,
        "Attachments": [{"State": "available", "VpcId": gateway.vpc}] if gateway.vpc else [],
        "Tags": tag_list(gateway.tags),
    }


async def existing(ec2: Ec2, gateway_id: str) -> InternetGateway:
    """Raises InvalidInternetGatewayID.NotFound."""
    gateway = await ec2.gateways.get(gateway_id)
    if gateway is None:
        raise not_found("igw", gateway_id)
    return gateway


@offer("CreateInternetGateway", "TagSpecifications", resources=on("internet-gateway"))
async def create_internet_gateway(ec2: Ec2, call: Call, params: Params) -> Params:
    gateway = InternetGateway(id=new_id(ec2.entropy, "igw"), tags=specified(params, "internet-gateway"))
    await ec2.gateways.create(gateway.id, gateway)
    return {"InternetGateway": document(gateway, call)}


@offer(
    "AttachInternetGateway",
    "InternetGatewayId",
    "VpcId",
    resources=on("internet-gateway", "InternetGatewayId", vpc="VpcId"),
)
async def attach_internet_gateway(ec2: Ec2, call: Call, params: Params) -> Params:
    async with ec2.topology:
        gateway = await existing(ec2, params["InternetGatewayId"])
        vpc = await vpcs.existing(ec2, params["VpcId"])
        if gateway.vpc:
            raise Fault(
                "Resource.AlreadyAssociated",
                f"resource {gateway.id} is already attached to network {gateway.vpc}",
            )
        if any(item.record.vpc == vpc.id for item in await ec2.gateways.list()):
            raise invalid(f"Network {vpc.id} already has an internet gateway attached")
        await ec2.gateways.mutate(gateway.id, lambda g: msgspec.structs.replace(g, vpc=vpc.id))
    return {}


@offer(
    "DetachInternetGateway",
    "InternetGatewayId",
    "VpcId",
    resources=on("internet-gateway", "InternetGatewayId", vpc="VpcId"),
)
async def detach_internet_gateway(ec2: Ec2, call: Call, params: Params) -> Params:
    async with ec2.topology:
        gateway = await existing(ec2, params["InternetGatewayId"])
        if gateway.vpc != params["VpcId"]:
            raise Fault("Gateway.NotAttached", f"resource {gateway.id} is not attached to network {params['VpcId']}")
        await ec2.gateways.mutate(gateway.id, lambda g: msgspec.structs.replace(g, vpc=""))
    return {}


@offer("DescribeInternetGateways", "InternetGatewayIds", "Filters", "MaxResults", "NextToken")
async def describe_internet_gateways(ec2: Ec2, call: Call, params: Params) -> Params:
    return DESCRIPTION.answer([document(item.record, call) for item in await ec2.gateways.list()], params)


@offer("DeleteInternetGateway", "InternetGatewayId", resources=on("internet-gateway", "InternetGatewayId"))
async def delete_internet_gateway(ec2: Ec2, call: Call, params: Params) -> Params:
    async with ec2.topology:
        gateway = await existing(ec2, params["InternetGatewayId"])
        if gateway.vpc:
            raise has_dependencies("internetGateway", gateway.id)
        await ec2.gateways.delete(gateway.id)
    return {}
