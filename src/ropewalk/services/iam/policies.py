"""Managed policies and their versions: at most five, one of them the default, which is what counts."""

from __future__ import annotations

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.aws.policy import compile_document
from ropewalk.base.errors import Fault
from ropewalk.services.iam.managed import AWS_MANAGED
from ropewalk.services.iam.records import Group, Holder, ManagedPolicy, PolicyVersion, Role, User
from ropewalk.services.iam.slice import (
    Iam,
    check_name,
    check_path,
    conflict,
    exists,
    merged_tags,
    no_such,
    offer,
    over_quota,
    page,
    shown_document,
    shown_tags,
)
from ropewalk.store.protocol import KeyExists

LONGEST_NAME = 128
LONGEST_DOCUMENT = 6144
"""Characters, white space not counted."""
VERSIONS = 5


def document_size(text: str) -> int:
    return len("".join(text.split()))


def check_document(text: str) -> str:
    compile_document(text)
    if document_size(text) > LONGEST_DOCUMENT:
        raise over_quota(f"Cannot exceed quota for PolicySize: {LONGEST_DOCUMENT}")
    return text


async def find_policy(iam: Iam, arn: str) -> ManagedPolicy | None:
    return AWS_MANAGED.get(arn) or await iam.policies.get(arn)


async def policy_of(iam: Iam, arn: str) -> ManagedPolicy:
    policy = await find_policy(iam, arn)
    if policy is None:
        raise no_such(f"Policy {arn} was not found.")
    return policy


async def _own(iam: Iam, arn: str) -> ManagedPolicy:
    """A policy that users may change: not one of AWS's."""
    policy = await policy_of(iam, arn)
    if arn in AWS_MANAGED:
        raise Fault("AccessDenied", f"Policy {arn} is managed by AWS and cannot be changed.", status=403)
    return policy


class Uses(msgspec.Struct, frozen=True):
    """Who a policy is attached to, and whose boundary it is."""

    users: tuple[User, ...]
    groups: tuple[Group, ...]
    roles: tuple[Role, ...]
    boundary_of: int

    @property
    def count(self) -> int:
        return len(self.users) + len(self.groups) + len(self.roles)


async def _holders(iam: Iam) -> tuple[list[User], list[Group], list[Role]]:
    return list(await iam.users.records()), list(await iam.groups.records()), list(await iam.roles.records())


def _uses(holders: tuple[list[User], list[Group], list[Role]], arn: str) -> Uses:
    users, groups, roles = holders
    everyone: list[Holder] = [*users, *roles]
    return Uses(
        tuple(user for user in users if arn in user.attached),
        tuple(group for group in groups if arn in group.attached),
        tuple(role for role in roles if arn in role.attached),
        sum(holder.boundary == arn for holder in everyone),
    )


def shown_policy(policy: ManagedPolicy, uses: Uses, whole: bool = True) -> Params:
    """A Policy shape; lists leave out description and tags, as AWS does."""
    shown: Params = {
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": f"v{policy.default}",
        "AttachmentCount": uses.count,
        "PermissionsBoundaryUsageCount": uses.boundary_of,
        "IsAttachable": True,
        "CreateDate": policy.created_at,
        "UpdateDate": policy.updated_at,
    }
    if whole:
        if policy.description:
            shown["Description"] = policy.description
        shown["Tags"] = shown_tags(policy.tags)
    return shown


def _shown_version(policy: ManagedPolicy, version: PolicyVersion, whole: bool) -> Params:
    shown: Params = {
        "VersionId": f"v{version.number}",
        "IsDefaultVersion": version.number == policy.default,
        "CreateDate": version.created_at,
    }
    if whole:
        shown["Document"] = shown_document(version.document)
    return shown


@offer("CreatePolicy")
async def create_policy(iam: Iam, call: Call, params: Params) -> Params:
    name = params["PolicyName"]
    check_name("PolicyName", name, LONGEST_NAME)
    path = check_path(params.get("Path"))
    document = check_document(params["PolicyDocument"])
    now = iam.clock.wall()
    policy = ManagedPolicy(
        arn=iam.arn("policy", path, name),
        name=name,
        id=iam.unique_id("ANPA"),
        path=path,
        created_at=now,
        updated_at=now,
        versions=(PolicyVersion(1, document, now),),
        default=1,
        latest=1,
        description=params.get("Description", ""),
        tags=merged_tags((), params.get("Tags") or ()),
    )
    taken = exists(f"A policy called {name} already exists. Duplicate names are not allowed.")
    if any(other.name.lower() == name.lower() for other in await iam.policies.records()):
        raise taken
    try:
        await iam.policies.create(policy.arn, policy)
    except KeyExists as error:
        raise taken from error
    return {"Policy": shown_policy(policy, _uses(([], [], []), policy.arn))}


@offer("GetPolicy")
async def get_policy(iam: Iam, call: Call, params: Params) -> Params:
    policy = await policy_of(iam, params["PolicyArn"])
    return {"Policy": shown_policy(policy, _uses(await _holders(iam), policy.arn))}


