"""Bearer tokens: what an authenticator of tokens is, and several of them as one, remembering who was let in.

An authenticator says one of three things about a token: whose it is, that it is of its kind but does not hold, or that
it is none of its. The first that knows whose it is decides; those that refused are told together.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#putting-a-bearer-token-in-a-request
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from ropewalk.base.clock import Clock
from ropewalk.kube.machinery.requests import User

REMEMBERED_SECONDS = 10.0
"""How long a token that was good once is good without a second look, as kube-apiserver's."""
REMEMBERED = 10_000
INVALID = "invalid bearer token"


@dataclass(frozen=True, slots=True)
class Accepted:
    user: User
    audiences: tuple[str, ...] | None = None
    """Of those asked for, the ones that the token is for; None where its kind knows no audiences: it is for the API
    server.
    """


@dataclass(frozen=True, slots=True)
class Rejected:
    reason: str
    """For people and for TokenReview."""


class TokenAuthenticator(Protocol):
    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> Accepted | Rejected | None:
        """Whose the token is, for any of these audiences; None where it is no token of this kind."""
        ...


class TokenAuthenticators:
    """Several in their order."""

    def __init__(
        self, authenticators: Sequence[TokenAuthenticator], api_audiences: Sequence[str], clock: Clock
    ) -> None:
        self._authenticators = tuple(authenticators)
        self._api_audiences = tuple(api_audiences)
        self._clock = clock
        self._remembered: OrderedDict[tuple[bytes, tuple[str, ...]], tuple[float, Accepted]] = OrderedDict()

    async def authenticate(self, token: str, audiences: Sequence[str] = ()) -> Accepted | Rejected:
        """`audiences`: for whom it should be; the API server where none are given. An accepted token says for whom it
        is.
        """
        wanted = tuple(audiences) or self._api_audiences
        key = (sha256(token.encode(errors="surrogatepass")).digest(), wanted)
        now = self._clock.monotonic()
        known = self._remembered.get(key)
        if known is not None and now < known[0]:
            return known[1]
        verdict = await self._asked(token, wanted)
        if isinstance(verdict, Accepted):
            self._remembered[key] = (now + REMEMBERED_SECONDS, verdict)
            self._remembered.move_to_end(key)
            if len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        return verdict

    async def _asked(self, token: str, wanted: tuple[str, ...]) -> Accepted | Rejected:
        reasons: list[str] = []
        for authenticator in self._authenticators:
            verdict = await authenticator.authenticate_token(token, wanted)
            if isinstance(verdict, Rejected):
                reasons.append(verdict.reason)
                continue
            if verdict is None:
                continue
            if verdict.audiences is not None:
                return verdict
            ours = tuple(audience for audience in wanted if audience in self._api_audiences)
            if ours:
                return Accepted(verdict.user, ours)
        return Rejected(together(reasons) or INVALID)


def together(reasons: Sequence[str]) -> str:
    """As apimachinery prints several errors at once."""
    told = list(dict.fromkeys(reasons))
    return told[0] if len(told) == 1 else f"[{', '.join(told)}]" if told else ""
