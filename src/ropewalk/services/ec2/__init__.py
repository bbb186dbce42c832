"""The EC2 slice: networks, groups, interfaces and addresses; owner of every address for both families.

The daemon makes `Ec2.over(store, clock, entropy, settings)`, awaits `seed(ec2)` once at start, runs
`controllers(ec2, feed)`, serves `operations`, and gives `FabricFeed(ec2)` to the gateway and `NetworkViews(ec2)` to
other slices.
"""

from ropewalk.services.ec2 import (
    instances,
    internet_gateways,
    locations,
    network_defaults,
    network_interfaces,
    route_tables,
    security_group_rules,
    security_groups,
    subnets,
    tags,
    vpcs,
)
from ropewalk.services.ec2.controllers import controllers
from ropewalk.services.ec2.fabric import FabricFeed
from ropewalk.services.ec2.lifecycle import seed
from ropewalk.services.ec2.reader import NetworkViews
from ropewalk.services.ec2.slice import Ec2, operations

RESOURCES = (
    instances,
    internet_gateways,
    locations,
    network_defaults,
    network_interfaces,
    route_tables,
    security_group_rules,
    security_groups,
    subnets,
    tags,
    vpcs,
)
"""The modules whose operations are offered: importing them is what fills `operations`."""

__all__ = ["RESOURCES", "Ec2", "FabricFeed", "NetworkViews", "controllers", "operations", "seed"]
