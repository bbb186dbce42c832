"""Network interfaces: create, describe, modify, delete, and secondary private addresses.

An interface that another slice claimed is requester-managed: users see it and may not change it. Its status follows the
workload that carries it. Making one takes addresses first and writes the record last; what a crash leaves between the
two is freed at the next start.
"""

from __future__ import annotations

import msgspec

from ropewalk.aws.idempotency import Attempt
from ropewalk.aws.operations import Call, Params
from ropewalk.base.errors import Fault
from ropewalk.model.ids import InterfaceId, SecurityGroupId
from ropewalk.services.ec2 import subnets, vpcs
from ropewalk.services.ec2.describing import Description, tag_list
from ropewalk.services.ec2.faults import combination, group_elsewhere, invalid, missing, not_found, token_mismatch
from ropewalk.services.ec2.holds import Doomed
from ropewalk.services.ec2.ids import derived_id, mac_of, parse_address, private_dns_name
from ropewalk.services.ec2.records import Interface, SecurityGroup, Subnet, Tags, Vpc
from ropewalk.services.ec2.slice import Ec2, offer
from ropewalk.services.ec2.subnets import zone_id
from ropewalk.services.ec2.tagging import specified
from ropewalk.services.ec2.touching import on

MAX_GROUPS = 5
"""AWS's quota of groups an interface."""
MAX_ADDRESSES = 50
"""Most private addresses of any instance type."""

DESCRIPTION = Description(
    kind="eni",
    ids="NetworkInterfaceIds",
    id_member="NetworkInterfaceId",
    result="NetworkInterfaces",
    tags_member="TagSet",
    filters={
        "addresses.association.owner-id": "PrivateIpAddresses[].Association.IpOwnerId",
        "addresses.association.public-ip": "PrivateIpAddresses[].Association.PublicIp",
        "addresses.primary": "PrivateIpAddresses[].Primary",
        "addresses.private-ip-address": "PrivateIpAddresses[].PrivateIpAddress",
        "association.allocation-id": "Association.AllocationId",
        "association.association-id": "Association.AssociationId",
        "association.ip-owner-id": "Association.IpOwnerId",
        "association.public-dns-name": "Association.PublicDnsName",
        "association.public-ip": "Association.PublicIp",
        "attachment.attachment-id": "Attachment.AttachmentId",
        "attachment.delete-on-termination": "Attachment.DeleteOnTermination",
        "attachment.device-index": "Attachment.DeviceIndex",
        "attachment.instance-id": "Attachment.InstanceId",
        "attachment.instance-owner-id": "Attachment.InstanceOwnerId",
        "attachment.status": "Attachment.Status",
        "availability-zone": "AvailabilityZone",
        "availability-zone-id": "AvailabilityZoneId",
        "description": "Description",
        "group-id": "Groups[].GroupId",
        "group-name": "Groups[].GroupName",
        "interface-type": "InterfaceType",
        "ipv6-addresses.ipv6-address": "Ipv6Addresses[].Ipv6Address",
        "mac-address": "MacAddress",
        "network-interface-id": "NetworkInterfaceId",
        "owner-id": "OwnerId",
        "private-dns-name": "PrivateDnsName",
        "private-ip-address": "PrivateIpAddress",
        "requester-id": "RequesterId",
        "requester-managed": "RequesterManaged",
        "source-dest-check": "SourceDestCheck",
        "status": "Status",
        "subnet-id": "SubnetId",
        "vpc-id": "VpcId",
    },
)


def attachment_document(interface: Interface, call: Call) -> Params:
    return {
        "AttachmentId": derived_id("eni-attach", interface.id),
        "AttachTime": interface.created_at,
        "DeleteOnTermination": True,
        "DeviceIndex": 1,
        "NetworkCardIndex": 0,
        "InstanceOwnerId": interface.requester or call.account,
        "Status": "attached",
    }


