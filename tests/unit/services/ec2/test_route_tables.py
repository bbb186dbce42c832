"""Route tables, routes, associations and internet gateways."""

from __future__ import annotations

import pytest

from unit.services.ec2.kit import World


class Net:
    """A VPC with a subnet, a table and an attached gateway."""

    @classmethod
    async def made(cls, world: World) -> Net:
        net = cls()
        net.vpc = (await world.run("CreateVpc", CidrBlock="10.0.0.0/16"))["Vpc"]["VpcId"]
        net.subnet = (await world.run("CreateSubnet", VpcId=net.vpc, CidrBlock="10.0.0.0/24"))["Subnet"]["SubnetId"]
        net.table = (await world.run("CreateRouteTable", VpcId=net.vpc))["RouteTable"]["RouteTableId"]
        net.gateway = (await world.run("CreateInternetGateway"))["InternetGateway"]["InternetGatewayId"]
        await world.run("AttachInternetGateway", VpcId=net.vpc, InternetGatewayId=net.gateway)
        return net

    vpc: str
    subnet: str
    table: str
    gateway: str


async def described(world: World, table: str) -> dict:
    return (await world.run("DescribeRouteTables", RouteTableIds=[table]))["RouteTables"][0]


async def test_routes_come_change_and_go() -> None:
    world = World()
    net = await Net.made(world)
    route = {"RouteTableId": net.table, "DestinationCidrBlock": "0.0.0.0/0"}
    await world.run("CreateRoute", **route, GatewayId=net.gateway)
    assert await world.run("CreateRoute", **route, GatewayId=net.gateway) == {"Return": True}
    await world.run("ReplaceRoute", **route, GatewayId=net.gateway)
    routes = (await described(world, net.table))["Routes"]
    assert [(r["DestinationCidrBlock"], r["Origin"]) for r in routes] == [
        ("10.0.0.0/16", "CreateRouteTable"),
        ("0.0.0.0/0", "CreateRoute"),
    ]
    await world.run("DetachInternetGateway", InternetGatewayId=net.gateway, VpcId=net.vpc)
    assert (await described(world, net.table))["Routes"][1]["State"] == "blackhole"
    await world.run("DeleteRoute", **route)
    assert len((await described(world, net.table))["Routes"]) == 1
    assert (await world.fault("DeleteRoute", **route)).code == "InvalidRoute.NotFound"


async def test_bad_routes_are_refused() -> None:
    world = World()
    net = await Net.made(world)
    loose = (await world.run("CreateInternetGateway"))["InternetGateway"]["InternetGatewayId"]
    base = {"RouteTableId": net.table, "DestinationCidrBlock": "0.0.0.0/0"}
    for params, code in (
        ({**base}, "MissingParameter"),
        ({**base, "GatewayId": "igw-x"}, "InvalidInternetGatewayID.NotFound"),
        ({**base, "GatewayId": loose}, "InvalidParameterValue"),
        ({**base, "GatewayId": "local"}, "InvalidParameterValue"),
        ({**base, "NatGatewayId": "nat-1"}, "UnsupportedOperation"),
        ({**base, "DestinationCidrBlock": "10.0.0.0/16", "GatewayId": net.gateway}, "RouteAlreadyExists"),
        (
            {"RouteTableId": "rtb-x", "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": loose},
            "InvalidRouteTableID.NotFound",
        ),
        ({"RouteTableId": net.table, "GatewayId": net.gateway}, "MissingParameter"),
    ):
        assert (await world.fault("CreateRoute", **params)).code == code, params
    local = {"RouteTableId": net.table, "DestinationCidrBlock": "10.0.0.0/16"}
    assert (await world.fault("DeleteRoute", **local)).code == "InvalidParameterValue"


