"""ECS's own refusals, in its codes. Knows no resource; every message says what to do.

Codes as in the API reference (docs.aws.amazon.com/AmazonECS/latest/APIReference/CommonErrors.html and each operation).
"""

from __future__ import annotations

from ropewalk.base.errors import Fault


def client(message: str) -> Fault:
    """ClientException: the request is well formed but ECS will not do it."""
    return Fault("ClientException", message)


def invalid(message: str) -> Fault:
    return Fault("InvalidParameterException", message)


def cluster_not_found() -> Fault:
    return Fault("ClusterNotFoundException", "Cluster not found.")


def service_not_found() -> Fault:
    return Fault("ServiceNotFoundException", "Service not found.")


def not_yet(where: str, what: str, instead: str) -> Fault:
    """A documented parameter that this platform cannot honour: refused by name rather than dropped."""
    prefix = f"{where}: " if where else ""
    return client(f"{prefix}'{what}' is not supported by Ropewalk yet. {instead}")


def not_yet_invalid(what: str, instead: str) -> Fault:
    """The same for a parameter of a call (RunTask, CreateCluster) rather than of a definition."""
    return invalid(f"'{what}' is not supported by Ropewalk yet. {instead}")
