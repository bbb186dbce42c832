"""The client of webhooks over real TLS: this server's own HTTP server plays the webhook."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ropewalk.base.clock import SystemClock
from ropewalk.base.http.messages import Request, Response
from ropewalk.base.http.server import HttpServer
from ropewalk.kube.admission.webhook_client import HttpWebhookClient, WebhookFailure
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.security.pki import cluster_keys


@dataclass
class Resolver:
    port: int = 0

    async def resolve(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        if name != "hook":
            raise LookupError(f'service "{name}" not found')
        return "127.0.0.1", self.port


class Scene:
    def __init__(self, authority: bytes, port: int, asked: list[Request]) -> None:
        self.client = HttpWebhookClient(Resolver(port))
        self.bundle = base64.b64encode(authority).decode()
        self.asked = asked

    def config(self, name: str = "hook") -> Object:
        return {"service": {"namespace": "apps", "name": name, "path": "/judge"}, "caBundle": self.bundle}


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    clock, asked = SystemClock(), list[Request]()

    async def handle(request: Request) -> Response:
        asked.append(request)
        return Response(200, {"content-type": "application/json"}, b"{}")

    keys = cluster_keys(tmp_path / "pki", clock, ["hook.apps.svc"])
    server = HttpServer(handle, name="hook", clock=clock)
    made = Scene(keys.ca.certificate, await server.serve_tcp("127.0.0.1", 0, tls=keys.server_context()), asked)
    yield made
    await made.client.close()
    await server.close(0.5)


async def test_a_webhook_is_told_how_long_it_may_take(scene: Scene) -> None:
    assert await scene.client.call(scene.config(), b"{}", 10.0) == b"{}"
    assert [(asked.target, asked.headers["host"]) for asked in scene.asked] == [
        ("/judge?timeout=10s", "hook.apps.svc:443")
    ]


async def test_failures_tell_the_whole_address(scene: Scene) -> None:
    with pytest.raises(WebhookFailure) as missing:
        await scene.client.call(scene.config("other"), b"{}", 30.0)
    assert str(missing.value) == 'Post "https://other.apps.svc:443/judge?timeout=30s": service "other" not found'
    with pytest.raises(WebhookFailure) as closed:
        await scene.client.call({"url": "https://127.0.0.1:1/judge"}, b"{}", 0.5)
    assert str(closed.value).startswith('Post "https://127.0.0.1:1/judge?timeout=1s": ')
