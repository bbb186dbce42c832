"""PodTemplate: a pod template that stands alone, kept by no controller.
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-template-v1/
"""

from __future__ import annotations

from ropewalk.kube.machinery.strategy import Strategy


class PodTemplates(Strategy):
    has_generation = True
