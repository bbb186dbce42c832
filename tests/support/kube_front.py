"""A Kubernetes API server without sockets: the production registry, caches and front over a store and a virtual clock.

Everything of `kube.machinery` is the real thing, and so are the kinds; admission, authentication and authorization are
stand-ins that a test chooses. `Server` may be stopped and built anew over the same store, as a process that was killed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.base.http.messages import Peer, Request, Response
from ropewalk.kube.extension.definitions import schema_rules
from ropewalk.kube.kinds.apiextensions.custom_resource_definitions import CustomResourceDefinitions
from ropewalk.kube.kinds.catalogue import catalogue, plain_strategies
from ropewalk.kube.kinds.core.service_addresses import ServiceAddresses
from ropewalk.kube.kinds.core.services import Services
from ropewalk.kube.kinds.definitions import definitions
from ropewalk.kube.kinds.field_numbers import field_numbers
from ropewalk.kube.machinery.access import Decision, Verdict
from ropewalk.kube.machinery.admission import AdmissionChain, AdmitAll
from ropewalk.kube.machinery.http.bodies import Bodies
from ropewalk.kube.machinery.http.front import Front, Steps
from ropewalk.kube.machinery.http.pages import Pages
from ropewalk.kube.machinery.http.reads import Reads
from ropewalk.kube.machinery.http.tables import Tables
from ropewalk.kube.machinery.http.writes import Writes
from ropewalk.kube.machinery.protobuf.decoder import Decoder
from ropewalk.kube.machinery.registry.inside import InsideApi
from ropewalk.kube.machinery.registry.registry import Registry
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.registry.subresources import Subresources
from ropewalk.kube.machinery.requests import Attributes, User
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.machinery.strategy import Strategy
from ropewalk.kube.subresource_doors import aspects
from ropewalk.store.memory import MemoryStore
from ropewalk.store.protocol import Store

ALICE = User("alice", ("system:authenticated",))
SERVICES = GroupResource("", "services")
CONFIG_MAPS = GroupResource("", "configmaps")
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


class Anyone:
    """An authenticator: everybody is the same user."""

    def __init__(self, user: User | None = ALICE) -> None:
        self.user = user

    async def authenticate(self, request: Request) -> User | None:
        return self.user


@dataclass(slots=True)
class Rules:
    """An authorizer that allows all but what it was told; keeps what it was asked."""

    denied: set[tuple[str, str]] = field(default_factory=set)
    """(verb, resource or path)."""
    asked: list[Attributes] = field(default_factory=list)

    async def authorize(self, attributes: Attributes) -> Decision:
        self.asked.append(attributes)
        if (attributes.verb, attributes.resource or attributes.path) in self.denied:
            return Decision(Verdict.NO_OPINION, "no rule says so")
        return Decision(Verdict.ALLOW)


@cache
def built_in() -> tuple[Served, ...]:
    """Every built-in kind; services come from `Server`, which has addresses for them."""
    return tuple(catalogue(definitions(), strategies(Strategy())))


def strategies(services: Strategy) -> dict[GroupResource, Strategy]:
    definition = GroupResource("apiextensions.k8s.io", "customresourcedefinitions")
    return {**plain_strategies(), SERVICES: services, definition: CustomResourceDefinitions(schema_rules)}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        return str(self.json.get("reason", ""))

    @property
    def message(self) -> str:
        return str(self.json.get("message", ""))


class Server:
    """`await start()` runs its feeds; `await stop()` ends every task of it."""

    def __init__(
        self,
        store: Store | None = None,
        clock: VirtualClock | None = None,
        *,
        seed: int = 1,
        chain: Callable[[InsideApi], AdmissionChain] | None = None,
        subresources: Mapping[str, Any] | None = None,
        **steps: Any,
    ) -> None:
        self.clock = clock or VirtualClock()
        self.entropy = SeededEntropy(seed)
        self.store = store or MemoryStore(self.entropy, clock=self.clock)
        self.registry = Registry(self.store, self.clock, self.entropy)
        self.registry.serve(built_in())
        self._serve_services()
        doors: dict[str, Any] = {"aspects": aspects(), **(subresources or {})}
        self.subresources = Subresources(**doors)
        self.api = InsideApi(self.registry, self.subresources)
        self.registry.admit_through(AdmitAll() if chain is None else chain(self.api), self.api)
        self.pages = Pages()
        self.rules = steps.pop("authorizer", None) or Rules()
        self.steps = Steps(steps.pop("authenticator", None) or Anyone(), self.rules, **steps)
        reads = Reads(self.registry, Tables(self.clock))
        bodies = Bodies(Decoder(definitions(), field_numbers))
        writes = Writes(self.registry, self.subresources, reads, self.rules, bodies)
        self.front = Front(self.registry, reads, writes, self.pages, self.steps)
        self._tasks: list[asyncio.Task[None]] = []

    def _serve_services(self) -> None:
        self._serve(ServiceAddresses(["10.96.0.0/16"], self.store, self.entropy))

    def _serve(self, addresses: ServiceAddresses) -> None:
        self.addresses = addresses
        services = Services(addresses)
        self.registry.serve(replace(one, strategy=services) for one in built_in() if one.storage == SERVICES)

    async def start(self, *runnables: Any) -> Server:
        loop = asyncio.get_running_loop()
        self._tasks += [loop.create_task(runnable.run()) for runnable in (self.registry.feeds, *runnables)]
        await self.clock.settle()
        return self

    async def stop(self) -> None:
        tasks = [*self._tasks, *self.registry._tasks.values(), *self.registry.feeds._tasks.values()]
        self.registry.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()

    def served(self, plural: str, group: str = "", version: str = "v1") -> Served:
        found = self.registry.find(group, version, plural)
        assert found is not None, plural
        return found

    # --- requests

    async def answer(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """The answer as it leaves the front: its body may be a stream."""
        split = urlsplit(target)
        given = {"host": "127.0.0.1:6443", "accept": accept, "user-agent": "kubectl/v1.35.4 (linux/amd64)"}
        raw = b""
        if body is not None:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            given["content-type"] = content_type
        given |= {name.lower(): value for name, value in (headers or {}).items()}
        request = Request(method, target, split.path, split.query, given, raw, Peer("127.0.0.1", listener="host"))
        return await self.front.handle(request)

    async def ask(self, method: str, target: str, body: Any = None, **more: Any) -> Answer:
        response = await self.answer(method, target, body, **more)
        assert isinstance(response.body, bytes), "a stream: use `watch`"
        return Answer(response.status, response.headers, response.body)

    async def get(self, target: str, **more: Any) -> Answer:
        return await self.ask("GET", target, **more)

    async def post(self, target: str, body: Any, **more: Any) -> Answer:
        return await self.ask("POST", target, body, **more)

    async def put(self, target: str, body: Any, **more: Any) -> Answer:
        return await self.ask("PUT", target, body, **more)

    async def patch(self, target: str, body: Any, content_type: str = MERGE_PATCH, **more: Any) -> Answer:
        return await self.ask("PATCH", target, body, content_type=content_type, **more)

    async def delete(self, target: str, body: Any = None, **more: Any) -> Answer:
        return await self.ask("DELETE", target, body, **more)

    async def watch(self, target: str, **more: Any) -> Watcher:
        response = await self.answer("GET", target, **more)
        assert response.status == 200, response.body
        assert not isinstance(response.body, bytes), response.body
        return Watcher(response.body)

    # --- things to ask about

    async def config_map(self, name: str, namespace: str = "default", **fields: Any) -> Any:
        labels = fields.pop("labels", None)
        about = {"name": name, **({"labels": labels} if labels else {})}
        made = await self.post(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": about, **fields})
        assert made.status == 201, made.body
        return made.json


class Watcher:
    """The client's end of one watch: what has come so far, as decoded lines."""

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self.events: list[Any] = []
        self.ended = False
        self.reads = asyncio.Event()
        """Cleared, it leaves what comes on the wire."""
        self.reads.set()
        self._task = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        async for piece in self._body:
            assert piece.endswith(b"\n")
            self.events += [json.loads(line) for line in piece.splitlines()]
            await self.reads.wait()
        self.ended = True

    def taken(self) -> list[Any]:
        found, self.events = self.events, []
        return found

    @property
    def told(self) -> list[tuple[str, str]]:
        """(type, name) of each event so far."""
        return [(event["type"], event["object"]["metadata"].get("name", "")) for event in self.events]

    async def close(self) -> None:
        """Hang up."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self._body.aclose()  # type: ignore[attr-defined]  # an async generator


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str = "web", replicas: int = 2, **metadata: Any) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, **metadata},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


def pod(name: str = "web", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **metadata},
        "spec": {"containers": [{"name": "main", "image": "nginx"}]},
    }
