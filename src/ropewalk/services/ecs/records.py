"""What the ecs slice keeps in the store: clusters, task definitions, tasks.

Each is a frozen msgspec Struct, stored as JSON. The `…Head` types read only the few fields that the indexes in memory
need: msgspec skips the rest, so that an index over many records costs little.

Times are wall seconds, 0 where it has not happened. Amounts are as the API has them: CPU units (1024 a vCPU), MiB.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ropewalk.services.ecs.tags import Tags

CLUSTERS = "/ecs/clusters/"
DEFINITIONS = "/ecs/task-definitions/"
"""Keys are `<family>/<revision, ten digits>`."""
FAMILIES = "/ecs/families/"
TASKS = "/ecs/tasks/"
"""Keys are task ids: unique over all clusters."""

Document = dict[str, Any]
"""A validated document of the API's own shape. `Any`: its types are the service model's."""


class Strategy(msgspec.Struct, frozen=True, omit_defaults=True):
    """One item of a capacity provider strategy."""

    provider: str
    weight: int = 0
    base: int = 0


class Cluster(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    created_at: float
    status: str = "ACTIVE"
    settings: tuple[tuple[str, str], ...] = (("containerInsights", "disabled"),)
    providers: tuple[str, ...] = ()
    strategy: tuple[Strategy, ...] = ()
    tags: Tags = ()


class TaskDefinition(msgspec.Struct, frozen=True, omit_defaults=True):
    family: str
    revision: int
    document: Document
    """As registered, defaults filled in; without what this record says itself."""
    registered_at: float
    registered_by: str
    status: str = "ACTIVE"
    deregistered_at: float = 0.0
    delete_requested_at: float = 0.0
    tags: Tags = ()


class DefinitionHead(msgspec.Struct, frozen=True):
    status: str = "ACTIVE"


class Family(msgspec.Struct, frozen=True):
    """Kept once a family's newest revision has been deleted: a revision's number is never given twice."""

    last: int


class Interface(msgspec.Struct, frozen=True):
    """The task's elastic network interface, as the ec2 slice filled in its claim."""

    id: str
    address: str
    mac: str
    private_dns: str


class TaskContainer(msgspec.Struct, frozen=True, omit_defaults=True):
    uid: str
    """Last part of its ARN."""
    name: str
    image: str
    cpu: int = 0
    memory: int = 0
    memory_reservation: int = 0
    essential: bool = True
    checked: bool = False
    """Whether it has a health check."""
    status: str = "PENDING"
    runtime_id: str = ""
    image_digest: str = ""
    exit_code: int | None = None
    reason: str = ""
    health: str = "UNKNOWN"


class Task(msgspec.Struct, frozen=True, omit_defaults=True):
    id: str
    cluster: str
    family: str
    revision: int
    created_at: float
    group: str
    launch_type: str
    platform_version: str
    cpu: int
    memory: int
    ephemeral_gib: int
    machine: str
    """The host it was placed on, for good: a task never moves."""
    subnet: str
    zone: str
    security_groups: tuple[str, ...]
    attachment: str
    """Id of the interface's attachment."""
    containers: tuple[TaskContainer, ...]
    task_role: str = ""
    execution_role: str = ""
    metadata_token: str = ""
    credentials_token: str = ""
    capacity_provider: str = ""
    started_by: str = ""
    overrides: Document = {}
    tags: Tags = ()
    token: str = ""
    """The client token of the RunTask that made it, with what tells its request apart from others."""
    token_digest: str = ""
    token_index: int = 0
    token_count: int = 0
    version: int = 1
    status: str = "PROVISIONING"
    desired: str = "RUNNING"
    interface: Interface | None = None
    attachment_status: str = "PRECREATED"
    sequence: int = 0
    """Of the agent's last status taken in."""
    connectivity_at: float = 0.0
    pull_started_at: float = 0.0
    pull_stopped_at: float = 0.0
    started_at: float = 0.0
    stopping_at: float = 0.0
    execution_stopped_at: float = 0.0
    stopped_at: float = 0.0
    stop_code: str = ""
    stopped_reason: str = ""
    health: str = "UNKNOWN"

    @property
    def definition_key(self) -> str:
        return definition_key(self.family, self.revision)

    @property
    def claim_key(self) -> str:
        return f"ecs/{self.id}"

    @property
    def workload_key(self) -> str:
        return f"{self.machine}/{self.id}"


class TaskHead(msgspec.Struct, frozen=True, omit_defaults=True):
    """What lists, counts and placement need of a task."""

    cluster: str
    family: str
    revision: int
    created_at: float
    group: str
    launch_type: str
    cpu: int
    memory: int
    machine: str
    subnet: str = ""
    zone: str = ""
    started_by: str = ""
    capacity_provider: str = ""
    token: str = ""
    token_digest: str = ""
    token_index: int = 0
    token_count: int = 0
    version: int = 1
    status: str = "PROVISIONING"
    desired: str = "RUNNING"


def definition_key(family: str, revision: int) -> str:
    return f"{family}/{revision:010d}"


_HEAD_FIELDS = TaskHead.__struct_fields__


def head_of(task: Task) -> TaskHead:
    return TaskHead(*[getattr(task, name) for name in _HEAD_FIELDS])
