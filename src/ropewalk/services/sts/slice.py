"""The sts slice's frame: what its operations need, and the installation's sealing key.

Knows roles through `RoleDirectory` and judgement through `Judge`; stores nothing but the key under which session tokens
are sealed (`aws/sessions.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from ropewalk.aws.operations import Operations, Principal
from ropewalk.aws.policy import Decision, Document
from ropewalk.aws.sessions import Sealer
from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.model.readers import RoleDirectory
from ropewalk.runtime.table import Table
from ropewalk.store.protocol import KeyExists, Store


class Judge(Protocol):
    """`aws.identity.Identity`: one evaluation of policies for all."""

    def decide(
        self,
        principal: Principal,
        action: str,
        resource: str,
        context: Mapping[str, Sequence[str]],
        resource_policy: Document | None = None,
    ) -> Decision: ...


@dataclass(frozen=True, slots=True)
class Sts:
    account: str
    clock: Clock
    entropy: Entropy
    sealer: Sealer
    roles: RoleDirectory
    judge: Judge


operations: Operations[Sts] = Operations("sts")
"""Filled by the resource modules; `ropewalk.services.sts` imports them all."""


class SealingKey(msgspec.Struct, frozen=True):
    key: str


async def load_sealer(store: Store, entropy: Entropy) -> Sealer:
    """The installation's sealer: its key is made at the first start. A store that is reset ends every session."""
    table: Table[SealingKey] = Table(store, "/sts/sealing/", SealingKey)
    found = await table.get("key")
    if found is None:
        made = SealingKey(entropy.token())
        try:
            await table.create("key", made)
        except KeyExists:
            return await load_sealer(store, entropy)
        found = made
    return Sealer(found.key)
