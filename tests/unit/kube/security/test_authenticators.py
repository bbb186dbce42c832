"""Who calls: certificates, proxies, tokens, nobody."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Sequence

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.base.http.messages import Request
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.requests import ANONYMOUS, User
from ropewalk.kube.security.authenticators import Union, cluster_authenticator
from ropewalk.kube.security.client_certificates import ClientCertificates, RequestHeaders
from ropewalk.kube.security.tokens import Accepted, Rejected, TokenAuthenticators

from .material import client_certificate, impostor, keys, request


class Tokens:
    """Knows one token."""

    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> Accepted | Rejected | None:
        if token.startswith("bad"):
            return Rejected(f"{token} is bad")
        return Accepted(User("robot", ("g",))) if token == "good" else None


def union(clock: VirtualClock | None = None) -> Union:
    clock = clock or VirtualClock()
    return cluster_authenticator(keys(), TokenAuthenticators([Tokens()], ["https://server"], clock), clock)


async def caller(asked: Request, clock: VirtualClock | None = None) -> User | None:
    """None where the request is refused."""
    try:
        return await union(clock).authenticate(asked)
    except StatusFault as fault:
        assert fault.status == 401
        return None


# --- certificates


async def test_a_client_certificate_names_user_and_groups() -> None:
    user = await caller(request(certificate=client_certificate(keys().ca, "jane", "devs", "ops")))
    assert user is not None
    assert (user.name, user.groups, user.uid) == ("jane", ("devs", "ops", "system:authenticated"), "")
    assert list(user.extra) == ["authentication.kubernetes.io/credential-id"]
    assert user.extra["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")


@pytest.mark.parametrize(
    "certificate",
    [
        pytest.param(lambda: client_certificate(keys().front_proxy_ca, "jane", "system:masters"), id="another CA"),
        pytest.param(lambda: impostor(keys().ca, "jane", "system:masters"), id="the CA's name only"),
        pytest.param(lambda: client_certificate(keys().ca, ""), id="no name"),
        pytest.param(lambda: client_certificate(keys().ca, "jane", usages=("server auth",)), id="a server's"),
        pytest.param(lambda: b"no certificate", id="garbage"),
    ],
)
async def test_other_certificates_are_nobodys(certificate: object) -> None:
    assert callable(certificate)
    assert await caller(request(certificate=certificate())) is None
    assert await caller(request("/healthz", certificate=certificate())) is None


async def test_a_certificate_ends_while_its_connection_goes_on() -> None:
    clock = VirtualClock()
    authenticator = ClientCertificates(keys().ca.certificate, clock)
    asked = request(certificate=client_certificate(keys().ca, "jane", seconds=60))
    assert await authenticator.authenticate(asked) is not None
    await clock.advance(61)
    with pytest.raises(StatusFault):
        await authenticator.authenticate(asked)


# --- proxies


async def test_a_proxy_vouches_for_its_user() -> None:
    proxy = client_certificate(keys().front_proxy_ca, "front-proxy-client")
    user = await caller(
        request(
            certificate=proxy,
            x_remote_user="jane",
            x_remote_uid="u1",
            x_remote_group="devs,ops",
            **{"x-remote-extra-example.com%2fscopes": "a,b"},
        )
    )
    assert user == User("jane", ("devs", "ops", "system:authenticated"), "u1", {"example.com/scopes": ("a", "b")})


async def test_only_the_proxy_is_believed() -> None:
    headers = {"x_remote_user": "root", "x_remote_group": "system:masters"}
    assert await caller(request(**headers)) is None
    other = client_certificate(keys().front_proxy_ca, "somebody")
    assert await caller(request(certificate=other, **headers)) is None
    jane = await caller(request(certificate=client_certificate(keys().ca, "jane"), **headers))
    assert jane is not None and jane.name == "jane"
    fake = client_certificate(keys().ca, "front-proxy-client")
    user = await caller(request(certificate=fake, **headers))
    assert user is not None and user.name == "front-proxy-client"
    assert await caller(request(certificate=client_certificate(keys().front_proxy_ca, "front-proxy-client"))) is None


async def test_without_names_every_proxy_of_the_ca_is_believed() -> None:
    authenticator = RequestHeaders(keys().front_proxy_ca.certificate, VirtualClock())
    other = client_certificate(keys().front_proxy_ca, "somebody")
    user = await authenticator.authenticate(request(certificate=other, x_remote_user="jane"))
    assert user is not None and user.name == "jane"


# --- tokens


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Bearer good", "robot"),
        ("bearer good", "robot"),
        ("Bearer good more", "robot"),
        ("Bearer unknown", None),
        ("Bearer bad-one", None),
        ("Bearer  good", None),
        ("Basic good", None),
        ("good", None),
    ],
)
async def test_bearer_tokens(header: str, name: str | None) -> None:
    user = await caller(request(authorization=header))
    assert (None if user is None else user.name) == name


def packed(token: bytes) -> str:
    return "base64url.bearer.authorization.k8s.io." + urlsafe_b64encode(token).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("upgrade", "protocols", "name"),
    [
        ("websocket", f"v5.channel.k8s.io, {packed(b'good')}", "robot"),
        ("websocket", packed(b"good"), None),
        ("websocket", f"v5.channel.k8s.io,{packed(b'good')},{packed(b'good')}", None),
        ("websocket", f"v5.channel.k8s.io,{packed(b'other')}", None),
        ("websocket", "v5.channel.k8s.io,base64url.bearer.authorization.k8s.io.%%%", None),
        ("websocket", f"v5.channel.k8s.io,{packed(bytes([255, 254]))}", None),
        ("websocket", "v5.channel.k8s.io", None),
        ("spdy/3.1", f"v5.channel.k8s.io,{packed(b'good')}", None),
    ],
)
async def test_tokens_among_the_protocols_of_a_websocket(upgrade: str, protocols: str, name: str | None) -> None:
    user = await caller(request(upgrade=upgrade, sec_websocket_protocol=protocols))
    assert (None if user is None else user.name) == name


async def test_a_wrong_token_does_not_hurt_who_has_a_certificate() -> None:
    certificate = client_certificate(keys().ca, "jane")
    user = await caller(request(certificate=certificate, authorization="Bearer unknown"))
    assert user is not None and user.name == "jane"
    proxy = client_certificate(keys().front_proxy_ca, "front-proxy-client")
    user = await caller(request(certificate=proxy, authorization="Bearer good"))
    assert user is not None and user.name == "robot"


# --- nobody


@pytest.mark.parametrize(
    ("path", "is_let_in"),
    [
        ("/healthz", True),
        ("/livez", True),
        ("/readyz", True),
        ("/livez/ping", False),
        ("/version", False),
        ("/api", False),
        ("/", False),
    ],
)
async def test_only_health_may_be_asked_without_a_name(path: str, is_let_in: bool) -> None:
    user = await caller(request(path))
    assert (user is ANONYMOUS) is is_let_in
    assert user is None or is_let_in
    assert await caller(request(path, authorization="Bearer unknown")) is None
