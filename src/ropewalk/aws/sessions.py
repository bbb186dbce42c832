"""Temporary credentials without a table of them: a session token carries its own claims, sealed.

A token is the claims and a MAC over them under the installation's key; the secret key is derived from the same claims,
so that nothing is stored and nothing needs collecting, and a session outlives any restart of the control plane. A
session ends when it expires, or when its user or role is deleted (whoever opens it checks that). The claims are
readable by their bearer and hold no secret.

Access key ids encode the account as AWS's do, so that GetAccessKeyInfo can tell it from the id alone.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import zlib

import msgspec

from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Fault

_LONGEST_TOKEN = 16_384
"""Twice what the claims of the longest session policies and tags come to."""
_LONGEST_CLAIMS = 262_144
_MAC_BYTES = 32
_ACCOUNT_MASK = 0x7FFFFFFFFF80


class Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a session is."""

    key_id: str
    kind: str
    """"role", "user" or "root"."""
    name: str
    """Of the role or user; empty for root."""
    arn: str
    """Of the role or user."""
    unique_id: str
    """AROA… or AIDA…: a role made anew under the same name does not inherit its sessions."""
    account: str
    issued_at: float
    expires_at: float
    session_name: str = ""
    policies: tuple[str, ...] | None = None
    """Session policies as JSON texts; None where none were given."""
    tags: tuple[tuple[str, str], ...] = ()
    transitive_tags: tuple[str, ...] = ()
    source_identity: str = ""


class Sealer:
    """Seals claims into tokens and opens them again. `key`: the installation's, at least 32 characters."""

    __slots__ = ("_key",)

    def __init__(self, key: str) -> None:
        if len(key) < 32:
            raise ValueError("a sealing key has at least 32 characters")
        self._key = key.encode()

    def seal(self, claims: Claims) -> tuple[str, str]:
        """(session token, secret access key)."""
        body = zlib.compress(msgspec.msgpack.encode(claims))
        token = base64.b64encode(self._mac(b"token", body) + body).decode()
        return token, self._secret(body)

    def open(self, access_key_id: str, token: str, now: float) -> tuple[Claims, str]:
        """(claims, secret access key). Raises `Fault` InvalidClientTokenId or ExpiredToken."""
        if len(token) > _LONGEST_TOKEN:
            raise invalid_token()
        try:
            sealed = base64.b64decode(token, validate=True)
        except (binascii.Error, ValueError) as error:
            raise invalid_token() from error
        mac, body = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(b"token", body)):
            raise invalid_token()
        claims = msgspec.msgpack.decode(zlib.decompressobj().decompress(body, _LONGEST_CLAIMS), type=Claims)
        if claims.key_id != access_key_id:
            raise invalid_token()
        if now >= claims.expires_at:
            raise Fault("ExpiredToken", "The security token included in the request is expired", status=403)
        return claims, self._secret(body)

    def _mac(self, purpose: bytes, body: bytes) -> bytes:
        return hmac.digest(self._key, purpose + b"\0" + body, "sha256")

    def _secret(self, body: bytes) -> str:
        return base64.b64encode(self._mac(b"secret", body)).decode()[:40]


def invalid_token() -> Fault:
    return Fault("InvalidClientTokenId", "The security token included in the request is invalid.", status=403)


def access_key_id(prefix: str, account: str, entropy: Entropy) -> str:
    """A new key id: `prefix` (AKIA for long-term, ASIA for temporary keys) and sixteen characters.

    The first 47 bits after the prefix encode the account, the rest is random.
    """
    head = ((int(account) << 7) & _ACCOUNT_MASK | (1 << 47)) | int(entropy.hex(2), 16) & 0x7F
    encoded = base64.b32encode(head.to_bytes(6, "big") + b"\0\0\0\0").decode()
    return prefix + encoded[:9] + entropy.base32(7)


def account_of(key_id: str) -> str | None:
    """The account a key id encodes, None for text that is no key id of this form."""
    if len(key_id) != 20 or not key_id.isascii():
        return None
    try:
        raw = base64.b32decode(key_id[4:])
    except (binascii.Error, ValueError):
        return None
    return f"{(int.from_bytes(raw[:6], 'big') & _ACCOUNT_MASK) >> 7:012d}"
