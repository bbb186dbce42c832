"""What every VPC has and nobody may change yet: its network ACL and DHCP options. Described, as they truly work.

The default ACL lets everything through both ways; the resolver is AmazonProvidedDNS.
"""

from __future__ import annotations

from ropewalk.aws.operations import Call, Params
from ropewalk.services.ec2.describing import Description, tag_list
from ropewalk.services.ec2.slice import Ec2, offer

_ALLOWED_RULE = 100
_LAST_RULE = 32767

ACLS = Description(
    kind="acl",
    ids="NetworkAclIds",
    id_member="NetworkAclId",
    result="NetworkAcls",
    filters={
        "association.association-id": "Associations[].NetworkAclAssociationId",
        "association.network-acl-id": "Associations[].NetworkAclId",
        "association.subnet-id": "Associations[].SubnetId",
        "default": "IsDefault",
        "entry.cidr": "Entries[].CidrBlock",
        "entry.egress": "Entries[].Egress",
        "entry.icmp.code": "Entries[].IcmpTypeCode.Code",
        "entry.icmp.type": "Entries[].IcmpTypeCode.Type",
        "entry.ipv6-cidr": "Entries[].Ipv6CidrBlock",
        "entry.port-range.from": "Entries[].PortRange.From",
        "entry.port-range.to": "Entries[].PortRange.To",
        "entry.protocol": "Entries[].Protocol",
        "entry.rule-action": "Entries[].RuleAction",
        "entry.rule-number": "Entries[].RuleNumber",
        "network-acl-id": "NetworkAclId",
        "owner-id": "OwnerId",
        "vpc-id": "VpcId",
    },
)
DHCP = Description(
    kind="dopt",
    ids="DhcpOptionsIds",
    id_member="DhcpOptionsId",
    result="DhcpOptions",
    filters={
        "dhcp-options-id": "DhcpOptionsId",
        "key": "DhcpConfigurations[].Key",
        "owner-id": "OwnerId",
        "value": "DhcpConfigurations[].Values[].Value",
    },
)


def _entries() -> list[Params]:
    return [
        {"CidrBlock": "0.0.0.0/0", "Egress": egress, "Protocol": "-1", "RuleAction": action, "RuleNumber": number}
        for egress in (True, False)
        for action, number in (("allow", _ALLOWED_RULE), ("deny", _LAST_RULE))
    ]


@offer("DescribeNetworkAcls", "NetworkAclIds", "Filters", "MaxResults", "NextToken")
async def describe_network_acls(ec2: Ec2, call: Call, params: Params) -> Params:
    members = [item.record for item in await ec2.subnets.list()]
    documents = [
        {
            "NetworkAclId": item.record.id,
            "VpcId": item.record.vpc,
            "OwnerId": call.account,
            "IsDefault": True,
            "Entries": _entries(),
            "Associations": [
                {
                    "NetworkAclAssociationId": subnet.acl_association,
                    "NetworkAclId": item.record.id,
                    "SubnetId": subnet.id,
                }
                for subnet in members
                if subnet.vpc == item.record.vpc
            ],
            "Tags": tag_list(item.record.tags),
        }
        for item in await ec2.acls.list()
    ]
    return ACLS.answer(documents, params)


@offer("DescribeDhcpOptions", "DhcpOptionsIds", "Filters", "MaxResults", "NextToken")
async def describe_dhcp_options(ec2: Ec2, call: Call, params: Params) -> Params:
    documents = [
        {
            "DhcpOptionsId": item.record.id,
            "OwnerId": call.account,
            "DhcpConfigurations": [
                {"Key": "domain-name", "Values": [{"Value": item.record.domain_name}]},
                {"Key": "domain-name-servers", "Values": [{"Value": "AmazonProvidedDNS"}]},
            ],
            "Tags": tag_list(item.record.tags),
        }
        for item in await ec2.dhcp_options.list()
    ]
    return DHCP.answer(documents, params)
