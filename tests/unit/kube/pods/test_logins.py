"""imagePullSecrets, and which of them an image is pulled with."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson
import pytest

from ropewalk.kube.pods.logins import logins
from ropewalk.kube.pods.sources import Sources
from ropewalk.model.workload import RegistryLogin
from ropewalk.node.pulls import login_for
from ropewalk.node.runtime import RegistryAuth
from support.workloads import workload


def secret(key: str, content: Any) -> dict[str, Any]:
    return {"data": {key: b64encode(orjson.dumps(content)).decode()}}


AUTH = b64encode(b"u:p:w").decode()
SECRETS = {
    "new": secret(
        ".dockerconfigjson",
        {"auths": {"https://index.docker.io/v1/": {"auth": AUTH}, "r.example:5000/team": {"identitytoken": "t"}}},
    ),
    "old": secret(
        ".dockercfg", {"docker.io": {"username": "later"}, "other.example": {"username": "a", "password": "b"}}
    ),
    "odd": {"data": {".dockerconfigjson": b64encode(b"[1").decode()}},
}


def of(*names: str) -> tuple[RegistryLogin, ...]:
    pod = {"spec": {"imagePullSecrets": [{"name": name} for name in names]}}
    return logins(pod, Sources(secrets=SECRETS))


def test_secrets_of_both_kinds_the_first_word_counts() -> None:
    assert of("new", "none", "odd", "old") == (
        RegistryLogin("docker.io", "u", "p:w"),
        RegistryLogin("r.example:5000/team", identity_token="t"),
        RegistryLogin("other.example", "a", "b"),
    )
    assert of() == ()


LOGINS = (
    RegistryLogin("docker.io", "hub"),
    RegistryLogin("r.example:5000", "host"),
    RegistryLogin("r.example:5000/team", "team"),
)


@pytest.mark.parametrize(
    ("image", "user"),
    [
        ("nginx", "hub"),
        ("me/nginx:1", "hub"),
        ("docker.io/me/nginx", "hub"),
        ("r.example:5000/x", "host"),
        ("r.example:5000/team/x:1", "team"),
        ("r.example:5000/teams/x", "host"),
        ("other.example/x", None),
        ("localhost/x", None),
    ],
)
def test_the_longest_name_that_fits_is_taken(image: str, user: str | None) -> None:
    assert login_for(workload(logins=LOGINS), image) == (None if user is None else RegistryAuth(user))
