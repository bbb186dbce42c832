"""What may be asked of a host's network: the checks that the real one and the fake share. Pure, and light to import."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from ropewalk.base.errors import Fault
from ropewalk.model.host import RESOLVER_ADDRESS, Attachment
from ropewalk.model.ids import SubnetId
from ropewalk.model.network import FabricInterface, SubnetSpec, VpcSpec
from ropewalk.network.names import pair_number

DNS_PORT = 53
LINK_LOCAL = IPv4Network("169.254.0.0/16")


def resolver_addresses(vpc: VpcSpec) -> tuple[str, ...]:
    """The resolver's link-local address, and the second of the VPC's first range as in AWS
    (docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html)."""
    if not vpc.cidrs:
        return (RESOLVER_ADDRESS,)
    return RESOLVER_ADDRESS, str(IPv4Network(vpc.cidrs[0]).network_address + 2)


def subnet_of(vpc: VpcSpec, interface: FabricInterface) -> SubnetSpec:
    """Raises Fault `InvalidSubnetID.NotFound` where the fabric names an interface but not its subnet."""
    for subnet in vpc.subnets:
        if subnet.id == SubnetId(interface.subnet):
            return subnet
    raise Fault("InvalidSubnetID.NotFound", f"{interface.id} is in {interface.subnet}, which {vpc.id} does not have.")


def check_attachment(attachment: Attachment) -> None:
    """Raises Fault `InvalidParameterValue` for a name that no link can have, or no namespace at all."""
    name = attachment.name
    if not name or name in (".", "..") or len(name.encode()) > 15 or any(c in name for c in "/: \t\n\0"):
        raise Fault(
            "InvalidParameterValue", f"{name!r} is no name for a link: 1 to 15 bytes, no slash, colon or blank."
        )
    if not attachment.namespace.startswith("/"):
        raise Fault("InvalidParameterValue", f"{attachment.namespace!r} is not the absolute path of a namespace.")


def check_listener(vpc: VpcSpec, address: str, port: int) -> None:
    """What may be listened on in a router: link-local service addresses, outside the pool of the host's own pairs.

    Raises Fault `InvalidParameterValue`.
    """
    try:
        parsed = IPv4Address(address)
    except ValueError as error:
        raise Fault("InvalidParameterValue", f"{address!r} is not an IPv4 address.") from error
    if not 0 < port <= 65535:
        raise Fault("InvalidParameterValue", f"Port {port} is not between 1 and 65535.")
    if parsed not in LINK_LOCAL or pair_number(parsed) is not None:
        raise Fault("InvalidParameterValue", f"{address} is not a link-local service address of {vpc.id}.")
    if port == DNS_PORT and address in resolver_addresses(vpc):
        raise Fault("InvalidParameterValue", f"{address}:{port} is the resolver's.")
