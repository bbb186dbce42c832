"""Service-linked roles: made for one AWS service, trusted by it alone, with a policy that nobody else may change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from ropewalk.aws.operations import Call, Params
from ropewalk.base.errors import Fault
from ropewalk.services.iam.named import ROLE, SERVICE_PATH
from ropewalk.services.iam.records import Role
from ropewalk.services.iam.roles import shown_role
from ropewalk.services.iam.slice import Iam, no_such, offer
from ropewalk.store.protocol import KeyExists


@dataclass(frozen=True, slots=True)
class Linked:
    """What a service's role is called and may do."""

    role: str
    policy: str
    takes_suffix: bool = False


LINKED: dict[str, Linked] = {
    "ecs.amazonaws.com": Linked("AWSServiceRoleForECS", "AmazonECSServiceRolePolicy"),
    "ecs.application-autoscaling.amazonaws.com": Linked(
        "AWSServiceRoleForApplicationAutoScaling_ECSService", "AWSApplicationAutoscalingECSServicePolicy"
    ),
    "elasticloadbalancing.amazonaws.com": Linked(
        "AWSServiceRoleForElasticLoadBalancing", "AWSElasticLoadBalancingServiceRolePolicy"
    ),
    "autoscaling.amazonaws.com": Linked("AWSServiceRoleForAutoScaling", "AutoScalingServiceRolePolicy", True),
}


def trust_of(services: Sequence[str]) -> str:
    """A trust policy for AWS services."""
    principal: object = services[0] if len(services) == 1 else list(services)
    statement = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}
    return orjson.dumps({"Version": "2012-10-17", "Statement": [statement]}).decode()


def linked_role(iam: Iam, service: str, linked: Linked, suffix: str = "", description: str = "") -> Role:
    name = f"{linked.role}_{suffix}" if suffix else linked.role
    return Role(
        **ROLE.identity(iam, {"RoleName": name, "Path": f"{SERVICE_PATH}{service}/"}),
        trust=trust_of([service]),
        description=description,
        attached=(f"arn:aws:iam::aws:policy{SERVICE_PATH}{linked.policy}",),
    )


@offer("CreateServiceLinkedRole")
async def create_service_linked_role(iam: Iam, call: Call, params: Params) -> Params:
    service = params["AWSServiceName"]
    linked = LINKED.get(service)
    if linked is None:
        raise no_such(f"Service-linked role for {service} does not exist here. Known: {', '.join(sorted(LINKED))}.")
    suffix = params.get("CustomSuffix", "")
    if suffix and not linked.takes_suffix:
        raise Fault("InvalidInput", f"Custom suffix is not allowed for {service}")
    role = linked_role(iam, service, linked, suffix, params.get("Description", ""))
    try:
        await iam.roles.create(role.name.lower(), role)
    except KeyExists as error:
        raise Fault(
            "InvalidInput",
            f"Service role name {role.name} has been taken in this account, please try a different suffix.",
        ) from error
    return {"Role": shown_role(role)}


@offer("DeleteServiceLinkedRole")
async def delete_service_linked_role(iam: Iam, call: Call, params: Params) -> Params:
    """The deletion is done before the answer; its task id names the role, and says so when asked."""
    name = params["RoleName"]
    role = await iam.roles.get(name.lower())
    if role is None or not role.path.startswith(SERVICE_PATH):
        raise no_such(f"The role with name {name} cannot be found.")
    await iam.roles.delete(name.lower())
    return {"DeletionTaskId": f"task{role.path}{role.name}/{iam.entropy.uuid()}"}


@offer("GetServiceLinkedRoleDeletionStatus")
async def get_deletion_status(iam: Iam, call: Call, params: Params) -> Params:
    parts = params["DeletionTaskId"].split("/")
    if len(parts) != 5 or parts[0] != "task" or parts[1] != SERVICE_PATH.strip("/"):
        raise no_such(f"Deletion task {params['DeletionTaskId']} was not found.")
    return {"Status": "SUCCEEDED"}
