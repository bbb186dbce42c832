"""Route tables, their routes and their associations.

Which table a subnet follows is kept in the subnet, which one is main in the VPC: moving an association is one write.
Targets are the VPC itself ("local") and its internet gateway; others are refused by name until they exist here.
"""

from __future__ import annotations

import ipaddress
from contextlib import suppress

import msgspec

from ropewalk.aws.idempotency import Attempt
from ropewalk.aws.operations import Call, Params
from ropewalk.base.errors import Fault
from ropewalk.services.ec2 import internet_gateways, subnets, vpcs
from ropewalk.services.ec2.describing import Description, tag_list
from ropewalk.services.ec2.faults import has_dependencies, invalid, missing, not_found, token_mismatch
from ropewalk.services.ec2.ids import derived_id, new_id, parse_cidr
from ropewalk.services.ec2.records import Route, RouteTable, Subnet, Vpc
from ropewalk.services.ec2.slice import Ec2, offer
from ropewalk.services.ec2.tagging import specified
from ropewalk.services.ec2.touching import on
from ropewalk.store.protocol import KeyExists

MAX_ROUTES = 50
"""AWS's quota of routes a table."""

DESCRIPTION = Description(
    kind="rtb",
    ids="RouteTableIds",
    id_member="RouteTableId",
    result="RouteTables",
    filters={
        "association.gateway-id": "Associations[].GatewayId",
        "association.main": "Associations[].Main",
        "association.route-table-association-id": "Associations[].RouteTableAssociationId",
        "association.route-table-id": "Associations[].RouteTableId",
        "association.subnet-id": "Associations[].SubnetId",
        "owner-id": "OwnerId",
        "route-table-id": "RouteTableId",
        "route.destination-cidr-block": "Routes[].DestinationCidrBlock",
        "route.destination-ipv6-cidr-block": "Routes[].DestinationIpv6CidrBlock",
        "route.destination-prefix-list-id": "Routes[].DestinationPrefixListId",
        "route.egress-only-internet-gateway-id": "Routes[].EgressOnlyInternetGatewayId",
        "route.gateway-id": "Routes[].GatewayId",
        "route.instance-id": "Routes[].InstanceId",
        "route.nat-gateway-id": "Routes[].NatGatewayId",
        "route.origin": "Routes[].Origin",
        "route.state": "Routes[].State",
        "route.transit-gateway-id": "Routes[].TransitGatewayId",
        "route.vpc-peering-connection-id": "Routes[].VpcPeeringConnectionId",
        "vpc-id": "VpcId",
    },
)


def _route(route: Route, gateways: set[str]) -> Params:
    live = route.gateway == "local" or route.gateway in gateways
    return {
        "DestinationCidrBlock": route.destination,
        "GatewayId": route.gateway,
        "Origin": "CreateRoute",
        "State": "active" if live else "blackhole",
    }


def document(table: RouteTable, vpc: Vpc, members: list[Subnet], gateways: set[str], call: Call) -> Params:
    """`members` are the VPC's subnets, `gateways` the internet gateways attached to it."""
    associated = {"AssociationState": {"State": "associated"}, "RouteTableId": table.id}
    associations: list[Params] = []
    if vpc.main_route_table == table.id:
        associations.append({**associated, "Main": True, "RouteTableAssociationId": vpc.main_association})
    associations.extend(
        {**associated, "Main": False, "RouteTableAssociationId": s.route_association, "SubnetId": s.id}
        for s in members
        if s.route_table == table.id
    )
    local = {
        "DestinationCidrBlock": vpc.cidr,
        "GatewayId": "local",
        "Origin": "CreateRouteTable",
        "State": "active",
    }
    return {
        "RouteTableId": table.id,
        "VpcId": table.vpc,
        "OwnerId": call.account,
        "Associations": associations,
        "Routes": [local, *(_route(route, gateways) for route in table.routes)],
        "PropagatingVgws": [],
        "Tags": tag_list(table.tags),
    }


async def existing(ec2: Ec2, table_id: str) -> RouteTable:
    """Raises InvalidRouteTableID.NotFound."""
    table = await ec2.route_tables.get(table_id)
    if table is None:
        raise not_found("rtb", table_id)
    return table


async def _documents(ec2: Ec2, call: Call, tables: list[RouteTable]) -> list[Params]:
    networks = {item.record.id: item.record for item in await ec2.vpcs.list()}
    members = [item.record for item in await ec2.subnets.list()]
    attached = [item.record for item in await ec2.gateways.list()]
    return [
        document(
            table,
            networks[table.vpc],
            [s for s in members if s.vpc == table.vpc],
            {g.id for g in attached if g.vpc == table.vpc},
            call,
        )
        for table in tables
        if table.vpc in networks
    ]


