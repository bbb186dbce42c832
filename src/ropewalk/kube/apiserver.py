"""One cluster's API server, put together: the only module under `kube` that knows all the others.

`ApiServer.build` wires the registry, what admits and authorizes, and the front; `runnables` keep it going; `start`
makes what every cluster has (`bootstrap`) and then says ready. Several replicas may serve one store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ropewalk import __version__
from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.http.browsers import HostRules
from ropewalk.kube.bootstrap import bootstrap
from ropewalk.kube.controllers.event_expiry import EventExpiry
from ropewalk.kube.controllers.garbage_collector import GarbageCollector
from ropewalk.kube.controllers.namespace_contents import NamespaceContents
from ropewalk.kube.controllers.namespaces import NamespaceController
from ropewalk.kube.extension.definitions import DefinitionController, Serving, schema_rules
from ropewalk.kube.kinds import apiextensions
from ropewalk.kube.kinds.catalogue import catalogue, plain_strategies
from ropewalk.kube.kinds.connections import QUERIES
from ropewalk.kube.kinds.definitions import definitions
from ropewalk.kube.kinds.priorities import AGGREGATOR, PRIORITIES
from ropewalk.kube.kinds.published import published
from ropewalk.kube.kinds.table import DELETED_IS_ANSWERED, RESOURCES
from ropewalk.kube.machinery import discovery
from ropewalk.kube.machinery.admission import AdmitAll
from ropewalk.kube.machinery.http.described import Described
from ropewalk.kube.machinery.http.front import Front, Steps
from ropewalk.kube.machinery.http.health import Health
from ropewalk.kube.machinery.http.metrics import Metrics
from ropewalk.kube.machinery.http.pages import Pages
from ropewalk.kube.machinery.http.reads import Reads
from ropewalk.kube.machinery.http.tables import Tables
from ropewalk.kube.machinery.http.writes import Writes
from ropewalk.kube.machinery.openapi.specification import Specification
from ropewalk.kube.machinery.registry.inside import InsideApi
from ropewalk.kube.machinery.registry.registry import Registry
from ropewalk.kube.machinery.registry.subresources import Subresources
from ropewalk.kube.machinery.resources import GroupResource, GroupVersionKind
from ropewalk.kube.security.authorizer import Chain, Masters
from ropewalk.kube.security.certificates import CertificateAuthenticator
from ropewalk.kube.security.pki import ClusterKeys, cluster_keys
from ropewalk.runtime.controller import Runnable
from ropewalk.store.protocol import Store


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """What one cluster is configured to be."""

    name: str
    folder: Path
    """Its certificates, keys and logs."""
    service_range: str = "10.96.0.0/16"
    node_ports: tuple[int, int] = (30000, 32767)
    names: tuple[str, ...] = ()
    """Further names and addresses under which the server is reached."""
    port: int = 6443


@dataclass(slots=True)
class ApiServer:
    config: ClusterConfig
    keys: ClusterKeys
    registry: Registry
    api: InsideApi
    front: Front
    serving: Serving
    runnables: list[Runnable]
    _ready: list[str] = field(default_factory=lambda: ["the cluster's own objects are not there yet"])

    @classmethod
    def build(cls, config: ClusterConfig, store: Store, clock: Clock, entropy: Entropy) -> ApiServer:
        keys = cluster_keys(config.folder / "pki", clock, config.names, cluster=config.name)
        registry = Registry(store, clock, entropy)
        types = definitions()
        strategies = plain_strategies()
        for plural, strategy in apiextensions.strategies(schema_rules).items():
            strategies[GroupResource("apiextensions.k8s.io", plural)] = strategy
        registry.serve(catalogue(types, strategies))
        subresources = Subresources()
        api = InsideApi(registry, subresources)
        registry.admit_through(AdmitAll(), api)
        meta_schema = types.schema_named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
        serving = Serving(api, registry, meta_schema, None, entropy)
        authorizer = Chain([Masters()])
        reads = Reads(registry, Tables(clock))
        writes = Writes(registry, subresources, reads, authorizer)
        pages = Pages()
        metrics = Metrics()
        metrics.add_to(pages)
        _described(config, registry, serving).add_to(pages)
        steps = Steps(
            CertificateAuthenticator(keys.ca.certificate),
            authorizer,
            hosts=_host_rules(config),
            metrics=metrics,
        )
        front = Front(registry, reads, writes, pages, steps)
        runnables: list[Runnable] = [
            registry.feeds,
            DefinitionController(api, clock, entropy),
            GarbageCollector(api, clock, entropy),
            NamespaceController(api, clock, entropy),
            NamespaceContents(api, keys.ca.certificate, clock, entropy),
            EventExpiry(api, clock, entropy),
        ]
        server = cls(config, keys, registry, api, front, serving, runnables)
        Health({"ping": lambda: ""}, {"bootstrap": lambda: server._ready[0] if server._ready else ""}).add_to(
            pages, __version__
        )
        return server

    async def start(self) -> None:
        """Make what every cluster has; ready afterwards."""
        self.serving.begin()
        await bootstrap(self.api)
        self._ready.clear()

    def close(self) -> None:
        """End every watch: clients come back to whoever answers then."""
        self.registry.close()


def _described(config: ClusterConfig, registry: Registry, serving: Serving) -> Described:
    events = {GroupResource("events.k8s.io", "events"): GroupVersionKind("", "v1", "Event")}
    return Described(
        lambda: registry.generation,
        lambda: discovery.catalogue(registry.infos(), {**PRIORITIES, **AGGREGATOR}, stored_as=events),
        lambda: Specification(
            published(), RESOURCES, serving.documented, queries=QUERIES, answers_deleted=DELETED_IS_ANSWERED
        ),
        f"127.0.0.1:{config.port}",
    )


def _host_rules(config: ClusterConfig) -> Callable[[], HostRules]:
    rules = HostRules(names=frozenset(config.names))
    return lambda: rules
