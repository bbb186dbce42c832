"""What a role may do by itself: asked by slices that act for a workload as its role, without a signed request.

The same evaluation as of a request that the role's own session had signed a moment ago; so a revoked permission counts
at once. Costs one evaluation a question: profiles are the directory's to cache.
"""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.aws.identity import Identity
from ropewalk.base.clock import Clock


@dataclass(frozen=True, slots=True)
class RolePermissions:
    """Implements `model.readers.RolePermissions`."""

    identity: Identity
    clock: Clock
    region: str

    async def require(self, role_arn: str, session_name: str, action: str, resource: str) -> None:
        """See `model.readers.RolePermissions`."""
        caller = await self.identity.as_role(role_arn, session_name, self.region, self.clock.wall())
        await self.identity.require(caller, action, resource, {})
