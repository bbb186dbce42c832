"""Randomness, injected. The only module that may draw it.

Identifiers take a seeded source in simulation, so that a failing seed replays exactly. Secrets (keys, tokens) always
come from the system source: `SystemEntropy.token` is the only way to make one.
"""

from __future__ import annotations

import random
import secrets
from typing import Protocol

_ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class Entropy(Protocol):
    def hex(self, digits: int) -> str:
        """`digits` lower-case hexadecimal characters."""
        ...

    def base32(self, length: int) -> str:
        """`length` characters of A-Z and 2-7, as AWS uses in its unique ids."""
        ...

    def random(self) -> float:
        """A float in [0, 1)."""
        ...

    def token(self) -> str:
        """An unguessable URL-safe string of 256 bits."""
        ...

    def uuid(self) -> str:
        """A random (version 4) UUID in its usual spelling."""
        ...


def _uuid_from_hex(digits: str) -> str:
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


class SystemEntropy:
    """The operating system's randomness."""

    __slots__ = ()

    def hex(self, digits: int) -> str:
        return secrets.token_hex((digits + 1) // 2)[:digits]

    def base32(self, length: int) -> str:
        return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(length))

    def random(self) -> float:
        return secrets.randbits(53) / (1 << 53)

    def token(self) -> str:
        return secrets.token_urlsafe(32)

    def uuid(self) -> str:
        return _uuid_from_hex(self.hex(32))


class SeededEntropy:
    """A reproducible source for tests and simulation. Never for secrets."""

    __slots__ = ("_random",)

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def hex(self, digits: int) -> str:
        return f"{self._random.getrandbits(4 * digits):0{digits}x}"

    def base32(self, length: int) -> str:
        return "".join(self._random.choice(_ALPHANUMERIC) for _ in range(length))

    def random(self) -> float:
        return self._random.random()

    def token(self) -> str:
        return self.hex(64)

    def uuid(self) -> str:
        return _uuid_from_hex(self.hex(32))
