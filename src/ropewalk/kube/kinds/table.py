"""Every resource of Kubernetes 1.35 that is served: what it is called, its scope, verbs, short names and subresources.

The stable versions of all groups, and `admissionregistration.k8s.io/v1beta1` for MutatingAdmissionPolicy alone:
kube-apiserver serves that beta only where it is switched on (`--runtime-config`); here it always is. A literal table:
it must be there a millisecond after start. https://kubernetes.io/docs/reference/kubernetes-api/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ropewalk.kube.machinery.resources import (
    ALL_VERBS,
    GroupResource,
    GroupVersionKind,
    ResourceInfo,
    Subresource,
)

_NAMESPACED, _CLUSTER = True, False
_READ_WRITE = "get patch update"


@dataclass(frozen=True, slots=True)
class _Sub:
    name: str
    verbs: str = _READ_WRITE
    kind: str = ""
    """"" is the resource's own."""
    api_version: str = ""
    """"" is the resource's own."""


_STATUS = _Sub("status")
_SCALE = _Sub("scale", kind="Scale", api_version="autoscaling/v1")


@dataclass(frozen=True, slots=True)
class _Row:
    kind: str
    plural: str
    namespaced: bool
    short: str = ""
    categories: str = ""
    verbs: str = " ".join(ALL_VERBS)
    subs: tuple[_Sub, ...] = ()


def _version(group: str, version: str, *rows: _Row) -> Iterator[ResourceInfo]:
    own = f"{group}/{version}" if group else version
    for row in rows:
        verbs = tuple(row.verbs.split())
        yield ResourceInfo(
            group,
            version,
            row.kind,
            row.plural,
            row.kind.lower(),
            row.namespaced,
            tuple(row.short.split()),
            tuple(row.categories.split()),
            verbs,
            tuple(
                Subresource(
                    sub.name,
                    GroupVersionKind.of(sub.api_version or own, sub.kind or row.kind),
                    tuple(sub.verbs.split()),
                )
                for sub in row.subs
            ),
            f"{row.kind}List" if "list" in verbs else "",
        )


