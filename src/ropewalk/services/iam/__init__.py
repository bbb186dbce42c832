"""AWS Identity and Access Management: users, groups, roles, policies, and the directory that requests are judged by.

iam = Iam.over(store, clock, entropy, account)
key = await seed(iam)                      # at every start
Identity(iam.directory, sealer, account)   # aws/identity.py
controllers(iam)                           # Runnables
"""

from ropewalk.runtime.controller import Runnable
from ropewalk.services.iam import (
    absent,
    access_keys,
    account,
    attachments,
    boundaries,
    groups,
    instance_profiles,
    policies,
    roles,
    service_roles,
    simulation,
    tags,
    users,
)
from ropewalk.services.iam.seed import AdminKey, seed
from ropewalk.services.iam.slice import Iam, operations

__all__ = ["AdminKey", "Iam", "controllers", "operations", "seed"]

RESOURCES = (
    absent,
    access_keys,
    account,
    attachments,
    boundaries,
    groups,
    instance_profiles,
    policies,
    roles,
    service_roles,
    simulation,
    tags,
    users,
)
"""Importing a resource's module offers its operations."""


def controllers(iam: Iam) -> list[Runnable]:
    return [iam.directory.keeper()]
