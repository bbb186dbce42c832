"""Who may come in and what they may do: the two questions, as Protocols. Answers stand in `ropewalk.kube.security`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from ropewalk.base.http.messages import Request
from ropewalk.kube.machinery.requests import Attributes, User


class Authenticator(Protocol):
    async def authenticate(self, request: Request) -> User | None:
        """The caller; None where the request carries nothing that this authenticator reads. Raises
        `errors.unauthorized()` where it carries something that is wrong.
        """
        ...


class Verdict(Enum):
    ALLOW = "allow"
    DENY = "deny"
    NO_OPINION = "no opinion"


@dataclass(frozen=True, slots=True)
class Decision:
    verdict: Verdict
    reason: str = ""
    """For people: which rule allowed it, or why nobody did."""
    error: str = ""


class Authorizer(Protocol):
    async def authorize(self, attributes: Attributes) -> Decision: ...
