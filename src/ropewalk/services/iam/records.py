"""What IAM stores. One record holds all that hangs on one user, group or role, so that a change of it is one write.

Keys are names in lower case (IAM's names are unique whatever their case); managed policies are kept by ARN, access keys
by their id. AWS's own policies are not stored: they are part of the program (`managed.py`).
"""

from __future__ import annotations

import msgspec


class InlinePolicy(msgspec.Struct, frozen=True):
    name: str
    document: str


class Entity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What has a name under a path: users, groups, roles, instance profiles."""

    name: str
    path: str
    arn: str
    id: str
    """AIDA…, AGPA…, AROA…, AIPA…"""
    created_at: float
    tags: tuple[tuple[str, str], ...] = ()


class Holder(Entity, frozen=True, kw_only=True):
    """What users, groups and roles have in common: policies."""

    inline: tuple[InlinePolicy, ...] = ()
    attached: tuple[str, ...] = ()
    """ARNs of managed policies, in order of attachment."""
    boundary: str = ""


class User(Holder, frozen=True, kw_only=True):
    groups: tuple[str, ...] = ()
    """Keys of groups."""


class Group(Holder, frozen=True, kw_only=True):
    pass


class Role(Holder, frozen=True, kw_only=True):
    trust: str
    description: str = ""
    max_session_seconds: int = 3600


class AccessKeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    user: str
    """Key of the user."""
    user_id: str
    secret: str
    created_at: float
    active: bool = True


class KeyUse(msgspec.Struct, frozen=True):
    """When a key was last seen, to a quarter of an hour."""

    at: float
    service: str
    region: str


class PolicyVersion(msgspec.Struct, frozen=True):
    number: int
    document: str
    created_at: float


class ManagedPolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    arn: str
    name: str
    id: str
    """ANPA…"""
    path: str
    created_at: float
    updated_at: float
    versions: tuple[PolicyVersion, ...]
    default: int
    latest: int
    """The highest number ever given."""
    description: str = ""
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def document(self) -> str:
        """Of the default version."""
        return next(version.document for version in self.versions if version.number == self.default)


class InstanceProfile(Entity, frozen=True, kw_only=True):
    role: str = ""
    """Key of the role, empty for none."""


class Alias(msgspec.Struct, frozen=True):
    """The account's alias; AWS allows one."""

    name: str
