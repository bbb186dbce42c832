"""What every namespace has: the service account `default`, and the cluster's CA in the ConfigMap kube-root-ca.crt.

https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
"""

from __future__ import annotations

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.kube.controllers.following import ensure, follow, found, split
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.objects import Object, metadata
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.runtime.controller import DONE, Controller, Result

NAMESPACES = GroupResource("", "namespaces")
SERVICE_ACCOUNTS = GroupResource("", "serviceaccounts")
CONFIG_MAPS = GroupResource("", "configmaps")
DEFAULT, ROOT_CA = "default", "kube-root-ca.crt"
_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the"
    " internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes"
    " clusters."
)


class NamespaceContents:
    """A `Runnable`: both are made with the namespace, and made again when somebody deletes or changes them."""

    name = "namespace contents"

    def __init__(self, api: Api, ca_certificate: bytes, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._data = {"ca.crt": ca_certificate.decode()}
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy)

    async def run(self) -> None:
        follow(self._api, NAMESPACES, lambda key: self._controller.enqueue(split(key)[1]))
        follow(self._api, SERVICE_ACCOUNTS, self._of_account, also_gone=True)
        follow(self._api, CONFIG_MAPS, self._of_map, also_gone=True)
        await self._controller.run()

    def _of_account(self, key: str) -> None:
        namespace, name = split(key)
        if name == DEFAULT:
            self._controller.enqueue(namespace)

    def _of_map(self, key: str) -> None:
        namespace, name = split(key)
        if name == ROOT_CA:
            self._controller.enqueue(namespace)

    async def _reconcile(self, name: str) -> Result:
        namespace = await found(self._api, NAMESPACES, "", name)
        if namespace is None or "deletionTimestamp" in metadata(namespace):
            return DONE
        account: Object = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _named(DEFAULT, name)}
        await ensure(self._api, SERVICE_ACCOUNTS, account)
        wanted: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {**_named(ROOT_CA, name), "annotations": {"kubernetes.io/description": _DESCRIPTION}},
            "data": self._data,
        }
        if not await ensure(self._api, CONFIG_MAPS, wanted):
            present = await found(self._api, CONFIG_MAPS, name, ROOT_CA)
            if present is not None and present.get("data") != self._data:
                await self._api.patch(CONFIG_MAPS, name, ROOT_CA, {"data": self._data, "binaryData": None})
        return DONE


def _named(name: str, namespace: str) -> Object:
    return {"name": name, "namespace": namespace}
