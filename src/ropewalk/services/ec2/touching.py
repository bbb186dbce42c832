"""What policies are told of the resources that a request touches: ARNs, tags, and where in the network they are.

A resource yet to be made has no tags (those it is to have are the request's) and stands in the subnet that the request
names, if any. What is not there has none either: the handler refuses it once the caller may ask.

Keys of each resource type: docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ropewalk.aws.operations import Call, Params, Touched
from ropewalk.aws.operations import Resources as Touching
from ropewalk.aws.resource_tags import resource_tags
from ropewalk.services.ec2.kinds import kind_of, rule_of, tables
from ropewalk.services.ec2.records import SecurityGroup
from ropewalk.services.ec2.slice import Ec2

Keys = dict[str, Sequence[str]]

_OWN_ID = {
    "dhcp-options": "ec2:DhcpOptionsID",
    "internet-gateway": "ec2:InternetGatewayID",
    "network-acl": "ec2:NetworkAclID",
    "network-interface": "ec2:NetworkInterfaceID",
    "route-table": "ec2:RouteTableID",
    "security-group": "ec2:SecurityGroupID",
    "subnet": "ec2:SubnetID",
    "vpc": "ec2:VpcID",
}
_IN_VPC = ("network-acl", "network-interface", "route-table", "security-group", "subnet")
_IN_ZONE = ("network-interface", "subnet")


def on(kind: str, parameter: str = "", **also: str) -> Touching[Ec2]:
    """The resource that a parameter names; without a parameter one that is yet to be made.

    `also` names the parameters of further resources that the caller must be allowed to use for this, by their kinds
    (`security_group="Groups"`), as the Service Authorization Reference lists them for each action. A security group
    may go by its name (`GroupName`) and a route table by its association (`AssociationId`).
    """

    async def touching(ec2: Ec2, call: Call, params: Params) -> list[Touched]:
        name = (params.get(parameter) or await _implied(ec2, kind, params)) if parameter else ""
        found = [await _touched(ec2, call, kind, name, params)]
        for other, member in also.items():
            named = params.get(member) or ()
            for each in (named,) if isinstance(named, str) else named:
                found.append(await _touched(ec2, call, other.replace("_", "-"), each, params))
        return found

    return touching


async def identified(ec2: Ec2, call: Call, params: Params) -> list[Touched]:
    """The resources whose ids a request lists (CreateTags, DeleteTags)."""
    return [await _touched(ec2, call, kind_of(name) or "*", name, params) for name in params.get("Resources") or ()]


async def _implied(ec2: Ec2, kind: str, params: Params) -> str:
    if kind == "security-group" and params.get("GroupName"):
        group = await named_group(ec2, params["GroupName"])
        return group.id if group is not None else ""
    if kind == "route-table" and params.get("AssociationId"):
        for subnet in await ec2.subnets.list():
            if subnet.record.route_association == params["AssociationId"]:
                return subnet.record.route_table
        for vpc in await ec2.vpcs.list():
            if vpc.record.main_association == params["AssociationId"]:
                return vpc.record.main_route_table
    return ""


async def named_group(ec2: Ec2, name: str) -> SecurityGroup | None:
    """The group called so in the default VPC: groups elsewhere have ids only."""
    defaults = {item.record.id for item in await ec2.vpcs.list() if item.record.is_default}
    for item in await ec2.groups.list():
        if item.record.name == name and item.record.vpc in defaults:
            return item.record
    return None


async def _touched(ec2: Ec2, call: Call, kind: str, name: str, params: Params) -> Touched:
    arn = call.arn("ec2", f"{kind}/{name or '*'}")
    keys: Keys = {"ec2:Region": (call.region,)}
    if not name:
        return Touched(arn, {**keys, **(await _future(ec2, call, kind, params))})
    if kind == "security-group-rule":
        found = await rule_of(ec2, name)
        tags: Iterable[tuple[str, str]] = found[1].tags.items() if found is not None else ()
        return Touched(arn, {**keys, **resource_tags(tags, "ec2")})
    table = tables(ec2).get(kind)
    record = await table.get(name) if table is not None else None
    if record is None:
        return Touched(arn, keys)
    return Touched(arn, {**keys, **_place(call, kind, record), **resource_tags(record.tags.items(), "ec2")})


def _place(call: Call, kind: str, record: Any) -> Keys:
    """`Any`: a record of that kind, with what such records have."""
    keys: Keys = {_OWN_ID[kind]: (record.id,)}
    if kind in _IN_VPC:
        keys["ec2:Vpc"] = (call.arn("ec2", f"vpc/{record.vpc}"),)
    if kind in _IN_ZONE:
        keys["ec2:AvailabilityZone"] = (record.zone,)
    if kind == "network-interface":
        keys["ec2:Subnet"] = (call.arn("ec2", f"subnet/{record.subnet}"),)
    if kind == "vpc":
        keys["ec2:Tenancy"] = ("default",)
    return keys


async def _future(ec2: Ec2, call: Call, kind: str, params: Params) -> Keys:
    """Of an interface that is to be made."""
    if kind != "network-interface" or not params.get("SubnetId"):
        return {}
    subnet = await ec2.subnets.get(params["SubnetId"])
    if subnet is None:
        return {}
    return {
        "ec2:AvailabilityZone": (subnet.zone,),
        "ec2:Subnet": (call.arn("ec2", f"subnet/{subnet.id}"),),
        "ec2:Vpc": (call.arn("ec2", f"vpc/{subnet.vpc}"),),
    }
