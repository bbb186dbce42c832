"""Bootstrap tokens: `abcdef.0123456789abcdef`, kept as secrets in kube-system, for machines that join a cluster.

https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode
from collections.abc import Sequence

from ropewalk.base.clock import Clock
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.objects import Object, at, metadata
from ropewalk.kube.machinery.requests import User
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.security.tokens import Accepted

SECRETS = GroupResource("", "secrets")
NAMESPACE, TYPE = "kube-system", "bootstrap.kubernetes.io/token"
GROUP = "system:bootstrappers"

_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


class BootstrapTokens:
    """A `TokenAuthenticator`. What is wrong with a token of this kind is not told: it is simply none."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock

    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> Accepted | None:
        parts = _TOKEN.fullmatch(token)
        if parts is None:
            return None
        token_id, token_secret = parts.groups()
        cache = self._api.cache(SECRETS)
        if not cache.is_synced:
            await cache.synced()
        secret = cache.get(NAMESPACE, f"bootstrap-token-{token_id}")
        if secret is None or not self._is_good(secret, token_id, token_secret):
            return None
        groups = _groups(secret)
        return None if groups is None else Accepted(User(f"system:bootstrap:{token_id}", groups))

    def _is_good(self, secret: Object, token_id: str, token_secret: str) -> bool:
        return (
            "deletionTimestamp" not in metadata(secret)
            and secret.get("type") == TYPE
            and hmac.compare_digest(_value(secret, "token-secret"), token_secret.encode())
            and _value(secret, "token-id") == token_id.encode()
            and _value(secret, "usage-bootstrap-authentication") == b"true"
            and not self._is_over(_value(secret, "expiration"))
        )

    def _is_over(self, expiration: bytes) -> bool:
        """An expiration that cannot be read is over."""
        if not expiration:
            return False
        try:
            return times.parse(expiration.decode()) <= self._clock.wall()
        except ValueError:
            return True


def _groups(secret: Object) -> tuple[str, ...] | None:
    """None where the secret names a group that is none of bootstrapping machines."""
    named = _value(secret, "auth-extra-groups").decode(errors="replace")
    groups = set(named.split(",")) if named else set()
    if any(_GROUP.fullmatch(group) is None for group in groups):
        return None
    return (GROUP, *sorted(groups))


def _value(secret: Object, key: str) -> bytes:
    try:
        return b64decode(at(secret, "data", key) or "")
    except ValueError:
        return b""
