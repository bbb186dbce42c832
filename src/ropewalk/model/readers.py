"""Read-only views that one slice offers another. The owner implements, the daemon wires; nobody imports a sibling."""

from __future__ import annotations

from typing import Protocol

from ropewalk.model.ids import SecurityGroupId, SubnetId, VpcId
from ropewalk.model.network import SubnetSpec
from ropewalk.model.workload import Record


class SubnetView(Record, frozen=True):
    spec: SubnetSpec
    vpc: VpcId
    free_addresses: int


class NetworkReader(Protocol):
    """Offered by the ec2 slice."""

    async def subnet(self, subnet: SubnetId) -> SubnetView | None: ...

    async def security_group_vpc(self, group: SecurityGroupId) -> VpcId | None:
        """The VPC a group belongs to, None where there is no such group."""
        ...

    async def default_security_group(self, vpc: VpcId) -> SecurityGroupId: ...


class RoleReader(Protocol):
    """Offered by the iam slice."""

    async def role_exists(self, role_arn: str) -> bool: ...

    async def trusts(self, role_arn: str, service: str, source_arn: str = "") -> bool:
        """Whether the role's trust policy lets `service` ("ecs-tasks.amazonaws.com") assume it.

        `source_arn` is whom the service does it for, as conditions on aws:SourceArn ask (arn:aws:ecs:REGION:ACCOUNT:*,
        all that ECS tells); its account answers aws:SourceAccount.
        """
        ...


class RoleView(Record, frozen=True):
    """A role as one who would assume it needs it."""

    arn: str
    name: str
    unique_id: str
    """AROA…: differs once a role is deleted and made anew."""
    trust_policy: str
    """JSON."""
    max_session_seconds: int
    tags: tuple[tuple[str, str], ...] = ()


class RoleDirectory(Protocol):
    """Offered by the iam slice to the sts slice."""

    async def role(self, role_arn: str) -> RoleView | None: ...

    async def managed_policy(self, policy_arn: str) -> str | None:
        """The default version's JSON document."""
        ...


class TemporaryKeys(Record, frozen=True):
    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: float
    """Wall time."""


class RoleSessions(Protocol):
    """Offered by the sts slice: how the control plane hands a workload its role."""

    async def session(self, role_arn: str, session_name: str, seconds: float) -> TemporaryKeys:
        """Raises `Fault` where the role is gone or trusts the control plane's service no more."""
        ...


class RolePermissions(Protocol):
    """Offered by the front's identity to slices that act as a workload's role."""

    async def require(self, role_arn: str, session_name: str, action: str, resource: str) -> None:
        """Raises `Fault`, with a neutral code and AWS's words, unless the role may do `action` on `resource` now."""
        ...


class LogGroupReader(Protocol):
    """Offered by the logs slice."""

    async def log_group_exists(self, name: str) -> bool: ...
