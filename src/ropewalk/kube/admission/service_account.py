"""ServiceAccount: every pod has one, which exists, and carries its token.
https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#serviceaccount-admission-controller
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.kube.admission.plugin import PODS, WRITES, Lookup, Plugin, forbidden
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.names import WORDLESS
from ropewalk.kube.machinery.objects import Object, annotations_of, at, copied, name_of
from ropewalk.kube.machinery.resources import GroupResource

SERVICE_ACCOUNTS = GroupResource("", "serviceaccounts")
VOLUME = "kube-api-access"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
MIRROR = "kubernetes.io/config.mirror"
ENFORCE = "kubernetes.io/enforce-mountable-secrets"
TOKEN_SECONDS = 3607
"""An hour and a little, so that what asks for an hour can be told from what asks for nothing."""
_TRIES = 10
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})


def _sources() -> list[Object]:
    """What the token's volume holds: a token, the cluster's authority, the namespace's name."""
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    return [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
    ]


class ServiceAccount(Plugin):
    name: ClassVar[str] = "ServiceAccount"
    operations: ClassVar[frozenset[str]] = WRITES
    resources: ClassVar[frozenset[GroupResource] | None] = frozenset({PODS})
    subresources: ClassVar[frozenset[str] | None] = frozenset({"", "ephemeralcontainers"})
    mutates: ClassVar[bool] = True
    validates: ClassVar[bool] = True

    def __init__(self, api: Api, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._accounts = Lookup(api, SERVICE_ACCOUNTS)
        self._clock = clock
        self._entropy = entropy

    async def mutate(self, admission: Admission) -> None:
        pod = admission.object
        if admission.operation != "CREATE" or pod is None or MIRROR in annotations_of(pod):
            return
        spec = pod.setdefault("spec", {})
        name = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = await self._account(admission, name)
        automount = spec.get("automountServiceAccountToken")
        if automount is None:
            automount = account.get("automountServiceAccountToken", True)
        if automount:
            self._mount(spec)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = copied(account["imagePullSecrets"])

    async def validate(self, admission: Admission) -> None:
        pod = admission.object
        if pod is None:
            return
        spec = pod.get("spec") or {}
        ephemeral = admission.operation == "UPDATE" and admission.subresource == "ephemeralcontainers"
        if admission.operation != "CREATE" and not ephemeral:
            return
        if MIRROR in annotations_of(pod) and not ephemeral:
            _check_mirror(admission, spec)
            return
        name = spec.get("serviceAccountName")
        if not name:
            why = f"no service account specified for pod {admission.namespace}/{name_of(pod)}"
            raise forbidden(admission, why)
        account = await self._account(admission, name)
        if annotations_of(account).get(ENFORCE) in _TRUE:
            problem = next(_unlisted_secrets(spec, account, ephemeral), None)
            if problem:
                raise forbidden(admission, problem)

    async def _account(self, admission: Admission, name: str) -> Object:
        """The account; the default one is awaited for a moment, as a controller is about to make it."""
        found = (await self._accounts()).get(admission.namespace, name)
        tries = 0
        while found is None:
            try:
                found = await self._api.get(SERVICE_ACCOUNTS, admission.namespace, name)
            except StatusFault as fault:
                if fault.reason != "NotFound":
                    raise
                tries += 1
                if name != "default" or tries >= _TRIES:
                    break
                await self._clock.sleep(0.1 + 0.1 * self._entropy.random())
        if found is None:
            why = f'error looking up service account {admission.namespace}/{name}: serviceaccount "{name}" not found'
            raise forbidden(admission, why)
        return found

    def _mount(self, spec: Object) -> None:
        volumes: list[Object] = spec.get("volumes") or []
        name = next((volume["name"] for volume in volumes if volume.get("name", "").startswith(f"{VOLUME}-")), "")
        present = bool(name)
        if not present:
            drawn = int(self._entropy.hex(12), 16)
            name = f"{VOLUME}-"
            for _ in range(5):
                name += WORDLESS[drawn % len(WORDLESS)]
                drawn //= len(WORDLESS)
        needed = False
        for kind in ("initContainers", "containers"):
            for container in spec.get(kind) or ():
                mounts = container.get("volumeMounts") or []
                if all(mount.get("mountPath") != MOUNT_PATH for mount in mounts):
                    container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}]
                    needed = True
        if needed and not present:
            projected = {"defaultMode": 0o644, "sources": _sources()}
            spec["volumes"] = [*volumes, {"name": name, "projected": projected}]


