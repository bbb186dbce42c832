"""Secrets encrypted at rest: between an object's bytes and what the store keeps of them. A `Transformer`.

AES-256-GCM with a fresh nonce each time. The storage key is authenticated too, so that a value cannot be moved to
another object's place. What is stored begins with the name of the key that sealed it:

    k8s:enc:aesgcm:v1:<key id>:<nonce, ciphertext, tag>

The first key seals, all open: to change keys, put a new one first, rewrite, remove the old one. What was stored before
encryption began is read as it is, and sealed when it is written again.
https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ropewalk.base.entropy import Entropy
from ropewalk.kube.security.pki import write_private

PREFIX = b"k8s:enc:aesgcm:v1:"
_NONCE = 12
_KEY = 32


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    id: str
    """Letters, digits, dashes."""
    secret: bytes


class Encryption:
    """A `Transformer`."""

    def __init__(self, keys: Sequence[EncryptionKey], entropy: Entropy) -> None:
        if not keys:
            raise ValueError("encryption at rest needs a key")
        self._ciphers = {key.id.encode(): AESGCM(key.secret) for key in keys}
        self._sealing = keys[0].id.encode()
        self._entropy = entropy

    def seal(self, key: str, value: bytes) -> bytes:
        nonce = bytes.fromhex(self._entropy.hex(2 * _NONCE))
        sealed = self._ciphers[self._sealing].encrypt(nonce, value, key.encode())
        return b"".join((PREFIX, self._sealing, b":", nonce, sealed))

    def open(self, key: str, stored: bytes) -> bytes:
        if not stored.startswith(PREFIX):
            if stored.startswith(b"{"):
                return stored
            raise ValueError(f"what is stored of {key} is neither plain nor sealed")
        key_id, colon, rest = stored[len(PREFIX) :].partition(b":")
        cipher = self._ciphers.get(key_id)
        if not colon or cipher is None:
            raise ValueError(
                f"there is no key to open {key} with: it was sealed with {key_id[:40].decode(errors='replace')}"
            )
        try:
            return cipher.decrypt(rest[:_NONCE], rest[_NONCE:], key.encode())
        except (InvalidTag, ValueError):
            raise ValueError(f"what is stored of {key} was not sealed for it") from None

    def is_stale(self, stored: bytes) -> bool:
        """Whether writing the value again would seal it with another key."""
        return not stored.startswith(PREFIX + self._sealing + b":")


def encryption_keys(path: Path, entropy: Entropy) -> list[EncryptionKey]:
    """Those of a file, which is made with one key where it does not exist. Raises `ValueError` for a file that is none.

    {"keys": [{"id": "key1", "secret": "<64 hexadecimal digits>"}, …]}
    """
    if not path.exists():
        document = {"keys": [{"id": "key1", "secret": _fresh(entropy)}]}
        write_private(path, orjson.dumps(document, option=orjson.OPT_INDENT_2))
    try:
        entries = orjson.loads(path.read_bytes())["keys"]
        keys = [EncryptionKey(str(entry["id"]), bytes.fromhex(entry["secret"])) for entry in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} does not hold encryption keys: {error}") from None
    ids = [key.id for key in keys]
    if not keys or len(set(ids)) < len(ids) or any(":" in found or not found for found in ids):
        raise ValueError(f"{path} must hold at least one encryption key, each with an id of its own without colons")
    if any(len(key.secret) != _KEY for key in keys):
        raise ValueError(f"{path}: an encryption key has {2 * _KEY} hexadecimal digits")
    return keys


def _fresh(entropy: Entropy) -> str:
    return entropy.hex(2 * _KEY)
