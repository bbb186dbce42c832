"""What of the ec2 slice runs on its own: wired by the daemon."""

from __future__ import annotations

from ropewalk.runtime.controller import Runnable
from ropewalk.services.ec2.claims import ClaimKeeper
from ropewalk.services.ec2.fabric import FabricFeed
from ropewalk.services.ec2.slice import Ec2


def controllers(ec2: Ec2, fabric: FabricFeed) -> list[Runnable]:
    """`fabric` is the feed that the gateway serves; its informers run here too."""
    keeper = ClaimKeeper(ec2)
    return [ec2.carriers.workloads, ec2.carriers.statuses, keeper.informer, keeper, *fabric.runnables]