@offer("ListPolicies")
async def list_policies(iam: Iam, call: Call, params: Params) -> Params:
    scope, prefix = params.get("Scope") or "All", params.get("PathPrefix") or "/"
    policies: list[ManagedPolicy] = []
    if scope in ("All", "AWS"):
        policies.extend(AWS_MANAGED.values())
    if scope in ("All", "Local"):
        policies.extend(await iam.policies.records())
    holders = await _holders(iam)
    usage = params.get("PolicyUsageFilter")
    found: list[tuple[ManagedPolicy, Uses]] = []
    for policy in sorted(policies, key=lambda p: p.arn):
        uses = _uses(holders, policy.arn)
        counted = uses.boundary_of if usage == "PermissionsBoundary" else uses.count
        if not policy.path.startswith(prefix) or ((params.get("OnlyAttached") or usage) and not counted):
            continue
        found.append((policy, uses))
    return page(params, found, lambda f: f[0].arn, "Policies", lambda f: shown_policy(f[0], f[1], whole=False))


@offer("DeletePolicy")
async def delete_policy(iam: Iam, call: Call, params: Params) -> Params:
    policy = await _own(iam, params["PolicyArn"])
    uses = _uses(await _holders(iam), policy.arn)
    if uses.count or uses.boundary_of:
        raise conflict("Cannot delete a policy attached to entities.")
    if len(policy.versions) > 1:
        raise conflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "
            "The default version is deleted with the policy."
        )
    await iam.policies.delete(policy.arn)
    return {}


@offer("CreatePolicyVersion")
async def create_policy_version(iam: Iam, call: Call, params: Params) -> Params:
    policy = await _own(iam, params["PolicyArn"])
    document = check_document(params["PolicyDocument"])
    if len(policy.versions) >= VERSIONS:
        raise over_quota(
            f"A managed policy can have up to {VERSIONS} versions. Before you create a new version, you must delete an "
            "existing version."
        )
    now = iam.clock.wall()
    version = PolicyVersion(policy.latest + 1, document, now)
    changed = msgspec.structs.replace(
        policy,
        versions=(*policy.versions, version),
        latest=version.number,
        default=version.number if params.get("SetAsDefault") else policy.default,
        updated_at=now,
    )
    await iam.policies.put(policy.arn, changed)
    return {"PolicyVersion": _shown_version(changed, version, whole=False)}


def _version(policy: ManagedPolicy, version_id: str) -> PolicyVersion:
    for version in policy.versions:
        if f"v{version.number}" == version_id:
            return version
    raise no_such(f"Policy {policy.arn} version {version_id} does not exist or is not attachable.")


@offer("GetPolicyVersion")
async def get_policy_version(iam: Iam, call: Call, params: Params) -> Params:
    policy = await policy_of(iam, params["PolicyArn"])
    return {"PolicyVersion": _shown_version(policy, _version(policy, params["VersionId"]), whole=True)}


@offer("ListPolicyVersions")
async def list_policy_versions(iam: Iam, call: Call, params: Params) -> Params:
    policy = await policy_of(iam, params["PolicyArn"])
    newest_first = sorted(policy.versions, key=lambda v: -v.number)
    return page(
        params,
        newest_first,
        lambda v: f"{10**9 - v.number:010d}",
        "Versions",
        lambda v: _shown_version(policy, v, whole=False),
    )


@offer("SetDefaultPolicyVersion")
async def set_default_policy_version(iam: Iam, call: Call, params: Params) -> Params:
    policy = await _own(iam, params["PolicyArn"])
    version = _version(policy, params["VersionId"])
    changed = msgspec.structs.replace(policy, default=version.number, updated_at=iam.clock.wall())
    await iam.policies.put(policy.arn, changed)
    return {}


@offer("DeletePolicyVersion")
async def delete_policy_version(iam: Iam, call: Call, params: Params) -> Params:
    policy = await _own(iam, params["PolicyArn"])
    version = _version(policy, params["VersionId"])
    if version.number == policy.default:
        raise conflict("Cannot delete the default version of a policy.")
    versions = tuple(item for item in policy.versions if item.number != version.number)
    await iam.policies.put(policy.arn, msgspec.structs.replace(policy, versions=versions))
    return {}


@offer("ListEntitiesForPolicy")
async def list_entities_for_policy(iam: Iam, call: Call, params: Params) -> Params:
    policy = await policy_of(iam, params["PolicyArn"])
    wanted, prefix = params.get("EntityFilter"), params.get("PathPrefix") or "/"
    users, groups, roles = await _holders(iam)
    boundary = params.get("PolicyUsageFilter") == "PermissionsBoundary"
    entities: list[tuple[str, Holder]] = []
    kinds: tuple[tuple[str, list[Holder]], ...] = (("Group", [*groups]), ("Role", [*roles]), ("User", [*users]))
    for kind, holders in kinds:
        if wanted in (None, kind):
            entities.extend(
                (kind, holder)
                for holder in holders
                if holder.path.startswith(prefix)
                and (holder.boundary == policy.arn if boundary else policy.arn in holder.attached)
            )
    answer = page(params, entities, lambda e: f"{e[0]}/{e[1].name.lower()}", "Entities", lambda e: e)
    chosen = answer.pop("Entities")
    for kind in ("Group", "Role", "User"):
        answer[f"Policy{kind}s"] = [
            {f"{kind}Name": holder.name, f"{kind}Id": holder.id} for which, holder in chosen if which == kind
        ]
    return answer
