"""Requests passed on to aggregated servers: what goes out, what comes back, what never leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.support.kube_aggregation import (
    REFUSED,
    FakeAnswer,
    FakeDuplex,
    FakeRemote,
    FakeResolver,
    a_cluster,
    an_api_service,
    an_exchange,
    said,
)

from ropewalk.base.http.messages import Response
from ropewalk.kube.extension.aggregation_client import Upgraded
from ropewalk.kube.extension.aggregation_proxy import Aggregator, remote_user
from ropewalk.kube.extension.api_services import API_SERVICES, ApiServices
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.requests import User

JANE = User("jane", ("dev", "system:authenticated"), "u-1", {"example.org/scope": ("a", "b"), "Ünï%": ("ü",)})
PODS = "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods"


class Scene:
    def __init__(self, **spec: object) -> None:
        self.api = a_cluster(**spec)
        services = ApiServices(self.api)
        services.follow()
        self.remote = FakeRemote()
        self.resolver = FakeResolver()
        self.aggregator = Aggregator(services, self.resolver, self.remote)

    async def ask(
        self, target: str = PODS, method: str = "GET", headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Response:
        response = await self.aggregator.delegate(an_exchange(method, target, JANE, headers, body))
        assert response is not None
        return response

    async def refused(self, target: str = PODS, **more: str) -> StatusFault:
        with pytest.raises(StatusFault) as caught:
            await self.ask(target, headers=dict(more))
        return caught.value

    def sent(self, name: str) -> list[str]:
        return [value for one, value in self.remote.last().headers if one.lower() == name]


async def whole(response: Response) -> bytes:
    if isinstance(response.body, bytes):
        return response.body
    return b"".join([piece async for piece in response.body])


async def test_the_request_goes_as_it_came_and_the_answer_comes_back() -> None:
    scene = Scene()
    scene.remote.answers[PODS] = said(b'{"kind":"X"}', 201, content_type="application/json", x_more="1")
    response = await scene.ask(f"{PODS}?limit=5&labelSelector=a%3Db", "POST", {"content-type": "text/x"}, b"body")
    where, message = scene.remote.asked[-1]
    assert (where.host, where.port, where.server_name) == ("10.0.0.7", 8443, "metrics.kube-system.svc")
    assert (message.method, message.target) == ("POST", f"{PODS}?limit=5&labelSelector=a%3Db")
    assert message.body == b"body"
    assert scene.sent("content-type") == ["text/x"]
    assert scene.sent("content-length") == ["4"]
    assert scene.sent("host") == ["10.0.0.7:8443"]
    assert (response.status, await whole(response)) == (201, b'{"kind":"X"}')
    assert response.headers == {"content-type": "application/json", "x-more": "1"}


async def test_who_asks_is_told_and_nothing_that_the_caller_claims() -> None:
    scene = Scene()
    scene.remote.answers[PODS] = said(b"{}")
    claims = {
        "authorization": "Bearer secret",
        "x-remote-user": "root",
        "x-remote-group": "system:masters",
        "x-remote-extra-acme": "x",
        "x-remote-uid": "0",
        "impersonate-user": "root",
        "connection": "x-hop, keep-alive",
        "x-hop": "1",
        "accept": "application/json",
        "x-forwarded-for": "198.51.100.1",
        "host": "kubernetes",
    }
    await scene.ask(headers=claims)
    assert scene.sent("x-remote-user") == ["jane"]
    assert scene.sent("x-remote-uid") == ["u-1"]
    assert scene.sent("x-remote-group") == ["dev", "system:authenticated"]
    assert scene.sent("x-remote-extra-example.org%2fscope") == ["a", "b"]
    assert scene.sent("accept") == ["application/json"]
    assert scene.sent("x-forwarded-for") == ["198.51.100.1, 192.0.2.9"]
    for name in ("authorization", "impersonate-user", "x-hop", "x-remote-extra-acme", "connection"):
        assert scene.sent(name) == []


def test_names_of_users_cannot_make_headers() -> None:
    evil = User("a\r\nx-remote-group: system:masters", ("g\n",), extra={"k\r\ny": ("v\r\n",)})
    for name, value in remote_user(evil):
        assert not {"\r", "\n"} & set(name + value)
    assert dict(remote_user(User("jürgen")))["X-Remote-User"].encode("latin-1").decode() == "jürgen"


async def test_watches_flow_and_end_with_their_reader() -> None:
    scene = Scene()
    answer = FakeAnswer(200, [("content-type", "application/json"), ("transfer-encoding", "chunked")], [b"a", b"b"])
    scene.remote.answers[PODS] = answer
    response = await scene.ask(f"{PODS}?watch=1")
    assert isinstance(response.body, AsyncIterator)
    assert await anext(response.body) == b"a"
    assert response.headers == {"content-type": "application/json"}
    await response.body.aclose()  # type: ignore[attr-defined]  # as the HTTP server does
    assert answer.closed == 1


async def test_others_groups_are_not_ours_to_carry() -> None:
    scene = Scene()
    scene.api.put(API_SERVICES, an_api_service("local.example", "v1", service=None))
    for target in ("/apis/apps/v1/deployments", "/apis/metrics.k8s.io/v2/pods", "/api/v1/pods", "/healthz", "/apis"):
        assert await scene.aggregator.delegate(an_exchange("GET", target, JANE)) is None
    assert await scene.aggregator.delegate(an_exchange("GET", "/apis/local.example/v1/things", JANE)) is None


@pytest.mark.parametrize("target", ["/apis/metrics.k8s.io/v1beta1", PODS, f"{PODS}/a/b/c/d"])
async def test_every_url_beneath_a_group_version(target: str) -> None:
    scene = Scene()
    scene.remote.answers[target] = said(b"here")
    assert await whole(await scene.ask(target)) == b"here"


async def test_what_is_not_available() -> None:
    scene = Scene(available=False)
    fault = await scene.refused()
    assert (fault.status, fault.reason, fault.message) == (503, "ServiceUnavailable", "service unavailable")
    assert scene.remote.asked == []
    scene.api.put(API_SERVICES, an_api_service())
    scene.resolver.found = None
    assert (await scene.refused()).message == "service unavailable"
    scene.resolver.found = ("10.0.0.7", 8443)
    scene.remote.answers[PODS] = REFUSED
    assert (await scene.refused()).message == "error trying to reach service: connection refused"
    scene.remote.answers[PODS] = FakeAnswer(200, [("content-length", "5")], [b"ab", ConnectionResetError("gone")])
    assert (await scene.refused()).status == 503
    scene.remote.answers[PODS] = said(b"back")
    assert await whole(await scene.ask()) == b"back"
    scene.api.drop(API_SERVICES, "", "v1beta1.metrics.k8s.io")
    assert await scene.aggregator.delegate(an_exchange("GET", PODS, JANE)) is None


async def test_redirects_lead_nobody_away() -> None:
    scene = Scene()
    scene.remote.answers[PODS] = said(b"", 302, location="https://elsewhere/")
    response = await scene.ask()
    assert response.status == 302
    assert "location" not in response.headers
    assert b"not permitted" in await whole(response)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304), ("DELETE", 204)])
async def test_answers_without_a_body(method: str, status: int) -> None:
    scene = Scene()
    scene.remote.answers[PODS] = FakeAnswer(status, [("etag", '"x"'), ("content-length", "99")])
    response = await scene.ask(method=method)
    assert (response.status, response.body, response.headers) == (status, b"", {"etag": '"x"'})


UPGRADE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-protocol": "base64url.bearer.authorization.k8s.io.c2VjcmV0, v5.channel.k8s.io",
}


async def test_upgrades_are_joined() -> None:
    scene = Scene()
    server, client = FakeDuplex(b"from ", b"the server"), FakeDuplex(b"from the client")
    scene.remote.upgraded = Upgraded(
        101, [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", "x")], duplex=server
    )
    response = await scene.ask(f"{PODS}/a/exec", "GET", dict(UPGRADE))
    assert response.headers == {"sec-websocket-accept": "x", "connection": "Upgrade", "upgrade": "websocket"}
    assert scene.sent("sec-websocket-protocol") == ["v5.channel.k8s.io"]
    assert (scene.sent("connection"), scene.sent("upgrade")) == (["Upgrade"], ["websocket"])
    assert scene.sent("x-remote-user") == ["jane"]
    assert response.upgrade is not None
    await response.upgrade(client)
    assert server.written == b"from the client"
    assert client.written == b"from the server"
    assert server.closed


async def test_a_refused_upgrade_is_an_answer() -> None:
    scene = Scene()
    scene.remote.upgraded = Upgraded(403, [("content-type", "application/json")], b'{"kind":"Status"}')
    response = await scene.ask(headers=dict(UPGRADE))
    assert (response.status, response.body, response.upgrade) == (403, b'{"kind":"Status"}', None)
    scene.remote.upgraded = REFUSED
    assert (await scene.refused(**UPGRADE)).status == 503
