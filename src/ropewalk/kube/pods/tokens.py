"""Service account tokens for pods' volumes: asked of the API, kept, and asked anew in time, as the kubelet does.

A token is renewed once four fifths of its life have passed, and after a day at the latest.
https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken
"""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.base.clock import Clock
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.objects import Object, at, name_of, namespace_of, uid_of
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.pods.sources import TokenWish
from ropewalk.kube.pods.volumes import tokens_wished

SERVICE_ACCOUNTS = GroupResource("", "serviceaccounts")
RENEW_AT = 0.8
LONGEST_USE = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class _Held:
    token: str
    renew_at: float


class Tokens:
    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._held: dict[str, dict[TokenWish, _Held]] = {}

    async def of(self, pod: Object) -> dict[TokenWish, str]:
        """A valid token for each that the pod wishes. Raises `StatusFault`."""
        wished = tokens_wished(pod)
        if not wished:
            return {}
        held = self._held.setdefault(uid_of(pod), {})
        for wish in wished:
            if wish not in held or held[wish].renew_at <= self._clock.wall():
                held[wish] = await self._request(pod, wish)
        return {wish: held[wish].token for wish in wished}

    def renew_at(self, uid: str) -> float | None:
        """When one of the pod's tokens is next to be renewed."""
        return min((each.renew_at for each in self._held.get(uid, {}).values()), default=None)

    def forget(self, uid: str) -> None:
        self._held.pop(uid, None)

    async def _request(self, pod: Object, wish: TokenWish) -> _Held:
        bound = {"apiVersion": "v1", "kind": "Pod", "name": name_of(pod), "uid": uid_of(pod)}
        spec: Object = {"expirationSeconds": wish.seconds, "boundObjectRef": bound}
        spec["audiences"] = [wish.audience] if wish.audience else []
        request: Object = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        account = str(at(pod, "spec", "serviceAccountName") or "default")
        now = self._clock.wall()
        made = await self._api.create(
            SERVICE_ACCOUNTS, request, namespace=namespace_of(pod), subresource="token", name=account
        )
        life = times.parse(made["status"]["expirationTimestamp"]) - now
        return _Held(made["status"]["token"], now + min(life * RENEW_AT, LONGEST_USE))
