"""Acting as somebody else: what must be allowed, and who comes of it."""

from __future__ import annotations

import pytest

from ropewalk.base.http.messages import Peer, Request
from ropewalk.kube.machinery.access import Decision, Verdict
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.requests import Attributes, User
from ropewalk.kube.security.impersonation import Impersonation

ADMIN = User("admin", ("ops",))


class Allows:
    """All but what is named `refused`."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def authorize(self, attributes: Attributes) -> Decision:
        assert attributes.user is ADMIN
        assert (attributes.verb, attributes.version) == ("impersonate", "v1")
        place = "/".join(filter(None, (attributes.namespace, attributes.resource, attributes.subresource)))
        self.asked.append(f"{attributes.group}:{place} {attributes.name}")
        return Decision(Verdict.NO_OPINION, "why") if attributes.name == "refused" else Decision(Verdict.ALLOW)


async def acting(authorizer: Allows, **headers: str) -> User:
    named = {f"impersonate-{name.replace('_', '-')}": value for name, value in headers.items()}
    asked = Request("GET", "/api", "/api", "", named, b"", Peer("10.0.0.1"))
    return await Impersonation(authorizer)(asked, ADMIN)


@pytest.mark.parametrize(
    ("headers", "user", "asked"),
    [
        ({"user": "jane"}, User("jane", ("system:authenticated",)), [":users jane"]),
        (
            {"user": "jane", "group": "devs,system:authenticated"},
            User("jane", ("devs", "system:authenticated")),
            [":users jane", ":groups devs", ":groups system:authenticated"],
        ),
        (
            {"user": "system:serviceaccount:web:robot"},
            User(
                "system:serviceaccount:web:robot",
                ("system:serviceaccounts", "system:serviceaccounts:web", "system:authenticated"),
            ),
            [":web/serviceaccounts robot"],
        ),
        (
            {"user": "system:serviceaccount:web:robot", "group": "devs"},
            User("system:serviceaccount:web:robot", ("devs", "system:authenticated")),
            [":web/serviceaccounts robot", ":groups devs"],
        ),
        (
            {"user": "system:serviceaccount:WEB:robot"},
            User("system:serviceaccount:WEB:robot", ("system:authenticated",)),
            [":users system:serviceaccount:WEB:robot"],
        ),
        (
            {"user": "jane", "uid": "u1", "extra_scopes": "a,b", "extra_example.com%2fKey": "c"},
            User("jane", ("system:authenticated",), "u1", {"scopes": ("a", "b"), "example.com/key": ("c",)}),
            [
                ":users jane",
                "authentication.k8s.io:userextras/scopes a",
                "authentication.k8s.io:userextras/scopes b",
                "authentication.k8s.io:userextras/example.com/key c",
                "authentication.k8s.io:uids u1",
            ],
        ),
        (
            {"user": "system:anonymous"},
            User("system:anonymous", ("system:unauthenticated",)),
            [":users system:anonymous"],
        ),
        (
            {"user": "jane", "group": "system:unauthenticated"},
            User("jane", ("system:unauthenticated",)),
            [":users jane", ":groups system:unauthenticated"],
        ),
    ],
)
async def test_who_comes_of_it(headers: dict[str, str], user: User, asked: list[str]) -> None:
    authorizer = Allows()
    assert await acting(authorizer, **headers) == user
    assert authorizer.asked == asked


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        (
            {"user": "refused"},
            'users "refused" is forbidden: User "admin" cannot impersonate resource "users" in API group ""'
            " at the cluster scope: why",
        ),
        (
            {"user": "jane", "group": "a,refused"},
            'groups "refused" is forbidden: User "admin" cannot impersonate resource "groups" in API group ""'
            " at the cluster scope: why",
        ),
        (
            {"user": "system:serviceaccount:web:refused"},
            'serviceaccounts "refused" is forbidden: User "admin" cannot impersonate resource "serviceaccounts" in API'
            ' group "" in the namespace "web": why',
        ),
        (
            {"user": "jane", "extra_scopes": "refused"},
            'userextras.authentication.k8s.io "refused" is forbidden: User "admin" cannot impersonate resource'
            ' "userextras/scopes" in API group "authentication.k8s.io" at the cluster scope: why',
        ),
        (
            {"user": "jane", "uid": "refused"},
            'uids.authentication.k8s.io "refused" is forbidden: User "admin" cannot impersonate resource "uids" in API'
            ' group "authentication.k8s.io" at the cluster scope: why',
        ),
    ],
)
async def test_every_part_must_be_allowed(headers: dict[str, str], told: str) -> None:
    with pytest.raises(StatusFault) as refused:
        await acting(Allows(), **headers)
    assert (refused.value.status, refused.value.message) == (403, told)


@pytest.mark.parametrize(
    "headers", [{"group": "devs"}, {"uid": "u1"}, {"extra_scopes": "a"}, {"group": "a", "user": ""}]
)
async def test_there_must_be_a_user(headers: dict[str, str]) -> None:
    authorizer = Allows()
    with pytest.raises(StatusFault, match="without impersonating a user") as refused:
        await acting(authorizer, **headers)
    assert refused.value.status == 400
    assert authorizer.asked == []


async def test_nothing_asked_for() -> None:
    assert await acting(Allows(), user="") is ADMIN
