"""kube-apiserver's default plug-ins, built: what the process calls.

NodeRestriction is the security part's: hand it in with `further`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.kube.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
    ClusterTrustBundleAttest,
)
from ropewalk.kube.admission.chain import Chain
from ropewalk.kube.admission.default_ingress_class import DefaultIngressClass
from ropewalk.kube.admission.default_toleration_seconds import DefaultTolerationSeconds
from ropewalk.kube.admission.limit_ranger import LimitRanger
from ropewalk.kube.admission.matching import Converter, relabelled
from ropewalk.kube.admission.mutating_policies import MutatingAdmissionPolicy, SchemaOf
from ropewalk.kube.admission.namespace_lifecycle import NamespaceLifecycle
from ropewalk.kube.admission.nodes import PodTopologyLabels, TaintNodesByCondition
from ropewalk.kube.admission.pod_security.plugin import PodSecurity
from ropewalk.kube.admission.priority import Priority
from ropewalk.kube.admission.resource_quota import ResourceQuota
from ropewalk.kube.admission.runtime_class import RuntimeClass
from ropewalk.kube.admission.service_account import ServiceAccount
from ropewalk.kube.admission.storage import (
    DefaultStorageClass,
    PersistentVolumeClaimResize,
    StorageObjectInUseProtection,
)
from ropewalk.kube.admission.validating_policies import ValidatingAdmissionPolicy
from ropewalk.kube.admission.webhook_client import WebhookClient
from ropewalk.kube.admission.webhooks import MutatingAdmissionWebhook, ValidatingAdmissionWebhook
from ropewalk.kube.machinery.access import Authorizer
from ropewalk.kube.machinery.admission import AdmissionPlugin
from ropewalk.kube.machinery.api import Api


@dataclass(frozen=True, slots=True)
class Means:
    """What plug-ins need of the process."""

    api: Api
    authorizer: Authorizer
    clock: Clock
    entropy: Entropy
    webhooks: WebhookClient
    schema_of: SchemaOf
    convert: Converter = relabelled


def default_chain(means: Means, *, further: Sequence[AdmissionPlugin] = (), disabled: Collection[str] = ()) -> Chain:
    api, authorizer, convert = means.api, means.authorizer, means.convert
    return Chain(
        [
            NamespaceLifecycle(api),
            LimitRanger(api),
            ServiceAccount(api, means.clock, means.entropy),
            TaintNodesByCondition(),
            PodSecurity(api),
            Priority(api),
            DefaultTolerationSeconds(),
            DefaultStorageClass(api),
            StorageObjectInUseProtection(),
            PersistentVolumeClaimResize(api),
            RuntimeClass(api),
            CertificateApproval(authorizer),
            CertificateSigning(authorizer),
            ClusterTrustBundleAttest(authorizer),
            CertificateSubjectRestriction(),
            DefaultIngressClass(api),
            PodTopologyLabels(api),
            MutatingAdmissionPolicy(api, authorizer, schema_of=means.schema_of, convert=convert),
            MutatingAdmissionWebhook(api, authorizer, means.webhooks, means.entropy, convert=convert),
            ValidatingAdmissionPolicy(api, authorizer, convert=convert),
            ValidatingAdmissionWebhook(api, authorizer, means.webhooks, means.entropy, convert=convert),
            ResourceQuota(api, means.clock),
            *further,
        ],
        disabled=disabled,
    )
