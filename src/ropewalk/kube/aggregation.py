"""Other servers' groups within ours, put together: which there are, how they fare, what they serve, who carries
requests.

https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/apiserver-aggregation/
"""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.kube.extension.aggregation_availability import AvailabilityController
from ropewalk.kube.extension.aggregation_client import HttpClient
from ropewalk.kube.extension.aggregation_discovery import AggregatedDiscovery
from ropewalk.kube.extension.aggregation_proxy import Aggregator
from ropewalk.kube.extension.aggregation_resolving import Resolver
from ropewalk.kube.extension.api_services import ApiServices, LocalApiServices
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.security.pki import ClusterKeys
from ropewalk.runtime.controller import Runnable


@dataclass(frozen=True, slots=True)
class Aggregation:
    services: ApiServices
    discovery: AggregatedDiscovery
    aggregator: Aggregator
    client: HttpClient
    led: list[Runnable]
    """Of the leader."""

    @classmethod
    def build(cls, api: Api, keys: ClusterKeys, resolver: Resolver, clock: Clock, entropy: Entropy) -> Aggregation:
        services = ApiServices(api)
        client = HttpClient(keys.folder / "front-proxy.crt", keys.folder / "front-proxy.key")
        return cls(
            services,
            AggregatedDiscovery(services, resolver, client, clock, entropy),
            Aggregator(services, resolver, client),
            client,
            [
                LocalApiServices(api, clock, entropy),
                AvailabilityController(api, resolver, client, clock, entropy),
            ],
        )
