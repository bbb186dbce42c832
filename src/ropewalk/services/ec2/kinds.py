"""The kinds of resource that the slice keeps: by what their ids begin with, what ARNs call them, where they are."""

from __future__ import annotations

from typing import Any, Final

from ropewalk.services.ec2.records import GroupRule
from ropewalk.services.ec2.slice import Ec2, Resources

KINDS: Final = {
    "vpc": "vpc",
    "subnet": "subnet",
    "rtb": "route-table",
    "igw": "internet-gateway",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "eni": "network-interface",
    "acl": "network-acl",
    "dopt": "dhcp-options",
}
"""By prefix of id: the resource type."""


def tables(ec2: Ec2) -> dict[str, Resources[Any]]:
    """By resource type; rules live in their groups. `Any`: records of each kind have `id` and `tags` in common."""
    return {
        "vpc": ec2.vpcs,
        "subnet": ec2.subnets,
        "route-table": ec2.route_tables,
        "internet-gateway": ec2.gateways,
        "security-group": ec2.groups,
        "network-interface": ec2.interfaces,
        "network-acl": ec2.acls,
        "dhcp-options": ec2.dhcp_options,
    }


def kind_of(name: str) -> str | None:
    """The resource type that an id is of, None where it begins as no id does."""
    return KINDS.get(name.partition("-")[0])


async def rule_of(ec2: Ec2, name: str) -> tuple[str, GroupRule] | None:
    """A security group rule and its group's id."""
    for item in await ec2.groups.list():
        for rule in item.record.rules:
            if rule.id == name:
                return item.record.id, rule
    return None
