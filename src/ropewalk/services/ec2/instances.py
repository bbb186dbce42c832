"""Instances: there are none until RunInstances is offered, and DescribeInstances says so."""

from __future__ import annotations

from ropewalk.aws.operations import Call, Params
from ropewalk.services.ec2.describing import page_size
from ropewalk.services.ec2.faults import not_found
from ropewalk.services.ec2.slice import Ec2, offer


@offer("DescribeInstances", "InstanceIds", "Filters", "MaxResults", "NextToken", "IncludeManagedResources")
async def describe_instances(ec2: Ec2, call: Call, params: Params) -> Params:
    page_size(params)
    for name in params.get("InstanceIds") or []:
        raise not_found("i", name)
    return {"Reservations": []}
