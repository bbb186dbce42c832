"""Rules of security groups as objects (sgr-…): authorise, revoke, describe, modify.

A request takes effect whole or not at all: its rules are checked against the group inside the one write that adds or
removes them. Sources: API_AuthorizeSecurityGroupIngress, API_RevokeSecurityGroupIngress, API_ModifySecurityGroupRules.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.base.errors import Fault
from ropewalk.services.ec2.describing import Description, tag_list
from ropewalk.services.ec2.faults import combination, invalid, missing, not_found
from ropewalk.services.ec2.holds import Doomed
from ropewalk.services.ec2.ids import new_id, parse_cidr
from ropewalk.services.ec2.permissions import (
    Source,
    described,
    legacy,
    ports_of,
    protocol_of,
    shown,
    split,
    unsupported,
)
from ropewalk.services.ec2.records import GroupRule, SecurityGroup
from ropewalk.services.ec2.security_groups import existing
from ropewalk.services.ec2.slice import Ec2, offer
from ropewalk.services.ec2.tagging import specified
from ropewalk.services.ec2.touching import on

MAX_RULES = 60
"""AWS's quota, each direction."""

DESCRIPTION = Description(
    kind="sgr",
    ids="SecurityGroupRuleIds",
    id_member="SecurityGroupRuleId",
    result="SecurityGroupRules",
    filters={"group-id": "GroupId", "security-group-rule-id": "SecurityGroupRuleId"},
)


def document(rule: GroupRule, group: SecurityGroup, call: Call) -> Params:
    answer: Params = {
        "SecurityGroupRuleId": rule.id,
        "GroupId": group.id,
        "GroupOwnerId": call.account,
        "IsEgress": rule.egress,
        "IpProtocol": rule.protocol,
        "FromPort": rule.from_port,
        "ToPort": rule.to_port,
        "SecurityGroupRuleArn": call.arn("ec2", f"security-group-rule/{rule.id}"),
        "Tags": tag_list(rule.tags),
    }
    if rule.cidr:
        answer["CidrIpv4"] = rule.cidr
    else:
        answer["ReferencedGroupInfo"] = {"GroupId": rule.group, "UserId": call.account, "VpcId": group.vpc}
    if rule.description:
        answer["Description"] = rule.description
    return answer


def _revoked(rule: GroupRule, group: SecurityGroup) -> Params:
    answer: Params = {
        "SecurityGroupRuleId": rule.id,
        "GroupId": group.id,
        "IsEgress": rule.egress,
        "IpProtocol": rule.protocol,
        "FromPort": rule.from_port,
        "ToPort": rule.to_port,
    }
    answer |= {"CidrIpv4": rule.cidr} if rule.cidr else {"ReferencedGroupId": rule.group}
    return answer | ({"Description": rule.description} if rule.description else {})


