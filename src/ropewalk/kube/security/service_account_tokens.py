"""Tokens of service accounts, as they are made: the claims of Kubernetes 1.35, signed.

A bound token is for audiences, ends at a time, and with what it is bound to. A legacy token stands in a secret of its
own and ends with that.
https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.kube.machinery.objects import Object, name_of, namespace_of, uid_of
from ropewalk.kube.security.token_keys import TokenKeys
from ropewalk.kube.security.users import account_user_name

ISSUER = "https://kubernetes.default.svc.cluster.local"
LEGACY_ISSUER = "kubernetes/serviceaccount"
KUBERNETES = "kubernetes.io"
"""The claim that holds Kubernetes' own."""
_LEGACY = "kubernetes.io/serviceaccount/"
LEGACY_NAMESPACE, LEGACY_SECRET = f"{_LEGACY}namespace", f"{_LEGACY}secret.name"
LEGACY_NAME, LEGACY_UID = f"{_LEGACY}service-account.name", f"{_LEGACY}service-account.uid"


@dataclass(frozen=True, slots=True)
class Bound:
    """What a token ends with: a pod (whose node is told beside it), a secret, or a node."""

    pod: Object | None = None
    secret: Object | None = None
    node: Object | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    token: str
    credential_id: str
    """As audit events tell of it."""


class TokenIssuer:
    def __init__(self, keys: TokenKeys, clock: Clock, entropy: Entropy, issuer: str = ISSUER) -> None:
        self.keys = keys
        self.issuer = issuer
        self._clock = clock
        self._entropy = entropy

    def issue(
        self, account: Object, audiences: Sequence[str], seconds: int, bound: Bound, *, warn_after: int = 0
    ) -> Issued:
        """`warn_after`: seconds after which its use is noted, where it lives longer than its holder asked for."""
        now = int(self._clock.wall())
        identity = self._entropy.uuid()
        held: Object = {"namespace": namespace_of(account), "serviceaccount": _reference(account)}
        for kind, obj in (("pod", bound.pod), ("secret", bound.secret), ("node", bound.node)):
            if obj is not None:
                held[kind] = _reference(obj)
        if warn_after:
            held["warnafter"] = now + warn_after
        claims: Object = {
            "aud": list(audiences),
            "exp": now + seconds,
            "iat": now,
            "iss": self.issuer,
            "jti": identity,
            KUBERNETES: held,
            "nbf": now,
            "sub": account_user_name(namespace_of(account), name_of(account)),
        }
        return Issued(self.keys.sign(claims), credential_id(identity))

    def legacy_token(self, account: Object, secret: Object) -> str:
        """A token without end of its own: it holds while `secret` holds it."""
        return self.keys.sign(
            {
                "iss": LEGACY_ISSUER,
                LEGACY_NAMESPACE: namespace_of(account),
                LEGACY_SECRET: name_of(secret),
                LEGACY_NAME: name_of(account),
                LEGACY_UID: uid_of(account),
                "sub": account_user_name(namespace_of(account), name_of(account)),
            }
        )


def credential_id(identity: str) -> str:
    return f"JTI={identity}"


def _reference(obj: Object) -> Object:
    uid = uid_of(obj)
    return {"name": name_of(obj), "uid": uid} if uid else {"name": name_of(obj)}
