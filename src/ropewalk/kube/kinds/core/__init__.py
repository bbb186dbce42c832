"""The core group: pods, and all that is about them without a group of its own."""

from __future__ import annotations

from ropewalk.kube.kinds.core.component_statuses import ComponentStatuses
from ropewalk.kube.kinds.core.config_maps import ConfigMaps
from ropewalk.kube.kinds.core.endpoints import Endpoints
from ropewalk.kube.kinds.core.events import Events
from ropewalk.kube.kinds.core.limit_ranges import LimitRanges
from ropewalk.kube.kinds.core.namespaces import Namespaces
from ropewalk.kube.kinds.core.nodes import Nodes
from ropewalk.kube.kinds.core.persistent_volume_claims import PersistentVolumeClaims
from ropewalk.kube.kinds.core.persistent_volumes import PersistentVolumes
from ropewalk.kube.kinds.core.pod_templates import PodTemplates
from ropewalk.kube.kinds.core.pods import Pods
from ropewalk.kube.kinds.core.replication_controllers import ReplicationControllers
from ropewalk.kube.kinds.core.resource_quotas import ResourceQuotas
from ropewalk.kube.kinds.core.secrets import Secrets
from ropewalk.kube.kinds.core.service_accounts import ServiceAccounts
from ropewalk.kube.machinery.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {
    "bindings": Strategy(),
    "componentstatuses": ComponentStatuses(),
    "configmaps": ConfigMaps(),
    "endpoints": Endpoints(),
    "events": Events(),
    "limitranges": LimitRanges(),
    "namespaces": Namespaces(),
    "nodes": Nodes(),
    "persistentvolumeclaims": PersistentVolumeClaims(),
    "persistentvolumes": PersistentVolumes(),
    "pods": Pods(),
    "podtemplates": PodTemplates(),
    "replicationcontrollers": ReplicationControllers(),
    "resourcequotas": ResourceQuotas(),
    "secrets": Secrets(),
    "serviceaccounts": ServiceAccounts(),
}
"""Services are not here, which need ranges and a store (`Services(ServiceAddresses(…))`). A binding is never stored:
`bindings` says what it does to its pod.
"""
