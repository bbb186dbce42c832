"""The objects that the measurements of the Kubernetes API write: a pod as a Deployment makes them, and smaller ones.

The pod has an owner, probes, environment, volumes and tolerations, so that its rules have something to do. Its owner
must exist, or the garbage collector would take it away while it is measured. No controller acts on any of it (the owner
is none that keeps pods, the scheduler is none of ours, the Deployment is paused): what the API takes is measured.
"""

from __future__ import annotations

import json
from typing import Any

NAMESPACE = "bench"
OWNER = "web-7f9c6d5b8"
LABELS = {"app": "web", "pod-template-hash": "7f9c6d5b8", "tier": "frontend"}


def packed(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _container() -> dict[str, Any]:
    return {
        "name": "web",
        "image": "registry.example.com/team/web:v1.2.3",
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
            {"name": "LOG_LEVEL", "value": "info"},
        ],
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"cpu": "500m", "memory": "256Mi"},
        },
        "readinessProbe": {
            "httpGet": {"path": "/healthz", "port": "http", "scheme": "HTTP"},
            "initialDelaySeconds": 5,
            "periodSeconds": 10,
            "timeoutSeconds": 1,
            "successThreshold": 1,
            "failureThreshold": 3,
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/web", "readOnly": True}],
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }


VOLUMES = [{"name": "config", "configMap": {"name": "web-config", "defaultMode": 420}}]


def _template(image: str, labels: dict[str, str]) -> dict[str, Any]:
    return {
        "metadata": {"labels": labels},
        "spec": {"containers": [{**_container(), "image": image}], "volumes": VOLUMES},
    }


def pod(name: str, owner_uid: str, namespace: str = NAMESPACE) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": LABELS,
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"},
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "name": OWNER,
                    "uid": owner_uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "containers": [_container()],
            "volumes": VOLUMES,
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "default",
            "securityContext": {},
            "schedulerName": "somebody-elses",
            "tolerations": [
                {
                    "key": "node.kubernetes.io/not-ready",
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": 300,
                }
            ],
        },
        "status": {"phase": "Pending"},
    }


def owner_of_all(namespace: str = NAMESPACE) -> dict[str, Any]:
    """Of all pods."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": OWNER, "namespace": namespace}}


def deployment(image: str) -> dict[str, Any]:
    labels = {"app": "applied"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "applied", "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "paused": True,
            "replicas": 3,
            "selector": {"matchLabels": labels},
            "template": _template(image, labels),
        },
    }


def config_map(name: str, stamp: str) -> dict[str, Any]:
    """A small object that says when it was asked for."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": {"stamp": stamp},
    }
