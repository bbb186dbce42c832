"""TokenReview and SelfSubjectReview, answered: whose token is this, and who am I.

https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/
"""

from __future__ import annotations

from ropewalk.base.clock import Clock
from ropewalk.kube.kinds.authentication.reviews import check_token_review
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.machinery.requests import Call
from ropewalk.kube.security.tokens import INVALID, Rejected, TokenAuthenticators, together
from ropewalk.kube.security.users import AUTHENTICATED, user_info, with_groups


class IdentityReviews:
    """Each method is an `Evaluate` of `Subresources.virtual`."""

    def __init__(self, tokens: TokenAuthenticators, clock: Clock) -> None:
        self._tokens = tokens
        self._clock = clock

    async def of_token(self, review: Object, call: Call) -> Object:
        """TokenReview. Why a token does not hold is told as kube-apiserver does, whose own token comes first."""
        token = check_token_review(review)
        found = await self._tokens.authenticate(token, at(review, "spec", "audiences") or ())
        if isinstance(found, Rejected):
            return {**review, "status": {"error": together([INVALID, found.reason]), "user": {}}}
        status = {
            "authenticated": True,
            "user": user_info(with_groups(found.user, AUTHENTICATED)),
            "audiences": list(found.audiences or ()),
        }
        return {**review, "status": status}

    async def of_self(self, review: Object, call: Call) -> Object:
        """SelfSubjectReview."""
        head = {key: review[key] for key in review if key in ("kind", "apiVersion")}
        return {
            **head,
            "metadata": {"creationTimestamp": times.rfc3339(self._clock.wall())},
            "status": {"userInfo": user_info(call.user)},
        }
