"""Secrets of type kubernetes.io/service-account-token: filled with a token of their account, gone with it.

https://kubernetes.io/docs/concepts/configuration/secret/#serviceaccount-token-secrets
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.kube.controllers.following import follow, found, split
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.objects import Object, annotations_of, metadata, uid_of
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.runtime.controller import DONE, Controller, Result

SECRETS = GroupResource("", "secrets")
SERVICE_ACCOUNTS = GroupResource("", "serviceaccounts")
TYPE = "kubernetes.io/service-account-token"
NAME, UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"

LegacyToken = Callable[[Object, Object], str]
"""(service account, secret) → a token that ends with them."""


class ServiceAccountSecrets:
    """A `Runnable`."""

    name = "service account secrets"

    def __init__(self, api: Api, token: LegacyToken, ca_certificate: bytes, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._token = token
        self._ca = b64encode(ca_certificate).decode()
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy)

    async def run(self) -> None:
        follow(self._api, SECRETS, self._controller.enqueue)
        follow(self._api, SERVICE_ACCOUNTS, self._account_changed, also_gone=True)
        await self._controller.run()

    def _account_changed(self, key: str) -> None:
        namespace, name = split(key)
        for secret in self._api.cache(SECRETS).all(namespace):
            if secret.get("type") == TYPE and annotations_of(secret).get(NAME) == name:
                self._controller.enqueue(f"{namespace}/{metadata(secret)['name']}")

    async def _reconcile(self, key: str) -> Result:
        namespace, name = split(key)
        cached = self._api.cache(SECRETS).get(namespace, name)
        if cached is None or cached.get("type") != TYPE:
            return DONE
        secret = await found(self._api, SECRETS, namespace, name)
        if secret is None or "deletionTimestamp" in metadata(secret):
            return DONE
        annotations = annotations_of(secret)
        account = await found(self._api, SERVICE_ACCOUNTS, namespace, annotations.get(NAME, ""))
        if account is None or annotations.get(UID) not in (None, uid_of(account)):
            await self._api.delete(SECRETS, namespace, name, uid=uid_of(secret))
            return DONE
        data = secret.get("data") or {}
        if data.get("token") and data.get("ca.crt") == self._ca and UID in annotations:
            return DONE
        filled = {
            "ca.crt": self._ca,
            "namespace": b64encode(namespace.encode()).decode(),
            "token": data.get("token") or b64encode(self._token(account, secret).encode()).decode(),
        }
        patch = {
            "metadata": {
                "annotations": {UID: uid_of(account)},
                "resourceVersion": metadata(secret)["resourceVersion"],
            },
            "data": filled,
        }
        await self._api.patch(SECRETS, namespace, name, patch)
        return DONE
