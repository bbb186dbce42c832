"""Where one is: DescribeAvailabilityZones, DescribeRegions, DescribeAccountAttributes.

One region; its zones come from the settings.
"""

from __future__ import annotations

from ropewalk.aws.operations import Call, Params
from ropewalk.base.errors import Fault
from ropewalk.services.ec2.describing import Description
from ropewalk.services.ec2.faults import invalid
from ropewalk.services.ec2.network_interfaces import MAX_GROUPS
from ropewalk.services.ec2.slice import Ec2, offer
from ropewalk.services.ec2.subnets import zone_id

ZONES = Description(
    kind="zone",
    ids="ZoneNames",
    id_member="ZoneName",
    result="AvailabilityZones",
    filters={
        "group-name": "GroupName",
        "message": "Messages[].Message",
        "opt-in-status": "OptInStatus",
        "parent-zone-id": "ParentZoneId",
        "parent-zone-name": "ParentZoneName",
        "region-name": "RegionName",
        "state": "State",
        "zone-id": "ZoneId",
        "zone-name": "ZoneName",
        "zone-type": "ZoneType",
    },
)
REGIONS = Description(
    kind="region",
    ids="RegionNames",
    id_member="RegionName",
    result="Regions",
    filters={"endpoint": "Endpoint", "opt-in-status": "OptInStatus", "region-name": "RegionName"},
)


@offer("DescribeAvailabilityZones", "ZoneNames", "ZoneIds", "AllAvailabilityZones", "Filters")
async def describe_availability_zones(ec2: Ec2, call: Call, params: Params) -> Params:
    region = ec2.settings.region
    documents = [
        {
            "ZoneName": zone,
            "ZoneId": zone_id(zone),
            "ZoneType": "availability-zone",
            "RegionName": region,
            "GroupName": f"{region}-zg-1",
            "NetworkBorderGroup": region,
            "OptInStatus": "opt-in-not-required",
            "State": "available",
            "Messages": [],
        }
        for zone in ec2.settings.zones
    ]
    for parameter, member in (("ZoneNames", "ZoneName"), ("ZoneIds", "ZoneId")):
        known = {document[member] for document in documents}
        for name in params.get(parameter) or []:
            if name not in known:
                raise invalid(f"Invalid availability zone: [{name}]")
    if params.get("ZoneIds"):
        documents = [document for document in documents if document["ZoneId"] in params["ZoneIds"]]
    if params.get("ZoneNames"):
        documents = [document for document in documents if document["ZoneName"] in params["ZoneNames"]]
    return ZONES.answer(documents, {"Filters": params.get("Filters")})


@offer("DescribeRegions", "RegionNames", "AllRegions", "Filters")
async def describe_regions(ec2: Ec2, call: Call, params: Params) -> Params:
    region = ec2.settings.region
    for name in params.get("RegionNames") or []:
        if name != region:
            raise invalid(f"Invalid region(s): [{name}]. This installation is {region}.")
    endpoint = f"ec2.{region}.amazonaws.com"
    documents = [{"RegionName": region, "Endpoint": endpoint, "OptInStatus": "opt-in-not-required"}]
    return REGIONS.answer(documents, {"Filters": params.get("Filters")})


@offer("DescribeAccountAttributes", "AttributeNames")
async def describe_account_attributes(ec2: Ec2, call: Call, params: Params) -> Params:
    """Those that hold here: what bounds nothing here is not listed."""
    default = next((i.record.id for i in await ec2.vpcs.list() if i.record.is_default), "none")
    attributes = {
        "supported-platforms": "VPC",
        "default-vpc": default,
        "vpc-max-security-groups-per-interface": str(MAX_GROUPS),
    }
    wanted = params.get("AttributeNames") or list(attributes)
    for name in wanted:
        if name not in attributes:
            raise Fault("InvalidParameterValue", f"Value ({name}) for parameter attributeName is invalid.")
    return {
        "AccountAttributes": [
            {"AttributeName": name, "AttributeValues": [{"AttributeValue": attributes[name]}]} for name in wanted
        ]
    }
