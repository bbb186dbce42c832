"""Token reviews, self subject reviews and token requests: questions about who somebody is. Created, answered, never
stored: the answers are `ropewalk.kube.security`'s.
https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/
"""

from __future__ import annotations

from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.machinery.strategy import Strategy

SHORTEST = 10 * 60
LONGEST = 1 << 32
HOUR = 3600


class TokenReviews(Strategy):
    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})


class SelfSubjectReviews(Strategy):
    """Nothing is asked: the caller is the question."""


def check_token_review(review: Object) -> str:
    """The token to look at."""
    token = at(review, "spec", "token")
    if not token:
        raise errors.bad_request("token is required for TokenReview in authentication")
    return str(token)


def default_token_request(request: Object) -> None:
    request.setdefault("spec", {}).setdefault("expirationSeconds", HOUR)


def validate_token_request(request: Object, found: FieldErrors) -> None:
    """The body of `serviceaccounts/token`."""
    seconds = at(request, "spec", "expirationSeconds") or 0
    path = ROOT / "spec" / "expirationSeconds"
    if seconds < SHORTEST:
        found.invalid(path, seconds, "may not specify a duration less than 10 minutes")
    if seconds > LONGEST:
        found.invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")
