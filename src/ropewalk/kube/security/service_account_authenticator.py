"""Tokens of service accounts, as they come back: signature, times, audience, and whether what they end with is there.

Objects are read from the caches, and live where a cache lacks one: a token may be used before the cache has heard of
its pod. Times are given a minute's leeway, and so is deletion, as by kube-apiserver.
https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#verifying-and-inspecting-private-claims
"""

from __future__ import annotations

import hmac
from base64 import b64decode
from collections.abc import Sequence

from ropewalk.base.clock import Clock
from ropewalk.base.log import logger
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, labels_of, metadata, uid_of
from ropewalk.kube.machinery.requests import User
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.security.policy_rules import quoted_list
from ropewalk.kube.security.service_account_tokens import (
    ISSUER,
    KUBERNETES,
    LEGACY_ISSUER,
    LEGACY_NAME,
    LEGACY_NAMESPACE,
    LEGACY_SECRET,
    LEGACY_UID,
    credential_id,
)
from ropewalk.kube.security.token_keys import TokenKeys, unverified_issuer
from ropewalk.kube.security.tokens import Accepted, Rejected
from ropewalk.kube.security.users import account_groups, account_user_name

log = logger(__name__)

LEEWAY = 60.0
_EXTRA = "authentication.kubernetes.io/"
POD_NAME, POD_UID = f"{_EXTRA}pod-name", f"{_EXTRA}pod-uid"
NODE_NAME, NODE_UID = f"{_EXTRA}node-name", f"{_EXTRA}node-uid"
CREDENTIAL_ID = f"{_EXTRA}credential-id"
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
LAST_USED = "kubernetes.io/legacy-token-last-used"
INVALIDATED, LEGACY_INVALIDATED = "service account token has been invalidated", "Token has been invalidated"
ACCOUNTS, PODS = GroupResource("", "serviceaccounts"), GroupResource("", "pods")
SECRETS, NODES = GroupResource("", "secrets"), GroupResource("", "nodes")


class _Refused(Exception):
    """Within this module: the token does not hold, and why."""


class ServiceAccountAuthenticator:
    """A `TokenAuthenticator` of bound and of legacy tokens."""

    def __init__(
        self, api: Api, keys: TokenKeys, api_audiences: Sequence[str], clock: Clock, issuer: str = ISSUER
    ) -> None:
        self._api = api
        self._keys = keys
        self._api_audiences = tuple(api_audiences)
        self._clock = clock
        self._issuer = issuer

    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> Accepted | Rejected | None:
        issuer = unverified_issuer(token)
        if issuer not in (self._issuer, LEGACY_ISSUER):
            return None
        try:
            claims = self._keys.opened(token)
            good = _audiences(claims, self._api_audiences, audiences)
            if issuer == LEGACY_ISSUER:
                return Accepted(await self._legacy_user(token, claims), good)
            return Accepted(await self._user(claims), good)
        except (_Refused, ValueError) as refused:
            return Rejected(str(refused))

    # --- bound tokens

    async def _user(self, claims: Object) -> User:
        now = self._clock.wall()
        _check_times(claims, now)
        held = _part(claims, KUBERNETES)
        namespace, account = _text(held, "namespace"), _part(held, "serviceaccount")
        name, uid = _text(account, "name"), _text(account, "uid")
        found = await self._find(ACCOUNTS, namespace, name)
        if found is None:
            raise _Refused(f'serviceaccounts "{name}" not found')
        if uid_of(found) != uid:
            raise _Refused(f"service account UID ({uid_of(found)}) does not match claim ({uid})")
        if _is_gone(found, now):
            raise _Refused(f"service account {namespace}/{name} has been deleted")
        extra: dict[str, tuple[str, ...]] = {}
        if "secret" in held:
            await self._check_bound(SECRETS, "secret", namespace, _part(held, "secret"), now)
        pod, node = _part(held, "pod"), _part(held, "node")
        if pod:
            await self._check_bound(PODS, "pod", namespace, pod, now)
            extra[POD_NAME], extra[POD_UID] = (_text(pod, "name"),), (_text(pod, "uid"),)
        elif node:
            await self._check_bound(NODES, "node", "", node, now)
        if claims.get("jti"):
            extra[CREDENTIAL_ID] = (credential_id(_text(claims, "jti")),)
        if node:
            extra[NODE_NAME] = (_text(node, "name"),)
            if node.get("uid"):
                extra[NODE_UID] = (_text(node, "uid"),)
        return User(account_user_name(namespace, name), account_groups(namespace), uid, extra)

    async def _check_bound(
        self, resource: GroupResource, kind: str, namespace: str, reference: Object, now: float
    ) -> None:
        found = await self._find(resource, namespace, _text(reference, "name"))
        if found is None:
            raise _Refused(INVALIDATED)
        uid = _text(reference, "uid")
        if uid_of(found) != uid:
            raise _Refused(f"{kind} UID ({uid_of(found)}) does not match service account {kind} ref claim ({uid})")
        if _is_gone(found, now):
            raise _Refused(INVALIDATED)

    # --- legacy tokens

    async def _legacy_user(self, token: str, claims: Object) -> User:
        namespace, secret_name, name, uid = _legacy_claims(claims)
        secret = await self._find(SECRETS, namespace, secret_name)
        if secret is None or "deletionTimestamp" in metadata(secret):
            raise _Refused(LEGACY_INVALIDATED)
        if not hmac.compare_digest(_decoded(at(secret, "data", "token")), token.encode()):
            raise _Refused("Token does not match server's copy")
        account = await self._find(ACCOUNTS, namespace, name)
        if account is None:
            raise _Refused(f'serviceaccounts "{name}" not found')
        if "deletionTimestamp" in metadata(account):
            raise _Refused(f"ServiceAccount {namespace}/{name} has been deleted")
        if uid_of(account) != uid:
            raise _Refused(f"ServiceAccount UID ({uid_of(account)}) does not match claim ({uid})")
        await self._note_use(namespace, secret)
        if labels_of(secret).get(INVALID_SINCE):
            raise _Refused(
                f"the token in secret {namespace}/{secret_name} for service account {namespace}/{name} has been marked"
                " invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the"
                f" '{INVALID_SINCE}' label from the secret to temporarily allow use of this token"
            )
        return User(account_user_name(namespace, name), account_groups(namespace), uid)

    async def _note_use(self, namespace: str, secret: Object) -> None:
        """The day of the last use, once a day; the token holds whether that can be written or not."""
        now = self._clock.wall()
        today, tomorrow = times.rfc3339(now)[:10], times.rfc3339(now + 86400)[:10]
        if labels_of(secret).get(LAST_USED) in (today, tomorrow):
            return
        name = metadata(secret)["name"]
        patch = {"metadata": {"uid": uid_of(secret), "labels": {LAST_USED: today}}}
        try:
            await self._api.patch(SECRETS, namespace, name, patch)
        except StatusFault as fault:
            log.warning("cannot note the use of a token", namespace=namespace, secret=name, reason=fault.message)

    async def _find(self, resource: GroupResource, namespace: str, name: str) -> Object | None:
        if not name:
            return None
        known = self._api.cache(resource).get(namespace, name)
        if known is not None:
            return known
        try:
            return await self._api.get(resource, namespace, name)
        except StatusFault as fault:
            if fault.status != 404:
                raise
            return None


