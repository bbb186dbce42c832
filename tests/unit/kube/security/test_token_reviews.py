"""Whose token is this, and who am I."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.requests import Attributes, Call, User
from ropewalk.kube.security.token_reviews import IdentityReviews
from ropewalk.kube.security.tokens import Accepted, Rejected, TokenAuthenticators

JANE = User("jane", ("devs",), "u1", {"scopes": ("a", "b")})
CALL = Call(JANE, Attributes(JANE, "create", ""))


class Tokens:
    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> Accepted | Rejected | None:
        if token == "spent":
            return Rejected("it is spent")
        if token == "vault":
            return Accepted(JANE, ("vault",)) if "vault" in audiences else Rejected("not for these")
        return Accepted(JANE) if token == "good" else None


def reviews() -> IdentityReviews:
    clock = VirtualClock()
    return IdentityReviews(TokenAuthenticators([Tokens()], ["server"], clock), clock)


SHOWN = {
    "username": "jane",
    "uid": "u1",
    "groups": ["devs", "system:authenticated"],
    "extra": {"scopes": ["a", "b"]},
}


@pytest.mark.parametrize(
    ("token", "audiences", "status"),
    [
        ("good", [], {"authenticated": True, "user": SHOWN, "audiences": ["server"]}),
        ("good", ["server", "x"], {"authenticated": True, "user": SHOWN, "audiences": ["server"]}),
        ("good", ["x"], {"user": {}, "error": "invalid bearer token"}),
        ("vault", ["vault"], {"authenticated": True, "user": SHOWN, "audiences": ["vault"]}),
        ("vault", [], {"user": {}, "error": "[invalid bearer token, not for these]"}),
        ("spent", [], {"user": {}, "error": "[invalid bearer token, it is spent]"}),
        ("unknown", [], {"user": {}, "error": "invalid bearer token"}),
    ],
)
async def test_reviews_of_tokens(token: str, audiences: list[str], status: dict[str, object]) -> None:
    review = {"kind": "TokenReview", "spec": {"token": token, **({"audiences": audiences} if audiences else {})}}
    assert await reviews().of_token(review, CALL) == {**review, "status": status}


async def test_a_review_needs_a_token() -> None:
    with pytest.raises(StatusFault, match="token is required"):
        await reviews().of_token({"spec": {}}, CALL)


async def test_who_am_i() -> None:
    answer = await reviews().of_self({"kind": "SelfSubjectReview", "metadata": {"name": "x"}}, CALL)
    assert answer == {
        "kind": "SelfSubjectReview",
        "metadata": {"creationTimestamp": "2023-11-14T22:13:20Z"},
        "status": {"userInfo": {**SHOWN, "groups": ["devs"]}},
    }
