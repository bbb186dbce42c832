"""What aggregated servers need to know to believe this one: the data of a ConfigMap that they all read. Pure.

https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/#extension-apiserver-authorizes-the-request
"""

from __future__ import annotations

import json

from ropewalk.kube.machinery.objects import Object

NAMESPACE, NAME = "kube-system", "extension-apiserver-authentication"
FRONT_PROXY_NAMES = ("front-proxy-client",)
"""Common names of certificates that may speak for others: the one that this server calls with."""


def authentication_data(
    client_ca: bytes, front_proxy_ca: bytes, *, allowed_names: tuple[str, ...] = FRONT_PROXY_NAMES
) -> dict[str, str]:
    def told(*values: str) -> str:
        return json.dumps(values, separators=(",", ":"))

    return {
        "client-ca-file": client_ca.decode(),
        "requestheader-allowed-names": told(*allowed_names),
        "requestheader-client-ca-file": front_proxy_ca.decode(),
        "requestheader-extra-headers-prefix": told("X-Remote-Extra-"),
        "requestheader-group-headers": told("X-Remote-Group"),
        "requestheader-uid-headers": told("X-Remote-Uid"),
        "requestheader-username-headers": told("X-Remote-User"),
    }


def authentication_map(client_ca: bytes, front_proxy_ca: bytes) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "data": authentication_data(client_ca, front_proxy_ca),
    }
