"""What an admission plug-in is. The chain and the plug-ins themselves stand in `ropewalk.kube.admission`.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.requests import Call, User
from ropewalk.kube.machinery.resources import GroupVersionKind, ResourceInfo


@dataclass(slots=True)
class Admission:
    """One write (or connect) asking to be let in."""

    call: Call
    operation: str
    """"CREATE", "UPDATE", "DELETE" or "CONNECT"."""
    info: ResourceInfo
    subresource: str
    namespace: str
    name: str
    """"" where generateName is still to be resolved."""
    object: Object | None
    """The object as it would be written, owned by this admission: mutating plug-ins change it in place or replace it.
    For CONNECT the options object; None for DELETE.
    """
    old: Object | None
    """As it stands; for DELETE what goes. Shared: never changed."""
    options: Object
    """CreateOptions, UpdateOptions, PatchOptions or DeleteOptions with kind and apiVersion."""
    kind: GroupVersionKind
    """Of `object`: the resource's own kind, or that of its subresource (Scale, Eviction, Binding, …)."""
    dry_run: bool = False
    reinvocation: bool = False
    """This is the second round of the mutating phase."""
    annotations: dict[str, str] = field(default_factory=dict)
    """For the audit event."""

    @property
    def user(self) -> User:
        return self.call.user

    def warn(self, text: str) -> None:
        self.call.warnings.append(text)


class AdmissionPlugin(Protocol):
    """Refuses by raising a `StatusFault` (mostly `errors.forbidden`)."""

    @property
    def name(self) -> str: ...

    async def mutate(self, admission: Admission) -> None: ...

    async def validate(self, admission: Admission) -> None: ...


class AdmissionChain(Protocol):
    """All plug-ins in order. The registry calls one, then the other; what runs between them is the kind's own
    preparation and validation.
    """

    async def mutate(self, admission: Admission) -> None: ...

    async def validate(self, admission: Admission) -> None: ...


class AdmitAll:
    """The chain of an installation without plug-ins: tests of other parts."""

    async def mutate(self, admission: Admission) -> None: ...

    async def validate(self, admission: Admission) -> None: ...
