"""One cluster's API server, put together: the only module under `kube` that knows all the others.

`ApiServer.build` wires the registry, what admits and authorizes, and the front; `runnables` keep it going; `start`
makes what every cluster has (`bootstrap`) and then says ready. Several replicas may serve one store: `runnables` run on
each, `led` on the one that leads.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk import __version__
from ropewalk.agents.gateway import Gateway
from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.http.browsers import HostRules
from ropewalk.kube.admission import policy_types
from ropewalk.kube.admission.compiling import complaint, selector_complaint
from ropewalk.kube.admission.defaults import Means, default_chain
from ropewalk.kube.admission.webhook_client import HttpWebhookClient
from ropewalk.kube.aggregation import Aggregation
from ropewalk.kube.bootstrap import Address, bootstrap
from ropewalk.kube.connectors import Connectors
from ropewalk.kube.controllers.certificate_requests import CertificateRequests
from ropewalk.kube.controllers.deployments import DeploymentController
from ropewalk.kube.controllers.event_expiry import EventExpiry
from ropewalk.kube.controllers.garbage_collector import GarbageCollector
from ropewalk.kube.controllers.namespace_contents import NamespaceContents
from ropewalk.kube.controllers.namespaces import NamespaceController
from ropewalk.kube.controllers.node_lifecycle import NodeLifecycle
from ropewalk.kube.controllers.pod_book import PodBook
from ropewalk.kube.controllers.pod_garbage import PodGarbage
from ropewalk.kube.controllers.policy_status import PolicyStatus
from ropewalk.kube.controllers.replica_sets import REPLICA_SETS, REPLICATION_CONTROLLERS, ReplicaSetController
from ropewalk.kube.controllers.resource_quotas import ResourceQuotaController
from ropewalk.kube.controllers.server_leases import ServerLeases
from ropewalk.kube.controllers.service_account_secrets import ServiceAccountSecrets
from ropewalk.kube.controllers.service_endpoints import ServiceEndpoints
from ropewalk.kube.controllers.service_networking import ServiceNetworking
from ropewalk.kube.controllers.taint_eviction import TaintEviction
from ropewalk.kube.extension.aggregation_resolving import EndpointResolver
from ropewalk.kube.extension.aggregation_trust import authentication_data
from ropewalk.kube.extension.definitions import DefinitionController, Serving, schema_rules
from ropewalk.kube.flowcontrol.control import PriorityAndFairness
from ropewalk.kube.flowcontrol.figures import add_metrics, add_pages
from ropewalk.kube.flowcontrol.upkeep import FlowControlUpkeep
from ropewalk.kube.flowcontrol.upkeep import bootstrap as flow_control_bootstrap
from ropewalk.kube.identity import Identity, requested_name
from ropewalk.kube.kinds import admissionregistration, apiextensions, resource
from ropewalk.kube.kinds.catalogue import catalogue, plain_strategies
from ropewalk.kube.kinds.connections import QUERIES
from ropewalk.kube.kinds.core.service_addresses import ServiceAddresses
from ropewalk.kube.kinds.core.services import Services
from ropewalk.kube.kinds.definitions import Definitions, definitions
from ropewalk.kube.kinds.field_numbers import field_numbers
from ropewalk.kube.kinds.priorities import AGGREGATOR, PRIORITIES
from ropewalk.kube.kinds.published import published
from ropewalk.kube.kinds.table import DELETED_IS_ANSWERED, RESOURCES
from ropewalk.kube.machinery import discovery
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.http.bodies import Bodies
from ropewalk.kube.machinery.http.described import Described
from ropewalk.kube.machinery.http.front import Front, Steps
from ropewalk.kube.machinery.http.health import Health
from ropewalk.kube.machinery.http.metrics import Metrics
from ropewalk.kube.machinery.http.pages import Pages
from ropewalk.kube.machinery.http.reads import Reads
from ropewalk.kube.machinery.http.tables import Tables
from ropewalk.kube.machinery.http.writes import Writes
from ropewalk.kube.machinery.openapi.specification import Specification
from ropewalk.kube.machinery.protobuf.decoder import Decoder
from ropewalk.kube.machinery.recorder import Events
from ropewalk.kube.machinery.registry.compaction import Compactor
from ropewalk.kube.machinery.registry.inside import InsideApi
from ropewalk.kube.machinery.registry.registry import Registry
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.registry.subresources import Create, Evaluate, Subresources
from ropewalk.kube.machinery.resources import GroupResource, GroupVersionKind
from ropewalk.kube.machinery.schema import Schema
from ropewalk.kube.machinery.strategy import Strategy
from ropewalk.kube.machines import gateway_of
from ropewalk.kube.pod_subresources import PodSubresources
from ropewalk.kube.scheduler.starting import SCHEDULER, LateScheduler
from ropewalk.kube.security import token_keys
from ropewalk.kube.security.aggregation import ClusterRoleAggregation
from ropewalk.kube.security.audit import Audit
from ropewalk.kube.security.audit_log import AuditLog
from ropewalk.kube.security.audit_policy import DEFAULT as DEFAULT_POLICY
from ropewalk.kube.security.audit_policy import AuditPolicy
from ropewalk.kube.security.encryption import Encryption, encryption_keys
from ropewalk.kube.security.escalation import Escalation
from ropewalk.kube.security.impersonation import Impersonation
from ropewalk.kube.security.node_restriction import NodeRestriction
from ropewalk.kube.security.pki import ClusterKeys, cluster_keys
from ropewalk.kube.security.service_account_tokens import ISSUER
from ropewalk.kube.signing import signer
from ropewalk.kube.subresource_doors import aspects
from ropewalk.model.ids import Owner
from ropewalk.runtime.controller import Runnable
from ropewalk.store.protocol import Store

if TYPE_CHECKING:
    from ropewalk.kube.streams.terminate import PodStreams

METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
PODS, SERVICES = GroupResource("", "pods"), GroupResource("", "services")
SECRETS, ACCOUNTS = GroupResource("", "secrets"), GroupResource("", "serviceaccounts")


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """What one cluster is configured to be."""

    name: str
    keys: Path
    """Folder of its certificates and keys."""
    logs: Path
    """Folder of its audit log."""
    service_range: str = "10.96.0.0/16"
    node_ports: tuple[int, int] = (30000, 32767)
    names: tuple[str, ...] = ()
    """Further names and addresses under which the server is reached."""
    advertised: str = ""
    """Address at which nodes and pods reach it: what the service `kubernetes` leads to. "" leads nowhere, as for a
    server that listens on a loopback address only.
    """
    port: int = 6443
    audit_policy: AuditPolicy = DEFAULT_POLICY

    @property
    def owner(self) -> Owner:
        """As whom its machines know it."""
        return Owner(f"kube-{self.name}")


@dataclass(slots=True)
class ApiServer:
    config: ClusterConfig
    keys: ClusterKeys
    registry: Registry
    api: InsideApi
    front: Front
    gateway: Gateway
    """Where the machines of this cluster dial."""
    service_networking: ServiceNetworking
    serving: Serving
    identity: Identity
    aggregation: Aggregation
    runnables: list[Runnable]
    led: list[Runnable]
    schema_of: Callable[[GroupVersionKind], Schema | None]
    """The shape of any kind that is served, custom ones too."""
    _waiting: list[str] = field(default_factory=lambda: ["the cluster's own objects are not there yet"])

    @classmethod
    def build(cls, config: ClusterConfig, store: Store, clock: Clock, entropy: Entropy) -> ApiServer:
        names = (*config.names, _address(config).service_address)
        keys = cluster_keys(config.keys, clock, names, cluster=config.name)
        types = definitions()
        sealed = {SECRETS: Encryption(encryption_keys(config.keys / "encryption.keys", entropy), entropy)}
        registry = Registry(store, clock, entropy, transformers=sealed)
        addresses = ServiceAddresses([config.service_range], store, entropy, node_ports=config.node_ports, shut=True)
        registry.serve(catalogue(types, _strategies(addresses)))
        creators: dict[tuple[GroupResource, str], Create] = {}
        reviews: dict[GroupResource, Evaluate] = {}
        subresources = Subresources(aspects(), creators, reviews)  # filled below: those who answer need the API
        api = InsideApi(registry, subresources)
        identity = Identity.build(api, keys, clock, entropy)
        reviews |= identity.reviews
        authorizer = identity.authorizer
        schema_of = _schema_of(registry, types)
        resolver = EndpointResolver(api, entropy)
        webhooks = HttpWebhookClient(resolver)
        chain = default_chain(
            Means(api, authorizer, clock, entropy, webhooks, schema_of),
            further=(NodeRestriction(api, authorizer, requested_name), Escalation(identity.rbac, authorizer)),
        )
        registry.admit_through(chain, api)
        pods = PodSubresources(api, registry.writer, chain, clock)
        creators |= {
            (PODS, "binding"): pods.bind,
            (PODS, "eviction"): pods.evict,
            (ACCOUNTS, "token"): identity.token_requests(api, chain, clock).create,
        }
        gateway = gateway_of(config.owner, store, clock, entropy)
        serving = Serving(api, registry, types.schema_named(METADATA), webhooks, entropy)
        aggregation = Aggregation.build(api, keys, resolver, clock, entropy)
        flow_control = PriorityAndFairness(api, clock)
        pages, metrics = Pages(), Metrics()
        reads = Reads(registry, Tables(clock))
        audit_log = AuditLog(config.logs / "audit.log", clock)
        bodies = Bodies(Decoder(types, field_numbers))
        steps = Steps(
            identity.authenticator,
            authorizer,
            Impersonation(authorizer),
            flow_control,
            auditor=Audit(config.audit_policy, audit_log, clock, entropy),
            hosts=_host_rules(config),
            metrics=metrics,
            connectors=Connectors(api, chain, authorizer, lambda: _pod_streams(gateway, clock)).all(),
            delegate=aggregation.aggregator.delegate,
        )
        front = Front(registry, reads, Writes(registry, subresources, reads, authorizer, bodies), pages, steps)
        networking = ServiceNetworking(api, addresses, socket.gethostname(), clock, entropy)
        runnables: list[Runnable] = [registry.feeds, gateway, flow_control, audit_log, aggregation.discovery]
        server = cls(
            *(config, keys, registry, api, front, gateway, networking, serving, identity, aggregation),
            *(runnables, [], schema_of),
        )
        server.runnables.append(ServerLeases(api, socket.gethostname(), f"{config.name}:{config.port}", clock))
        server.runnables += networking.runnables
        server.led += _controllers(server, store, clock, entropy)
        server._add_pages(pages, metrics)
        add_metrics(flow_control, metrics)
        add_pages(flow_control, pages)
        return server

    def _add_pages(self, pages: Pages, metrics: Metrics) -> None:
        metrics.add_to(pages)
        _described(self).add_to(pages)
        token_keys.add_pages(pages, self.identity.issuer.keys, ISSUER, f"127.0.0.1:{self.config.port}")
        ready = {"bootstrap": lambda: self._waiting[0] if self._waiting else ""}
        Health({"ping": lambda: ""}, ready).add_to(pages, __version__)

    async def start(self) -> None:
        """Make what every cluster has; ready afterwards."""
        self.serving.begin()
        self.aggregation.services.follow()
        await self.service_networking.start()
        await bootstrap(
            self.api,
            _address(self.config),
            authentication_data(self.keys.ca.certificate, self.keys.front_proxy_ca.certificate),
        )
        await flow_control_bootstrap(self.api)
        await self.identity.synced()
        self._waiting.clear()

    def close(self) -> None:
        """End every watch and every agent's session: they come back to whoever answers then."""
        self.registry.close()
        self.gateway.close()


