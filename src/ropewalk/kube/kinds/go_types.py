"""What the published schemas do not say of the Go types behind them, and clients can see all the same.

Go leaves an empty field out when it writes an object, unless the field is a pointer that was set or a struct held by
value: `hostNetwork: false` disappears, `replicas: 0` stays, `status: {}` is always there. OpenAPI v3 shows the second
kind as `default: {}`. These tables are facts about the API types of 1.35
(https://pkg.go.dev/k8s.io/api); they hold no behaviour.
"""

from __future__ import annotations

from ropewalk.kube.machinery.objects import Json

_POINTERS: dict[str, dict[str, str]] = {
    "io.k8s.api.admissionregistration.v1": {
        "MatchResources": "matchPolicy",
        "MutatingWebhook": "failurePolicy matchPolicy reinvocationPolicy sideEffects timeoutSeconds",
        "NamedRuleWithOperations": "scope",
        "ParamRef": "parameterNotFoundAction",
        "RuleWithOperations": "scope",
        "ServiceReference": "path port",
        "ValidatingAdmissionPolicySpec": "failurePolicy",
        "ValidatingWebhook": "failurePolicy matchPolicy sideEffects timeoutSeconds",
        "Validation": "reason",
        "WebhookClientConfig": "url",
    },
    "io.k8s.api.admissionregistration.v1beta1": {
        "MatchResources": "matchPolicy",
        "MutatingAdmissionPolicySpec": "failurePolicy",
        "ParamRef": "parameterNotFoundAction",
    },
    "io.k8s.api.apps.v1": {
        "DaemonSetSpec": "revisionHistoryLimit",
        "DaemonSetStatus": "collisionCount",
        "DeploymentSpec": "progressDeadlineSeconds replicas revisionHistoryLimit",
        "DeploymentStatus": "collisionCount terminatingReplicas",
        "ReplicaSetSpec": "replicas",
        "ReplicaSetStatus": "terminatingReplicas",
        "RollingUpdateStatefulSetStrategy": "partition",
        "StatefulSetSpec": "replicas revisionHistoryLimit",
        "StatefulSetStatus": "collisionCount",
    },
    "io.k8s.api.authentication.v1": {
        "TokenRequestSpec": "expirationSeconds",
    },
    "io.k8s.api.autoscaling.v1": {
        "HorizontalPodAutoscalerSpec": "minReplicas targetCPUUtilizationPercentage",
        "HorizontalPodAutoscalerStatus": "currentCPUUtilizationPercentage observedGeneration",
    },
    "io.k8s.api.autoscaling.v2": {
        "HPAScalingRules": "selectPolicy stabilizationWindowSeconds",
        "HorizontalPodAutoscalerSpec": "minReplicas",
        "HorizontalPodAutoscalerStatus": "observedGeneration",
        "MetricTarget": "averageUtilization",
        "MetricValueStatus": "averageUtilization",
    },
    "io.k8s.api.batch.v1": {
        "CronJobSpec": "failedJobsHistoryLimit startingDeadlineSeconds successfulJobsHistoryLimit suspend timeZone",
        "JobSpec": (
            "activeDeadlineSeconds backoffLimit backoffLimitPerIndex completionMode completions managedBy "
            "manualSelector maxFailedIndexes parallelism podReplacementPolicy suspend ttlSecondsAfterFinished"
        ),
        "JobStatus": "failedIndexes ready terminating",
        "PodFailurePolicyOnExitCodesRequirement": "containerName",
        "SuccessPolicyRule": "succeededCount succeededIndexes",
    },
    "io.k8s.api.certificates.v1": {
        "CertificateSigningRequestSpec": "expirationSeconds",
    },
    "io.k8s.api.coordination.v1": {
        "LeaseSpec": "holderIdentity leaseDurationSeconds leaseTransitions preferredHolder strategy",
    },
    "io.k8s.api.core.v1": {
        "AppArmorProfile": "localhostProfile",
        "AzureDiskVolumeSource": "cachingMode fsType kind readOnly",
        "AzureFilePersistentVolumeSource": "secretNamespace",
        "CSIVolumeSource": "fsType readOnly",
        "ClientIPConfig": "timeoutSeconds",
        "ClusterTrustBundleProjection": "name optional signerName",
        "ConfigMap": "immutable",
        "ConfigMapEnvSource": "optional",
        "ConfigMapKeySelector": "optional",
        "ConfigMapProjection": "optional",
        "ConfigMapVolumeSource": "defaultMode optional",
        "Container": "restartPolicy",
        "ContainerStatus": "started stopSignal",
        "DownwardAPIVolumeFile": "mode",
        "DownwardAPIVolumeSource": "defaultMode",
        "EndpointAddress": "nodeName",
        "EndpointPort": "appProtocol",
        "EphemeralContainer": "restartPolicy",
        "FCVolumeSource": "lun",
        "FileKeySelector": "optional",
        "GRPCAction": "service",
        "GlusterfsPersistentVolumeSource": "endpointsNamespace",
        "HostPathVolumeSource": "type",
        "ISCSIPersistentVolumeSource": "initiatorName",
        "ISCSIVolumeSource": "initiatorName",
        "KeyToPath": "mode",
        "Lifecycle": "stopSignal",
        "LoadBalancerIngress": "ipMode",
        "LocalVolumeSource": "fsType",
        "NodeFeatures": "supplementalGroupsPolicy",
        "NodeRuntimeHandlerFeatures": "recursiveReadOnlyMounts userNamespaces",
        "NodeSwapStatus": "capacity",
        "PersistentVolumeClaimSpec": "storageClassName volumeAttributesClassName volumeMode",
        "PersistentVolumeClaimStatus": "currentVolumeAttributesClassName",
        "PersistentVolumeSpec": "volumeAttributesClassName volumeMode",
        "PodCertificateProjection": "maxExpirationSeconds",
        "PodDNSConfigOption": "value",
        "PodResourceClaim": "resourceClaimName resourceClaimTemplateName",
        "PodResourceClaimStatus": "resourceClaimName",
        "PodSecurityContext": (
            "fsGroup fsGroupChangePolicy runAsGroup runAsNonRoot runAsUser seLinuxChangePolicy supplementalGroupsPolicy"
        ),
        "PodSpec": (
            "activeDeadlineSeconds automountServiceAccountToken enableServiceLinks hostUsers hostnameOverride "
            "preemptionPolicy priority runtimeClassName setHostnameAsFQDN shareProcessNamespace "
            "terminationGracePeriodSeconds"
        ),
        "PortStatus": "error",
        "Probe": "terminationGracePeriodSeconds",
        "ProjectedVolumeSource": "defaultMode",
        "ReplicationControllerSpec": "replicas",
        "SeccompProfile": "localhostProfile",
        "Secret": "immutable",
        "SecretEnvSource": "optional",
        "SecretKeySelector": "optional",
        "SecretProjection": "optional",
        "SecretVolumeSource": "defaultMode optional",
        "SecurityContext": (
            "allowPrivilegeEscalation privileged procMount readOnlyRootFilesystem runAsGroup runAsNonRoot runAsUser"
        ),
        "ServiceAccount": "automountServiceAccountToken",
        "ServiceAccountTokenProjection": "expirationSeconds",
        "ServicePort": "appProtocol",
        "ServiceSpec": (
            "allocateLoadBalancerNodePorts internalTrafficPolicy ipFamilyPolicy loadBalancerClass trafficDistribution"
        ),
        "Toleration": "tolerationSeconds",
        "TopologySpreadConstraint": "minDomains nodeAffinityPolicy nodeTaintsPolicy",
        "TypedLocalObjectReference": "apiGroup",
        "TypedObjectReference": "apiGroup namespace",
        "VolumeMount": "mountPropagation recursiveReadOnly",
        "VolumeMountStatus": "recursiveReadOnly",
        "WindowsSecurityContextOptions": "gmsaCredentialSpec gmsaCredentialSpecName hostProcess runAsUserName",
    },
    "io.k8s.api.discovery.v1": {
        "Endpoint": "hostname nodeName zone",
        "EndpointConditions": "ready serving terminating",
        "EndpointPort": "appProtocol name port protocol",
    },
    "io.k8s.api.flowcontrol.v1": {
        "ExemptPriorityLevelConfiguration": "lendablePercent nominalConcurrencyShares",
        "LimitedPriorityLevelConfiguration": "borrowingLimitPercent lendablePercent nominalConcurrencyShares",
    },
    "io.k8s.api.networking.v1": {
        "HTTPIngressPath": "pathType",
        "IngressClassParametersReference": "apiGroup namespace scope",
        "IngressPortStatus": "error",
        "IngressSpec": "ingressClassName",
        "NetworkPolicyPort": "endPort protocol",
    },
    "io.k8s.api.policy.v1": {
        "PodDisruptionBudgetSpec": "unhealthyPodEvictionPolicy",
    },
    "io.k8s.api.resource.v1": {
        "AllocatedDeviceStatus": "shareID",
        "Device": "allNodes allowMultipleAllocations bindsToNode nodeName",
        "DeviceAttribute": "bool int string version",
        "DeviceClassSpec": "extendedResourceName",
        "DeviceConstraint": "distinctAttribute matchAttribute",
        "DeviceRequestAllocationResult": "adminAccess shareID",
        "DeviceToleration": "tolerationSeconds",
        "ExactDeviceRequest": "adminAccess",
        "ResourceSliceSpec": "allNodes nodeName perDeviceNodeSelection",
    },
    "io.k8s.api.scheduling.v1": {
        "PriorityClass": "preemptionPolicy",
    },
    "io.k8s.api.storage.v1": {
        "CSIDriverSpec": (
            "attachRequired fsGroupPolicy nodeAllocatableUpdatePeriodSeconds podInfoOnMount requiresRepublish "
            "seLinuxMount serviceAccountTokenInSecrets storageCapacity"
        ),
        "StorageClass": "allowVolumeExpansion reclaimPolicy volumeBindingMode",
        "TokenRequest": "expirationSeconds",
        "VolumeAttachmentSource": "persistentVolumeName",
        "VolumeError": "errorCode",
        "VolumeNodeResources": "count",
    },
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1": {
        "CustomResourceDefinitionVersion": "deprecationWarning",
        "CustomResourceSubresourceScale": "labelSelectorPath",
        "JSONSchemaProps": (
            "$ref maxItems maxLength maxProperties maximum minItems minLength minProperties minimum "
            "multipleOf x-kubernetes-list-type x-kubernetes-map-type x-kubernetes-preserve-unknown-fields"
        ),
        "ServiceReference": "path port",
        "ValidationRule": "optionalOldSelf reason",
        "WebhookClientConfig": "url",
    },
    "io.k8s.apimachinery.pkg.apis.meta.v1": {
        "DeleteOptions": (
            "gracePeriodSeconds ignoreStoreReadErrorWithClusterBreakingPotential orphanDependents propagationPolicy"
        ),
        "ListMeta": "remainingItemCount",
        "ObjectMeta": "deletionGracePeriodSeconds",
        "OwnerReference": "blockOwnerDeletion controller",
        "Preconditions": "resourceVersion uid",
    },
    "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1": {
        "ServiceReference": "port",
    },
}
"""Scalars that are pointers: an explicit zero value differs from none, and is kept."""

