"""Acting as somebody else: the Impersonate-… headers, who may use them, and the user that comes of it.

https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from ropewalk.base.http.messages import Request
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.access import Authorizer, Verdict
from ropewalk.kube.machinery.http.front import forbidden
from ropewalk.kube.machinery.requests import ANONYMOUS, Attributes, User
from ropewalk.kube.security.client_certificates import listed
from ropewalk.kube.security.users import (
    AUTHENTICATED,
    UNAUTHENTICATED,
    account_groups,
    service_account,
    with_groups,
)

USER, GROUP, UID = "impersonate-user", "impersonate-group", "impersonate-uid"
EXTRA_PREFIX = "impersonate-extra-"
AUTHENTICATION = "authentication.k8s.io"


class Impersonation:
    """The front's `Impersonator`: called where a request has such headers."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def __call__(self, request: Request, user: User) -> User:
        """The user to act as. Every part of it must be allowed to `user`. Raises BadRequest and Forbidden."""
        wanted = wanted_user(request.headers)
        if wanted is None:
            return user
        for asked in _questions(user, wanted):
            decision = await self._authorizer.authorize(asked)
            if decision.verdict is not Verdict.ALLOW:
                raise forbidden(asked, ": ".join(filter(None, (decision.error, decision.reason))))
        return _complete(wanted)


def wanted_user(headers: Mapping[str, str]) -> User | None:
    """What the headers ask for, as they say it; None where they ask for nobody. Raises BadRequest."""
    name = headers.get(USER, "")
    groups, uid = listed(headers.get(GROUP, "")), headers.get(UID, "")
    given = {key[len(EXTRA_PREFIX) :]: value for key, value in headers.items() if key.startswith(EXTRA_PREFIX)}
    extra = {unquote(key).lower(): listed(value) for key, value in given.items()}
    if name:
        return User(name, groups, uid, extra)
    if groups or uid or extra:
        told = [f"Group {group}" for group in groups] + ([f"UID {uid}"] if uid else [])
        told += [f"UserExtra {key}={value}" for key, values in extra.items() for value in values]
        raise errors.bad_request(f"requested [{', '.join(told)}] without impersonating a user")
    return None


def _questions(user: User, wanted: User) -> Iterator[Attributes]:
    """What `user` must be allowed, in kube-apiserver's order."""

    def ask(resource: str, name: str, *, group: str = "", namespace: str = "", subresource: str = "") -> Attributes:
        return Attributes(user, "impersonate", "", group, "v1", resource, subresource, namespace, name)

    account = service_account(wanted.name)
    if account is not None:
        yield ask("serviceaccounts", account[1], namespace=account[0])
    else:
        yield ask("users", wanted.name)
    for name in wanted.groups:
        yield ask("groups", name)
    for key, values in wanted.extra.items():
        for value in values:
            yield ask("userextras", value, group=AUTHENTICATION, subresource=key)
    if wanted.uid:
        yield ask("uids", wanted.uid, group=AUTHENTICATION)


def _complete(wanted: User) -> User:
    """With the groups that such a user has without being asked."""
    account = service_account(wanted.name)
    if account is not None and not wanted.groups:
        wanted = with_groups(wanted, *account_groups(account[0]))
    if wanted.name == ANONYMOUS.name:
        return with_groups(wanted, UNAUTHENTICATED)
    return wanted if UNAUTHENTICATED in wanted.groups else with_groups(wanted, AUTHENTICATED)
