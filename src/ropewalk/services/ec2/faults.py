"""The slice's refusals in EC2's own codes and words.

Source: docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html; EC2 spells the kind of a resource in its
messages in ways of its own ("networkInterface ID", "routeTable ID"), which tools match on.
"""

from __future__ import annotations

import re

from ropewalk.base.errors import Fault

_NOT_FOUND = {
    "vpc": ("InvalidVpcID.NotFound", "The vpc ID '{}' does not exist"),
    "subnet": ("InvalidSubnetID.NotFound", "The subnet ID '{}' does not exist"),
    "sg": ("InvalidGroup.NotFound", "The security group '{}' does not exist"),
    "sgr": ("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '{}' does not exist"),
    "eni": ("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '{}' does not exist"),
    "rtb": ("InvalidRouteTableID.NotFound", "The routeTable ID '{}' does not exist"),
    "rtbassoc": ("InvalidAssociationID.NotFound", "The association ID '{}' does not exist"),
    "igw": ("InvalidInternetGatewayID.NotFound", "The internetGateway ID '{}' does not exist"),
    "acl": ("InvalidNetworkAclID.NotFound", "The networkAcl ID '{}' does not exist"),
    "dopt": ("InvalidDhcpOptionsID.NotFound", "The dhcpOptions ID '{}' does not exist"),
    "i": ("InvalidInstanceID.NotFound", "The instance ID '{}' does not exist"),
}


_MALFORMED = {
    "vpc": "InvalidVpcID.Malformed",
    "subnet": "InvalidSubnetID.Malformed",
    "sg": "InvalidGroupId.Malformed",
    "sgr": "InvalidSecurityGroupRuleId.Malformed",
    "eni": "InvalidNetworkInterfaceId.Malformed",
    "rtb": "InvalidRouteTableId.Malformed",
    "igw": "InvalidInternetGatewayId.Malformed",
    "acl": "InvalidNetworkAclId.Malformed",
    "dopt": "InvalidDhcpOptionsId.Malformed",
    "i": "InvalidInstanceID.Malformed",
}
"""EC2 has none for associations of route tables."""
_DIGITS = re.compile(r"[A-Za-z0-9]+")


def not_found(kind: str, name: str) -> Fault:
    """`kind` is the prefix of such ids. A name that can be no such id is told as malformed."""
    prefix, dash, rest = name.partition("-")
    if kind in _MALFORMED and not (prefix == kind and dash and _DIGITS.fullmatch(rest)):
        expecting = "" if name.startswith(f"{kind}-") else f' (expecting "{kind}-...")'
        return Fault(_MALFORMED[kind], f'Invalid id: "{name}"{expecting}')
    code, message = _NOT_FOUND[kind]
    return Fault(code, message.format(name))


def has_dependencies(what: str, name: str) -> Fault:
    return Fault("DependencyViolation", f"The {what} '{name}' has dependencies and cannot be deleted.")


def group_elsewhere(group: str, subnet: str) -> Fault:
    return Fault("InvalidParameter", f"Security group {group} and subnet {subnet} belong to different networks.")


def token_mismatch() -> Fault:
    return Fault(
        "IdempotentParameterMismatch",
        "The request uses the same client token as a previous, but non-identical request. "
        "Do not reuse a client token with different requests, unless the requests are identical.",
    )


def invalid(message: str) -> Fault:
    return Fault("InvalidParameterValue", message)


def missing(parameter: str) -> Fault:
    return Fault("MissingParameter", f"The request must contain the parameter {parameter}")


def combination(message: str) -> Fault:
    return Fault("InvalidParameterCombination", message)
