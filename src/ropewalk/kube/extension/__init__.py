"""Kinds that are added to a running server: custom resources by their definitions, other servers by API services.

https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/
"""