_VALUES: dict[str, dict[str, str]] = {
    "io.k8s.api.admissionregistration.v1": {
        "MutatingWebhook": "clientConfig",
        "MutatingWebhookConfiguration": "metadata",
        "MutatingWebhookConfigurationList": "metadata",
        "ValidatingAdmissionPolicy": "metadata spec status",
        "ValidatingAdmissionPolicyBinding": "metadata spec",
        "ValidatingAdmissionPolicyBindingList": "metadata",
        "ValidatingAdmissionPolicyList": "metadata",
        "ValidatingWebhook": "clientConfig",
        "ValidatingWebhookConfiguration": "metadata",
        "ValidatingWebhookConfigurationList": "metadata",
    },
    "io.k8s.api.admissionregistration.v1beta1": {
        "MutatingAdmissionPolicy": "metadata spec",
        "MutatingAdmissionPolicyBinding": "metadata spec",
        "MutatingAdmissionPolicyBindingList": "metadata",
        "MutatingAdmissionPolicyList": "metadata",
    },
    "io.k8s.api.apps.v1": {
        "ControllerRevision": "metadata",
        "ControllerRevisionList": "metadata",
        "DaemonSet": "metadata spec status",
        "DaemonSetList": "metadata",
        "DaemonSetSpec": "template updateStrategy",
        "Deployment": "metadata spec status",
        "DeploymentList": "metadata",
        "DeploymentSpec": "strategy template",
        "ReplicaSet": "metadata spec status",
        "ReplicaSetList": "metadata",
        "ReplicaSetSpec": "template",
        "StatefulSet": "metadata spec status",
        "StatefulSetList": "metadata",
        "StatefulSetSpec": "template updateStrategy",
    },
    "io.k8s.api.authentication.v1": {
        "SelfSubjectReview": "metadata status",
        "SelfSubjectReviewStatus": "userInfo",
        "TokenRequest": "metadata spec status",
        "TokenReview": "metadata spec status",
        "TokenReviewStatus": "user",
    },
    "io.k8s.api.authorization.v1": {
        "LocalSubjectAccessReview": "metadata spec status",
        "SelfSubjectAccessReview": "metadata spec status",
        "SelfSubjectRulesReview": "metadata spec status",
        "SubjectAccessReview": "metadata spec status",
    },
    "io.k8s.api.autoscaling.v1": {
        "HorizontalPodAutoscaler": "metadata spec status",
        "HorizontalPodAutoscalerList": "metadata",
        "HorizontalPodAutoscalerSpec": "scaleTargetRef",
        "Scale": "metadata spec status",
    },
    "io.k8s.api.autoscaling.v2": {
        "ContainerResourceMetricSource": "target",
        "ContainerResourceMetricStatus": "current",
        "ExternalMetricSource": "metric target",
        "ExternalMetricStatus": "current metric",
        "HorizontalPodAutoscaler": "metadata spec status",
        "HorizontalPodAutoscalerList": "metadata",
        "HorizontalPodAutoscalerSpec": "scaleTargetRef",
        "ObjectMetricSource": "describedObject metric target",
        "ObjectMetricStatus": "current describedObject metric",
        "PodsMetricSource": "metric target",
        "PodsMetricStatus": "current metric",
        "ResourceMetricSource": "target",
        "ResourceMetricStatus": "current",
    },
    "io.k8s.api.batch.v1": {
        "CronJob": "metadata spec status",
        "CronJobList": "metadata",
        "CronJobSpec": "jobTemplate",
        "Job": "metadata spec status",
        "JobList": "metadata",
        "JobSpec": "template",
        "JobTemplateSpec": "metadata spec",
    },
    "io.k8s.api.certificates.v1": {
        "CertificateSigningRequest": "metadata spec status",
        "CertificateSigningRequestList": "metadata",
    },
    "io.k8s.api.coordination.v1": {
        "Lease": "metadata spec",
        "LeaseList": "metadata",
    },
    "io.k8s.api.core.v1": {
        "Binding": "metadata target",
        "ComponentStatus": "metadata",
        "ComponentStatusList": "metadata",
        "ConfigMap": "metadata",
        "ConfigMapList": "metadata",
        "Container": "resources",
        "ContainerStatus": "lastState state",
        "Endpoints": "metadata",
        "EndpointsList": "metadata",
        "EphemeralContainer": "resources",
        "Event": "involvedObject metadata source",
        "EventList": "metadata",
        "LimitRange": "metadata spec",
        "LimitRangeList": "metadata",
        "Namespace": "metadata spec status",
        "NamespaceList": "metadata",
        "Node": "metadata spec status",
        "NodeDaemonEndpoints": "kubeletEndpoint",
        "NodeList": "metadata",
        "NodeStatus": "daemonEndpoints nodeInfo",
        "PersistentVolume": "metadata spec status",
        "PersistentVolumeClaim": "metadata spec status",
        "PersistentVolumeClaimList": "metadata",
        "PersistentVolumeClaimSpec": "resources",
        "PersistentVolumeClaimTemplate": "metadata spec",
        "PersistentVolumeList": "metadata",
        "Pod": "metadata spec status",
        "PodList": "metadata",
        "PodTemplate": "metadata template",
        "PodTemplateList": "metadata",
        "PodTemplateSpec": "metadata spec",
        "PreferredSchedulingTerm": "preference",
        "ReplicationController": "metadata spec status",
        "ReplicationControllerList": "metadata",
        "ResourceQuota": "metadata spec status",
        "ResourceQuotaList": "metadata",
        "Secret": "metadata",
        "SecretList": "metadata",
        "Service": "metadata spec status",
        "ServiceAccount": "metadata",
        "ServiceAccountList": "metadata",
        "ServiceList": "metadata",
        "ServiceStatus": "loadBalancer",
        "WeightedPodAffinityTerm": "podAffinityTerm",
    },
    "io.k8s.api.discovery.v1": {
        "Endpoint": "conditions",
        "EndpointSlice": "metadata",
        "EndpointSliceList": "metadata",
    },
    "io.k8s.api.events.v1": {
        "Event": "deprecatedSource metadata regarding",
        "EventList": "metadata",
    },
    "io.k8s.api.flowcontrol.v1": {
        "FlowSchema": "metadata spec status",
        "FlowSchemaList": "metadata",
        "FlowSchemaSpec": "priorityLevelConfiguration",
        "LimitedPriorityLevelConfiguration": "limitResponse",
        "PriorityLevelConfiguration": "metadata spec status",
        "PriorityLevelConfigurationList": "metadata",
    },
    "io.k8s.api.networking.v1": {
        "HTTPIngressPath": "backend",
        "IPAddress": "metadata spec",
        "IPAddressList": "metadata",
        "Ingress": "metadata spec status",
        "IngressClass": "metadata spec",
        "IngressClassList": "metadata",
        "IngressList": "metadata",
        "IngressServiceBackend": "port",
        "IngressStatus": "loadBalancer",
        "NetworkPolicy": "metadata spec",
        "NetworkPolicyList": "metadata",
        "NetworkPolicySpec": "podSelector",
        "ServiceCIDR": "metadata spec status",
        "ServiceCIDRList": "metadata",
    },
    "io.k8s.api.node.v1": {
        "RuntimeClass": "metadata",
        "RuntimeClassList": "metadata",
    },
    "io.k8s.api.policy.v1": {
        "Eviction": "metadata",
        "PodDisruptionBudget": "metadata spec status",
        "PodDisruptionBudgetList": "metadata",
    },
    "io.k8s.api.rbac.v1": {
        "ClusterRole": "metadata",
        "ClusterRoleBinding": "metadata roleRef",
        "ClusterRoleBindingList": "metadata",
        "ClusterRoleList": "metadata",
        "Role": "metadata",
        "RoleBinding": "metadata roleRef",
        "RoleBindingList": "metadata",
        "RoleList": "metadata",
    },
    "io.k8s.api.resource.v1": {
        "AllocationResult": "devices",
        "DeviceClass": "metadata spec",
        "DeviceClassList": "metadata",
        "ResourceClaim": "metadata spec status",
        "ResourceClaimList": "metadata",
        "ResourceClaimSpec": "devices",
        "ResourceClaimTemplate": "metadata spec",
        "ResourceClaimTemplateList": "metadata",
        "ResourceClaimTemplateSpec": "metadata spec",
        "ResourceSlice": "metadata spec",
        "ResourceSliceList": "metadata",
        "ResourceSliceSpec": "pool",
    },
    "io.k8s.api.scheduling.v1": {
        "PriorityClass": "metadata",
        "PriorityClassList": "metadata",
    },
    "io.k8s.api.storage.v1": {
        "CSIDriver": "metadata spec",
        "CSIDriverList": "metadata",
        "CSINode": "metadata spec",
        "CSINodeList": "metadata",
        "CSIStorageCapacity": "metadata",
        "CSIStorageCapacityList": "metadata",
        "StorageClass": "metadata",
        "StorageClassList": "metadata",
        "VolumeAttachment": "metadata spec status",
        "VolumeAttachmentList": "metadata",
        "VolumeAttachmentSpec": "source",
        "VolumeAttributesClass": "metadata",
        "VolumeAttributesClassList": "metadata",
    },
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1": {
        "CustomResourceDefinition": "metadata spec status",
        "CustomResourceDefinitionList": "metadata",
        "CustomResourceDefinitionSpec": "names",
        "CustomResourceDefinitionStatus": "acceptedNames",
    },
    "io.k8s.apimachinery.pkg.apis.meta.v1": {
        "APIGroup": "preferredVersion",
        "Status": "metadata",
    },
    "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1": {
        "APIService": "metadata spec status",
        "APIServiceList": "metadata",
    },
}
"""Structs held by value: never absent, {} when nothing was given."""

