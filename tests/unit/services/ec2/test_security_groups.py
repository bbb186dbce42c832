"""Security groups and their rules: splitting, duplicates, all or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.base.errors import Fault
from ropewalk.services.ec2.permissions import joined, split
from unit.services.ec2.kit import World

WEB = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


async def a_group(world: World, name: str = "web", **more: str) -> str:
    return (await world.run("CreateSecurityGroup", GroupName=name, Description="for tests", **more))["GroupId"]


async def group(world: World, group_id: str) -> dict:
    return (await world.run("DescribeSecurityGroups", GroupIds=[group_id]))["SecurityGroups"][0]


async def test_a_group_lets_everything_out_and_nothing_in() -> None:
    world = await World().seeded()
    made = await group(world, await a_group(world))
    assert made["IpPermissions"] == []
    assert [(p["IpProtocol"], p["IpRanges"]) for p in made["IpPermissionsEgress"]] == [
        ("-1", [{"CidrIp": "0.0.0.0/0"}])
    ]
    assert "FromPort" not in made["IpPermissionsEgress"][0]


async def test_the_way_out_can_be_closed_and_opened() -> None:
    world = await World().seeded()
    web = await a_group(world)
    out = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    inward = await world.fault("RevokeSecurityGroupIngress", GroupId=web, IpPermissions=[out])
    assert inward.code == "InvalidPermission.NotFound"
    revoked = await world.run("RevokeSecurityGroupEgress", GroupId=web, IpPermissions=[out])
    assert [rule["IsEgress"] for rule in revoked["RevokedSecurityGroupRules"]] == [True]
    assert (await group(world, web))["IpPermissionsEgress"] == []
    made = await world.run("AuthorizeSecurityGroupEgress", GroupId=web, IpPermissions=[out])
    name = made["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    wrong = await world.fault("RevokeSecurityGroupIngress", GroupId=web, SecurityGroupRuleIds=[name])
    assert wrong.code == "InvalidSecurityGroupRuleId.NotFound"
    await world.run("RevokeSecurityGroupEgress", GroupId=web, SecurityGroupRuleIds=[name])


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"GroupName": "web", "Description": "d"}, "InvalidGroup.Duplicate"),
        ({"GroupName": "default", "Description": "d"}, "InvalidParameterValue"),
        ({"GroupName": "sg-web", "Description": "d"}, "InvalidParameterValue"),
        ({"GroupName": "", "Description": "d"}, "InvalidParameterValue"),
        ({"GroupName": "x" * 256, "Description": "d"}, "InvalidParameterValue"),
        ({"GroupName": "w", "Description": "größer"}, "InvalidParameterValue"),
    ],
)
async def test_bad_groups_are_refused(params: dict, code: str) -> None:
    world = await World().seeded()
    await a_group(world)
    assert (await world.fault("CreateSecurityGroup", **params)).code == code


async def test_the_same_name_in_another_vpc_is_another_group() -> None:
    world = await World().seeded()
    other = (await world.run("CreateVpc", CidrBlock="10.0.0.0/16"))["Vpc"]["VpcId"]
    assert await a_group(world) != await a_group(world, VpcId=other)


async def test_a_rule_is_an_object() -> None:
    world = await World().seeded()
    web = await a_group(world)
    made = await world.run(
        "AuthorizeSecurityGroupIngress",
        GroupId=web,
        IpPermissions=[WEB],
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": [{"Key": "k", "Value": "v"}]}],
    )
    rule = made["SecurityGroupRules"][0]
    assert rule["SecurityGroupRuleId"].startswith("sgr-0")
    assert (rule["IsEgress"], rule["CidrIpv4"], rule["Tags"]) == (False, "0.0.0.0/0", [{"Key": "k", "Value": "v"}])
    again = await world.fault("AuthorizeSecurityGroupIngress", GroupId=web, IpPermissions=[WEB])
    assert again.code == "InvalidPermission.Duplicate"
    assert "peer: 0.0.0.0/0, TCP, from port: 80, to port: 80, ALLOW" in again.message
    by_group = [{"Name": "group-id", "Values": [web]}]
    rules = (await world.run("DescribeSecurityGroupRules", Filters=by_group))["SecurityGroupRules"]
    assert sorted(r["IsEgress"] for r in rules) == [False, True]
    revoked = await world.run(
        "RevokeSecurityGroupIngress", GroupId=web, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]]
    )
    assert revoked["RevokedSecurityGroupRules"][0]["CidrIpv4"] == "0.0.0.0/0"
    assert (await group(world, web))["IpPermissions"] == []
    gone = await world.fault("RevokeSecurityGroupIngress", GroupId=web, IpPermissions=[WEB])
    assert gone.code == "InvalidPermission.NotFound"


async def test_one_bad_permission_changes_nothing() -> None:
    world = await World().seeded()
    web = await a_group(world)
    ssh = {**WEB, "FromPort": 22, "ToPort": 22}
    await world.run("AuthorizeSecurityGroupIngress", GroupId=web, IpPermissions=[WEB])
    await world.fault("AuthorizeSecurityGroupIngress", GroupId=web, IpPermissions=[ssh, WEB])
    await world.fault("RevokeSecurityGroupIngress", GroupId=web, IpPermissions=[WEB, ssh])
    assert [p["FromPort"] for p in (await group(world, web))["IpPermissions"]] == [80]


async def test_the_old_spelling_and_names_in_the_default_vpc_work() -> None:
    world = await World().seeded()
    web = await a_group(world)
    flat = {"GroupName": "web", "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "10.0.0.9/8"}
    await world.run("AuthorizeSecurityGroupIngress", **flat)
    permission = (await group(world, web))["IpPermissions"][0]
    assert permission["IpRanges"] == [{"CidrIp": "10.0.0.0/8"}]
    await world.run("RevokeSecurityGroupIngress", **flat)
    mixed = await world.fault("AuthorizeSecurityGroupIngress", **flat, IpPermissions=[WEB])
    assert mixed.code == "InvalidParameterCombination"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"IpProtocol": "banana"}, "InvalidParameterValue"),
        ({"IpProtocol": "256"}, "InvalidParameterValue"),
        ({"IpProtocol": "icmpv6"}, "UnsupportedOperation"),
        ({"FromPort": 81}, "InvalidParameterValue"),
        ({"ToPort": 65536}, "InvalidParameterValue"),
        ({"FromPort": -1, "ToPort": -1}, "InvalidParameterValue"),
        ({"IpRanges": []}, "MissingParameter"),
        ({"IpRanges": [{"CidrIp": "::/0"}]}, "InvalidParameterValue"),
        ({"IpRanges": [{"CidrIp": "10.0.0.0"}]}, "InvalidParameterValue"),
        ({"Ipv6Ranges": [{"CidrIpv6": "::/0"}]}, "UnsupportedOperation"),
        ({"PrefixListIds": [{"PrefixListId": "pl-1"}]}, "UnsupportedOperation"),
        ({"IpRanges": [{"CidrIp": "10.0.0.1/8"}, {"CidrIp": "10.9.9.9/8"}]}, "InvalidParameterValue"),
        ({"UserIdGroupPairs": [{"GroupId": "sg-x"}]}, "InvalidGroup.NotFound"),
        ({"UserIdGroupPairs": [{"GroupId": "sg-x", "UserId": "999999999999"}]}, "InvalidGroup.NotFound"),
        ({"IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "x" * 256}]}, "InvalidParameterValue"),
    ],
)
async def test_bad_permissions_are_refused(change: dict, code: str) -> None:
    world = await World().seeded()
    web = await a_group(world)
    fault = await world.fault("AuthorizeSecurityGroupIngress", GroupId=web, IpPermissions=[{**WEB, **change}])
    assert fault.code == code


async def test_a_group_that_others_name_stays() -> None:
    world = await World().seeded()
    web, database = await a_group(world), await a_group(world, "database")
    pair = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [{"GroupName": "web"}]}
    await world.run("AuthorizeSecurityGroupIngress", GroupId=database, IpPermissions=[pair])
    assert (await group(world, database))["IpPermissions"][0]["UserIdGroupPairs"][0]["GroupId"] == web
    assert (await world.fault("DeleteSecurityGroup", GroupId=web)).code == "DependencyViolation"
    await world.run("DeleteSecurityGroup", GroupId=database)
    interface = await world.run("CreateNetworkInterface", SubnetId=await world.default_subnet(), Groups=[web])
    assert (await world.fault("DeleteSecurityGroup", GroupId=web)).code == "DependencyViolation"
    name = interface["NetworkInterface"]["NetworkInterfaceId"]
    await world.run("DeleteNetworkInterface", NetworkInterfaceId=name)
    await world.run("DeleteSecurityGroup", GroupName="web")
    assert (await world.fault("DeleteSecurityGroup", GroupId=web)).code == "InvalidGroup.NotFound"


async def test_a_default_group_cannot_be_deleted() -> None:
    world = await World().seeded()
    default = (await world.run("DescribeSecurityGroups", GroupNames=["default"]))["SecurityGroups"][0]["GroupId"]
    assert (await world.fault("DeleteSecurityGroup", GroupId=default)).code == "CannotDelete"


async def test_groups_of_two_vpcs_do_not_mix() -> None:
    world = await World().seeded()
    other = (await world.run("CreateVpc", CidrBlock="10.0.0.0/16"))["Vpc"]["VpcId"]
    far, web = await a_group(world, "far", VpcId=other), await a_group(world)
    pair = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": far}]}
    fault = await world.fault("AuthorizeSecurityGroupIngress", GroupId=web, IpPermissions=[pair])
    assert "different networks" in fault.message


async def test_rules_are_modified_whole() -> None:
    world = await World().seeded()
    web = await a_group(world)
    rules = (
        await world.run(
            "AuthorizeSecurityGroupIngress", GroupId=web, IpPermissions=[WEB, {**WEB, "FromPort": 22, "ToPort": 22}]
        )
    )["SecurityGroupRules"]
    name = rules[1]["SecurityGroupRuleId"]
    wanted = {"IpProtocol": "17", "FromPort": 53, "ToPort": 53, "CidrIpv4": "10.0.0.0/8", "Description": "dns"}
    update = [{"SecurityGroupRuleId": name, "SecurityGroupRule": wanted}]
    await world.run("ModifySecurityGroupRules", GroupId=web, SecurityGroupRules=update)
    got = (await world.run("DescribeSecurityGroupRules", SecurityGroupRuleIds=[name]))["SecurityGroupRules"][0]
    assert (got["IpProtocol"], got["FromPort"], got["CidrIpv4"], got["Description"]) == ("udp", 53, "10.0.0.0/8", "dns")
    for rule, code in (
        ({"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIpv4": "0.0.0.0/0"}, "InvalidPermission.Duplicate"),
        ({"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80}, "InvalidParameterValue"),
        ({"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIpv6": "::/0"}, "UnsupportedOperation"),
    ):
        update = [{"SecurityGroupRuleId": name, "SecurityGroupRule": rule}]
        fault = await world.fault("ModifySecurityGroupRules", GroupId=web, SecurityGroupRules=update)
        assert fault.code == code
    update = [{"SecurityGroupRuleId": "sgr-x", "SecurityGroupRule": wanted}]
    fault = await world.fault("ModifySecurityGroupRules", GroupId=web, SecurityGroupRules=update)
    assert fault.code == "InvalidSecurityGroupRuleId.NotFound"


async def test_descriptions_are_rewritten() -> None:
    world = await World().seeded()
    web = await a_group(world)
    await world.run("AuthorizeSecurityGroupIngress", GroupId=web, IpPermissions=[WEB])
    noted = {**WEB, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "everyone"}]}
    await world.run("UpdateSecurityGroupRuleDescriptionsIngress", GroupId=web, IpPermissions=[noted])
    assert (await group(world, web))["IpPermissions"][0]["IpRanges"][0]["Description"] == "everyone"
    wrong = await world.fault("UpdateSecurityGroupRuleDescriptionsEgress", GroupId=web, IpPermissions=[noted])
    assert wrong.code == "InvalidPermission.NotFound"


async def test_sixty_rules_each_way_are_the_most() -> None:
    world = await World().seeded()
    web = await a_group(world)
    many = [{**WEB, "FromPort": port, "ToPort": port} for port in range(60)]
    await world.run("AuthorizeSecurityGroupIngress", GroupId=web, IpPermissions=many)
    fault = await world.fault(
        "AuthorizeSecurityGroupIngress", GroupId=web, IpPermissions=[{**WEB, "FromPort": 99, "ToPort": 99}]
    )
    assert fault.code == "RulesPerSecurityGroupLimitExceeded"


permissions = st.fixed_dictionaries(
    {
        "IpProtocol": st.sampled_from(["tcp", "6", "udp", "17", "icmp", "1", "-1", "47"]),
        "FromPort": st.integers(0, 200),
        "ToPort": st.integers(200, 255),
        "IpRanges": st.lists(
            st.sampled_from(["0.0.0.0/0", "10.0.0.0/8", "10.0.0.1/8", "192.168.0.0/16"]).map(lambda c: {"CidrIp": c}),
            max_size=3,
        ),
        "UserIdGroupPairs": st.lists(st.sampled_from(["sg-a", "sg-b"]).map(lambda g: {"GroupId": g}), max_size=2),
    }
)


@given(st.lists(permissions, max_size=4), st.booleans())
def test_splitting_and_joining_lose_nothing_and_keep_no_duplicates(given_permissions: list, egress: bool) -> None:
    numbers = iter(range(1000))

    def once(permissions: list):
        return split(
            permissions,
            egress=egress,
            account="1",
            group_id=lambda source: source.group,
            new_id=lambda: f"sgr-{next(numbers)}",
        )

    try:
        rules = once(given_permissions)
    except Fault as fault:
        assert fault.code in ("InvalidParameterValue", "MissingParameter")
        return
    assert len({rule.identity for rule in rules}) == len(rules)
    assert all(bool(rule.cidr) != bool(rule.group) for rule in rules)
    assert len(rules) == sum(len(p["IpRanges"]) + len(p["UserIdGroupPairs"]) for p in given_permissions)
    assert {rule.identity for rule in once(joined(rules, "1"))} == {rule.identity for rule in rules}
