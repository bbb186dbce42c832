"""`NetworkReader` for the other slices: what they may know of networks."""

from __future__ import annotations

from ropewalk.model.ids import SecurityGroupId, SubnetId, VpcId
from ropewalk.model.network import SubnetSpec
from ropewalk.model.readers import SubnetView
from ropewalk.services.ec2.addresses import capacity, gateway_of
from ropewalk.services.ec2.faults import not_found
from ropewalk.services.ec2.records import Subnet
from ropewalk.services.ec2.slice import Ec2


def subnet_spec(subnet: Subnet) -> SubnetSpec:
    return SubnetSpec(id=subnet.id, cidr=subnet.cidr, zone=subnet.zone, gateway=gateway_of(subnet.cidr))


class NetworkViews:
    """Reads the store, so that what a user made a moment ago is there."""

    def __init__(self, ec2: Ec2) -> None:
        self._ec2 = ec2

    async def subnet(self, subnet: SubnetId) -> SubnetView | None:
        found = await self._ec2.subnets.get(subnet)
        if found is None:
            return None
        used = await self._ec2.addresses.used(found.vpc)
        return SubnetView(spec=subnet_spec(found), vpc=found.vpc, free_addresses=capacity(found.cidr) - used[found.id])

    async def security_group_vpc(self, group: SecurityGroupId) -> VpcId | None:
        found = await self._ec2.groups.get(group)
        return None if found is None else found.vpc

    async def default_security_group(self, vpc: VpcId) -> SecurityGroupId:
        """Raises InvalidVpcID.NotFound."""
        found = await self._ec2.vpcs.get(vpc)
        if found is None:
            raise not_found("vpc", vpc)
        return found.default_group