# --- claims


def _part(claims: Object, name: str) -> Object:
    found = claims.get(name)
    return found if isinstance(found, dict) else {}


def _text(claims: Object, name: str) -> str:
    found = claims.get(name)
    return found if isinstance(found, str) else ""


def _audiences(claims: Object, ours: tuple[str, ...], wanted: Sequence[str]) -> tuple[str, ...]:
    """For whom of those asked for the token is; one that names nobody (legacy) is for the API server."""
    named = claims.get("aud")
    given = [named] if isinstance(named, str) else named or ours
    good = tuple(audience for audience in wanted if audience in given)
    if not good:
        raise _Refused(
            f"token audiences {quoted_list(given)} is invalid for the target audiences {quoted_list(wanted)}"
        )
    return good


def _check_times(claims: Object, now: float) -> None:
    """Claims that are no numbers count as absent: we have signed none such."""
    begins, ends, issued = (_seconds(claims, name) for name in ("nbf", "exp", "iat"))
    if begins is not None and now + LEEWAY < begins:
        raise _Refused("service account token is not valid yet")
    if ends is not None and now - LEEWAY > ends:
        raise _Refused("service account token has expired")
    if issued is not None and now + LEEWAY < issued:
        raise _Refused("service account token is issued in the future")


def _seconds(claims: Object, name: str) -> float | None:
    found = claims.get(name)
    return found if isinstance(found, int | float) else None


def _is_gone(obj: Object, now: float) -> bool:
    """Deleted, and longer ago than the leeway: it only waits to be removed."""
    deleted = metadata(obj).get("deletionTimestamp")
    return deleted is not None and times.parse(deleted) < now - LEEWAY


def _legacy_claims(claims: Object) -> tuple[str, str, str, str]:
    """(namespace, secret, account, its uid)."""
    subject = _text(claims, "sub")
    if not subject:
        raise _Refused("sub claim is missing")
    wanted = (
        (LEGACY_NAMESPACE, "namespace"),
        (LEGACY_SECRET, "secretName"),
        (LEGACY_NAME, "serviceAccountName"),
        (LEGACY_UID, "serviceAccountUID"),
    )
    for claim, told in wanted:
        if not _text(claims, claim):
            raise _Refused(f"{told} claim is missing")
    namespace, secret, name, uid = (_text(claims, claim) for claim, _ in wanted)
    if subject != account_user_name(namespace, name):
        raise _Refused("sub claim is invalid")
    return namespace, secret, name, uid


def _decoded(value: object) -> bytes:
    try:
        return b64decode(value) if isinstance(value, str) else b""
    except ValueError:
        return b""