def document(
    interface: Interface, call: Call, *, vpc: Vpc | None, names: dict[SecurityGroupId, str], carried: bool
) -> Params:
    """`names` are the groups' names."""
    named = vpc is not None and vpc.dns_hostnames

    def dns(address: str) -> Params:
        return {"PrivateDnsName": private_dns_name(address, call.region)} if named else {}

    answer: Params = {
        "NetworkInterfaceId": interface.id,
        "InterfaceType": "interface",
        "VpcId": interface.vpc,
        "SubnetId": interface.subnet,
        "AvailabilityZone": interface.zone,
        "AvailabilityZoneId": zone_id(interface.zone),
        "OwnerId": call.account,
        "Description": interface.description,
        "MacAddress": interface.mac,
        "PrivateIpAddress": interface.addresses[0],
        **dns(interface.addresses[0]),
        "PrivateIpAddresses": [
            {"Primary": place == 0, "PrivateIpAddress": address, **dns(address)}
            for place, address in enumerate(interface.addresses)
        ],
        "Ipv6Addresses": [],
        "Groups": [{"GroupId": group, "GroupName": names.get(group, "")} for group in interface.groups],
        "RequesterManaged": bool(interface.claim),
        "SourceDestCheck": interface.source_dest_check,
        "Status": "in-use" if carried else "available",
        "TagSet": tag_list(interface.tags),
    }
    if interface.requester:
        answer["RequesterId"] = interface.requester
    if carried:
        answer["Attachment"] = attachment_document(interface, call)
    return answer


async def _documents(ec2: Ec2, call: Call, interfaces: list[Interface]) -> list[Params]:
    networks = {item.record.id: item.record for item in await ec2.vpcs.list()}
    names = {item.record.id: item.record.name for item in await ec2.groups.list()}
    return [
        document(i, call, vpc=networks.get(i.vpc), names=names, carried=ec2.carriers.is_carried(i.id))
        for i in interfaces
    ]


async def existing(ec2: Ec2, interface_id: str) -> Interface:
    """Raises InvalidNetworkInterfaceID.NotFound."""
    interface = await ec2.interfaces.get(interface_id)
    if interface is None:
        raise not_found("eni", interface_id)
    return interface


async def own(ec2: Ec2, interface_id: str) -> Interface:
    """One that users may change. Raises OperationNotPermitted for what a service manages."""
    interface = await existing(ec2, interface_id)
    if interface.claim:
        raise Fault(
            "OperationNotPermitted",
            f"The network interface '{interface.id}' is managed by {interface.requester}: "
            "change or stop what it was made for.",
        )
    return interface


async def _groups(ec2: Ec2, subnet: Subnet, wanted: list[str]) -> tuple[SecurityGroupId, ...]:
    """The groups asked for, or the VPC's default one, all of the subnet's VPC."""
    if not wanted:
        return ((await vpcs.existing(ec2, subnet.vpc)).default_group,)
    if len(set(wanted)) > MAX_GROUPS:
        raise Fault(
            "SecurityGroupsPerInterfaceLimitExceeded",
            f"The maximum number of security groups per interface has been reached: {MAX_GROUPS}.",
        )
    for name in wanted:
        group: SecurityGroup | None = await ec2.groups.get(name)
        if group is None:
            raise not_found("sg", name)
        if group.vpc != subnet.vpc:
            raise group_elsewhere(name, subnet.id)
    return tuple(SecurityGroupId(name) for name in dict.fromkeys(wanted))


def _wanted_addresses(params: Params) -> tuple[list[str], int]:
    """The addresses asked for, the primary ("" is any) first, and how many more of any kind."""
    primary = params.get("PrivateIpAddress") or ""
    exact: list[str] = []
    for each in params.get("PrivateIpAddresses") or []:
        address = str(parse_address(each.get("PrivateIpAddress") or "", "privateIpAddress"))
        if each.get("Primary"):
            if primary:
                raise combination("Only one primary private IP address can be specified.")
            primary = address
        else:
            exact.append(address)
    if primary:
        primary = str(parse_address(primary, "privateIpAddress"))
    count = params.get("SecondaryPrivateIpAddressCount") or 0
    if count < 0:
        raise invalid(f"Value ({count}) for parameter secondaryPrivateIpAddressCount is invalid.")
    if exact and count:
        raise combination("Secondary addresses are given either one by one or by their number.")
    if len(exact) + count >= MAX_ADDRESSES:
        raise Fault("PrivateIpAddressLimitExceeded", f"An interface has at most {MAX_ADDRESSES} private addresses.")
    if len({primary, *exact}) < len(exact) + 1:
        raise invalid("The same private IP address must not appear multiple times.")
    return [primary, *exact], count


