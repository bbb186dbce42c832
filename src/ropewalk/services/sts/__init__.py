"""AWS Security Token Service: temporary credentials, sealed rather than stored.

sealer = await load_sealer(store, entropy)
identity = Identity(iam.directory, sealer, account)                     # aws/identity.py
sts = Sts(account, clock, entropy, sealer, iam.directory, identity)
WorkloadSessions(sts, iam.directory, service, source_arn)               # model.readers.RoleSessions
"""

from ropewalk.services.sts import callers, sessions
from ropewalk.services.sts.sessions import WorkloadSessions
from ropewalk.services.sts.slice import Sts, load_sealer, operations

__all__ = ["RESOURCES", "Sts", "WorkloadSessions", "load_sealer", "operations"]

RESOURCES = (callers, sessions)
"""Importing a resource's module offers its operations."""
