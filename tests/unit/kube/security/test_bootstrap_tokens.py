"""Tokens of machines that join."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.kube.machinery.requests import User
from ropewalk.kube.security.bootstrap_tokens import SECRETS, BootstrapTokens
from ropewalk.kube.security.tokens import Accepted
from support.kube_api import MemoryApi

TOKEN = "abcdef.0123456789abcdef"


def secret(
    type_: str = "bootstrap.kubernetes.io/token", metadata: dict[str, str] | None = None, **data: str
) -> dict[str, Any]:
    values = {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
    } | {key.replace("_", "-"): value for key, value in data.items()}
    return {
        "metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system", **(metadata or {})},
        "type": type_,
        "data": {key: b64encode(value.encode()).decode() for key, value in values.items()},
    }


async def groups(made: dict[str, Any], token: str = TOKEN) -> tuple[str, ...] | None:
    found = await BootstrapTokens(MemoryApi((SECRETS, made)), VirtualClock()).authenticate_token(token, ["server"])
    if found is None:
        return None
    assert found == Accepted(User("system:bootstrap:abcdef", found.user.groups))
    return found.user.groups


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (secret(), ("system:bootstrappers",)),
        (
            secret(auth_extra_groups="system:bootstrappers:b,system:bootstrappers:a"),
            ("system:bootstrappers", "system:bootstrappers:a", "system:bootstrappers:b"),
        ),
        (secret(expiration="2023-11-14T22:13:21Z"), ("system:bootstrappers",)),
        (secret(expiration="2023-11-14T22:13:20Z"), None),
        (secret(expiration="soon"), None),
        (secret(auth_extra_groups="system:masters"), None),
        (secret(auth_extra_groups="system:bootstrappers:a, system:bootstrappers:b"), None),
        (secret(usage_bootstrap_authentication="false"), None),
        (secret(usage_bootstrap_authentication="yes"), None),
        (secret(token_secret="fedcba9876543210"), None),
        (secret(token_id="fedcba"), None),
        (secret("Opaque"), None),
        (secret(metadata={"deletionTimestamp": "2023-11-14T22:13:20Z"}), None),
        (secret(metadata={"namespace": "default"}), None),
        (secret(metadata={"name": "abcdef"}), None),
        (secret() | {"data": {"token-id": "%"}}, None),
        (secret() | {"data": None}, None),
    ],
)
async def test_whom_a_token_proves(made: dict[str, Any], expected: tuple[str, ...] | None) -> None:
    assert await groups(made) == expected


@pytest.mark.parametrize("token", ["abcdef", "ABCDEF.0123456789abcdef", TOKEN + "0", f" {TOKEN}", ""])
async def test_what_is_no_such_token(token: str) -> None:
    assert await groups(secret(), token) is None
