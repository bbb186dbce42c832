"""Rules that bind the containers of one definition together: names, ports, dependencies, sums. Pure."""

from __future__ import annotations

from typing import Any

from ropewalk.services.ecs.faults import client
from ropewalk.services.ecs.records import Document
from ropewalk.services.ecs.volumes import check_mounts

MOST_CONTAINERS = 10


def check(containers: list[Document], volumes: set[str], network_mode: str) -> None:
    """Raises ClientException."""
    if len(containers) > MOST_CONTAINERS:
        raise client(f"A task definition may hold at most {MOST_CONTAINERS} containers.")
    by_name: dict[str, Document] = {}
    for container in containers:
        if container["name"] in by_name:
            raise client("Container names must be unique within a task definition.")
        by_name[container["name"]] = container
    if not any(container["essential"] for container in containers):
        raise client("Task definition doesn't have any essential container.")
    _check_ports(containers, network_mode)
    for container in containers:
        check_mounts(container["name"], container["mountPoints"], volumes)
        for source in container["volumesFrom"]:
            other = source.get("sourceContainer") or ""
            if other not in by_name or other == container["name"]:
                raise client(f"Invalid 'volumesFrom' setting. Unknown container: '{other}'")
        for dependency in container.get("dependsOn") or ():
            _check_dependency(dependency, by_name)
    if cycle(containers):
        raise client("Container dependencies (dependsOn, volumesFrom) should not have a cycle.")


def _check_dependency(dependency: dict[str, Any], by_name: dict[str, Document]) -> None:
    target = by_name.get(dependency["containerName"])
    if target is None:
        raise client(f"Cannot depend on container + '{dependency['containerName']}' because it does not exist")
    condition = dependency["condition"]
    if condition in ("SUCCESS", "COMPLETE") and target["essential"]:
        raise client("A dependency container with SUCCESS or COMPLETE condition cannot be an essential container")
    if condition == "HEALTHY" and "healthCheck" not in target:
        raise client("A dependency container with HEALTHY condition must have health check configured")


def _check_ports(containers: list[Document], network_mode: str) -> None:
    """Port names are unique; where all containers share one stack, so are the ports."""
    names: set[str] = set()
    taken: dict[tuple[str, int], str] = {}
    for container in containers:
        for port in container["portMappings"]:
            name = port.get("name")
            if name and name in names:
                raise client(f"The port mapping name {name} is already used. Port mapping names must be unique.")
            names.add(name or "")
            for number in _numbers(port, network_mode):
                if (port["protocol"], number) in taken:
                    raise client(f"The container port {number} is used multiple times in task.")
                taken[port["protocol"], number] = container["name"]


def _numbers(port: Document, network_mode: str) -> range:
    if "containerPortRange" in port:
        first, _, last = port["containerPortRange"].partition("-")
        return range(int(first), int(last) + 1)
    if network_mode == "bridge":
        return range(port["hostPort"], port["hostPort"] + 1) if port["hostPort"] else range(0)
    return range(port["containerPort"], port["containerPort"] + 1)


def cycle(containers: list[Document]) -> bool:
    """Whether start-up would wait for itself."""
    waits = {
        container["name"]: {dependency["containerName"] for dependency in container.get("dependsOn") or ()}
        | {source["sourceContainer"] for source in container["volumesFrom"]}
        for container in containers
    }
    while waits:
        free = [name for name, others in waits.items() if not others & waits.keys()]
        if not free:
            return True
        for name in free:
            del waits[name]
    return False


def check_sums(containers: list[Document], cpu: int | None, memory: int | None) -> None:
    """Containers fit into the task's size, where it has one. Raises ClientException."""
    if cpu is not None and sum(container["cpu"] for container in containers) > cpu:
        raise client("The sum of all container 'cpu' values cannot be greater than the task-level 'cpu' value.")
    if memory is None:
        return
    reserved = 0
    for container in containers:
        if (container.get("memory") or 0) > memory:
            raise client(f"The 'memory' setting for container '{container['name']}' is greater than for the task.")
        reserved += container.get("memoryReservation") or container.get("memory") or 0
    if reserved > memory:
        raise client(
            "The sum of all container memory reservations cannot be greater than the task-level 'memory' value."
        )
