"""Who calls: the ways of proving it, asked in turn.

    RequestHeaders        a trusted proxy vouches, in headers               client_certificates
    ClientCertificates    a certificate of the cluster's CA                 client_certificates
    BearerTokens          Authorization: Bearer …; or in the WebSocket's protocols
    (nobody)              only where health is asked for

Tokens are those of service accounts, of joining machines, and of whoever else brings a `TokenAuthenticator`.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Collection, Sequence

from ropewalk.base.clock import Clock
from ropewalk.base.http.messages import Request
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.access import Authenticator
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.requests import ANONYMOUS, User
from ropewalk.kube.security.client_certificates import ClientCertificates, RequestHeaders
from ropewalk.kube.security.pki import FRONT_PROXY, ClusterKeys
from ropewalk.kube.security.tokens import Rejected, TokenAuthenticators
from ropewalk.kube.security.users import AUTHENTICATED, UNAUTHENTICATED, with_groups

HEALTH = frozenset(("/livez", "/readyz", "/healthz"))
_IN_PROTOCOL = "base64url.bearer.authorization.k8s.io."


class BearerTokens:
    """An `Authenticator`."""

    def __init__(self, tokens: TokenAuthenticators) -> None:
        self._tokens = tokens

    async def authenticate(self, request: Request) -> User | None:
        token = bearer_token(request.header("authorization")) or _protocol_token(request)
        if not token:
            return None
        found = await self._tokens.authenticate(token)
        if isinstance(found, Rejected):
            raise errors.unauthorized()
        return found.user


def bearer_token(header: str) -> str:
    """ "" where there is none."""
    parts = header.strip().split(" ", 2)
    return parts[1] if len(parts) > 1 and parts[0].lower() == "bearer" else ""


def _protocol_token(request: Request) -> str:
    """Browsers cannot set headers on WebSockets: they offer the token as a protocol, beside one that is meant."""
    if request.header("upgrade").lower() != "websocket":
        return ""
    offered = [protocol.strip() for protocol in request.header("sec-websocket-protocol").split(",")]
    packed = [protocol[len(_IN_PROTOCOL) :] for protocol in offered if protocol.startswith(_IN_PROTOCOL)]
    if not packed:
        return ""
    if len(packed) > 1 or len(offered) == 1:
        raise errors.unauthorized()
    try:
        return urlsafe_b64decode(packed[0] + "=" * (-len(packed[0]) % 4)).decode()
    except (binascii.Error, ValueError):
        raise errors.unauthorized() from None


class Union:
    """The first that knows the caller decides. Something wrong counts only where nothing else is right. An
    `Authenticator`.
    """

    def __init__(self, authenticators: Sequence[Authenticator], anonymous: Collection[str] = HEALTH) -> None:
        """`anonymous` are the paths that callers without any proof may ask for."""
        self._authenticators = authenticators
        self._anonymous = frozenset(anonymous)

    async def authenticate(self, request: Request) -> User | None:
        wrong: StatusFault | None = None
        for authenticator in self._authenticators:
            try:
                user = await authenticator.authenticate(request)
            except StatusFault as fault:
                wrong = fault
                continue
            if user is not None:
                return user if UNAUTHENTICATED in user.groups else with_groups(user, AUTHENTICATED)
        if wrong is not None or request.path not in self._anonymous:
            raise errors.unauthorized()
        return ANONYMOUS


def cluster_authenticator(keys: ClusterKeys, tokens: TokenAuthenticators, clock: Clock) -> Union:
    """All of them."""
    return Union(
        [
            RequestHeaders(keys.front_proxy_ca.certificate, clock, [FRONT_PROXY]),
            ClientCertificates(keys.ca.certificate, clock),
            BearerTokens(tokens),
        ]
    )