def _named(group: SecurityGroup, peers: dict[str, SecurityGroup], source: Source) -> str:
    """The id of the group that a source names: it must be of the same VPC."""
    for peer in peers.values():
        if peer.vpc == group.vpc and (peer.id == source.group or (not source.group and peer.name == source.group_name)):
            return peer.id
    if source.group in peers:
        raise Fault("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
    if source.group:
        raise not_found("sg", source.group)
    raise Fault("InvalidGroup.NotFound", f"The security group '{source.group_name}' does not exist")


async def _peers(ec2: Ec2) -> dict[str, SecurityGroup]:
    return {item.record.id: item.record for item in await ec2.groups.list()}


def _identified(group: SecurityGroup) -> dict[tuple[bool, str, int, int, str, str], GroupRule]:
    return {rule.identity: rule for rule in group.rules}


def _with(group: SecurityGroup, rules: list[GroupRule]) -> SecurityGroup:
    present = _identified(group)
    for rule in rules:
        if rule.identity in present:
            raise Fault("InvalidPermission.Duplicate", f'the specified rule "{shown(rule)}" already exists')
    return _bounded(msgspec.structs.replace(group, rules=(*group.rules, *rules)))


def _bounded(group: SecurityGroup) -> SecurityGroup:
    for egress in (False, True):
        if sum(rule.egress is egress for rule in group.rules) > MAX_RULES:
            raise Fault(
                "RulesPerSecurityGroupLimitExceeded",
                f"The maximum number of rules per security group has been reached: {MAX_RULES} each way.",
            )
    return group


async def _authorize(ec2: Ec2, call: Call, params: Params, *, egress: bool) -> Params:
    tags = specified(params, "security-group-rule")
    group = await existing(ec2, params)
    rules = split(
        legacy(params),
        egress=egress,
        account=call.account,
        group_id=partial(_named, group, await _peers(ec2)),
        new_id=lambda: new_id(ec2.entropy, "sgr"),
    )
    rules = [msgspec.structs.replace(rule, tags=tags) for rule in rules]
    try:
        with ec2.holds.using(group.id, *(rule.group for rule in rules if rule.group)):
            await _still(ec2, rules)
            changed = await ec2.groups.mutate(group.id, lambda g: _with(g, rules))
    except Doomed as doomed:
        raise not_found("sg", doomed.resource) from None
    if changed is None:
        raise not_found("sg", group.id)
    return {"Return": True, "SecurityGroupRules": [document(rule, group, call) for rule in rules]}


async def _still(ec2: Ec2, rules: Iterable[GroupRule]) -> None:
    """Groups that rules name are there while they are held: one may have gone since it was looked up."""
    for peer in {rule.group for rule in rules if rule.group}:
        if await ec2.groups.get(peer) is None:
            raise not_found("sg", peer)


def _offer_both_ways(
    operation: str, run: Callable[..., Awaitable[Params]], *acts_on: str, inward_only: tuple[str, ...] = ()
) -> None:
    """Offer `operation`Ingress and …Egress; only the older, inward one knows the parameters of EC2-Classic."""
    for way, egress in (("Ingress", False), ("Egress", True)):
        known = acts_on if egress else (*acts_on, *inward_only)
        named = on("security-group", "GroupId")
        offer(f"{operation}{way}", "GroupId", *known, resources=named)(partial(run, egress=egress))


_CLASSIC = ("GroupName", "CidrIp", "IpProtocol", "FromPort", "ToPort")
_offer_both_ways("AuthorizeSecurityGroup", _authorize, "IpPermissions", "TagSpecifications", inward_only=_CLASSIC)


async def _revoke(ec2: Ec2, call: Call, params: Params, *, egress: bool) -> Params:
    group = await existing(ec2, params)
    ids = params.get("SecurityGroupRuleIds") or []
    permissions = legacy(params)
    if ids and permissions:
        raise combination("The parameter securityGroupRuleIds cannot be used with ipPermissions.")
    identities = set()
    if not ids:
        peers = await _peers(ec2)
        wanted = split(
            permissions,
            egress=egress,
            account=call.account,
            group_id=lambda source: source.group or _named(group, peers, source),
            new_id=lambda: "",
        )
        identities = {rule.identity for rule in wanted}
    removed: list[GroupRule] = []

    def without(now: SecurityGroup) -> SecurityGroup:
        removed[:] = [r for r in now.rules if r.egress is egress and (r.id in ids or r.identity in identities)]
        for name in ids:
            if not any(rule.id == name for rule in removed):
                raise not_found("sgr", name)
        if identities - {rule.identity for rule in removed}:
            raise Fault("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
        kept = tuple(rule for rule in now.rules if rule not in removed)
        return msgspec.structs.replace(now, rules=kept)

    if await ec2.groups.mutate(group.id, without) is None:
        raise not_found("sg", group.id)
    return {
        "Return": True,
        "UnknownIpPermissions": [],
        "RevokedSecurityGroupRules": [_revoked(rule, group) for rule in removed],
    }


_offer_both_ways("RevokeSecurityGroup", _revoke, "IpPermissions", "SecurityGroupRuleIds", inward_only=_CLASSIC)


@offer("DescribeSecurityGroupRules", "SecurityGroupRuleIds", "Filters", "MaxResults", "NextToken")
async def describe_rules(ec2: Ec2, call: Call, params: Params) -> Params:
    documents = [document(rule, item.record, call) for item in await ec2.groups.list() for rule in item.record.rules]
    return DESCRIPTION.answer(documents, params)


def _replacement(rule: GroupRule, request: Params, group: SecurityGroup, peers: dict[str, SecurityGroup]) -> GroupRule:
    """The rule as ModifySecurityGroupRules wants it: whole, with exactly one source."""
    for name in ("CidrIpv6", "PrefixListId"):
        if request.get(name):
            raise unsupported(name)
    if bool(request.get("CidrIpv4")) == bool(request.get("ReferencedGroupId")):
        raise invalid("A security group rule has exactly one of CidrIpv4 and ReferencedGroupId.")
    protocol = protocol_of(request.get("IpProtocol"))
    first, last = ports_of(protocol, request.get("FromPort"), request.get("ToPort"))
    cidr = str(parse_cidr(request["CidrIpv4"], "cidrIpv4")) if request.get("CidrIpv4") else ""
    return msgspec.structs.replace(
        rule,
        protocol=protocol,
        from_port=first,
        to_port=last,
        cidr=cidr,
        group="" if cidr else _named(group, peers, Source(group=request["ReferencedGroupId"])),
        description=described(request.get("Description")),
    )


@offer(
    "ModifySecurityGroupRules",
    "GroupId",
    "SecurityGroupRules",
    resources=on("security-group", "GroupId"),
)
async def modify_rules(ec2: Ec2, call: Call, params: Params) -> Params:
    group = await existing(ec2, params)
    peers = await _peers(ec2)
    updates = {
        update["SecurityGroupRuleId"]: update.get("SecurityGroupRule") or {} for update in params["SecurityGroupRules"]
    }
    named = [u["ReferencedGroupId"] for u in updates.values() if u.get("ReferencedGroupId")]

    def changed(now: SecurityGroup) -> SecurityGroup:
        present = {rule.id for rule in now.rules}
        for name in updates:
            if name not in present:
                raise not_found("sgr", name)
        rules = tuple(
            _replacement(rule, updates[rule.id], now, peers) if rule.id in updates else rule for rule in now.rules
        )
        seen: set[object] = set()
        for rule in rules:
            if rule.identity in seen:
                raise Fault("InvalidPermission.Duplicate", f'the specified rule "{shown(rule)}" already exists')
            seen.add(rule.identity)
        return msgspec.structs.replace(now, rules=rules)

    try:
        with ec2.holds.using(group.id, *named):
            if await ec2.groups.mutate(group.id, changed) is None:
                raise not_found("sg", group.id)
    except Doomed as doomed:
        raise not_found("sg", doomed.resource) from None
    return {"Return": True}


async def _redescribe(ec2: Ec2, call: Call, params: Params, *, egress: bool) -> Params:
    group = await existing(ec2, params)
    updates = params.get("SecurityGroupRuleDescriptions") or []
    if any("SecurityGroupRuleId" not in each for each in updates):
        raise missing("SecurityGroupRuleId")
    by_id = {each["SecurityGroupRuleId"]: each for each in updates}
    permissions = params.get("IpPermissions") or []
    if bool(by_id) == bool(permissions):
        raise combination("Give either ipPermissions or securityGroupRuleDescriptions.")
    wanted = {}
    if permissions:
        rules = split(
            permissions,
            egress=egress,
            account=call.account,
            group_id=partial(_named, group, await _peers(ec2)),
            new_id=lambda: "",
        )
        wanted = {rule.identity: rule.description for rule in rules}

    def changed(now: SecurityGroup) -> SecurityGroup:
        mine = [rule for rule in now.rules if rule.egress is egress]
        for name in by_id:
            if not any(rule.id == name for rule in mine):
                raise not_found("sgr", name)
        if set(wanted) - {rule.identity for rule in mine}:
            raise Fault("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
        return msgspec.structs.replace(now, rules=tuple(redescribed(rule) for rule in now.rules))

    def redescribed(rule: GroupRule) -> GroupRule:
        if rule.id in by_id:
            return msgspec.structs.replace(rule, description=described(by_id[rule.id].get("Description")))
        return msgspec.structs.replace(rule, description=wanted.get(rule.identity, rule.description))

    await ec2.groups.mutate(group.id, changed)
    return {"Return": True}


_offer_both_ways(
    "UpdateSecurityGroupRuleDescriptions", _redescribe, "GroupName", "IpPermissions", "SecurityGroupRuleDescriptions"
)