async def _take(ec2: Ec2, subnet: Subnet, interface: InterfaceId, exact: list[str], count: int) -> tuple[str, ...]:
    """All of them or none. In `exact`, "" is any address."""
    taken: list[str] = []
    result: list[str] = []
    try:
        for address in exact:
            if address:
                await ec2.addresses.take_exactly(subnet, address, interface)
                taken.append(address)
        for address in [*exact, *[""] * count]:
            if address:
                result.append(address)
            else:
                taken.append(await ec2.addresses.take(subnet, interface))
                result.append(taken[-1])
    except Fault:
        await ec2.addresses.give_back(subnet.vpc, taken, interface)
        raise
    return tuple(result)


@offer(
    "CreateNetworkInterface",
    "SubnetId",
    "Description",
    "Groups",
    "PrivateIpAddress",
    "PrivateIpAddresses",
    "SecondaryPrivateIpAddressCount",
    "TagSpecifications",
    "ClientToken",
    indifferent={"InterfaceType": "interface"},
    resources=on("network-interface", subnet="SubnetId", security_group="Groups"),
)
async def create_network_interface(ec2: Ec2, call: Call, params: Params) -> Params:
    tags = specified(params, "network-interface")
    exact, count = _wanted_addresses(params)
    token = params.get("ClientToken") or ""

    async def act(attempt: Attempt) -> Params:
        name = InterfaceId(derived_id("eni", attempt.seed))
        interface = await ec2.interfaces.get(name) or await _make(ec2, call, params, name, tags, exact, count)
        answer = {"NetworkInterface": (await _documents(ec2, call, [interface]))[0]}
        return {**answer, "ClientToken": token} if token else answer

    return await ec2.tokens.once(call, token, params, act, mismatch=token_mismatch())


async def _make(
    ec2: Ec2, call: Call, params: Params, name: InterfaceId, tags: Tags, exact: list[str], count: int
) -> Interface:
    wanted = params.get("Groups") or []
    try:
        with ec2.holds.using(params["SubnetId"], *wanted), ec2.addresses.making(name):
            subnet = await subnets.existing(ec2, params["SubnetId"])
            groups = await _groups(ec2, subnet, wanted)
            interface = Interface(
                id=name,
                tags=tags,
                vpc=subnet.vpc,
                subnet=subnet.id,
                zone=subnet.zone,
                groups=groups,
                addresses=await _take(ec2, subnet, name, exact, count),
                mac=mac_of(name),
                description=params.get("Description") or "",
                created_at=call.now,
            )
            await ec2.interfaces.create(name, interface)
    except Doomed as doomed:
        raise not_found("subnet" if doomed.resource == params["SubnetId"] else "sg", doomed.resource) from None
    return interface


@offer("DescribeNetworkInterfaces", "NetworkInterfaceIds", "Filters", "MaxResults", "NextToken")
async def describe_network_interfaces(ec2: Ec2, call: Call, params: Params) -> Params:
    ids = params.get("NetworkInterfaceIds") or []
    if ids:
        found = [await existing(ec2, name) for name in dict.fromkeys(ids)]
    else:
        found = [item.record for item in await ec2.interfaces.list()]
    return DESCRIPTION.answer(await _documents(ec2, call, found), params)


@offer(
    "DeleteNetworkInterface",
    "NetworkInterfaceId",
    resources=on("network-interface", "NetworkInterfaceId"),
)
async def delete_network_interface(ec2: Ec2, call: Call, params: Params) -> Params:
    async with ec2.topology:
        interface = await existing(ec2, params["NetworkInterfaceId"])
        if await ec2.carriers.carried(interface.id, interface.claim, interface.machine):
            raise Fault("InvalidNetworkInterface.InUse", f"Network interface '{interface.id}' is currently in use.")
        await own(ec2, interface.id)
        await ec2.interfaces.delete(interface.id)
        held = {*interface.addresses, *await ec2.addresses.held(interface.vpc, interface.id)}
        await ec2.addresses.give_back(interface.vpc, sorted(held), interface.id)
    return {}


