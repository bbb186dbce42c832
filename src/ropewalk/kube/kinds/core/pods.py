"""Pods: the kind that everything else is about. This file says what a write may do and how a table shows a pod; the
rules of a pod's spec stand in `pod_spec_rules`, its defaults in `pod_spec`.
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from __future__ import annotations

from ropewalk.kube.machinery.strategy import Strategy


class Pods(Strategy):
    has_status = True
    has_generation = True
