"""Names that must not be mixed up. Each is a string whose meaning a type checker can see."""

from __future__ import annotations

from typing import NewType

Owner = NewType("Owner", str)
"""A control plane that owns machines: "aws", or an EKS cluster's uid."""
AWS_CONTROL_PLANE = Owner("aws")
"""The aws process: owner of the machines that ECS places tasks on."""
MachineId = NewType("MachineId", str)
WorkloadUid = NewType("WorkloadUid", str)
"""Unique for ever: never reused, not even by the same task after a restart."""
InterfaceId = NewType("InterfaceId", str)
"""eni-…"""
SecurityGroupId = NewType("SecurityGroupId", str)
VpcId = NewType("VpcId", str)
SubnetId = NewType("SubnetId", str)