RESOURCES: tuple[ResourceInfo, ...] = (
    *_version(
        "",
        "v1",
        _Row("Binding", "bindings", _NAMESPACED, verbs="create"),
        _Row("ComponentStatus", "componentstatuses", _CLUSTER, short="cs", verbs="get list"),
        _Row("ConfigMap", "configmaps", _NAMESPACED, short="cm"),
        _Row("Endpoints", "endpoints", _NAMESPACED, short="ep"),
        _Row("Event", "events", _NAMESPACED, short="ev"),
        _Row("LimitRange", "limitranges", _NAMESPACED, short="limits"),
        _Row(
            "Namespace",
            "namespaces",
            _CLUSTER,
            short="ns",
            verbs="create delete get list patch update watch",
            subs=(
                _Sub("finalize", "update"),
                _STATUS,
            ),
        ),
        _Row(
            "Node",
            "nodes",
            _CLUSTER,
            short="no",
            subs=(
                _Sub("proxy", "create delete get patch update", "NodeProxyOptions"),
                _STATUS,
            ),
        ),
        _Row("PersistentVolumeClaim", "persistentvolumeclaims", _NAMESPACED, short="pvc", subs=(_STATUS,)),
        _Row("PersistentVolume", "persistentvolumes", _CLUSTER, short="pv", subs=(_STATUS,)),
        _Row(
            "Pod",
            "pods",
            _NAMESPACED,
            short="po",
            categories="all",
            subs=(
                _Sub("attach", "create get", "PodAttachOptions"),
                _Sub("binding", "create", "Binding"),
                _Sub("ephemeralcontainers"),
                _Sub("eviction", "create", "Eviction", "policy/v1"),
                _Sub("exec", "create get", "PodExecOptions"),
                _Sub("log", "get"),
                _Sub("portforward", "create get", "PodPortForwardOptions"),
                _Sub("proxy", "create delete get patch update", "PodProxyOptions"),
                _Sub("resize"),
                _STATUS,
            ),
        ),
        _Row("PodTemplate", "podtemplates", _NAMESPACED),
        _Row(
            "ReplicationController",
            "replicationcontrollers",
            _NAMESPACED,
            short="rc",
            categories="all",
            subs=(
                _SCALE,
                _STATUS,
            ),
        ),
        _Row("ResourceQuota", "resourcequotas", _NAMESPACED, short="quota", subs=(_STATUS,)),
        _Row("Secret", "secrets", _NAMESPACED),
        _Row(
            "ServiceAccount",
            "serviceaccounts",
            _NAMESPACED,
            short="sa",
            subs=(_Sub("token", "create", "TokenRequest", "authentication.k8s.io/v1"),),
        ),
        _Row(
            "Service",
            "services",
            _NAMESPACED,
            short="svc",
            categories="all",
            subs=(
                _Sub("proxy", "create delete get patch update", "ServiceProxyOptions"),
                _STATUS,
            ),
        ),
    ),
    *_version(
        "apiregistration.k8s.io",
        "v1",
        _Row("APIService", "apiservices", _CLUSTER, categories="api-extensions", subs=(_STATUS,)),
    ),
    *_version(
        "apps",
        "v1",
        _Row("ControllerRevision", "controllerrevisions", _NAMESPACED),
        _Row("DaemonSet", "daemonsets", _NAMESPACED, short="ds", categories="all", subs=(_STATUS,)),
        _Row(
            "Deployment",
            "deployments",
            _NAMESPACED,
            short="deploy",
            categories="all",
            subs=(
                _SCALE,
                _STATUS,
            ),
        ),
        _Row(
            "ReplicaSet",
            "replicasets",
            _NAMESPACED,
            short="rs",
            categories="all",
            subs=(
                _SCALE,
                _STATUS,
            ),
        ),
        _Row(
            "StatefulSet",
            "statefulsets",
            _NAMESPACED,
            short="sts",
            categories="all",
            subs=(
                _SCALE,
                _STATUS,
            ),
        ),
    ),
    *_version(
        "events.k8s.io",
        "v1",
        _Row("Event", "events", _NAMESPACED, short="ev"),
    ),
    *_version(
        "authentication.k8s.io",
        "v1",
        _Row("SelfSubjectReview", "selfsubjectreviews", _CLUSTER, verbs="create"),
        _Row("TokenReview", "tokenreviews", _CLUSTER, verbs="create"),
    ),
    *_version(
        "authorization.k8s.io",
        "v1",
        _Row("LocalSubjectAccessReview", "localsubjectaccessreviews", _NAMESPACED, verbs="create"),
        _Row("SelfSubjectAccessReview", "selfsubjectaccessreviews", _CLUSTER, verbs="create"),
        _Row("SelfSubjectRulesReview", "selfsubjectrulesreviews", _CLUSTER, verbs="create"),
        _Row("SubjectAccessReview", "subjectaccessreviews", _CLUSTER, verbs="create"),
    ),
    *_version(
        "autoscaling",
        "v2",
        _Row(
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
            _NAMESPACED,
            short="hpa",
            categories="all",
            subs=(_STATUS,),
        ),
    ),
    *_version(
        "autoscaling",
        "v1",
        _Row(
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
            _NAMESPACED,
            short="hpa",
            categories="all",
            subs=(_STATUS,),
        ),
    ),
    *_version(
        "batch",
        "v1",
        _Row("CronJob", "cronjobs", _NAMESPACED, short="cj", categories="all", subs=(_STATUS,)),
        _Row("Job", "jobs", _NAMESPACED, categories="all", subs=(_STATUS,)),
    ),
    *_version(
        "certificates.k8s.io",
        "v1",
        _Row(
            "CertificateSigningRequest",
            "certificatesigningrequests",
            _CLUSTER,
            short="csr",
            subs=(
                _Sub("approval"),
                _STATUS,
            ),
        ),
    ),
    *_version(
        "networking.k8s.io",
        "v1",
        _Row("IngressClass", "ingressclasses", _CLUSTER),
        _Row("Ingress", "ingresses", _NAMESPACED, short="ing", subs=(_STATUS,)),
        _Row("IPAddress", "ipaddresses", _CLUSTER, short="ip"),
        _Row("NetworkPolicy", "networkpolicies", _NAMESPACED, short="netpol"),
        _Row("ServiceCIDR", "servicecidrs", _CLUSTER, subs=(_STATUS,)),
    ),
    *_version(
        "policy",
        "v1",
        _Row("PodDisruptionBudget", "poddisruptionbudgets", _NAMESPACED, short="pdb", subs=(_STATUS,)),
    ),
    *_version(
        "rbac.authorization.k8s.io",
        "v1",
        _Row("ClusterRoleBinding", "clusterrolebindings", _CLUSTER),
        _Row("ClusterRole", "clusterroles", _CLUSTER),
        _Row("RoleBinding", "rolebindings", _NAMESPACED),
        _Row("Role", "roles", _NAMESPACED),
    ),
    *_version(
        "storage.k8s.io",
        "v1",
        _Row("CSIDriver", "csidrivers", _CLUSTER),
        _Row("CSINode", "csinodes", _CLUSTER),
        _Row("CSIStorageCapacity", "csistoragecapacities", _NAMESPACED),
        _Row("StorageClass", "storageclasses", _CLUSTER, short="sc"),
        _Row("VolumeAttachment", "volumeattachments", _CLUSTER, subs=(_STATUS,)),
        _Row("VolumeAttributesClass", "volumeattributesclasses", _CLUSTER, short="vac"),
    ),
    *_version(
        "admissionregistration.k8s.io",
        "v1",
        _Row("MutatingWebhookConfiguration", "mutatingwebhookconfigurations", _CLUSTER, categories="api-extensions"),
        _Row(
            "ValidatingAdmissionPolicy",
            "validatingadmissionpolicies",
            _CLUSTER,
            categories="api-extensions",
            subs=(_STATUS,),
        ),
        _Row(
            "ValidatingAdmissionPolicyBinding",
            "validatingadmissionpolicybindings",
            _CLUSTER,
            categories="api-extensions",
        ),
        _Row(
            "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", _CLUSTER, categories="api-extensions"
        ),
    ),
    *_version(
        "admissionregistration.k8s.io",
        "v1beta1",
        _Row("MutatingAdmissionPolicy", "mutatingadmissionpolicies", _CLUSTER, categories="api-extensions"),
        _Row(
            "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", _CLUSTER, categories="api-extensions"
        ),
    ),
    *_version(
        "apiextensions.k8s.io",
        "v1",
        _Row(
            "CustomResourceDefinition",
            "customresourcedefinitions",
            _CLUSTER,
            short="crd crds",
            categories="api-extensions",
            subs=(_STATUS,),
        ),
    ),
    *_version(
        "scheduling.k8s.io",
        "v1",
        _Row("PriorityClass", "priorityclasses", _CLUSTER, short="pc"),
    ),
    *_version(
        "coordination.k8s.io",
        "v1",
        _Row("Lease", "leases", _NAMESPACED),
    ),
    *_version(
        "node.k8s.io",
        "v1",
        _Row("RuntimeClass", "runtimeclasses", _CLUSTER),
    ),
    *_version(
        "discovery.k8s.io",
        "v1",
        _Row("EndpointSlice", "endpointslices", _NAMESPACED),
    ),
    *_version(
        "resource.k8s.io",
        "v1",
        _Row("DeviceClass", "deviceclasses", _CLUSTER),
        _Row("ResourceClaim", "resourceclaims", _NAMESPACED, subs=(_STATUS,)),
        _Row("ResourceClaimTemplate", "resourceclaimtemplates", _NAMESPACED),
        _Row("ResourceSlice", "resourceslices", _CLUSTER),
    ),
    *_version(
        "flowcontrol.apiserver.k8s.io",
        "v1",
        _Row("FlowSchema", "flowschemas", _CLUSTER, subs=(_STATUS,)),
        _Row("PriorityLevelConfiguration", "prioritylevelconfigurations", _CLUSTER, subs=(_STATUS,)),
    ),
)
"""Groups in the order of their priority in discovery, the preferred version of a group first."""

DELETED_IS_ANSWERED = frozenset(
    {
        *(
            GroupResource("", plural)
            for plural in (
                "persistentvolumeclaims",
                "persistentvolumes",
                "pods",
                "podtemplates",
                "resourcequotas",
                "serviceaccounts",
                "services",
            )
        ),
        *(
            GroupResource("resource.k8s.io", plural)
            for plural in ("deviceclasses", "resourceclaims", "resourceclaimtemplates", "resourceslices")
        ),
        *(
            GroupResource("storage.k8s.io", plural)
            for plural in ("csidrivers", "csinodes", "storageclasses", "volumeattachments", "volumeattributesclasses")
        ),
    }
)
"""Resources whose deletion answers with the object; the others answer with a Status once the object is gone."""