def _pod_streams(gateway: Gateway, clock: Clock) -> PodStreams:
    from ropewalk.kube.streams.terminate import PodStreams

    return PodStreams(gateway.streams, clock)


def _strategies(addresses: ServiceAddresses) -> dict[GroupResource, Strategy]:
    """Those kinds that need something of the server get it here."""
    found = plain_strategies()
    found[SERVICES] = Services(addresses)
    for group, given in (
        ("apiextensions.k8s.io", apiextensions.strategies(schema_rules)),
        ("admissionregistration.k8s.io", admissionregistration.strategies(complaint)),
        ("resource.k8s.io", resource.strategies(selector_complaint)),
    ):
        found |= {GroupResource(group, plural): strategy for plural, strategy in given.items()}
    return found


def _controllers(server: ApiServer, store: Store, clock: Clock, entropy: Entropy) -> list[Runnable]:
    """Of the leader: this server's own, and those that stand for kube-controller-manager."""
    api, ca, identity = server.api, server.keys.ca, server.identity
    manager = api.acting_as("kube-controller-manager")
    return [
        Compactor(store, clock),
        DefinitionController(api, clock, entropy),
        *server.aggregation.led,
        GarbageCollector(manager, clock, entropy),
        NamespaceController(manager, clock, entropy),
        NamespaceContents(manager, ca.certificate, clock, entropy),
        ServiceAccountSecrets(manager, identity.issuer.legacy_token, ca.certificate, clock, entropy),
        CertificateRequests(manager, signer(ca, identity.authorizer, clock), clock, entropy),
        ClusterRoleAggregation(manager, clock, entropy),
        ResourceQuotaController(manager, clock, entropy),
        FlowControlUpkeep(api, clock, entropy),
        PolicyStatus(
            api.acting_as(PolicyStatus.name),
            lambda policy: policy_types.warnings(policy, api.infos(), server.schema_of),
            *(clock, entropy),
        ),
        EventExpiry(api, clock, entropy),
        *_workloads(manager, clock, entropy),
        *_scheduler(api.acting_as("kube-scheduler"), clock, entropy),
        *server.service_networking.led,
    ]


