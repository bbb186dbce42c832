"""Permissions of security groups as requests spell them, split into rules, and rules put together again for answers.

Pure. A permission may name several ranges and groups; a rule has exactly one source. Protocols are normalised as EC2
does: 6, 17 and 1 become tcp, udp and icmp; all protocols and those without ports have none. IPv6 ranges and prefix
lists are refused by name. Source: docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ropewalk.aws.operations import Params
from ropewalk.base.errors import Fault
from ropewalk.services.ec2.faults import invalid, missing
from ropewalk.services.ec2.ids import parse_cidr
from ropewalk.services.ec2.records import GroupRule

_PROTOCOLS = {"6": "tcp", "17": "udp", "1": "icmp", "all": "-1"}
_WITH_PORTS = ("tcp", "udp")
MAX_PORT = 65535
MAX_ICMP = 255
DESCRIPTION_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Source:
    """What one permission names as its other side: a block, or a group by id or by name."""

    cidr: str = ""
    group: str = ""
    group_name: str = ""
    description: str = ""


def protocol_of(text: str | None) -> str:
    if not text:
        raise missing("ipProtocol")
    name = _PROTOCOLS.get(text.strip().lower(), text.strip().lower())
    if name in ("icmpv6", "58"):
        raise unsupported("IpProtocol=icmpv6")
    if name in ("tcp", "udp", "icmp", "-1"):
        return name
    if name.isascii() and name.isdigit() and int(name) <= MAX_ICMP:
        return str(int(name))
    raise invalid(f"Invalid value '{text}' for IP protocol. Unknown protocol.")


def ports_of(protocol: str, first: int | None, last: int | None) -> tuple[int, int]:
    """(from, to): ports, or type and code of icmp; (-1, -1) where the protocol has none."""
    if protocol in _WITH_PORTS:
        if first is None or last is None:
            raise invalid("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
        for port in (first, last):
            if not 0 <= port <= MAX_PORT:
                raise invalid(f"Invalid value '{port}' for portRange. Ports lie between 0 and {MAX_PORT}.")
        if first > last:
            raise invalid(f"Invalid value '{first}-{last}' for portRange. The first port is above the last.")
        return first, last
    if protocol == "icmp":
        kind, code = (-1 if first is None else first), (-1 if last is None else last)
        for number in (kind, code):
            if not -1 <= number <= MAX_ICMP:
                raise invalid(f"ICMP type or code ({number}) out of range: -1 to {MAX_ICMP}.")
        if kind == -1 and code != -1:
            raise invalid("ICMP code (" + str(code) + ") cannot be given with all types (-1).")
        return kind, code
    return -1, -1


def unsupported(what: str) -> Fault:
    return Fault(
        "UnsupportedOperation",
        f"{what} in a security group rule is not supported here yet: rules are IPv4. Leave it out.",
    )


def described(text: str | None) -> str:
    if text and len(text) > DESCRIPTION_LENGTH:
        raise invalid(f"The description of a rule has at most {DESCRIPTION_LENGTH} characters.")
    return text or ""


def legacy(params: Params) -> list[Params]:
    """The permissions of a request, whichever of the two spellings it uses."""
    given: list[Params] = list(params.get("IpPermissions") or [])
    if params.get("CidrIp") or params.get("IpProtocol"):
        if given:
            raise Fault(
                "InvalidParameterCombination", "The parameter ipPermissions cannot be used with cidrIp or ipProtocol."
            )
        one: Params = {name: params[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in params}
        if params.get("CidrIp"):
            one["IpRanges"] = [{"CidrIp": params["CidrIp"]}]
        given = [one]
    return given


def sources_of(permission: Params, account: str) -> list[Source]:
    if permission.get("Ipv6Ranges"):
        raise unsupported("Ipv6Ranges")
    if permission.get("PrefixListIds"):
        raise unsupported("PrefixListIds")
    sources = [
        Source(
            cidr=str(parse_cidr(each.get("CidrIp") or "", "cidrIp")),
            description=described(each.get("Description")),
        )
        for each in permission.get("IpRanges") or []
    ]
    for pair in permission.get("UserIdGroupPairs") or []:
        if pair.get("VpcPeeringConnectionId"):
            raise unsupported("VpcPeeringConnectionId")
        if pair.get("UserId") and pair["UserId"] != account:
            raise Fault("InvalidGroup.NotFound", f"The account {pair['UserId']} has no security group here.")
        if not (pair.get("GroupId") or pair.get("GroupName")):
            raise missing("groupId")
        sources.append(
            Source(
                group=pair.get("GroupId") or "",
                group_name=pair.get("GroupName") or "",
                description=described(pair.get("Description")),
            )
        )
    if not sources:
        raise missing("ipRanges or userIdGroupPairs")
    return sources


def split(
    permissions: Iterable[Params],
    *,
    egress: bool,
    account: str,
    group_id: Callable[[Source], str],
    new_id: Callable[[], str],
) -> list[GroupRule]:
    """One rule a source. `group_id` finds the group that a source names, or raises."""
    rules: list[GroupRule] = []
    for permission in permissions:
        protocol = protocol_of(permission.get("IpProtocol"))
        first, last = ports_of(protocol, permission.get("FromPort"), permission.get("ToPort"))
        rules.extend(
            GroupRule(
                id=new_id(),
                egress=egress,
                protocol=protocol,
                from_port=first,
                to_port=last,
                cidr=source.cidr,
                group="" if source.cidr else group_id(source),
                description=source.description,
            )
            for source in sources_of(permission, account)
        )
    if not rules:
        raise missing("ipPermissions")
    if len({rule.identity for rule in rules}) < len(rules):
        raise invalid("The same permission must not appear multiple times")
    return rules


def joined(rules: Iterable[GroupRule], account: str) -> list[Params]:
    """Rules as IpPermissions: those of one protocol and range of ports together."""
    permissions: dict[tuple[str, int, int], Params] = {}
    for rule in rules:
        key = (rule.protocol, rule.from_port, rule.to_port)
        permission = permissions.get(key)
        if permission is None:
            permission = {"IpProtocol": rule.protocol}
            if rule.protocol in (*_WITH_PORTS, "icmp"):
                permission |= {"FromPort": rule.from_port, "ToPort": rule.to_port}
            permission |= {"IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": []}
            permissions[key] = permission
        note = {"Description": rule.description} if rule.description else {}
        if rule.cidr:
            permission["IpRanges"].append({"CidrIp": rule.cidr, **note})
        else:
            permission["UserIdGroupPairs"].append({"GroupId": rule.group, "UserId": account, **note})
    return list(permissions.values())


def shown(rule: GroupRule) -> str:
    """A rule as EC2 names it when it says that it exists."""
    peer = rule.cidr or rule.group
    if rule.protocol in _WITH_PORTS:
        return f"peer: {peer}, {rule.protocol.upper()}, from port: {rule.from_port}, to port: {rule.to_port}, ALLOW"
    if rule.protocol == "icmp":
        return f"peer: {peer}, ICMP, type: {rule.from_port}, code: {rule.to_port}, ALLOW"
    return f"peer: {peer}, {'ALL' if rule.protocol == '-1' else rule.protocol}, ALLOW"
