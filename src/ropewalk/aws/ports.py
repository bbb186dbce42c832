"""What the front needs of whoever knows identities: wired by the daemon, implemented in `aws/identity.py`.

Codes here are neutral, in the query protocol's spelling (`NEUTRAL_CODES`). The front alone rewrites them into the words
of the protocol in use (`SignatureDoesNotMatch` becomes `InvalidSignatureException` for a JSON service, `AuthFailure`
for EC2): an implementation need not know who is asking. A `Fault` with any other code reaches the client unchanged.
"""

from __future__ import annotations

from typing import Protocol

from ropewalk.aws.operations import Authorizer, Principal
from ropewalk.base.http.messages import Request

__all__ = ["NEUTRAL_CODES", "Authenticator", "Authorizer"]

NEUTRAL_CODES = (
    "MissingAuthenticationToken",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "RequestExpired",
    "ExpiredToken",
    "AccessDenied",
)
"""What an authenticator or an authorizer may raise; 403 unless the fault says otherwise."""


class Authenticator(Protocol):
    async def authenticate(self, request: Request, service: str, now: float) -> Principal:
        """Who signed `request`, as headers or query parameters tell.

        `service` is the signing name of the service that the request is for ("ecs", "monitoring"); a credential scope
        for another is `SignatureDoesNotMatch`. `now` is wall time in seconds. `request.peer.listener` names the
        listener: only "host", on loopback, may be lenient. Raises `Fault` with one of `NEUTRAL_CODES`.
        """
        ...