def _workloads(api: Api, clock: Clock, entropy: Entropy) -> list[Runnable]:
    """Those of the leader's that keep pods running: they share one book of pods, and one hand that writes events."""
    pods, events = PodBook(api), Events(api, clock)
    return [
        events,
        ReplicaSetController(REPLICA_SETS, api, pods, events, clock, entropy),
        ReplicaSetController(REPLICATION_CONTROLLERS, api, pods, events, clock, entropy),
        DeploymentController(api, pods, events, clock, entropy),
        ServiceEndpoints(api, pods, events, clock, entropy),
        NodeLifecycle(api, pods, events, clock, entropy),
        TaintEviction(api, pods, events, clock, entropy),
        PodGarbage(api, pods, clock),
    ]


def _scheduler(api: Api, clock: Clock, entropy: Entropy) -> list[Runnable]:
    events = Events(api, clock, "events of the scheduler")
    return [events, LateScheduler(api, events.recorder(SCHEDULER), clock, entropy)]


def _schema_of(registry: Registry, types: Definitions) -> Callable[[GroupVersionKind], Schema | None]:
    def find(gvk: GroupVersionKind) -> Schema | None:
        if types.knows(gvk):
            return types.schema(gvk)
        found: Served | None = next((one for one in registry.all() if one.info.gvk == gvk), None)
        return None if found is None else found.schema

    return find


def _described(server: ApiServer) -> Described:
    registry, serving, remote = server.registry, server.serving, server.aggregation.discovery
    events = {GroupResource("events.k8s.io", "events"): GroupVersionKind("", "v1", "Event")}

    def described() -> discovery.Catalogue:
        order = {**PRIORITIES, **AGGREGATOR, **remote.priorities()}
        infos = [*registry.infos(), *remote.infos()]
        return discovery.catalogue(infos, order, stored_as=events, stale=remote.stale())

    return Described(
        lambda: registry.generation + remote.generation,
        described,
        lambda: Specification(
            published(), RESOURCES, serving.documented, queries=QUERIES, answers_deleted=DELETED_IS_ANSWERED
        ),
        remote,
        f"127.0.0.1:{server.config.port}",
    )


def _address(config: ClusterConfig) -> Address:
    first = next(IPv4Network(config.service_range).hosts())
    return Address(str(first), config.advertised, config.port)


def _host_rules(config: ClusterConfig) -> Callable[[], HostRules]:
    rules = HostRules(names=frozenset(config.names), own_origin=True)
    return lambda: rules
