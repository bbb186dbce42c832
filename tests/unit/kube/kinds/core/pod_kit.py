"""A pod that breaks no rule, and what is said once it is changed."""

from __future__ import annotations

from typing import Any

from ropewalk.kube.kinds.core.pods import Pods
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object

GONE = object()
PODS = Pods()
Complaints = list[tuple[str, str]]

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
QUALIFIED = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric"
    " character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is"
    " '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def good_pod() -> Object:
    """As a client sends it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}, "annotations": {}},
        "spec": {
            "containers": [
                {
                    "name": "web",
                    "image": "registry.example.com/web:v1",
                    "ports": [{"name": "http", "containerPort": 8080}],
                    "env": [
                        {"name": "LEVEL", "value": "info"},
                        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    ],
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "128Mi"},
                        "limits": {"cpu": "500m", "memory": "256Mi"},
                    },
                    "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}},
                    "volumeMounts": [{"name": "config", "mountPath": "/etc/web"}],
                },
                {"name": "log", "image": "log:v1", "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}]},
            ],
            "initContainers": [
                {"name": "setup", "image": "setup:v1"},
                {"name": "proxy", "image": "proxy:v1", "restartPolicy": "Always"},
            ],
            "volumes": [
                {"name": "config", "configMap": {"name": "web-config"}},
                {"name": "scratch"},
                {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
            ],
        },
    }


def changed(obj: Object, changes: dict[str, Any]) -> Object:
    """`obj` itself, with `a.b.0.c` set to each value; `GONE` takes it away."""
    for path, value in changes.items():
        *way, last = path.split("/" if "/" in path else ".")
        here: Any = obj
        for step in way:
            here = here[int(step)] if isinstance(here, list) else here.setdefault(step, {})
        if isinstance(here, list):
            here[int(last) :] = [value] if value is not GONE else []
        elif value is GONE:
            here.pop(last, None)
        else:
            here[last] = value
    return obj


def made(changes: dict[str, Any] | None = None) -> Object:
    """The pod as it is judged: changed, defaulted, prepared."""
    pod = changed(good_pod(), changes or {})
    PODS.default(pod)
    PODS.prepare_create(pod)
    return pod


def said(errors: FieldErrors) -> Complaints:
    return [(cause.field, cause.message) for cause in errors.causes]


def complaints(changes: dict[str, Any]) -> Complaints:
    """What a create says of the changed pod."""
    errors = FieldErrors()
    PODS.validate_create(made(changes), errors)
    return said(errors)


def of_spec(changes: dict[str, Any]) -> Complaints:
    """The same, with changes and fields told from `spec` on."""
    return [
        (field.removeprefix("spec."), message)
        for field, message in complaints({f"spec.{path}": value for path, value in changes.items()})
    ]
