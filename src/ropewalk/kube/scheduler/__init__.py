"""The cluster's scheduler: kube-scheduler's decisions, queue and words, over the planner that ECS's placement uses too.

https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
"""