async def test_a_subnet_follows_the_table_it_is_associated_with() -> None:
    world = World()
    net = await Net.made(world)
    made = await world.run("AssociateRouteTable", RouteTableId=net.table, SubnetId=net.subnet)
    again = await world.run("AssociateRouteTable", RouteTableId=net.table, SubnetId=net.subnet)
    assert made["AssociationId"] == again["AssociationId"]
    association = (await described(world, net.table))["Associations"][0]
    assert (association["SubnetId"], association["Main"]) == (net.subnet, False)
    assert (await world.fault("DeleteRouteTable", RouteTableId=net.table)).code == "DependencyViolation"
    other = (await world.run("CreateRouteTable", VpcId=net.vpc))["RouteTable"]["RouteTableId"]
    conflict = await world.fault("AssociateRouteTable", RouteTableId=other, SubnetId=net.subnet)
    assert conflict.code == "Resource.AlreadyAssociated"
    moved = await world.run("ReplaceRouteTableAssociation", AssociationId=made["AssociationId"], RouteTableId=other)
    assert moved["NewAssociationId"] != made["AssociationId"]
    assert (await described(world, net.table))["Associations"] == []
    await world.run("DisassociateRouteTable", AssociationId=moved["NewAssociationId"])
    gone = await world.fault("DisassociateRouteTable", AssociationId=moved["NewAssociationId"])
    assert gone.code == "InvalidAssociationID.NotFound"
    await world.run("DeleteRouteTable", RouteTableId=other)


async def test_the_main_table_can_be_another() -> None:
    world = World()
    net = await Net.made(world)
    filters = [{"Name": "association.main", "Values": ["true"]}, {"Name": "vpc-id", "Values": [net.vpc]}]
    old = (await world.run("DescribeRouteTables", Filters=filters))["RouteTables"][0]
    main = old["Associations"][0]["RouteTableAssociationId"]
    assert (await world.fault("DisassociateRouteTable", AssociationId=main)).code == "InvalidParameterValue"
    assert (await world.fault("DeleteRouteTable", RouteTableId=old["RouteTableId"])).code == "DependencyViolation"
    await world.run("ReplaceRouteTableAssociation", AssociationId=main, RouteTableId=net.table)
    new = (await world.run("DescribeRouteTables", Filters=filters))["RouteTables"]
    assert [t["RouteTableId"] for t in new] == [net.table]
    await world.run("DeleteRouteTable", RouteTableId=old["RouteTableId"])


async def test_tables_and_subnets_of_two_vpcs_do_not_mix() -> None:
    world = World()
    one, two = await Net.made(world), await Net.made(world)
    mixed = await world.fault("AssociateRouteTable", RouteTableId=one.table, SubnetId=two.subnet)
    assert mixed.code == "InvalidParameterValue"


async def test_a_client_token_makes_one_table() -> None:
    world = World()
    net = await Net.made(world)
    first = await world.run("CreateRouteTable", VpcId=net.vpc, ClientToken="t")
    second = await world.run("CreateRouteTable", VpcId=net.vpc, ClientToken="t")
    assert first["RouteTable"]["RouteTableId"] == second["RouteTable"]["RouteTableId"]
    other = (await world.run("CreateVpc", CidrBlock="10.0.0.0/16"))["Vpc"]["VpcId"]
    assert (await world.fault("CreateRouteTable", VpcId=other, ClientToken="t")).code == "IdempotentParameterMismatch"
    assert len(await world.ec2.route_tables.list()) == 4


@pytest.mark.parametrize(
    ("operation", "which", "code"),
    [
        ("AttachInternetGateway", "attached", "Resource.AlreadyAssociated"),
        ("AttachInternetGateway", "loose", "InvalidParameterValue"),
        ("DetachInternetGateway", "loose", "Gateway.NotAttached"),
        ("DeleteInternetGateway", "attached", "DependencyViolation"),
        ("DeleteInternetGateway", "igw-x", "InvalidInternetGatewayID.NotFound"),
    ],
)
async def test_gateways_refuse_what_does_not_fit(operation: str, which: str, code: str) -> None:
    world = World()
    net = await Net.made(world)
    loose = (await world.run("CreateInternetGateway"))["InternetGateway"]["InternetGatewayId"]
    params = {"InternetGatewayId": {"attached": net.gateway, "loose": loose}.get(which, which)}
    if operation != "DeleteInternetGateway":
        params["VpcId"] = net.vpc
    assert (await world.fault(operation, **params)).code == code
