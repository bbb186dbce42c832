"""The network a RunTask request names: subnets of one VPC and security groups of it, asked of the ec2 slice.

Source: docs.aws.amazon.com/AmazonECS/latest/APIReference/API_AwsVpcConfiguration.html (16 subnets, 5 groups).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ropewalk.model.ids import SecurityGroupId, SubnetId
from ropewalk.model.readers import NetworkReader, SubnetView
from ropewalk.services.ecs.faults import invalid

MOST_SUBNETS = 16
MOST_GROUPS = 5


@dataclass(frozen=True, slots=True)
class TaskNetwork:
    subnets: tuple[SubnetView, ...]
    groups: tuple[str, ...]


async def resolve(reader: NetworkReader, configuration: dict[str, Any] | None, network_mode: str) -> TaskNetwork:
    """Raises InvalidParameterException with ECS's texts."""
    given = (configuration or {}).get("awsvpcConfiguration")
    if network_mode != "awsvpc":
        raise invalid("Network Configuration is not valid for the given networkMode of this task definition.")
    if not given:
        raise invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    names, groups = list(dict.fromkeys(given["subnets"])), list(dict.fromkeys(given.get("securityGroups") or ()))
    if not names:
        raise invalid("subnets can not be empty.")
    if len(names) > MOST_SUBNETS:
        raise invalid(f"subnets can have at most {MOST_SUBNETS} items.")
    if len(groups) > MOST_GROUPS:
        raise invalid(f"securityGroups can have at most {MOST_GROUPS} items.")
    subnets: list[SubnetView] = []
    for name in names:
        subnet = await reader.subnet(SubnetId(name))
        if subnet is None:
            raise invalid(
                f"Error retrieving subnet information for [{name}]: The subnet ID '{name}' does not exist "
                "(ErrorCode: InvalidSubnetID.NotFound)"
            )
        subnets.append(subnet)
    vpc = subnets[0].vpc
    if any(subnet.vpc != vpc for subnet in subnets):
        raise invalid("The provided subnets must belong to the same VPC.")
    for group in groups:
        owner = await reader.security_group_vpc(SecurityGroupId(group))
        if owner is None:
            raise invalid(
                f"Error retrieving security group information for [{group}]: The security group '{group}' does not "
                "exist (ErrorCode: InvalidGroup.NotFound)"
            )
        if owner != vpc:
            raise invalid("The provided security groups and subnets must belong to the same VPC.")
    if not groups:
        groups = [await reader.default_security_group(vpc)]
    assign = given.get("assignPublicIp") or "DISABLED"
    if assign not in ("ENABLED", "DISABLED"):
        raise invalid(f"Invalid assignPublicIp '{assign}'. Must be one of ENABLED, DISABLED.")
    if assign == "ENABLED":
        raise invalid(
            "assignPublicIp 'ENABLED' is not supported by Ropewalk yet: a task has its private address only, which "
            "this host reaches directly. Use DISABLED."
        )
    return TaskNetwork(tuple(subnets), tuple(groups))
