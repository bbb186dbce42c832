"""What every account holds from its first start: an administrator, service-linked roles, and the roles that ECS's own
documentation has everyone create. Idempotent: what exists is left as its owner made it.
"""

from __future__ import annotations

import msgspec

from ropewalk.base.log import logger
from ropewalk.services.iam.access_keys import keys_of, make_key
from ropewalk.services.iam.named import PROFILE, USER
from ropewalk.services.iam.records import InstanceProfile, Role, User
from ropewalk.services.iam.roles import plain_role
from ropewalk.services.iam.service_roles import LINKED, linked_role, trust_of
from ropewalk.services.iam.slice import Iam
from ropewalk.store.protocol import KeyExists

log = logger(__name__)

ADMIN = "ropewalk-admin"
_SERVICE_ROLE = "arn:aws:iam::aws:policy/service-role/"


class AdminKey(msgspec.Struct, frozen=True):
    """The administrator's key, for the command line to write into its file."""

    access_key_id: str
    secret_access_key: str


async def seed(iam: Iam) -> AdminKey:
    """Make what is missing; answer the administrator's key, made once. If its owner deleted or disabled every key of
    the administrator, a new one is made: the machine's owner is never locked out of their own platform.
    """
    async with iam.lock:
        try:
            admin = await _admin(iam)
            for service, linked in LINKED.items():
                await _role(iam, linked_role(iam, service, linked))
            await _role(iam, _execution_role(iam))
            instance_role = await _role(iam, _instance_role(iam))
            await _instance_profile(iam, instance_role)
            return await _admin_key(iam, admin)
        finally:
            iam.directory.forget()


async def _admin(iam: Iam) -> User:
    found = await iam.users.get(ADMIN)
    if found is not None:
        return found
    admin = User(
        **USER.identity(iam, {"UserName": ADMIN}),
        attached=("arn:aws:iam::aws:policy/AdministratorAccess",),
    )
    await iam.users.create(ADMIN, admin)
    log.info("administrator created", user=ADMIN)
    return admin


async def _admin_key(iam: Iam, admin: User) -> AdminKey:
    keys = await keys_of(iam, admin)
    usable = sorted((key for key in keys if key.active), key=lambda key: (key.created_at, key.id))
    if not usable:
        for key in keys:
            await iam.keys.delete(key.id)
        usable = [await make_key(iam, admin)]
    return AdminKey(usable[0].id, usable[0].secret)


async def _role(iam: Iam, role: Role) -> Role:
    try:
        await iam.roles.create(role.name.lower(), role)
    except KeyExists:
        return await iam.roles.get(role.name.lower()) or role
    return role


def _execution_role(iam: Iam) -> Role:
    return plain_role(
        iam,
        "ecsTaskExecutionRole",
        trust_of(["ecs-tasks.amazonaws.com"]),
        (f"{_SERVICE_ROLE}AmazonECSTaskExecutionRolePolicy",),
        "Allows ECS tasks to call AWS services on your behalf.",
    )


def _instance_role(iam: Iam) -> Role:
    return plain_role(
        iam,
        "ecsInstanceRole",
        trust_of(["ec2.amazonaws.com"]),
        (f"{_SERVICE_ROLE}AmazonEC2ContainerServiceforEC2Role",),
        "Allows EC2 instances in an ECS cluster to access ECS.",
    )


async def _instance_profile(iam: Iam, role: Role) -> None:
    profile = InstanceProfile(**PROFILE.identity(iam, {"InstanceProfileName": role.name}), role=role.name.lower())
    try:
        await iam.profiles.create(role.name.lower(), profile)
    except KeyExists:
        return
