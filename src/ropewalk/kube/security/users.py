"""What names of users mean: service accounts, nodes, and how a user is shown in objects.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#users-in-kubernetes
"""

from __future__ import annotations

from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.requests import User

AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
SERVICE_ACCOUNTS = "system:serviceaccounts"
_ACCOUNT, _NODE = "system:serviceaccount:", "system:node:"
NODES = "system:nodes"


def account_user_name(namespace: str, name: str) -> str:
    return f"{_ACCOUNT}{namespace}:{name}"


def account_groups(namespace: str) -> tuple[str, str]:
    return SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{namespace}"


def service_account(user_name: str) -> tuple[str, str] | None:
    """(namespace, name) of the account that a user is, None where it is none."""
    if not user_name.startswith(_ACCOUNT):
        return None
    namespace, colon, name = user_name[len(_ACCOUNT) :].partition(":")
    if not colon or names.dns1123_label(namespace) or names.dns1123_subdomain(name):
        return None
    return namespace, name


def node_of(user: User) -> str | None:
    """The node that a user is; "" for one that cannot be told, None for who is no node."""
    if user.name.startswith(_NODE) and NODES in user.groups:
        return user.name[len(_NODE) :]
    return None


def with_groups(user: User, *groups: str) -> User:
    """The same with further groups."""
    added = tuple(group for group in groups if group not in user.groups)
    return User(user.name, (*user.groups, *added), user.uid, user.extra) if added else user


def user_info(user: User) -> Object:
    """As `UserInfo` of reviews and audit events."""
    info: Object = {}
    if user.name:
        info["username"] = user.name
    if user.uid:
        info["uid"] = user.uid
    if user.groups:
        info["groups"] = list(user.groups)
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra.items()}
    return info
