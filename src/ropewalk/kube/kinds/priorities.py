"""In which order discovery lists groups and versions: kube-apiserver's priorities, those of its own APIService objects.

Clients that are given a bare resource name take the first group that has it.
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/api-service-v1/#APIServiceSpec
"""

from __future__ import annotations

from ropewalk.kube.machinery.discovery import Priority

PRIORITIES: dict[tuple[str, str], Priority] = {
    ("", "v1"): Priority(18000, 1),
    ("apps", "v1"): Priority(17800, 15),
    ("events.k8s.io", "v1"): Priority(17750, 15),
    ("authentication.k8s.io", "v1"): Priority(17700, 15),
    ("authorization.k8s.io", "v1"): Priority(17600, 15),
    ("autoscaling", "v1"): Priority(17500, 15),
    ("autoscaling", "v2"): Priority(17500, 30),
    ("batch", "v1"): Priority(17400, 15),
    ("certificates.k8s.io", "v1"): Priority(17300, 15),
    ("networking.k8s.io", "v1"): Priority(17200, 15),
    ("policy", "v1"): Priority(17100, 15),
    ("rbac.authorization.k8s.io", "v1"): Priority(17000, 15),
    ("storage.k8s.io", "v1"): Priority(16800, 15),
    ("apiextensions.k8s.io", "v1"): Priority(16700, 15),
    ("admissionregistration.k8s.io", "v1"): Priority(16700, 15),
    ("admissionregistration.k8s.io", "v1beta1"): Priority(16700, 12),
    ("scheduling.k8s.io", "v1"): Priority(16600, 15),
    ("coordination.k8s.io", "v1"): Priority(16500, 15),
    ("node.k8s.io", "v1"): Priority(16300, 15),
    ("discovery.k8s.io", "v1"): Priority(16200, 15),
    ("resource.k8s.io", "v1"): Priority(16200, 21),
    ("flowcontrol.apiserver.k8s.io", "v1"): Priority(16100, 21),
}
"""(group, version) → priority; there is an APIService for each."""

AGGREGATOR = {("apiregistration.k8s.io", "v1"): Priority(20000, 15)}
"""The group of APIServices itself: before all others, and without an APIService of its own."""