@offer(
    "ModifyNetworkInterfaceAttribute",
    "NetworkInterfaceId",
    "Description",
    "SourceDestCheck",
    "Groups",
    resources=on("network-interface", "NetworkInterfaceId", security_group="Groups"),
)
async def modify_network_interface_attribute(ec2: Ec2, call: Call, params: Params) -> Params:
    given = [name for name in ("Description", "SourceDestCheck", "Groups") if params.get(name) is not None]
    if not given:
        raise missing("description, sourceDestCheck or groups")
    if len(given) > 1:
        raise combination("Only one attribute can be modified at a time.")
    interface = await own(ec2, params["NetworkInterfaceId"])
    wanted = params.get("Groups") or []
    if given == ["Groups"] and not wanted:
        raise missing("groups")
    try:
        with ec2.holds.using(*wanted):
            changes: Params = {}
            if given == ["Description"]:
                changes = {"description": params["Description"].get("Value") or ""}
            elif given == ["SourceDestCheck"]:
                changes = {"source_dest_check": bool(params["SourceDestCheck"].get("Value"))}
            else:
                changes = {"groups": await _groups(ec2, await subnets.existing(ec2, interface.subnet), wanted)}
            await ec2.interfaces.mutate(interface.id, lambda i: msgspec.structs.replace(i, **changes))
    except Doomed as doomed:
        raise not_found("sg", doomed.resource) from None
    return {}


@offer("DescribeNetworkInterfaceAttribute", "NetworkInterfaceId", "Attribute")
async def describe_network_interface_attribute(ec2: Ec2, call: Call, params: Params) -> Params:
    interface = await existing(ec2, params["NetworkInterfaceId"])
    shown = (await _documents(ec2, call, [interface]))[0]
    attribute = params.get("Attribute")
    members: dict[str, Params] = {
        "description": {"Description": {"Value": interface.description}},
        "groupSet": {"Groups": shown["Groups"]},
        "sourceDestCheck": {"SourceDestCheck": {"Value": interface.source_dest_check}},
        "attachment": {"Attachment": shown["Attachment"]} if "Attachment" in shown else {},
        "associatePublicIpAddress": {"AssociatePublicIpAddress": False},
    }
    if attribute not in members:
        raise (
            missing("attribute")
            if not attribute
            else invalid(f"Value ({attribute}) for parameter attribute is invalid.")
        )
    return {"NetworkInterfaceId": interface.id, **members[attribute]}


@offer(
    "AssignPrivateIpAddresses",
    "NetworkInterfaceId",
    "PrivateIpAddresses",
    "SecondaryPrivateIpAddressCount",
    resources=on("network-interface", "NetworkInterfaceId"),
)
async def assign_private_ip_addresses(ec2: Ec2, call: Call, params: Params) -> Params:
    exact = [str(parse_address(text, "privateIpAddress")) for text in params.get("PrivateIpAddresses") or []]
    count = params.get("SecondaryPrivateIpAddressCount") or 0
    if bool(exact) == bool(count):
        raise combination("Give either privateIpAddresses or secondaryPrivateIpAddressCount.")
    if count < 0 or len(set(exact)) < len(exact):
        raise invalid("The private IP addresses asked for are not a set of addresses.")
    async with ec2.topology:
        interface = await own(ec2, params["NetworkInterfaceId"])
        if len(interface.addresses) + len(exact) + count > MAX_ADDRESSES:
            raise Fault("PrivateIpAddressLimitExceeded", f"An interface has at most {MAX_ADDRESSES} private addresses.")
        subnet = await subnets.existing(ec2, interface.subnet)
        with ec2.addresses.making(interface.id):
            new = await _take(ec2, subnet, interface.id, exact, count)
            await ec2.interfaces.mutate(
                interface.id, lambda i: msgspec.structs.replace(i, addresses=(*i.addresses, *new))
            )
    return {
        "NetworkInterfaceId": interface.id,
        "AssignedPrivateIpAddresses": [{"PrivateIpAddress": address} for address in new],
    }


@offer(
    "UnassignPrivateIpAddresses",
    "NetworkInterfaceId",
    "PrivateIpAddresses",
    resources=on("network-interface", "NetworkInterfaceId"),
)
async def unassign_private_ip_addresses(ec2: Ec2, call: Call, params: Params) -> Params:
    given = [str(parse_address(text, "privateIpAddress")) for text in params.get("PrivateIpAddresses") or []]
    if not given:
        raise missing("privateIpAddresses")
    async with ec2.topology:
        interface = await own(ec2, params["NetworkInterfaceId"])
        for address in given:
            if address not in interface.addresses[1:]:
                raise invalid(f"{address} is not a secondary private IP address of {interface.id}.")
        kept = tuple(address for address in interface.addresses if address not in given)
        await ec2.interfaces.mutate(interface.id, lambda i: msgspec.structs.replace(i, addresses=kept))
        await ec2.addresses.give_back(interface.vpc, given, interface.id)
    return {}
