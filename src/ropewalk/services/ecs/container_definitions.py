"""One container of a task definition: ECS's rules for every documented field, and the defaults it fills in.

Rules that need the whole definition (names, dependencies, sums) are in `container_graph.py`, Fargate's own in
`fargate.py`. Source: docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html; texts as ECS
answers them where they are known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from ropewalk.services.ecs import log_configuration
from ropewalk.services.ecs.faults import client, not_yet
from ropewalk.services.ecs.names import NAME
from ropewalk.services.ecs.records import Document

_IMAGE = re.compile(r"[A-Za-z0-9_\-:./@#]{1,255}\Z")
_PORT_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,63}\Z")
_ENVIRONMENT_NAME = re.compile(r"[^=\0]{1,32768}\Z")
_SYSCTL = re.compile(r"net\.[a-z0-9_.\-*/]+\Z")
_IPC_SYSCTLS = frozenset(
    {
        "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
        "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
    }
)  # fmt: skip
_ADDRESS = re.compile(r"[0-9a-fA-F.:]{2,45}\Z")

_LATER: Final = {
    "repositoryCredentials": "Use a registry that needs no credentials for now.",
    "secrets": "Values of Secrets Manager and Parameter Store cannot be fetched; pass the value in 'environment'.",
    "environmentFiles": "Pass the variables in 'environment'.",
    "firelensConfiguration": "Send logs with the awslogs driver.",
    "resourceRequirements": "GPUs and other accelerators cannot be given to containers.",
    "credentialSpecs": "Windows credential specs have no meaning on Linux; remove it.",
    "links": "Containers of one task reach each other over localhost with networkMode awsvpc.",
    "dockerSecurityOptions": "Remove it.",
}
"""Documented fields that mean something here only in a later version."""

_LINUX_LATER: Final = {
    "devices": "Host devices cannot be given to containers.",
    "sharedMemorySize": "The size of /dev/shm cannot be set.",
    "tmpfs": "Use a scratch volume.",
    "maxSwap": "Containers have no swap.",
    "swappiness": "Containers have no swap.",
}

_AWSVPC_FORBIDS: Final = {
    "links": "Links are not supported when networkMode=awsvpc.",
    "hostname": "Hostname is not supported on container when networkMode=awsvpc.",
    "dnsServers": "DNS servers are not supported on container when networkMode=awsvpc.",
    "dnsSearchDomains": "DNS search domains are not supported on container when networkMode=awsvpc.",
    "extraHosts": "Extra hosts are not supported on container when networkMode=awsvpc.",
    "disableNetworking": "Disable Networking is not supported on container when networkMode=awsvpc.",
}

_CAPABILITIES: Final = frozenset(
    {
        "ALL", "AUDIT_CONTROL", "AUDIT_WRITE", "BLOCK_SUSPEND", "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER",
        "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD",
        "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID",
        "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO",
        "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "SYSLOG", "WAKE_ALARM",
    }
)  # fmt: skip

_HEALTH_BOUNDS: Final = (("interval", 5, 300, 30), ("timeout", 2, 60, 5), ("retries", 1, 10, 3))


def normalise(given: dict[str, Any], network_mode: str, region: str, task_memory: bool) -> Document:
    """The container as ECS returns it. Raises ClientException."""
    name = given.get("name") or ""
    if not name:
        raise client("Container.name should not be null or empty.")
    if not NAME.match(name):
        raise client("Container.name contains invalid characters.")
    image = given.get("image") or ""
    if not image:
        raise client("Container.image should not be null or empty.")
    if not _IMAGE.match(image):
        raise client("Container.image contains invalid characters.")
    _check_network_mode(given, network_mode)
    for later in _LATER.keys() & given.keys():
        if given[later]:
            raise not_yet(f"Container '{name}'", later, _LATER[later])
    if (given.get("restartPolicy") or {}).get("enabled"):
        raise not_yet(f"Container '{name}'", "restartPolicy", "Let the task stop, or leave the policy out.")
    _check_amounts(name, given, task_memory)
    _check_timeouts(name, given)
    _check_linux(name, given.get("linuxParameters") or {})
    for ulimit in given.get("ulimits") or ():
        if ulimit["softLimit"] > ulimit["hardLimit"] >= 0:
            raise client(f"Soft limit exceeds hard limit for ulimit {ulimit['name']}")
    check_environment(name, given.get("environment") or ())
    if given.get("logConfiguration"):
        log_configuration.check(name, given["logConfiguration"], region)
    result = {key: value for key, value in given.items() if value is not None}
    result.setdefault("cpu", 0)
    result.setdefault("essential", True)
    for empty in ("environment", "mountPoints", "volumesFrom", "systemControls"):
        result.setdefault(empty, [])
    _check_sysctls(name, result["systemControls"], network_mode)
    result["portMappings"] = [_port(name, port, network_mode) for port in given.get("portMappings") or ()]
    if given.get("healthCheck"):
        result["healthCheck"] = _health_check(name, given["healthCheck"])
    return result


def _check_network_mode(given: dict[str, Any], network_mode: str) -> None:
    if network_mode == "awsvpc":
        for field in _AWSVPC_FORBIDS.keys() & given.keys():
            if given[field]:
                raise client(_AWSVPC_FORBIDS[field])
    elif network_mode == "none" and given.get("portMappings"):
        raise client("Port mappings are not supported when networkMode=none.")
    for address in given.get("dnsServers") or ():
        if not _ADDRESS.match(address):
            raise client(f"Invalid DNS server '{address}': it must be an IP address.")
    for entry in given.get("extraHosts") or ():
        if not _ADDRESS.match(entry["ipAddress"]):
            raise client(f"Invalid extra host address '{entry['ipAddress']}'.")
    if given.get("disableNetworking"):
        raise not_yet(f"Container '{given.get('name')}'", "disableNetworking", "Use networkMode=none for the task.")


def _check_amounts(name: str, given: dict[str, Any], task_memory: bool) -> None:
    cpu, memory, reservation = given.get("cpu") or 0, given.get("memory"), given.get("memoryReservation")
    if cpu < 0:
        raise client(f"Invalid setting for container '{name}'. 'cpu' must not be negative.")
    if memory is None and reservation is None and not task_memory:
        raise client(
            f"Invalid setting for container '{name}'. "
            "At least one of 'memory' or 'memoryReservation' must be specified."
        )
    for field, value in (("memory", memory), ("memoryReservation", reservation)):
        if value is not None and value < 6:
            raise client(f"Invalid setting for container '{name}'. '{field}' must be at least 6 MiB.")
    if memory is not None and reservation is not None and memory < reservation:
        raise client(
            f"Invalid setting for container '{name}'. 'memory' must be greater than or equal to 'memoryReservation'."
        )


def _check_timeouts(name: str, given: dict[str, Any]) -> None:
    for field, words in (("startTimeout", "start timeout"), ("stopTimeout", "stop timeout")):
        value = given.get(field)
        if value is not None and value < 2:
            raise client(f"Granular {words} on container '{name}' must be at least 2 seconds.")


def _check_linux(name: str, linux: dict[str, Any]) -> None:
    for later in _LINUX_LATER.keys() & linux.keys():
        if linux[later] not in (None, [], {}):
            raise not_yet(f"Container '{name}'", f"linuxParameters.{later}", _LINUX_LATER[later])
    capabilities = linux.get("capabilities") or {}
    for verb in ("add", "drop"):
        for capability in capabilities.get(verb) or ():
            if capability not in _CAPABILITIES:
                raise client(f"Invalid Linux capability '{capability}' in container '{name}'.")


def check_environment(name: str, variables: Iterable[dict[str, Any]]) -> None:
    """Names and values that a process can be given. Raises ClientException."""
    for variable in variables:
        if not _ENVIRONMENT_NAME.match(variable.get("name") or ""):
            raise client(f"Container '{name}': an environment variable has no name, or '=' in it.")
        if "\0" in (variable.get("value") or ""):
            raise client(f"Container '{name}': the value of '{variable['name']}' holds a NUL character.")


def _check_sysctls(name: str, controls: list[dict[str, Any]], network_mode: str) -> None:
    for control in controls:
        namespace, value = control.get("namespace") or "", control.get("value")
        if value is None:
            raise client(f"Container '{name}': systemControls '{namespace}' has no value.")
        known = namespace in _IPC_SYSCTLS or namespace.startswith("fs.mqueue.") or _SYSCTL.match(namespace)
        if not known:
            raise client(f"Container '{name}': systemControls namespace '{namespace}' is not allowed.")
        if network_mode == "host" and namespace.startswith("net."):
            raise client(f"Container '{name}': network systemControls are not supported when networkMode=host.")


def _port(name: str, port: dict[str, Any], network_mode: str) -> Document:
    result = {key: value for key, value in port.items() if value is not None}
    result.setdefault("protocol", "tcp")
    if result.get("name") and not _PORT_NAME.match(result["name"]):
        raise client(
            f"Container '{name}': the port mapping name '{result['name']}' is invalid: up to 64 lowercase letters, "
            "digits, underscores and hyphens, the first no hyphen."
        )
    if "appProtocol" in result and not result.get("name"):
        raise client(f"Container '{name}': appProtocol requires a port mapping name.")
    if "containerPortRange" in result:
        return _port_range(name, result, network_mode)
    container_port = result.get("containerPort")
    if container_port is None or not 1 <= container_port <= 65535:
        raise client(f"Invalid 'containerPort' setting for container '{name}': it must be between 1 and 65535.")
    fixed = network_mode in ("awsvpc", "host")
    host_port = result.setdefault("hostPort", container_port if fixed else 0)
    if fixed and host_port == 0:
        host_port = result["hostPort"] = container_port
    if not 0 <= host_port <= 65535:
        raise client(f"Invalid 'hostPort' setting for container '{name}': it must be between 0 and 65535.")
    if fixed and host_port != container_port:
        raise client(
            f"When networkMode={network_mode}, the host ports and container ports in port mappings must match."
        )
    return result


def _port_range(name: str, port: Document, network_mode: str) -> Document:
    if "containerPort" in port or "hostPort" in port:
        raise client("cannot specify both single port and port range")
    first, dash, last = str(port["containerPortRange"]).partition("-")
    if not (dash and first.isdigit() and last.isdigit() and 1 <= int(first) < int(last) <= 65535):
        raise client("Invalid 'containerPortRange' setting")
    if network_mode != "awsvpc":
        raise not_yet(f"Container '{name}'", f"containerPortRange with networkMode={network_mode}", "Name each port.")
    return port


def _health_check(name: str, check: dict[str, Any]) -> Document:
    command = check.get("command") or []
    if not command or command[0] not in ("CMD", "CMD-SHELL", "NONE") or (len(command) < 2 and command[0] != "NONE"):
        raise client(
            f"Invalid health check command for container '{name}': it must begin with CMD or CMD-SHELL, "
            "followed by the command."
        )
    result: Document = {"command": command}
    for field, least, most, default in _HEALTH_BOUNDS:
        value = check.get(field)
        result[field] = default if value is None else value
        if not least <= result[field] <= most:
            raise client(f"Health check {field} for container '{name}' must be between {least} and {most}.")
    if (start := check.get("startPeriod")) is not None:
        if not 0 <= start <= 300:
            raise client(f"Health check startPeriod for container '{name}' must be between 0 and 300.")
        result["startPeriod"] = start
    return result
