"""Ids, hardware addresses and names of the ec2 slice, and the one way to parse a CIDR block.

Ids are a prefix and 17 hexadecimal digits, as EC2 gives them since 2016. What is derived (an interface's id from its
claim, a MAC from the interface) is a pure function, so that a crash half-way through making one resumes with the same.
"""

from __future__ import annotations

import hashlib
import ipaddress

from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Fault
from ropewalk.model.ids import InterfaceId
from ropewalk.store.protocol import Identity

_LONG_ID_DIGITS = 17


def new_id(entropy: Entropy, prefix: str) -> str:
    """`vpc-0…`: the first digit is 0, as in every id AWS gives today."""
    return f"{prefix}-0{entropy.hex(_LONG_ID_DIGITS - 1)}"


def derived_id(prefix: str, *parts: object) -> str:
    """The same id for the same parts, for ever."""
    text = "\x00".join(str(part) for part in parts)
    digest = hashlib.blake2s(text.encode(), digest_size=16).hexdigest()
    return f"{prefix}-0{digest[: _LONG_ID_DIGITS - 1]}"


def claimed_interface_id(store: Identity, claim_key: str, created: int) -> InterfaceId:
    """The id of the interface made for a claim. `created` tells apart two claims that used one key in turn."""
    return InterfaceId(derived_id("eni", store.store_id, store.epoch, claim_key, created))


def mac_of(interface: InterfaceId) -> str:
    """0e:…: locally administered, as EC2's are; 40 bits of the interface's id."""
    digest = hashlib.blake2s(interface.encode(), digest_size=5).digest()
    return ":".join(["0e", *(f"{byte:02x}" for byte in digest)])


def private_domain(region: str) -> str:
    return "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"


def private_dns_name(address: str, region: str) -> str:
    """`ip-172-31-0-5.ec2.internal`."""
    return f"ip-{address.replace('.', '-')}.{private_domain(region)}"


def parse_cidr(text: str, parameter: str) -> ipaddress.IPv4Network:
    """An IPv4 block, its host bits cleared as EC2 does. Raises InvalidParameterValue, naming the parameter."""
    try:
        if "/" not in text:
            raise ValueError(text)
        return ipaddress.IPv4Network(text.strip(), strict=False)
    except ValueError:
        raise Fault(
            "InvalidParameterValue",
            f"Value ({text}) for parameter {parameter} is invalid. This is not a valid CIDR block.",
        ) from None


def parse_address(text: str, parameter: str) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(text.strip())
    except ValueError:
        raise Fault(
            "InvalidParameterValue", f"Value ({text}) for parameter {parameter} is invalid. Invalid IPv4 address."
        ) from None
