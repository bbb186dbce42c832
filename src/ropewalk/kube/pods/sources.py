"""What a pod is lowered with beside itself: where it runs, and what else of the API it may name. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ropewalk.kube.machinery.objects import Object, namespace_of
from ropewalk.model.ids import Owner
from ropewalk.model.workload import InterfaceSpec

Kind = Literal["configmap", "secret"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pod runs."""

    owner: Owner
    address: str
    """The pod's own."""
    host_address: str
    allocatable: Mapping[str, str] = field(default_factory=dict)
    """The node's, as quantities: what a container without a limit may have."""
    files: bool = False
    """Whether the machine has files and a kernel; a simulated one has neither."""
    interface: InterfaceSpec | None = None
    """The pod's own; None: a network without any way out."""
    memory_bytes: int = 0
    """The machine's."""
    cluster_domain: str = "cluster.local"
    cluster_servers: tuple[str, ...] = ()
    """Where the cluster's names are asked for."""
    host_servers: tuple[str, ...] = ()
    host_searches: tuple[str, ...] = ()
    """The machine's own resolver."""
    host_access: bool = False
    """Whether a pod may be given paths and privileges of its machine: where that is confined."""


class TokenWish(NamedTuple):
    """A service account token for the pod that bears it."""

    audience: str
    """"": the API server's own."""
    seconds: int


@dataclass(frozen=True, slots=True)
class Sources:
    """As far as the pod names them; by name."""

    config_maps: Mapping[str, Object] = field(default_factory=dict)
    secrets: Mapping[str, Object] = field(default_factory=dict)
    services: Sequence[Object] = ()
    """Those of its namespace, and `kubernetes` of the default one."""
    tokens: Mapping[TokenWish, str] = field(default_factory=dict)

    def data(self, kind: Kind, name: str) -> Mapping[str, bytes] | None:
        """Keys and contents; None where there is no such object."""
        found = (self.config_maps if kind == "configmap" else self.secrets).get(name)
        if found is None:
            return None
        if kind == "secret":
            return {key: _decoded(value) for key, value in (found.get("data") or {}).items()}
        plain = {key: str(value).encode() for key, value in (found.get("data") or {}).items()}
        return plain | {key: _decoded(value) for key, value in (found.get("binaryData") or {}).items()}


class Missing(Exception):
    """A reference that names nothing, in the kubelet's words."""


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        return b""


def named_by(pod: Object) -> Iterator[tuple[Kind, str]]:
    """Every ConfigMap and Secret of its namespace that the pod draws on. May repeat."""
    spec = pod.get("spec") or {}
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        for each in container.get("envFrom") or ():
            yield from _referenced(each, "configMapRef", "secretRef", "name")
        for each in container.get("env") or ():
            yield from _referenced(each.get("valueFrom") or {}, "configMapKeyRef", "secretKeyRef", "name")
    for each in spec.get("imagePullSecrets") or ():
        if each.get("name"):
            yield "secret", each["name"]
    for volume in spec.get("volumes") or ():
        yield from _of_volume(volume, "secretName")
        for each in (volume.get("projected") or {}).get("sources") or ():
            yield from _of_volume(each, "name")


def _of_volume(given: Object, secret_name: str) -> Iterator[tuple[Kind, str]]:
    if name := (given.get("configMap") or {}).get("name"):
        yield "configmap", name
    if name := (given.get("secret") or {}).get(secret_name):
        yield "secret", name


def _referenced(given: Object, config_map: str, secret: str, key: str) -> Iterator[tuple[Kind, str]]:
    if name := (given.get(config_map) or {}).get(key):
        yield "configmap", name
    if name := (given.get(secret) or {}).get(key):
        yield "secret", name


def index_keys(pod: Object) -> list[str]:
    """The same as keys of an index: "secret/<namespace>/<name>"."""
    return sorted({f"{kind}/{namespace_of(pod)}/{name}" for kind, name in named_by(pod)})
