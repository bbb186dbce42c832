"""Security groups: CreateSecurityGroup, DescribeSecurityGroups, DeleteSecurityGroup. Rules have a file of their own.

A group and its rules are one record: authorising several permissions happens at once or not at all.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

from ropewalk.aws.operations import Call, Params
from ropewalk.base.errors import Fault
from ropewalk.model.ids import SecurityGroupId
from ropewalk.services.ec2 import vpcs
from ropewalk.services.ec2.describing import Description, tag_list, values_at
from ropewalk.services.ec2.faults import combination, invalid, missing, not_found
from ropewalk.services.ec2.holds import InUse
from ropewalk.services.ec2.ids import new_id
from ropewalk.services.ec2.lifecycle import egress_to_everywhere
from ropewalk.services.ec2.permissions import joined
from ropewalk.services.ec2.records import SecurityGroup
from ropewalk.services.ec2.slice import Ec2, offer
from ropewalk.services.ec2.tagging import specified
from ropewalk.services.ec2.touching import named_group, on

_CHARACTERS = re.compile(r"[A-Za-z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}")

_PERMISSION_FILTERS = {
    "cidr": "IpRanges[].CidrIp",
    "from-port": "FromPort",
    "group-id": "UserIdGroupPairs[].GroupId",
    "ipv6-cidr": "Ipv6Ranges[].CidrIpv6",
    "prefix-list-id": "PrefixListIds[].PrefixListId",
    "protocol": "IpProtocol",
    "to-port": "ToPort",
    "user-id": "UserIdGroupPairs[].UserId",
}

DESCRIPTION = Description(
    kind="sg",
    ids="GroupIds",
    id_member="GroupId",
    result="SecurityGroups",
    filters={
        "description": "Description",
        "group-id": "GroupId",
        "group-name": "GroupName",
        "owner-id": "OwnerId",
        "vpc-id": "VpcId",
        **{f"ip-permission.{name}": f"IpPermissions[].{path}" for name, path in _PERMISSION_FILTERS.items()},
        **{
            f"egress.ip-permission.{name}": f"IpPermissionsEgress[].{path}"
            for name, path in _PERMISSION_FILTERS.items()
        },
    },
)


def document(group: SecurityGroup, call: Call) -> Params:
    return {
        "GroupId": group.id,
        "GroupName": group.name,
        "Description": group.description,
        "OwnerId": call.account,
        "VpcId": group.vpc,
        "SecurityGroupArn": call.arn("ec2", f"security-group/{group.id}"),
        "IpPermissions": joined((r for r in group.rules if not r.egress), call.account),
        "IpPermissionsEgress": joined((r for r in group.rules if r.egress), call.account),
        "Tags": tag_list(group.tags),
    }


async def existing(ec2: Ec2, params: Params) -> SecurityGroup:
    """The group that `GroupId` names, or `GroupName` within the default VPC. Raises InvalidGroup.NotFound."""
    if params.get("GroupId"):
        group = await ec2.groups.get(params["GroupId"])
        if group is None:
            raise not_found("sg", params["GroupId"])
        return group
    name = params.get("GroupName")
    if not name:
        raise missing("groupName or groupId")
    group = await named_group(ec2, name)
    if group is None:
        raise Fault("InvalidGroup.NotFound", f"The security group '{name}' does not exist in default VPC")
    return group


def _check_words(name: str, description: str) -> None:
    if not _CHARACTERS.fullmatch(name):
        raise invalid(
            "Invalid security group name. Valid names are strings less than 256 characters from the following set: "
            "a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
        )
    if name.startswith("sg-"):
        raise invalid("Invalid security group name. Group names may not be in the format sg-*.")
    if not _CHARACTERS.fullmatch(description):
        raise invalid(
            "Invalid security group description. Valid descriptions are strings less than 256 characters from the "
            "following set: a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
        )
    if name.lower() == "default":
        raise invalid("Cannot use reserved security group name: default")


@offer(
    "CreateSecurityGroup",
    "GroupName",
    "Description",
    "VpcId",
    "TagSpecifications",
    resources=on("security-group", vpc="VpcId"),
)
async def create_security_group(ec2: Ec2, call: Call, params: Params) -> Params:
    name, description = params["GroupName"], params["Description"]
    _check_words(name, description)
    tags = specified(params, "security-group")
    async with ec2.topology:
        if params.get("VpcId"):
            vpc = await vpcs.existing(ec2, params["VpcId"])
        else:
            defaults = [i.record for i in await ec2.vpcs.list() if i.record.is_default and i.record.state != "deleting"]
            if not defaults:
                raise Fault("VPCIdNotSpecified", "No default VPC for this user")
            vpc = defaults[0]
        for item in await ec2.groups.list():
            if item.record.vpc == vpc.id and item.record.name == name:
                raise Fault("InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc.id}'")
        group = SecurityGroup(
            id=SecurityGroupId(new_id(ec2.entropy, "sg")),
            tags=tags,
            vpc=vpc.id,
            name=name,
            description=description,
            rules=(egress_to_everywhere(ec2),),
        )
        await ec2.groups.create(group.id, group)
    return {
        "GroupId": group.id,
        "Tags": tag_list(tags),
        "SecurityGroupArn": call.arn("ec2", f"security-group/{group.id}"),
    }


@offer("DescribeSecurityGroups", "GroupIds", "GroupNames", "Filters", "MaxResults", "NextToken")
async def describe_security_groups(ec2: Ec2, call: Call, params: Params) -> Params:
    groups = [item.record for item in await ec2.groups.list()]
    names = params.get("GroupNames") or []
    if names:
        if params.get("MaxResults"):
            raise combination("The parameter GroupNames cannot be used with the parameter MaxResults")
        ids = [(await existing(ec2, {"GroupName": name})).id for name in names]
        params = {**params, "GroupIds": [*(params.get("GroupIds") or []), *ids]}
    return _with_group_names(groups).answer([document(group, call) for group in groups], params)


def _with_group_names(groups: list[SecurityGroup]) -> Description:
    """Filters on the names of groups that rules name: EC2 finds by them, and shows ids only."""
    names = {group.id: group.name for group in groups}

    def named(member: str, shown: Params) -> list[str]:
        ids = values_at(shown, f"{member}[].UserIdGroupPairs[].GroupId")
        return [names[SecurityGroupId(peer)] for peer in ids if peer in names]

    by_name = {
        "ip-permission.group-name": partial(named, "IpPermissions"),
        "egress.ip-permission.group-name": partial(named, "IpPermissionsEgress"),
    }
    return replace(DESCRIPTION, filters={**DESCRIPTION.filters, **by_name})


@offer("DeleteSecurityGroup", "GroupId", "GroupName", resources=on("security-group", "GroupId"))
async def delete_security_group(ec2: Ec2, call: Call, params: Params) -> Params:
    async with ec2.topology:
        group = await existing(ec2, params)
        vpc = await ec2.vpcs.get(group.vpc)
        if vpc is not None and vpc.default_group == group.id:
            raise Fault(
                "CannotDelete",
                f'the specified group: "{group.id}" name: "{group.name}" cannot be deleted by a user',
            )
        in_use = Fault("DependencyViolation", f"resource {group.id} has a dependent object")
        try:
            with ec2.holds.deleting([group.id]):
                for other in await ec2.groups.list():
                    if other.record.id != group.id and any(r.group == group.id for r in other.record.rules):
                        raise in_use
                if any(group.id in item.record.groups for item in await ec2.interfaces.list()):
                    raise in_use
                await ec2.groups.delete(group.id)
        except InUse:
            raise in_use from None
    return {"Return": True, "GroupId": group.id}