_KEPT: dict[str, dict[str, str]] = {
    "io.k8s.api.apps.v1": {
        "StatefulSetOrdinals": "start",
        "StatefulSetSpec": "serviceName",
        "StatefulSetStatus": "availableReplicas",
    },
    "io.k8s.api.autoscaling.v2": {
        "HorizontalPodAutoscalerStatus": "currentMetrics",
    },
    "io.k8s.api.batch.v1": {
        "PodFailurePolicyOnPodConditionsPattern": "status",
    },
    "io.k8s.api.core.v1": {
        "ContainerImage": "names",
        "Event": "reportingComponent reportingInstance",
        "NodeRuntimeHandler": "name",
        "ProjectedVolumeSource": "sources",
    },
    "io.k8s.api.discovery.v1": {
        "EndpointSlice": "ports",
    },
    "io.k8s.api.flowcontrol.v1": {
        "FlowSchemaSpec": "matchingPrecedence",
        "QueuingConfiguration": "handSize queueLengthLimit queues",
        "ResourcePolicyRule": "namespaces",
    },
    "io.k8s.api.rbac.v1": {
        "ClusterRole": "rules",
        "Role": "rules",
    },
    "io.k8s.api.resource.v1": {
        "AllocatedDeviceStatus": "conditions",
        "DeviceClaim": "requests",
    },
    "io.k8s.api.storage.v1": {
        "CSINodeDriver": "topologyKeys",
    },
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1": {
        "CustomResourceDefinitionStatus": "conditions storedVersions",
    },
}
"""Optional fields that are written even when they are empty."""

