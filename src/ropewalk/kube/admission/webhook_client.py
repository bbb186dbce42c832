"""Calling webhooks: a Protocol, and the real thing over HTTPS.

One session for all; the TLS context of every bundle of authorities is kept. `aiohttp` is imported where the first call
is made: most clusters have no webhook at their start.
"""

from __future__ import annotations

import base64
import math
import ssl
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from ropewalk.kube.machinery.objects import Object

if TYPE_CHECKING:
    import aiohttp

MAX_ANSWER = 10 << 20
_MAX_CONTEXTS = 200


class WebhookFailure(Exception):
    """No answer that one could use; the text says why."""


class WebhookClient(Protocol):
    async def call(self, client_config: Object, body: bytes, timeout: float) -> bytes:
        """POST the body; the answer's body. Raises `WebhookFailure`."""
        ...


class ServiceResolver(Protocol):
    async def resolve(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        """Where a service is reached: host and port. Raises `LookupError`, saying what is missing."""
        ...


class HttpWebhookClient:
    """`client_config` as webhook configurations and custom resources' conversions have it."""

    def __init__(self, resolver: ServiceResolver) -> None:
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None
        self._contexts: dict[str, ssl.SSLContext] = {}

    async def call(self, client_config: Object, body: bytes, timeout: float) -> bytes:
        import aiohttp

        url, told, name = await self._target(client_config, f"?timeout={math.ceil(timeout)}s")
        if self._session is None:
            self._session = aiohttp.ClientSession(auto_decompress=True)
        try:
            async with self._session.post(
                url,
                data=body,
                headers={
                    "content-type": "application/json",
                    "accept": "application/json",
                    "host": urlsplit(told).netloc,
                },
                ssl=self._context(client_config.get("caBundle") or ""),
                server_hostname=name,
                timeout=aiohttp.ClientTimeout(total=timeout),
                allow_redirects=False,
            ) as answer:
                content = await answer.content.read(MAX_ANSWER + 1)
                while len(content) <= MAX_ANSWER and (more := await answer.content.read(MAX_ANSWER)):
                    content += more
        except TimeoutError:
            raise WebhookFailure(f'Post "{told}": context deadline exceeded') from None
        except (aiohttp.ClientError, ssl.SSLError, OSError, ValueError) as error:
            raise WebhookFailure(f'Post "{told}": {error}') from None
        if len(content) > MAX_ANSWER:
            raise WebhookFailure(f'Post "{told}": the answer is too large')
        if answer.status != 200:
            raise WebhookFailure(content[:200].decode(errors="replace").strip() or f"unexpected status {answer.status}")
        return content

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _target(self, client_config: Object, query: str) -> tuple[str, str, str]:
        """(the URL to dial, the URL to tell people, the name the certificate must have)."""
        service = client_config.get("service")
        if service is None:
            url = client_config.get("url") or ""
            parts = urlsplit(url)
            if parts.scheme != "https" or not parts.hostname:
                raise WebhookFailure(f'webhook URL "{url}" must be https')
            return url + query, url + query, parts.hostname
        port, path = int(service.get("port", 443)), "/" + (service.get("path") or "").removeprefix("/")
        name = f"{service.get('name')}.{service.get('namespace')}.svc"
        told = f"https://{name}:{port}{path}{query}"
        try:
            host, real_port = await self._resolver.resolve(service["namespace"], service["name"], port)
        except LookupError as error:
            raise WebhookFailure(f'Post "{told}": {error.args[0]}') from None
        shown = f"[{host}]" if ":" in host else host
        return f"https://{shown}:{real_port}{path}{query}", told, name

    def _context(self, bundle: str) -> ssl.SSLContext:
        found = self._contexts.get(bundle)
        if found is None:
            found = ssl.create_default_context()
            if bundle:
                found = ssl.create_default_context(cadata=base64.b64decode(bundle).decode())
            if len(self._contexts) >= _MAX_CONTEXTS:
                self._contexts.clear()
            self._contexts[bundle] = found
        return found
