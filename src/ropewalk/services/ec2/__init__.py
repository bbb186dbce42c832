"""The EC2 slice: networks, groups, interfaces and addresses; owner of every address for both families."""

from ropewalk.services.ec2.slice import operations

__all__ = ["operations"]