@offer("CreateRouteTable", "VpcId", "TagSpecifications", "ClientToken", resources=on("route-table", vpc="VpcId"))
async def create_route_table(ec2: Ec2, call: Call, params: Params) -> Params:
    tags = specified(params, "route-table")
    token = params.get("ClientToken") or ""

    async def act(attempt: Attempt) -> Params:
        async with ec2.topology:
            vpc = await vpcs.existing(ec2, params["VpcId"])
            table = RouteTable(id=derived_id("rtb", attempt.seed), tags=tags, vpc=vpc.id)
            with suppress(KeyExists):
                await ec2.route_tables.create(table.id, table)
        answer = {"RouteTable": (await _documents(ec2, call, [table]))[0]}
        return {**answer, "ClientToken": token} if token else answer

    return await ec2.tokens.once(call, token, params, act, mismatch=token_mismatch())


@offer("DescribeRouteTables", "RouteTableIds", "Filters", "MaxResults", "NextToken")
async def describe_route_tables(ec2: Ec2, call: Call, params: Params) -> Params:
    tables = [item.record for item in await ec2.route_tables.list()]
    return DESCRIPTION.answer(await _documents(ec2, call, tables), params)


@offer("DeleteRouteTable", "RouteTableId", resources=on("route-table", "RouteTableId"))
async def delete_route_table(ec2: Ec2, call: Call, params: Params) -> Params:
    async with ec2.topology:
        table = await existing(ec2, params["RouteTableId"])
        vpc = await ec2.vpcs.get(table.vpc)
        used = any(item.record.route_table == table.id for item in await ec2.subnets.list())
        if used or (vpc is not None and vpc.main_route_table == table.id):
            raise has_dependencies("routeTable", table.id)
        await ec2.route_tables.delete(table.id)
    return {}


async def _target(ec2: Ec2, table: RouteTable, params: Params) -> Route:
    """The route that the request describes. Raises for what cannot be reached from the table's VPC."""
    if not params.get("DestinationCidrBlock"):
        raise missing("destinationCidrBlock")
    destination = str(parse_cidr(params["DestinationCidrBlock"], "destinationCidrBlock"))
    gateway = params.get("GatewayId")
    if not gateway:
        raise missing("gatewayId")
    if gateway != "local":
        found = await internet_gateways.existing(ec2, gateway)
        if found.vpc != table.vpc:
            raise invalid(f"route table {table.id} and network gateway {gateway} belong to different networks")
    return Route(destination=destination, gateway=gateway)


async def _local_block(ec2: Ec2, table: RouteTable) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network((await vpcs.existing(ec2, table.vpc)).cidr)


@offer(
    "CreateRoute",
    "RouteTableId",
    "DestinationCidrBlock",
    "GatewayId",
    resources=on("route-table", "RouteTableId"),
)
async def create_route(ec2: Ec2, call: Call, params: Params) -> Params:
    async with ec2.topology:
        table = await existing(ec2, params["RouteTableId"])
        route = await _target(ec2, table, params)
        same = next((r for r in table.routes if r.destination == route.destination), None)
        if same == route:
            return {"Return": True}
        if same is not None or route.destination == str(await _local_block(ec2, table)):
            raise Fault("RouteAlreadyExists", f"The route identified by {route.destination} already exists.")
        if route.gateway == "local":
            raise invalid("The gateway local is only for routes within the VPC, which has its local route already.")
        if len(table.routes) >= MAX_ROUTES:
            raise Fault("RouteLimitExceeded", f"The route table {table.id} has {MAX_ROUTES} routes, the most it may.")
        await ec2.route_tables.mutate(table.id, lambda t: msgspec.structs.replace(t, routes=(*t.routes, route)))
    return {"Return": True}


@offer(
    "ReplaceRoute",
    "RouteTableId",
    "DestinationCidrBlock",
    "GatewayId",
    resources=on("route-table", "RouteTableId"),
)
async def replace_route(ec2: Ec2, call: Call, params: Params) -> Params:
    async with ec2.topology:
        table = await existing(ec2, params["RouteTableId"])
        route = await _target(ec2, table, params)
        if route.gateway == "local" or route.destination == str(await _local_block(ec2, table)):
            raise invalid(f"cannot replace the local route in route table {table.id}")
        _present(table, route.destination)
        routes = tuple(route if r.destination == route.destination else r for r in table.routes)
        await ec2.route_tables.mutate(table.id, lambda t: msgspec.structs.replace(t, routes=routes))
    return {}


