"""What users, groups, roles and instance profiles have in common: a name under a path, made, found, renamed, listed.

Names are unique whatever their case, so that records are kept by names in lower case; an ARN shows the path as well.
Each kind's own module adds what its kind alone has. Source:
docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import msgspec

from ropewalk.aws.operations import Params
from ropewalk.base.errors import Fault
from ropewalk.runtime.table import Table
from ropewalk.services.iam.records import Entity, Group, Holder, InstanceProfile, Role, User
from ropewalk.services.iam.slice import Iam, check_name, check_path, conflict, exists, no_such, page
from ropewalk.store.protocol import KeyExists

E = TypeVar("E", bound=Entity)

SERVICE_PATH: Final = "/aws-service-role/"
"""Of roles that belong to AWS services."""


@dataclass(frozen=True, slots=True)
class Named(Generic[E]):
    """One kind. It is a `Target` of operations."""

    word: str
    """As the API's members begin: "User", "InstanceProfile"."""
    arn_kind: str
    id_prefix: str
    """"AIDA"."""
    longest_name: int
    table: Callable[[Iam], Table[E]]
    missing: str
    """What is said where there is none called so."""
    taken: str
    """What is said where there is one already."""
    tag_prefixes: tuple[str, ...] = ()
    """Beside "aws", whose condition keys (`iam:ResourceTag/…`) tell the tags."""

    @property
    def member(self) -> str:
        """The parameter that names one."""
        return f"{self.word}Name"

    async def find(self, iam: Iam, name: str) -> E | None:
        return await self.table(iam).get(name.lower())

    async def existing(self, iam: Iam, name: str) -> E:
        """Raises NoSuchEntity."""
        record = await self.find(iam, name)
        if record is None:
            raise no_such(self.missing.format(name))
        return record

    async def changeable(self, iam: Iam, name: str) -> E:
        """One that users may change: a service's own role is not. Raises NoSuchEntity, UnmodifiableEntity."""
        record = await self.existing(iam, name)
        if self.arn_kind == "role" and record.path.startswith(SERVICE_PATH):
            raise Fault(
                "UnmodifiableEntity",
                f"Cannot perform the operation on the protected role '{record.name}' - this role is only modifiable "
                "by AWS",
            )
        return record

    async def put(self, iam: Iam, record: E) -> None:
        await self.table(iam).put(record.name.lower(), record)

    async def delete(self, iam: Iam, record: E) -> None:
        await self.table(iam).delete(record.name.lower())

    def identity(self, iam: Iam, params: Params) -> dict[str, Any]:
        """The fields of every new entity, from a request's name and path. Raises ValidationError."""
        name: str = params[self.member]
        check_name(self.member, name, self.longest_name)
        path = check_path(params.get("Path"))
        return {
            "name": name,
            "path": path,
            "arn": iam.arn(self.arn_kind, path, name),
            "id": iam.unique_id(self.id_prefix),
            "created_at": iam.clock.wall(),
        }

    async def create(self, iam: Iam, record: E) -> None:
        """Raises EntityAlreadyExists."""
        try:
            await self.table(iam).create(record.name.lower(), record)
        except KeyExists as error:
            raise exists(self.taken.format(record.name)) from error

    async def rename(self, iam: Iam, params: Params, follow: Callable[[str, str], Awaitable[None]]) -> None:
        """To the request's new name and path. `follow` moves what names the entity by its old key to its new one.

        A renaming that a crash cut short is taken up again by the same request.
        """
        old = await self.existing(iam, params[self.member])
        name = params.get(f"New{self.word}Name") or old.name
        check_name(f"New{self.word}Name", name, self.longest_name)
        path = check_path(params["NewPath"]) if params.get("NewPath") else old.path
        new = msgspec.structs.replace(old, name=name, path=path, arn=iam.arn(self.arn_kind, path, name))
        if name.lower() == old.name.lower():
            await self.put(iam, new)
            return
        there = await self.find(iam, name)
        if there is None:
            await self.create(iam, new)
        elif there.id != old.id:
            raise exists(self.taken.format(name))
        await follow(old.name.lower(), name.lower())
        await self.delete(iam, old)

    async def listed(self, iam: Iam, params: Params, show: Callable[[E], Params]) -> Params:
        """One page of those under the request's PathPrefix."""
        prefix = params.get("PathPrefix") or "/"
        return self.page(params, [r for r in await self.table(iam).records() if r.path.startswith(prefix)], show)

    def page(self, params: Params, records: Sequence[E], show: Callable[[E], Any]) -> Params:
        return page(params, records, lambda record: record.name.lower(), f"{self.word}s", show)

    def shown(self, record: E) -> Params:
        """The members that every kind shows."""
        return {
            "Path": record.path,
            f"{self.word}Name": record.name,
            f"{self.word}Id": record.id,
            "Arn": record.arn,
            "CreateDate": record.created_at,
        }


USER: Final[Named[User]] = Named(
    word="User",
    arn_kind="user",
    id_prefix="AIDA",
    longest_name=64,
    table=lambda iam: iam.users,
    missing="The user with name {} cannot be found.",
    taken="User with name {} already exists.",
    tag_prefixes=("iam",),
)
GROUP: Final[Named[Group]] = Named(
    word="Group",
    arn_kind="group",
    id_prefix="AGPA",
    longest_name=128,
    table=lambda iam: iam.groups,
    missing="The group with name {} cannot be found.",
    taken="Group with name {} already exists.",
)
ROLE: Final[Named[Role]] = Named(
    word="Role",
    arn_kind="role",
    id_prefix="AROA",
    longest_name=64,
    table=lambda iam: iam.roles,
    missing="The role with name {} cannot be found.",
    taken="Role with name {} already exists.",
    tag_prefixes=("iam",),
)
PROFILE: Final[Named[InstanceProfile]] = Named(
    word="InstanceProfile",
    arn_kind="instance-profile",
    id_prefix="AIPA",
    longest_name=128,
    table=lambda iam: iam.profiles,
    missing="Instance Profile {} cannot be found.",
    taken="Instance Profile {} already exists.",
)


def check_bare(holder: Holder) -> None:
    """Raises DeleteConflict while policies hang on what is to be deleted."""
    if holder.attached:
        raise conflict("Cannot delete entity, must detach all policies first.")
    if holder.inline:
        raise conflict("Cannot delete entity, must delete policies first.")
