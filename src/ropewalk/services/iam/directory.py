"""Who there is and what they may do, for those who judge requests: the front's `Directory`, and the readers of roles.

Reads through to the store and keeps what it compiled. Every write of this process clears it (`forget`); writes of
other processes are heard of by a watch (`keeper`, a Runnable). What was computed from the past while something changed
is answered but not kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ropewalk.aws.identity import AccessKey, Profile
from ropewalk.aws.policy import Document, Kind, Permissions, Question, Subject, compile_document
from ropewalk.aws.policy.evaluate import decide_trust
from ropewalk.base.log import logger
from ropewalk.model.readers import RoleView
from ropewalk.runtime.table import Table
from ropewalk.services.iam.managed import AWS_MANAGED
from ropewalk.services.iam.records import AccessKeyRecord, Group, Holder, KeyUse, ManagedPolicy, Role, User
from ropewalk.store.protocol import Compacted, Store

log = logger(__name__)

USE_GRANULARITY = 900.0
"""Seconds between two writes of a key's last use, as coarse as AWS tells it."""


class IamDirectory:
    """Implements `aws.identity.Directory`, `model.readers.RoleReader` and `RoleDirectory`."""

    def __init__(
        self,
        store: Store,
        users: Table[User],
        groups: Table[Group],
        roles: Table[Role],
        policies: Table[ManagedPolicy],
        keys: Table[AccessKeyRecord],
        uses: Table[KeyUse],
    ) -> None:
        self._store = store
        self._users = users
        self._groups = groups
        self._roles = roles
        self._policies = policies
        self._keys = keys
        self._uses = uses
        self._generation = 0
        self._known_keys: dict[str, AccessKey] = {}
        self._known_profiles: dict[tuple[str, str], Profile] = {}
        self._noted: dict[str, float] = {}

    def forget(self) -> None:
        """Something was written."""
        self._generation += 1
        self._known_keys.clear()
        self._known_profiles.clear()

    async def access_key(self, access_key_id: str) -> AccessKey | None:
        known = self._known_keys.get(access_key_id)
        if known is not None:
            return known
        if not (access_key_id.isascii() and access_key_id.isalnum() and len(access_key_id) <= 128):
            return None
        generation = self._generation
        record = await self._keys.get(access_key_id)
        if record is None:
            return None
        key = AccessKey(record.user, record.user_id, record.secret, record.active)
        if generation == self._generation:
            self._known_keys[access_key_id] = key
        return key

    async def profile(self, kind: str, name: str) -> Profile | None:
        known = self._known_profiles.get((kind, name))
        if known is not None:
            return known
        generation = self._generation
        if kind == "user":
            profile = await self._user_profile(name)
        elif kind == "role":
            profile = await self._role_profile(name)
        else:
            return None
        if profile is not None and generation == self._generation:
            self._known_profiles[kind, name] = profile
        return profile

    async def _user_profile(self, name: str) -> Profile | None:
        user = await self._users.get(name.lower())
        if user is None:
            return None
        documents = list(await self._documents(user))
        for key in user.groups:
            group = await self._groups.get(key)
            if group is not None:
                documents.extend(await self._documents(group))
        return await self._profile(user, documents)

    async def _role_profile(self, name: str) -> Profile | None:
        role = await self._roles.get(name.lower())
        return None if role is None else await self._profile(role, await self._documents(role))

    async def _profile(self, holder: Holder, documents: Iterable[Document]) -> Profile:
        boundary: Document | None = None
        if holder.boundary:
            text = await self.managed_policy(holder.boundary)
            boundary = compile_document(text or _NOTHING)
        permissions = Permissions(tuple(documents), boundary)
        return Profile(holder.arn, holder.id, permissions, dict(holder.tags))

    async def _documents(self, holder: Holder) -> list[Document]:
        found = [compile_document(policy.document) for policy in holder.inline]
        for arn in holder.attached:
            text = await self.managed_policy(arn)
            if text is not None:
                found.append(compile_document(text))
        return found

    async def managed_policy(self, policy_arn: str) -> str | None:
        """See `model.readers.RoleDirectory`."""
        known = AWS_MANAGED.get(policy_arn)
        if known is not None:
            return known.document
        policy = await self._policies.get(policy_arn)
        return None if policy is None else policy.document

    async def role(self, role_arn: str) -> RoleView | None:
        """See `model.readers.RoleDirectory`."""
        name = role_name(role_arn)
        role = await self._roles.get(name.lower()) if name else None
        if role is None or role.arn != role_arn:
            return None
        return RoleView(
            arn=role.arn,
            name=role.name,
            unique_id=role.id,
            trust_policy=role.trust,
            max_session_seconds=role.max_session_seconds,
            tags=role.tags,
        )

    async def role_exists(self, role_arn: str) -> bool:
        """See `model.readers.RoleReader`."""
        return await self.role(role_arn) is not None

    async def trusts(self, role_arn: str, service: str, source_arn: str = "") -> bool:
        """See `model.readers.RoleReader`."""
        role = await self.role(role_arn)
        if role is None:
            return False
        context: dict[str, Sequence[str]] = {}
        if source_arn:
            context = {"aws:sourcearn": (source_arn,), "aws:sourceaccount": (source_arn.split(":")[4],)}
        question = Question(Subject("", "", service=service), "sts:AssumeRole", role_arn, context)
        return decide_trust(question, compile_document(role.trust_policy, Kind.TRUST)).allowed

    async def key_used(self, access_key_id: str, service: str, region: str, now: float) -> None:
        """See `aws.identity.Directory`: one write a quarter of an hour."""
        noted = self._noted.get(access_key_id)
        if noted is not None and now - noted < USE_GRANULARITY:
            return
        self._noted[access_key_id] = now
        await self._uses.put(access_key_id, KeyUse(now, service, region))

    def keeper(self) -> DirectoryKeeper:
        return DirectoryKeeper(self, self._store)


_NOTHING = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'
"""A boundary whose policy is gone lets nothing through."""


def role_name(arn: str) -> str:
    """The name in a role's ARN, "" where it is no such ARN."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or parts[2] != "iam" or not parts[5].startswith("role/"):
        return ""
    return parts[5].rsplit("/", 1)[1]


@dataclass(frozen=True, slots=True)
class DirectoryKeeper:
    """Makes the directory forget when anybody writes identities. A Runnable."""

    directory: IamDirectory
    store: Store
    name: str = "iam directory"

    async def run(self) -> None:
        while True:
            revision = self.store.revision
            self.directory.forget()
            try:
                async for _ in self.store.watch("/iam/", revision):
                    self.directory.forget()
            except Compacted:
                log.info("watch fell behind, starting over", prefix="/iam/")