@offer("DeleteRoute", "RouteTableId", "DestinationCidrBlock", resources=on("route-table", "RouteTableId"))
async def delete_route(ec2: Ec2, call: Call, params: Params) -> Params:
    if not params.get("DestinationCidrBlock"):
        raise missing("destinationCidrBlock")
    destination = str(parse_cidr(params["DestinationCidrBlock"], "destinationCidrBlock"))
    async with ec2.topology:
        table = await existing(ec2, params["RouteTableId"])
        if destination == str(await _local_block(ec2, table)):
            raise invalid(f"cannot remove local route {destination} in route table {table.id}")
        _present(table, destination)
        routes = tuple(r for r in table.routes if r.destination != destination)
        await ec2.route_tables.mutate(table.id, lambda t: msgspec.structs.replace(t, routes=routes))
    return {}


def _present(table: RouteTable, destination: str) -> None:
    if not any(route.destination == destination for route in table.routes):
        raise Fault(
            "InvalidRoute.NotFound",
            f"no route with destination-cidr-block {destination} in route table {table.id}",
        )


@offer(
    "AssociateRouteTable", "RouteTableId", "SubnetId", resources=on("route-table", "RouteTableId", subnet="SubnetId")
)
async def associate_route_table(ec2: Ec2, call: Call, params: Params) -> Params:
    if not params.get("SubnetId"):
        raise missing("subnetId")
    async with ec2.topology:
        table = await existing(ec2, params["RouteTableId"])
        subnet = await subnets.existing(ec2, params["SubnetId"])
        _same_network(table, subnet)
        if subnet.route_table == table.id:
            return {"AssociationId": subnet.route_association, "AssociationState": {"State": "associated"}}
        if subnet.route_table:
            raise Fault(
                "Resource.AlreadyAssociated",
                f"the specified association for route table {table.id} conflicts with an existing association",
            )
        association = new_id(ec2.entropy, "rtbassoc")
        await _follow(ec2, subnet, table.id, association)
    return {"AssociationId": association, "AssociationState": {"State": "associated"}}


@offer("DisassociateRouteTable", "AssociationId", resources=on("route-table", "RouteTableId"))
async def disassociate_route_table(ec2: Ec2, call: Call, params: Params) -> Params:
    async with ec2.topology:
        subnet, vpc = await _associated(ec2, params["AssociationId"])
        if vpc is not None:
            raise invalid(f"cannot disassociate the main route table association {params['AssociationId']}")
        if subnet is not None:
            await _follow(ec2, subnet, "", "")
    return {}


@offer(
    "ReplaceRouteTableAssociation",
    "AssociationId",
    "RouteTableId",
    resources=on("route-table", "RouteTableId"),
)
async def replace_route_table_association(ec2: Ec2, call: Call, params: Params) -> Params:
    async with ec2.topology:
        table = await existing(ec2, params["RouteTableId"])
        subnet, vpc = await _associated(ec2, params["AssociationId"])
        association = new_id(ec2.entropy, "rtbassoc")
        if subnet is not None:
            _same_network(table, subnet)
            await _follow(ec2, subnet, table.id, association)
        elif vpc is not None:
            if table.vpc != vpc.id:
                raise invalid(f"route table {table.id} and network {vpc.id} belong to different networks")
            await ec2.vpcs.mutate(
                vpc.id,
                lambda v: msgspec.structs.replace(v, main_route_table=table.id, main_association=association),
            )
    return {"NewAssociationId": association, "AssociationState": {"State": "associated"}}


def _same_network(table: RouteTable, subnet: Subnet) -> None:
    if table.vpc != subnet.vpc:
        raise invalid(f"route table {table.id} and subnet {subnet.id} belong to different networks")


async def _follow(ec2: Ec2, subnet: Subnet, table: str, association: str) -> None:
    await ec2.subnets.mutate(
        subnet.id,
        lambda s: msgspec.structs.replace(s, route_table=table, route_association=association),
    )


async def _associated(ec2: Ec2, association: str) -> tuple[Subnet | None, Vpc | None]:
    """Whose association it is: a subnet's, or a VPC's main one. Raises InvalidAssociationID.NotFound."""
    for item in await ec2.subnets.list():
        if item.record.route_association == association:
            return item.record, None
    for network in await ec2.vpcs.list():
        if network.record.main_association == association:
            return None, network.record
    raise not_found("rtbassoc", association)
