"""IAM's operations, by resource."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import botocore.session
import msgspec
import pytest

from ropewalk.aws.policy import compile_document
from ropewalk.base.errors import Fault
from ropewalk.services.iam import operations
from ropewalk.services.iam.managed import AWS_MANAGED
from ropewalk.services.iam.policies import document_size

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ecs:ListClusters", "Resource": "*"}]}
)
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


def test_every_operation_offered_is_in_awss_model() -> None:
    model = botocore.session.get_session().get_service_model("iam")
    assert set(operations.offered) <= set(model.operation_names)


async def test_users(iam: Any) -> None:
    made = (await iam("CreateUser", UserName="Anna", Path="/staff/", Tags=[{"Key": "team", "Value": "a"}]))["User"]
    assert made["Arn"] == "arn:aws:iam::123456789012:user/staff/Anna" and made["UserId"].startswith("AIDA")
    assert await iam.refused("CreateUser", UserName="ANNA") == "EntityAlreadyExists"
    assert (await iam("GetUser", UserName="anna"))["User"]["Tags"] == [{"Key": "team", "Value": "a"}]
    await iam("CreateUser", UserName="bob")
    listed = await iam("ListUsers", PathPrefix="/staff/")
    assert [user["UserName"] for user in listed["Users"]] == ["Anna"] and not listed["IsTruncated"]
    first = await iam("ListUsers", MaxItems=1)
    second = await iam("ListUsers", MaxItems=1, Marker=first["Marker"])
    assert [first["Users"][0]["UserName"], second["Users"][0]["UserName"]] == ["Anna", "bob"]
    assert await iam.refused("ListUsers", Marker="§") == "ValidationError"
    await iam("UpdateUser", UserName="bob", NewUserName="Robert")
    assert await iam.refused("GetUser", UserName="bob") == "NoSuchEntity"
    assert await iam.refused("CreateUser", UserName="a b") == "ValidationError"
    assert await iam.refused("UpdateUser", UserName="Robert", NewUserName="anna") == "EntityAlreadyExists"
    await iam("DeleteUser", UserName="Robert")
    assert await iam.refused("DeleteUser", UserName="Robert") == "NoSuchEntity"


async def test_a_user_is_deleted_only_when_nothing_hangs_on_it(iam: Any) -> None:
    await iam("CreateUser", UserName="u")
    await iam("CreateGroup", GroupName="g")
    key = (await iam("CreateAccessKey", UserName="u"))["AccessKey"]["AccessKeyId"]
    await iam("AddUserToGroup", UserName="u", GroupName="g")
    await iam("PutUserPolicy", UserName="u", PolicyName="p", PolicyDocument=POLICY)
    await iam("AttachUserPolicy", UserName="u", PolicyArn=READ_ONLY)
    for operation, params in (
        ("DeleteUserPolicy", {"PolicyName": "p"}),
        ("DetachUserPolicy", {"PolicyArn": READ_ONLY}),
        ("RemoveUserFromGroup", {"GroupName": "g"}),
        ("DeleteAccessKey", {"AccessKeyId": key}),
    ):
        assert await iam.refused("DeleteUser", UserName="u") == "DeleteConflict"
        await iam(operation, UserName="u", **params)
    await iam("DeleteUser", UserName="u")


async def test_access_keys(iam: Any) -> None:
    await iam("CreateUser", UserName="caller")
    key = (await iam("CreateAccessKey"))["AccessKey"]
    assert key["UserName"] == "caller" and len(key["SecretAccessKey"]) == 40 and len(key["AccessKeyId"]) == 20
    second = (await iam("CreateAccessKey", UserName="caller"))["AccessKey"]
    assert await iam.refused("CreateAccessKey", UserName="caller") == "LimitExceeded"
    await iam("UpdateAccessKey", UserName="caller", AccessKeyId=second["AccessKeyId"], Status="Inactive")
    listed = (await iam("ListAccessKeys", UserName="caller"))["AccessKeyMetadata"]
    statuses = {item["AccessKeyId"]: item["Status"] for item in listed}
    assert statuses == {key["AccessKeyId"]: "Active", second["AccessKeyId"]: "Inactive"}
    unused = await iam("GetAccessKeyLastUsed", AccessKeyId=key["AccessKeyId"])
    assert unused["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}
    await iam.iam.directory.key_used(key["AccessKeyId"], "ecs", "us-east-1", 1_700_000_000.0)
    used = await iam("GetAccessKeyLastUsed", AccessKeyId=key["AccessKeyId"])
    assert used["UserName"] == "caller" and used["AccessKeyLastUsed"]["ServiceName"] == "ecs"
    assert await iam.refused("DeleteAccessKey", UserName="caller", AccessKeyId="AKIAOTHER") == "NoSuchEntity"
    assert await iam.refused("GetAccessKeyLastUsed", AccessKeyId="AKIAOTHER") == "NoSuchEntity"


async def test_groups(iam: Any) -> None:
    await iam("CreateUser", UserName="u")
    await iam("CreateGroup", GroupName="Dev", Path="/x/")
    assert await iam.refused("CreateGroup", GroupName="dev") == "EntityAlreadyExists"
    await iam("AddUserToGroup", UserName="u", GroupName="Dev")
    assert [u["UserName"] for u in (await iam("GetGroup", GroupName="Dev"))["Users"]] == ["u"]
    await iam("UpdateGroup", GroupName="Dev", NewGroupName="Ops")
    assert [g["GroupName"] for g in (await iam("ListGroupsForUser", UserName="u"))["Groups"]] == ["Ops"]
    assert [g["Arn"] for g in (await iam("ListGroups"))["Groups"]] == ["arn:aws:iam::123456789012:group/x/Ops"]
    assert await iam.refused("DeleteGroup", GroupName="Ops") == "DeleteConflict"
    await iam("RemoveUserFromGroup", UserName="u", GroupName="Ops")
    await iam("DeleteGroup", GroupName="Ops")
    assert await iam.refused("GetGroup", GroupName="Ops") == "NoSuchEntity"


async def test_roles(iam: Any) -> None:
    role = (await iam("CreateRole", RoleName="r", AssumeRolePolicyDocument=TRUST, MaxSessionDuration=7200))["Role"]
    assert unquote(role["AssumeRolePolicyDocument"]) == TRUST and role["RoleId"].startswith("AROA")
    assert await iam.refused("CreateRole", RoleName="R", AssumeRolePolicyDocument=TRUST) == "EntityAlreadyExists"
    assert await iam.refused("CreateRole", RoleName="q", AssumeRolePolicyDocument=POLICY) == "MalformedPolicyDocument"
    long = {"RoleName": "q", "AssumeRolePolicyDocument": TRUST, "MaxSessionDuration": 43201}
    assert await iam.refused("CreateRole", **long) == "ValidationError"
    await iam("UpdateRole", RoleName="r", Description="new")
    shown = (await iam("GetRole", RoleName="r"))["Role"]
    assert (shown["Description"], shown["MaxSessionDuration"]) == ("new", 7200)
    assert (await iam("UpdateRoleDescription", RoleName="r", Description="d"))["Role"]["Description"] == "d"
    assert [r["RoleName"] for r in (await iam("ListRoles"))["Roles"]] == ["r"]
    foreign = TRUST.replace('"Service": "ecs-tasks.amazonaws.com"', '"AWS": "arn:aws:iam::123456789012:user/nobody"')
    refused = await iam.refused("UpdateAssumeRolePolicy", RoleName="r", PolicyDocument=foreign)
    assert refused == "MalformedPolicyDocument"
    await iam("CreateUser", UserName="nobody")
    await iam("UpdateAssumeRolePolicy", RoleName="r", PolicyDocument=foreign)
    assert not await iam.iam.directory.trusts(role["Arn"], "ecs-tasks.amazonaws.com")
    await iam("DeleteRole", RoleName="r")
    assert await iam.refused("GetRole", RoleName="r") == "NoSuchEntity"


async def test_the_directory_knows_whom_a_role_trusts(iam: Any) -> None:
    arn = (await iam("CreateRole", RoleName="r", Path="/p/", AssumeRolePolicyDocument=TRUST))["Role"]["Arn"]
    directory = iam.iam.directory
    assert await directory.role_exists(arn) and await directory.trusts(arn, "ecs-tasks.amazonaws.com")
    assert not await directory.trusts(arn, "ec2.amazonaws.com")
    assert not await directory.role_exists(arn.replace("/p/", "/"))
    assert not await directory.trusts("nonsense", "ec2.amazonaws.com")


async def test_instance_profiles(iam: Any) -> None:
    await iam("CreateRole", RoleName="r", AssumeRolePolicyDocument=TRUST)
    await iam("CreateInstanceProfile", InstanceProfileName="p")
    assert await iam.refused("CreateInstanceProfile", InstanceProfileName="P") == "EntityAlreadyExists"
    await iam("AddRoleToInstanceProfile", InstanceProfileName="p", RoleName="r")
    passed = ("iam:PassRole", "arn:aws:iam::123456789012:role/r", {"iam:PassedToService": ["ec2.amazonaws.com"]})
    assert passed in iam.asked.questions
    assert await iam.refused("AddRoleToInstanceProfile", InstanceProfileName="p", RoleName="r") == "LimitExceeded"
    profile = (await iam("GetInstanceProfile", InstanceProfileName="p"))["InstanceProfile"]
    assert [role["RoleName"] for role in profile["Roles"]] == ["r"]
    listed = (await iam("ListInstanceProfilesForRole", RoleName="r"))["InstanceProfiles"]
    assert [item["InstanceProfileName"] for item in listed] == ["p"]
    assert (await iam("ListInstanceProfiles"))["InstanceProfiles"] == listed
    assert await iam.refused("DeleteRole", RoleName="r") == "DeleteConflict"
    assert await iam.refused("DeleteInstanceProfile", InstanceProfileName="p") == "DeleteConflict"
    await iam("RemoveRoleFromInstanceProfile", InstanceProfileName="p", RoleName="r")
    refused = await iam.refused("RemoveRoleFromInstanceProfile", InstanceProfileName="p", RoleName="r")
    assert refused == "NoSuchEntity"
    await iam("DeleteInstanceProfile", InstanceProfileName="p")
    assert await iam.refused("GetInstanceProfile", InstanceProfileName="p") == "NoSuchEntity"


HOLDERS = [
    ("User", "CreateUser", "DeleteUser", "PutUserPolicy", "GetUserPolicy", "DeleteUserPolicy", "ListUserPolicies",
     "AttachUserPolicy", "DetachUserPolicy", "ListAttachedUserPolicies"),
    ("Group", "CreateGroup", "DeleteGroup", "PutGroupPolicy", "GetGroupPolicy", "DeleteGroupPolicy",
     "ListGroupPolicies", "AttachGroupPolicy", "DetachGroupPolicy", "ListAttachedGroupPolicies"),
    ("Role", "CreateRole", "DeleteRole", "PutRolePolicy", "GetRolePolicy", "DeleteRolePolicy", "ListRolePolicies",
     "AttachRolePolicy", "DetachRolePolicy", "ListAttachedRolePolicies"),
]  # fmt: skip


@pytest.mark.parametrize("names", HOLDERS, ids=lambda names: names[0])
async def test_policies_of_each_kind_of_holder(iam: Any, names: tuple[str, ...]) -> None:
    kind, create, remove, put, get, delete, list_inline, attach, detach, list_attached = names
    name = {f"{kind}Name": "h"}
    await iam(create, **name, **({"AssumeRolePolicyDocument": TRUST} if kind == "Role" else {}))
    await iam(put, **name, PolicyName="p", PolicyDocument=POLICY)
    shown = await iam(get, **name, PolicyName="p")
    assert unquote(shown["PolicyDocument"]) == POLICY
    assert (await iam(list_inline, **name))["PolicyNames"] == ["p"]
    assert await iam.refused(put, **name, PolicyName="p", PolicyDocument="{}") == "MalformedPolicyDocument"
    big = POLICY.replace("ecs:ListClusters", "ecs:" + "x" * 10300)
    assert await iam.refused(put, **name, PolicyName="q", PolicyDocument=big) == "LimitExceeded"
    assert await iam.refused(get, **name, PolicyName="q") == "NoSuchEntity"
    await iam(attach, **name, PolicyArn=READ_ONLY)
    await iam(attach, **name, PolicyArn=READ_ONLY)
    attached = (await iam(list_attached, **name))["AttachedPolicies"]
    assert attached == [{"PolicyName": "ReadOnlyAccess", "PolicyArn": READ_ONLY}]
    assert await iam.refused(attach, **name, PolicyArn="arn:aws:iam::aws:policy/None") == "NoSuchEntity"
    assert await iam.refused(remove, **name) == "DeleteConflict"
    await iam(detach, **name, PolicyArn=READ_ONLY)
    assert await iam.refused(detach, **name, PolicyArn=READ_ONLY) == "NoSuchEntity"
    await iam(delete, **name, PolicyName="p")
    await iam(remove, **name)


async def test_managed_policies_and_their_versions(iam: Any) -> None:
    made = (await iam("CreatePolicy", PolicyName="P", PolicyDocument=POLICY, Description="d"))["Policy"]
    arn = made["Arn"]
    assert await iam.refused("CreatePolicy", PolicyName="p", PolicyDocument=POLICY) == "EntityAlreadyExists"
    for _ in range(4):
        await iam("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=POLICY, SetAsDefault=True)
    assert await iam.refused("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=POLICY) == "LimitExceeded"
    versions = (await iam("ListPolicyVersions", PolicyArn=arn))["Versions"]
    assert [v["VersionId"] for v in versions] == ["v5", "v4", "v3", "v2", "v1"]
    assert versions[0]["IsDefaultVersion"]
    assert await iam.refused("DeletePolicyVersion", PolicyArn=arn, VersionId="v5") == "DeleteConflict"
    await iam("SetDefaultPolicyVersion", PolicyArn=arn, VersionId="v1")
    await iam("DeletePolicyVersion", PolicyArn=arn, VersionId="v5")
    await iam("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=POLICY)
    assert (await iam("GetPolicyVersion", PolicyArn=arn, VersionId="v6"))["PolicyVersion"]["VersionId"] == "v6"
    assert await iam.refused("GetPolicyVersion", PolicyArn=arn, VersionId="v5") == "NoSuchEntity"
    assert await iam.refused("DeletePolicy", PolicyArn=arn) == "DeleteConflict"
    for version in ("v2", "v3", "v4", "v6"):
        await iam("DeletePolicyVersion", PolicyArn=arn, VersionId=version)
    await iam("CreateUser", UserName="u")
    await iam("AttachUserPolicy", UserName="u", PolicyArn=arn)
    assert (await iam("GetPolicy", PolicyArn=arn))["Policy"]["AttachmentCount"] == 1
    entities = await iam("ListEntitiesForPolicy", PolicyArn=arn)
    assert [user["UserName"] for user in entities["PolicyUsers"]] == ["u"] and entities["PolicyRoles"] == []
    assert await iam.refused("DeletePolicy", PolicyArn=arn) == "DeleteConflict"
    local = (await iam("ListPolicies", Scope="Local", OnlyAttached=True))["Policies"]
    assert [policy["PolicyName"] for policy in local] == ["P"]
    await iam("DetachUserPolicy", UserName="u", PolicyArn=arn)
    await iam("DeletePolicy", PolicyArn=arn)
    assert await iam.refused("GetPolicy", PolicyArn=arn) == "NoSuchEntity"
    assert await iam.refused("DeletePolicy", PolicyArn=READ_ONLY) == "AccessDenied"
    assert len((await iam("ListPolicies", Scope="AWS", MaxItems=1000))["Policies"]) > 20


def test_awss_own_policies_are_well_formed() -> None:
    for policy in AWS_MANAGED.values():
        compile_document(policy.document)
        assert document_size(policy.document) <= 6144
    assert len({policy.id for policy in AWS_MANAGED.values()}) == len(AWS_MANAGED)


async def test_boundaries(iam: Any) -> None:
    await iam("CreateUser", UserName="u", PermissionsBoundary=READ_ONLY)
    shown = (await iam("GetUser", UserName="u"))["User"]["PermissionsBoundary"]
    assert shown == {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": READ_ONLY}
    counted = (await iam("GetPolicy", PolicyArn=READ_ONLY))["Policy"]["PermissionsBoundaryUsageCount"]
    assert counted == 1
    await iam("DeleteUserPermissionsBoundary", UserName="u")
    assert await iam.refused("DeleteUserPermissionsBoundary", UserName="u") == "NoSuchEntity"
    await iam("CreateRole", RoleName="r", AssumeRolePolicyDocument=TRUST)
    await iam("PutRolePermissionsBoundary", RoleName="r", PermissionsBoundary=READ_ONLY)
    assert "PermissionsBoundary" in (await iam("GetRole", RoleName="r"))["Role"]
    await iam("DeleteRolePermissionsBoundary", RoleName="r")
    await iam("PutUserPermissionsBoundary", UserName="u", PermissionsBoundary=READ_ONLY)
    gone = await iam.refused("PutUserPermissionsBoundary", UserName="u", PermissionsBoundary=READ_ONLY + "x")
    assert gone == "NoSuchEntity"


async def test_tags(iam: Any) -> None:
    await iam("CreateUser", UserName="u")
    await iam("CreateRole", RoleName="r", AssumeRolePolicyDocument=TRUST)
    await iam("CreateInstanceProfile", InstanceProfileName="p")
    arn = (await iam("CreatePolicy", PolicyName="P", PolicyDocument=POLICY))["Policy"]["Arn"]
    for tag, untag, listing, name in (
        ("TagUser", "UntagUser", "ListUserTags", {"UserName": "u"}),
        ("TagRole", "UntagRole", "ListRoleTags", {"RoleName": "r"}),
        ("TagInstanceProfile", "UntagInstanceProfile", "ListInstanceProfileTags", {"InstanceProfileName": "p"}),
        ("TagPolicy", "UntagPolicy", "ListPolicyTags", {"PolicyArn": arn}),
    ):
        await iam(tag, **name, Tags=[{"Key": "Team", "Value": "a"}, {"Key": "b", "Value": ""}])
        await iam(tag, **name, Tags=[{"Key": "team", "Value": "z"}])
        listed = (await iam(listing, **name))["Tags"]
        assert sorted((t["Key"], t["Value"]) for t in listed) == [("b", ""), ("team", "z")]
        await iam(untag, **name, TagKeys=["TEAM"])
        assert [t["Key"] for t in (await iam(listing, **name))["Tags"]] == ["b"]
    twice = [{"Key": "x", "Value": "1"}, {"Key": "X", "Value": "2"}]
    assert await iam.refused("TagUser", UserName="u", Tags=twice) == "InvalidInput"
    many = [{"Key": f"k{i}", "Value": ""} for i in range(51)]
    assert await iam.refused("TagUser", UserName="u", Tags=many) == "LimitExceeded"


async def test_service_linked_roles(iam: Any) -> None:
    role = (await iam("CreateServiceLinkedRole", AWSServiceName="ecs.amazonaws.com"))["Role"]
    assert role["Arn"].endswith(":role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS")
    assert await iam.refused("CreateServiceLinkedRole", AWSServiceName="ecs.amazonaws.com") == "InvalidInput"
    assert await iam.refused("CreateServiceLinkedRole", AWSServiceName="none.amazonaws.com") == "NoSuchEntity"
    name = role["RoleName"]
    assert await iam.refused("DeleteRole", RoleName=name) == "UnmodifiableEntity"
    assert await iam.refused("AttachRolePolicy", RoleName=name, PolicyArn=READ_ONLY) == "UnmodifiableEntity"
    boundary = {"RoleName": name, "PermissionsBoundary": READ_ONLY}
    assert await iam.refused("PutRolePermissionsBoundary", **boundary) == "UnmodifiableEntity"
    task = (await iam("DeleteServiceLinkedRole", RoleName=name))["DeletionTaskId"]
    assert (await iam("GetServiceLinkedRoleDeletionStatus", DeletionTaskId=task))["Status"] == "SUCCEEDED"
    assert await iam.refused("GetServiceLinkedRoleDeletionStatus", DeletionTaskId="x") == "NoSuchEntity"


async def test_simulation(iam: Any) -> None:
    await iam("CreateUser", UserName="u")
    await iam("PutUserPolicy", UserName="u", PolicyName="p", PolicyDocument=POLICY)
    answer = await iam(
        "SimulatePrincipalPolicy",
        PolicySourceArn="arn:aws:iam::123456789012:user/u",
        ActionNames=["ecs:ListClusters", "ecs:RunTask"],
    )
    assert [r["EvalDecision"] for r in answer["EvaluationResults"]] == ["allowed", "implicitDeny"]
    deny = POLICY.replace("Allow", "Deny")
    custom = await iam("SimulateCustomPolicy", PolicyInputList=[POLICY, deny], ActionNames=["ecs:ListClusters"])
    assert custom["EvaluationResults"][0]["EvalDecision"] == "explicitDeny"
    none = "arn:aws:iam::123456789012:user/none"
    assert await iam.refused("SimulatePrincipalPolicy", PolicySourceArn=none, ActionNames=["a:b"]) == "NoSuchEntity"


async def test_the_account(iam: Any) -> None:
    await iam("CreateAccountAlias", AccountAlias="rope")
    assert (await iam("ListAccountAliases"))["AccountAliases"] == ["rope"]
    assert await iam.refused("CreateAccountAlias", AccountAlias="rope") == "EntityAlreadyExists"
    assert await iam.refused("CreateAccountAlias", AccountAlias="Rope--x") == "ValidationError"
    await iam("DeleteAccountAlias", AccountAlias="rope")
    assert await iam.refused("DeleteAccountAlias", AccountAlias="rope") == "NoSuchEntity"
    await iam("CreateUser", UserName="u")
    assert (await iam("GetAccountSummary"))["SummaryMap"]["Users"] == 1


async def test_a_renaming_cut_short_is_taken_up_again(iam: Any) -> None:
    """A crash left both names: the same call finishes it, and keys and members follow."""
    await iam("CreateUser", UserName="old")
    await iam("CreateGroup", GroupName="old")
    await iam("AddUserToGroup", UserName="old", GroupName="old")
    key = (await iam("CreateAccessKey", UserName="old"))["AccessKey"]["AccessKeyId"]
    for table in (iam.iam.users, iam.iam.groups):
        await table.create("new", msgspec.structs.replace(await table.get("old"), name="new"))
    await iam("UpdateGroup", GroupName="old", NewGroupName="new")
    await iam("UpdateUser", UserName="old", NewUserName="new")
    assert [u["UserName"] for u in (await iam("GetGroup", GroupName="new"))["Users"]] == ["new"]
    assert [k["AccessKeyId"] for k in (await iam("ListAccessKeys", UserName="new"))["AccessKeyMetadata"]] == [key]
    assert await iam.refused("GetUser", UserName="old") == await iam.refused("GetGroup", GroupName="old")


async def test_what_nobody_has(iam: Any) -> None:
    await iam("CreateUser", UserName="u")
    for operation in (
        "ListMFADevices",
        "ListSSHPublicKeys",
        "ListSigningCertificates",
        "ListServiceSpecificCredentials",
    ):
        assert [] in (await iam(operation, UserName="u")).values()
        assert await iam.refused(operation, UserName="none") == "NoSuchEntity"
    assert await iam.refused("GetLoginProfile", UserName="u") == "NoSuchEntity"
    assert (await iam("ListOpenIDConnectProviders"))["OpenIDConnectProviderList"] == []
    assert (await iam("ListSAMLProviders"))["SAMLProviderList"] == []


async def test_the_authorizer_is_asked_about_the_true_resource(iam: Any) -> None:
    await iam("CreateUser", UserName="Anna", Path="/staff/", Tags=[{"Key": "team", "Value": "a"}])
    created = iam.asked.questions[-1]
    assert created == (
        "iam:CreateUser",
        "arn:aws:iam::123456789012:user/staff/Anna",
        {"aws:TagKeys": ["team"], "aws:RequestTag/team": ["a"]},
    )
    await iam("AttachUserPolicy", UserName="anna", PolicyArn=READ_ONLY)
    attached = iam.asked.questions[-1]
    assert attached == (
        "iam:AttachUserPolicy",
        "arn:aws:iam::123456789012:user/staff/Anna",
        {"iam:PolicyARN": [READ_ONLY], "aws:ResourceTag/team": ["a"], "iam:ResourceTag/team": ["a"]},
    )


async def test_what_is_refused_changes_nothing(iam: Any) -> None:
    iam.asked.refuse.add("iam:CreateUser")
    with pytest.raises(Fault, match="AccessDenied"):
        await iam("CreateUser", UserName="u")
    iam.asked.refuse.clear()
    assert await iam.refused("GetUser", UserName="u") == "NoSuchEntity"


@pytest.mark.parametrize("odd", ["\0", "x" * 2000, "\ud800", "a/b", "é" * 600])
async def test_odd_names_are_nobodys(iam: Any, odd: str) -> None:
    """What no key could be is not found; it is never a bug."""
    arn = f"arn:aws:iam::123456789012:role/{odd}"
    for operation, params in (
        ("GetUser", {"UserName": odd}),
        ("GetRole", {"RoleName": odd}),
        ("GetGroup", {"GroupName": odd}),
        ("GetInstanceProfile", {"InstanceProfileName": odd}),
        ("GetPolicy", {"PolicyArn": f"arn:aws:iam::123456789012:policy/{odd}"}),
        ("GetAccessKeyLastUsed", {"AccessKeyId": odd}),
        ("SimulatePrincipalPolicy", {"PolicySourceArn": arn, "ActionNames": ["a:b"]}),
    ):
        assert await iam.refused(operation, **params) == "NoSuchEntity"
    assert not await iam.iam.directory.role_exists(arn)
    assert await iam.iam.directory.access_key(odd) is None