def _check_mirror(admission: Admission, spec: Object) -> None:
    if spec.get("serviceAccountName"):
        raise forbidden(admission, "a mirror pod may not reference service accounts")
    if next(_secret_names(spec), None) is not None:
        raise forbidden(admission, "a mirror pod may not reference secrets")
    for volume in spec.get("volumes") or ():
        for source in at(volume, "projected", "sources") or ():
            if "serviceAccountToken" in source:
                raise forbidden(admission, "a mirror pod may not use ServiceAccountToken volume projections")


_SECRET_REFERENCES = ("secretRef", "nodePublishSecretRef")


def _secret_names(spec: Object) -> Iterator[str]:
    """Every secret that a pod mentions."""
    for reference in spec.get("imagePullSecrets") or ():
        yield reference.get("name", "")
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(kind) or ():
            for source in container.get("envFrom") or ():
                if "secretRef" in source:
                    yield at(source, "secretRef", "name") or ""
            for variable in container.get("env") or ():
                if at(variable, "valueFrom", "secretKeyRef") is not None:
                    yield at(variable, "valueFrom", "secretKeyRef", "name") or ""
    for volume in spec.get("volumes") or ():
        for source_kind, source in volume.items():
            if not isinstance(source, dict):
                continue
            if source_kind in ("secret", "azureFile"):
                yield source.get("secretName", "")
            for reference in _SECRET_REFERENCES:
                if reference in source:
                    yield at(source, reference, "name") or ""
            for projected in source.get("sources") or ():
                if "secret" in projected:
                    yield at(projected, "secret", "name") or ""


_CONTAINER_WORDS = {
    "initContainers": "init container",
    "containers": "container",
    "ephemeralContainers": "ephemeral container",
}


def _unlisted_secrets(spec: Object, account: Object, ephemeral: bool) -> Iterator[str]:
    """Secrets that the pod uses and its account does not list."""
    listed = {secret.get("name") for secret in account.get("secrets") or ()}
    because = f"is not allowed because service account {name_of(account)} does not reference that"
    for volume in () if ephemeral else spec.get("volumes") or ():
        name = at(volume, "secret", "secretName")
        if name is not None and name not in listed:
            yield f'volume with secret.secretName="{name}" {because} secret'
    for kind in ("ephemeralContainers",) if ephemeral else ("initContainers", "containers"):
        for container in spec.get(kind) or ():
            whose = f"{_CONTAINER_WORDS[kind]} {container.get('name')}"
            for variable in container.get("env") or ():
                name = at(variable, "valueFrom", "secretKeyRef", "name")
                if name is not None and name not in listed:
                    told = f'envVar {variable.get("name")} referencing secret.secretName="{name}"'
                    yield f"{whose} with {told} {because} secret"
            for source in container.get("envFrom") or ():
                name = at(source, "secretRef", "name")
                if name is not None and name not in listed:
                    yield f'{whose} with envFrom referencing secret.secretName="{name}" {because} secret'
    pull = {secret.get("name") for secret in account.get("imagePullSecrets") or ()}
    for index, reference in enumerate(() if ephemeral else spec.get("imagePullSecrets") or ()):
        name = reference.get("name")
        if name not in pull:
            yield f'imagePullSecrets[{index}].name="{name}" {because} imagePullSecret'
