"""Tables whose keys come from callers: a name or ARN that no key could be (too long, with a NUL) finds nothing."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from ropewalk.runtime.table import Table, Versioned
from ropewalk.store.protocol import OutOfBounds

R = TypeVar("R", bound=msgspec.Struct)


class NameTable(Table[R]):
    async def find(self, key: str) -> Versioned[R] | None:
        try:
            return await super().find(key)
        except OutOfBounds:
            return None
