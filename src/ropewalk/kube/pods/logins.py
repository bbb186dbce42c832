"""A pod's `imagePullSecrets` as logins at registries. Pure.

A Secret that is missing or says nothing gives none, and the pull then fails or does not, as with the kubelet.
https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.pods.sources import Sources
from ropewalk.model.workload import RegistryLogin

HUB = ("index.docker.io", "registry-1.docker.io", "docker.io")


def logins(pod: Object, sources: Sources) -> tuple[RegistryLogin, ...]:
    found: dict[str, RegistryLogin] = {}
    for reference in at(pod, "spec", "imagePullSecrets") or ():
        data = sources.data("secret", reference.get("name", "")) or {}
        for login in _of(data):
            found.setdefault(login.registry, login)
    return tuple(found.values())


def _of(data: Mapping[str, bytes]) -> Iterator[RegistryLogin]:
    whole, legacy = _read(data.get(".dockerconfigjson")), _read(data.get(".dockercfg"))
    for registry, given in {**legacy, **(whole.get("auths") or {})}.items():
        if isinstance(given, dict):
            username, password = given.get("username") or "", given.get("password") or ""
            if not username:
                username, _, password = _plain(given.get("auth") or "").partition(":")
            yield RegistryLogin(_place(registry), username, password, given.get("identitytoken") or "")


def _read(content: bytes | None) -> dict[str, Any]:
    try:
        found = orjson.loads(content or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _plain(text: str) -> str:
    try:
        return base64.b64decode(text).decode(errors="replace")
    except (binascii.Error, ValueError):
        return ""


def _place(registry: str) -> str:
    """Without scheme and API version; Docker Hub by one name."""
    bare = registry.removeprefix("https://").removeprefix("http://").rstrip("/")
    for suffix in ("/v1", "/v2"):
        bare = bare.removesuffix(suffix)
    host, slash, path = bare.partition("/")
    return ("docker.io" if host in HUB else host) + slash + path