_DEFAULTS: dict[str, dict[str, Json]] = {
    "io.k8s.api.apps.v1.StatefulSetOrdinals": {"start": 0},
    "io.k8s.api.apps.v1.StatefulSetSpec": {"serviceName": ""},
    "io.k8s.api.apps.v1.StatefulSetStatus": {"availableReplicas": 0},
    "io.k8s.api.autoscaling.v1.ScaleSpec": {"replicas": 0},
    "io.k8s.api.batch.v1.PodFailurePolicyOnPodConditionsPattern": {"status": ""},
    "io.k8s.api.core.v1.AzureDiskVolumeSource": {
        "cachingMode": "ReadWrite",
        "fsType": "ext4",
        "kind": "Shared",
        "readOnly": False,
    },
    "io.k8s.api.core.v1.ConfigMapEnvSource": {"name": ""},
    "io.k8s.api.core.v1.ConfigMapKeySelector": {"name": ""},
    "io.k8s.api.core.v1.ConfigMapProjection": {"name": ""},
    "io.k8s.api.core.v1.ConfigMapVolumeSource": {"name": ""},
    "io.k8s.api.core.v1.ContainerPort": {"protocol": "TCP"},
    "io.k8s.api.core.v1.ContainerRestartRule": {"action": None},
    "io.k8s.api.core.v1.ContainerRestartRuleOnExitCodes": {"operator": None},
    "io.k8s.api.core.v1.Event": {"reportingComponent": "", "reportingInstance": ""},
    "io.k8s.api.core.v1.FileKeySelector": {"optional": False},
    "io.k8s.api.core.v1.GRPCAction": {"service": ""},
    "io.k8s.api.core.v1.ISCSIPersistentVolumeSource": {"iscsiInterface": "default"},
    "io.k8s.api.core.v1.ISCSIVolumeSource": {"iscsiInterface": "default"},
    "io.k8s.api.core.v1.LocalObjectReference": {"name": ""},
    "io.k8s.api.core.v1.NodeRuntimeHandler": {"name": ""},
    "io.k8s.api.core.v1.PodCertificateProjection": {"keyType": None, "signerName": None},
    "io.k8s.api.core.v1.RBDPersistentVolumeSource": {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"},
    "io.k8s.api.core.v1.RBDVolumeSource": {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"},
    "io.k8s.api.core.v1.ReplicationControllerSpec": {"minReadySeconds": 0, "replicas": 1},
    "io.k8s.api.core.v1.ScaleIOPersistentVolumeSource": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
    "io.k8s.api.core.v1.ScaleIOVolumeSource": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
    "io.k8s.api.core.v1.SecretEnvSource": {"name": ""},
    "io.k8s.api.core.v1.SecretKeySelector": {"name": ""},
    "io.k8s.api.core.v1.SecretProjection": {"name": ""},
    "io.k8s.api.core.v1.ServicePort": {"protocol": "TCP"},
    "io.k8s.api.flowcontrol.v1.FlowSchemaSpec": {"matchingPrecedence": 0},
    "io.k8s.api.flowcontrol.v1.QueuingConfiguration": {"handSize": 0, "queueLengthLimit": 0, "queues": 0},
    "io.k8s.api.networking.v1.ParentReference": {"name": None, "resource": None},
    "io.k8s.api.resource.v1.DeviceToleration": {"operator": "Equal"},
}
"""Published defaults other than the zero value of a required field; None: no default though it is required."""

NEVER_EMPTY = frozenset(
    {
        "io.k8s.apimachinery.pkg.api.resource.Quantity",
        "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray",
    }
)
"""Types whose value is never {}, as items of a list or values of a map."""


OMITTED: dict[str, frozenset[str]] = {
    "io.k8s.api.core.v1.ContainerRestartRule": frozenset({"action"}),
    "io.k8s.api.core.v1.ContainerRestartRuleOnExitCodes": frozenset({"operator"}),
    "io.k8s.api.core.v1.PodCertificateProjection": frozenset({"keyType", "signerName"}),
    "io.k8s.api.networking.v1.ParentReference": frozenset({"name", "resource"}),
    "io.k8s.api.resource.v1.CounterSet": frozenset({"counters"}),
    "io.k8s.api.resource.v1.DeviceCounterConsumption": frozenset({"counters"}),
}
"""Required fields that are left out all the same when they are empty."""

_ZEROS: dict[str, dict[str, str]] = {
    "io.k8s.api.apps.v1": {
        "ControllerRevision": "revision",
        "DaemonSetStatus": "currentNumberScheduled desiredNumberScheduled numberMisscheduled numberReady",
        "ReplicaSetStatus": "replicas",
        "StatefulSetOrdinals": "start",
        "StatefulSetStatus": "availableReplicas replicas",
    },
    "io.k8s.api.autoscaling.v1": {
        "HorizontalPodAutoscalerStatus": "currentReplicas desiredReplicas",
        "ScaleStatus": "replicas",
    },
    "io.k8s.api.autoscaling.v2": {
        "HorizontalPodAutoscalerStatus": "desiredReplicas",
    },
    "io.k8s.api.core.v1": {
        "ContainerStateTerminated": "exitCode",
        "ContainerStatus": "restartCount",
        "DaemonEndpoint": "Port",
        "ISCSIPersistentVolumeSource": "lun",
        "ISCSIVolumeSource": "lun",
        "LinuxContainerUser": "gid uid",
        "PortStatus": "port",
        "ReplicationControllerStatus": "replicas",
        "SleepAction": "seconds",
    },
    "io.k8s.api.events.v1": {
        "EventSeries": "count",
    },
    "io.k8s.api.networking.v1": {
        "IngressPortStatus": "port",
    },
    "io.k8s.api.policy.v1": {
        "PodDisruptionBudgetStatus": "currentHealthy desiredHealthy disruptionsAllowed expectedPods",
    },
    "io.k8s.api.resource.v1": {
        "ResourcePool": "generation resourceSliceCount",
    },
    "io.k8s.api.scheduling.v1": {
        "PriorityClass": "value",
    },
}
"""Numbers that are written even where they are 0, of those that may be 0."""

_FALSE: dict[str, dict[str, str]] = {
    "io.k8s.api.core.v1": {
        "ContainerStatus": "ready",
    },
    "io.k8s.api.storage.v1": {
        "VolumeAttachmentStatus": "attached",
    },
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1": {
        "CustomResourceDefinitionVersion": "served storage",
    },
}
"""The same of truths."""

_EMPTY: dict[str, dict[str, str]] = {
    "io.k8s.api.apps.v1": {
        "StatefulSetSpec": "serviceName",
    },
    "io.k8s.api.core.v1": {
        "AttachedVolume": "devicePath name",
        "ContainerStatus": "image imageID",
        "Event": "reportingComponent reportingInstance",
        "HTTPHeader": "value",
        "NodeRuntimeHandler": "name",
        "NodeSystemInfo": (
            "architecture bootID containerRuntimeVersion kernelVersion kubeProxyVersion kubeletVersion machineID "
            "operatingSystem osImage systemUUID"
        ),
        "Sysctl": "value",
    },
    "io.k8s.api.storage.v1": {
        "TokenRequest": "audience",
    },
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1": {
        "CustomResourceDefinitionNames": "kind plural",
    },
    "io.k8s.apimachinery.pkg.apis.meta.v1": {
        "Condition": "message",
    },
}
"""The same of texts."""


def _split(table: dict[str, dict[str, str]]) -> dict[str, frozenset[str]]:
    return {
        f"{package}.{kind}": frozenset(fields.split())
        for package, kinds in table.items()
        for kind, fields in kinds.items()
    }


POINTERS, VALUES, KEPT = _split(_POINTERS), _split(_VALUES), _split(_KEPT)
DEFAULTS = _DEFAULTS


def _always() -> dict[str, dict[str, Json]]:
    found: dict[str, dict[str, Json]] = {"io.k8s.api.core.v1.ResourceFieldSelector": {"divisor": "0"}}
    for table, zero in ((_ZEROS, 0), (_FALSE, False), (_EMPTY, "")):
        for definition, fields in _split(table).items():
            found.setdefault(definition, {}).update(dict.fromkeys(sorted(fields), zero))
    return found


ALWAYS = _always()
"""Values other than {} that are written where nothing was given."""
