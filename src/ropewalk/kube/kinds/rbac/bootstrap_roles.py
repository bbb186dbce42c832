"""The cluster roles of a fresh cluster, in Kubernetes 1.35 with its default features.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
"""

from __future__ import annotations

from ropewalk.kube.kinds.rbac.rules import EVENTS, READ, READ_UPDATE, READ_WRITE, WRITE, Rules, may, urls

AGGREGATED = {"admin": "", "edit": "admin", "view": "edit"}
"""Roles that gather the rules of others, and the next one that they are gathered by. A role labelled
`rbac.authorization.k8s.io/aggregate-to-view` counts for `view`.
"""

CLUSTER_ROLES: dict[str, Rules] = {
    "admin": (),
    "cluster-admin": (
        may("*", "*", groups="*"),
        urls("*", "*"),
    ),
    "edit": (),
    "system:aggregate-to-admin": (
        may("create", "localsubjectaccessreviews", groups="authorization.k8s.io"),
        may(READ_WRITE, "rolebindings roles", groups="rbac.authorization.k8s.io"),
    ),
    "system:aggregate-to-edit": (
        may(READ, "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
        may("impersonate", "serviceaccounts"),
        may(WRITE, "pods pods/attach pods/exec pods/portforward pods/proxy"),
        may("create", "pods/eviction"),
        may(
            WRITE,
            "configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale "
            "secrets serviceaccounts services services/proxy",
        ),
        may("create", "serviceaccounts/token"),
        may(WRITE, "events", groups="core events.k8s.io"),
        may(
            WRITE,
            "daemonsets deployments deployments/rollback deployments/scale replicasets "
            "replicasets/scale statefulsets statefulsets/scale",
            groups="apps",
        ),
        may(WRITE, "horizontalpodautoscalers", groups="autoscaling"),
        may(WRITE, "cronjobs jobs", groups="batch"),
        may(
            WRITE,
            "daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies "
            "replicasets replicasets/scale replicationcontrollers/scale",
            groups="extensions",
        ),
        may(WRITE, "poddisruptionbudgets", groups="policy"),
        may(WRITE, "ingresses networkpolicies", groups="networking.k8s.io"),
        may(READ_WRITE, "leases", groups="coordination.k8s.io"),
        may(WRITE, "resourceclaims resourceclaimtemplates", groups="resource.k8s.io"),
    ),
    "system:aggregate-to-view": (
        may(
            READ,
            "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods "
            "replicationcontrollers replicationcontrollers/scale serviceaccounts services "
            "services/status",
        ),
        may(
            READ,
            "bindings limitranges namespaces/status pods/log pods/status "
            "replicationcontrollers/status resourcequotas resourcequotas/status",
        ),
        may(READ, "namespaces"),
        may(READ, "events", groups="core events.k8s.io"),
        may(READ, "endpointslices", groups="discovery.k8s.io"),
        may(
            READ,
            "controllerrevisions daemonsets daemonsets/status deployments deployments/scale "
            "deployments/status replicasets replicasets/scale replicasets/status statefulsets "
            "statefulsets/scale statefulsets/status",
            groups="apps",
        ),
        may(READ, "horizontalpodautoscalers horizontalpodautoscalers/status", groups="autoscaling"),
        may(READ, "cronjobs cronjobs/status jobs jobs/status", groups="batch"),
        may(
            READ,
            "daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses "
            "ingresses/status networkpolicies replicasets replicasets/scale replicasets/status "
            "replicationcontrollers/scale",
            groups="extensions",
        ),
        may(READ, "poddisruptionbudgets poddisruptionbudgets/status", groups="policy"),
        may(READ, "ingresses ingresses/status networkpolicies", groups="networking.k8s.io"),
        may(READ, "resourceclaims resourceclaims/status resourceclaimtemplates", groups="resource.k8s.io"),
    ),
    "system:auth-delegator": (
        may("create", "tokenreviews", groups="authentication.k8s.io"),
        may("create", "subjectaccessreviews", groups="authorization.k8s.io"),
    ),
    "system:basic-user": (
        may("create", "selfsubjectaccessreviews selfsubjectrulesreviews", groups="authorization.k8s.io"),
        may("create", "selfsubjectreviews", groups="authentication.k8s.io"),
    ),
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient": (
        may("create", "certificatesigningrequests/nodeclient", groups="certificates.k8s.io"),
    ),
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": (
        may("create", "certificatesigningrequests/selfnodeclient", groups="certificates.k8s.io"),
    ),
    "system:certificates.k8s.io:kube-apiserver-client-approver": (
        may("approve", "signers", groups="certificates.k8s.io", names="kubernetes.io/kube-apiserver-client"),
    ),
    "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver": (
        may("approve", "signers", groups="certificates.k8s.io", names="kubernetes.io/kube-apiserver-client-kubelet"),
    ),
    "system:certificates.k8s.io:kubelet-serving-approver": (
        may("approve", "signers", groups="certificates.k8s.io", names="kubernetes.io/kubelet-serving"),
    ),
    "system:certificates.k8s.io:legacy-unknown-approver": (
        may("approve", "signers", groups="certificates.k8s.io", names="kubernetes.io/legacy-unknown"),
    ),
    "system:discovery": (
        urls("get", "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/"),
    ),
    "system:heapster": (
        may(READ, "events namespaces nodes pods"),
        may(READ, "deployments", groups="extensions"),
    ),
    "system:kube-aggregator": (may(READ, "endpoints services"),),
    "system:kube-controller-manager": (
        EVENTS,
        may("create", "leases", groups="coordination.k8s.io"),
        may("get update", "leases", groups="coordination.k8s.io", names="kube-controller-manager"),
        may("create", "secrets serviceaccounts"),
        may("delete", "secrets"),
        may("get", "configmaps namespaces secrets serviceaccounts"),
        may("update", "secrets serviceaccounts"),
        may("create", "tokenreviews", groups="authentication.k8s.io"),
        may("create", "subjectaccessreviews", groups="authorization.k8s.io"),
        may("list watch", "*", groups="*"),
        may("create", "serviceaccounts/token"),
    ),
    "system:kube-dns": (may("list watch", "endpoints services"),),
    "system:kube-scheduler": (
        EVENTS,
        may("create", "leases", groups="coordination.k8s.io"),
        may("get list update watch", "leases", groups="coordination.k8s.io", names="kube-scheduler"),
        may(READ_WRITE, "leasecandidates", groups="coordination.k8s.io"),
        may(READ, "nodes"),
        may("delete get list watch", "pods"),
        may("create", "bindings pods/binding"),
        may("patch update", "pods/status"),
        may(READ, "replicationcontrollers services"),
        may(READ, "replicasets", groups="apps extensions"),
        may(READ, "statefulsets", groups="apps"),
        may(READ, "poddisruptionbudgets", groups="policy"),
        may(READ, "persistentvolumeclaims persistentvolumes"),
        may("create", "tokenreviews", groups="authentication.k8s.io"),
        may("create", "subjectaccessreviews", groups="authorization.k8s.io"),
        may(READ, "csinodes", groups="storage.k8s.io"),
        may(READ, "volumeattachments", groups="storage.k8s.io"),
        may(READ, "namespaces"),
        may(READ, "csidrivers", groups="storage.k8s.io"),
        may(READ, "csistoragecapacities", groups="storage.k8s.io"),
        may(READ, "deviceclasses", groups="resource.k8s.io"),
        may(READ_UPDATE, "resourceclaims", groups="resource.k8s.io"),
        may(READ_UPDATE, "resourceclaims/status", groups="resource.k8s.io"),
        may("update", "pods/finalizers"),
        may(READ, "resourceslices", groups="resource.k8s.io"),
    ),
    "system:kubelet-api-admin": (
        may(READ, "nodes"),
        may("proxy", "nodes"),
        may("*", "nodes/log nodes/metrics nodes/proxy nodes/stats"),
        may("*", "nodes/configz nodes/healthz nodes/pods"),
    ),
    "system:monitoring": (
        urls("get", "/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*"),
        may("get", "nodes/metrics"),
    ),
    "system:node": (
        may("create", "tokenreviews", groups="authentication.k8s.io"),
        may("create", "localsubjectaccessreviews subjectaccessreviews", groups="authorization.k8s.io"),
        may(READ, "services"),
        may("create get list watch", "nodes"),
        may("patch update", "nodes/status"),
        may("patch update", "nodes"),
        EVENTS,
        may(READ, "pods"),
        may("create delete", "pods"),
        may("patch update", "pods/status"),
        may("create", "pods/eviction"),
        may(READ, "configmaps secrets"),
        may("get", "persistentvolumeclaims persistentvolumes"),
        may("get", "endpoints"),
        may("create get list watch", "certificatesigningrequests", groups="certificates.k8s.io"),
        may("create delete get patch update", "leases", groups="coordination.k8s.io"),
        may("get", "volumeattachments", groups="storage.k8s.io"),
        may("create", "serviceaccounts/token"),
        may("get patch update", "persistentvolumeclaims/status"),
        may(READ, "csidrivers", groups="storage.k8s.io"),
        may("create delete get patch update", "csinodes", groups="storage.k8s.io"),
        may(READ, "runtimeclasses", groups="node.k8s.io"),
        may("get", "resourceclaims", groups="resource.k8s.io"),
        may("deletecollection", "resourceslices", groups="resource.k8s.io"),
        may("get", "serviceaccounts"),
    ),
    "system:node-bootstrapper": (
        may("create get list watch", "certificatesigningrequests", groups="certificates.k8s.io"),
    ),
    "system:node-problem-detector": (
        may("get", "nodes"),
        may("patch", "nodes/status"),
        EVENTS,
    ),
    "system:node-proxier": (
        may("list watch", "endpoints services"),
        may(READ, "nodes"),
        EVENTS,
        may("list watch", "servicecidrs", groups="networking.k8s.io"),
        may("list watch", "endpointslices", groups="discovery.k8s.io"),
    ),
    "system:persistent-volume-provisioner": (
        may("create delete get list watch", "persistentvolumes"),
        may("get list update watch", "persistentvolumeclaims"),
        may(READ, "storageclasses", groups="storage.k8s.io"),
        may("watch", "events"),
        EVENTS,
    ),
    "system:public-info-viewer": (urls("get", "/healthz /livez /readyz /version /version/"),),
    "system:service-account-issuer-discovery": (
        urls(
            "get",
            "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/",
        ),
    ),
    "system:volume-scheduler": (
        may(READ_UPDATE, "persistentvolumes"),
        may(READ, "storageclasses", groups="storage.k8s.io"),
        may(READ_UPDATE, "persistentvolumeclaims"),
    ),
    "view": (),
}
