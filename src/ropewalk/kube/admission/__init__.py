"""Admission: the chain of plug-ins that every write passes, and the plug-ins that kube-apiserver has on by default.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
"""
