"""The JSON of ECS's task metadata endpoint, version 4, as on Fargate: pure functions of a workload's state.

Field names and meanings: Amazon ECS developer guide, "Task metadata v4 JSON response for tasks on Fargate" and its
examples; statistics have the shape of Docker's `GET /containers/{id}/stats`. A fact that is not known is left out.
"""

from __future__ import annotations

from typing import Any

from ropewalk.model import documents
from ropewalk.model.host import RESOLVER_ADDRESS
from ropewalk.model.status import ContainerPhase, Health, WorkloadPhase
from ropewalk.model.workload import Container, NetworkMode
from ropewalk.node.runtime import ContainerStats
from ropewalk.node.shapes import rfc3339_nano
from ropewalk.planning.lifecycle_records import ContainerState, State

_CONTAINER_STATUS = {
    ContainerPhase.PENDING: "NONE",
    ContainerPhase.CREATED: "CREATED",
    ContainerPhase.RUNNING: "RUNNING",
    ContainerPhase.EXITED: "STOPPED",
}
_TASK_STATUS = {
    WorkloadPhase.ACCEPTED: "NONE",
    WorkloadPhase.PREPARING: "NONE",
    WorkloadPhase.STARTING: "CREATED",
    WorkloadPhase.RUNNING: "RUNNING",
    WorkloadPhase.STOPPING: "RUNNING",
    WorkloadPhase.STOPPED: "STOPPED",
}
_NETWORK = {
    NetworkMode.INTERFACE: "awsvpc",
    NetworkMode.BRIDGE: "bridge",
    NetworkMode.HOST: "host",
    NetworkMode.NONE: "none",
}
_ECS_LABELS = (documents.CLUSTER, documents.TASK_ARN, documents.FAMILY, documents.REVISION)


def docker_id(state: State, name: str) -> str:
    """As on Fargate: the task's id, a dash, ten digits."""
    task = dict(state.workload.labels).get(documents.TASK_ARN, state.workload.uid).rsplit("/", 1)[-1]
    return documents.container_token(task, name)


def container(state: State, spec: Container) -> dict[str, Any]:
    known = state.container(spec.name) or ContainerState(spec.name)
    facts = dict(state.workload.labels)
    own = dict(spec.labels)
    arn = own.pop(documents.CONTAINER_ARN, "")
    labels = own | {name: facts[name] for name in _ECS_LABELS if name in facts}
    labels["com.amazonaws.ecs.container-name"] = spec.name
    found: dict[str, Any] = {
        "DockerId": docker_id(state, spec.name),
        "Name": spec.name,
        "DockerName": spec.name,
        "Image": spec.image,
        "ImageID": known.digest,
        "Labels": labels,
        "DesiredStatus": "STOPPED" if state.ending else "RUNNING",
        "KnownStatus": _CONTAINER_STATUS[known.phase],
        "Limits": {
            "CPU": spec.resources.cpu_shares or spec.resources.cpu_millis * 1024 // 1000,
            **({"Memory": spec.resources.memory_bytes >> 20} if spec.resources.memory_bytes else {}),
        },
        "Type": "NORMAL",
        "Networks": _networks(state),
    }
    if known.created_at:
        found["CreatedAt"] = rfc3339_nano(known.created_at)
    if known.started_at:
        found["StartedAt"] = rfc3339_nano(known.started_at)
    if known.phase is ContainerPhase.EXITED and known.finished_at:
        found["FinishedAt"] = rfc3339_nano(known.finished_at)
        if known.exit_code is not None:
            found["ExitCode"] = known.exit_code
    if spec.ports:
        found["Ports"] = [
            {
                "ContainerPort": p.container_port,
                "Protocol": p.protocol,
                **({"HostPort": p.host_port} if p.host_port else {}),
            }
            for p in spec.ports
        ]
    if spec.health is not None:
        found["Health"] = {
            "status": known.health.name if known.health is not Health.UNKNOWN else "UNKNOWN",
            **({"statusSince": rfc3339_nano(known.health_changed_at)} if known.health_changed_at else {}),
        }
    if arn:
        found["ContainerARN"] = arn
    if spec.log is not None:
        found["LogDriver"] = "awslogs"
        found["LogOptions"] = {
            "awslogs-create-group": "true" if spec.log.create_group else "false",
            "awslogs-group": spec.log.group,
            "awslogs-region": spec.log.region,
            "awslogs-stream": spec.log.stream,
        }
    return found


def _networks(state: State) -> list[dict[str, Any]]:
    workload = state.workload
    network: dict[str, Any] = {"NetworkMode": _NETWORK[workload.network]}
    interface = workload.interface
    if interface is not None:
        network |= {
            "IPv4Addresses": [interface.address],
            "AttachmentIndex": 0,
            "MACAddress": interface.mac,
            "IPv4SubnetCIDRBlock": interface.subnet_cidr,
            "DomainNameServers": list(workload.dns_servers) or [RESOLVER_ADDRESS],
            "PrivateDNSName": interface.hostname,
            "SubnetGatewayIpv4Address": f"{interface.gateway}/{interface.subnet_cidr.partition('/')[2]}",
        }
        if workload.dns_search:
            network["DomainNameSearchList"] = list(workload.dns_search)
    return [network]


def task(state: State, *, tags: bool) -> dict[str, Any]:
    workload = state.workload
    facts = dict(workload.labels)
    found: dict[str, Any] = {
        "Cluster": facts.get(documents.CLUSTER, ""),
        "TaskARN": facts.get(documents.TASK_ARN, ""),
        "Family": facts.get(documents.FAMILY, ""),
        "Revision": facts.get(documents.REVISION, ""),
        "DesiredStatus": "STOPPED" if state.ending else "RUNNING",
        "KnownStatus": _TASK_STATUS[state.phase],
    }
    if service := facts.get(documents.SERVICE):
        found["ServiceName"] = service
    limits: dict[str, float | int] = {}
    if workload.resources.cpu_millis:
        limits["CPU"] = workload.resources.cpu_millis / 1000
    if workload.resources.memory_bytes:
        limits["Memory"] = workload.resources.memory_bytes >> 20
    if limits:
        found["Limits"] = limits
    if state.pull_started_at:
        found["PullStartedAt"] = rfc3339_nano(state.pull_started_at)
    if state.pull_stopped_at:
        found["PullStoppedAt"] = rfc3339_nano(state.pull_stopped_at)
    if state.execution_stopped_at:
        found["ExecutionStoppedAt"] = rfc3339_nano(state.execution_stopped_at)
    if zone := facts.get(documents.ZONE):
        found["AvailabilityZone"] = zone
    if launch := facts.get(documents.LAUNCH_TYPE):
        found["LaunchType"] = launch
    if tags:
        prefix = documents.TAG_PREFIX
        found["TaskTags"] = {name[len(prefix) :]: value for name, value in facts.items() if name.startswith(prefix)}
    found["Containers"] = [container(state, spec) for spec in workload.containers]
    found["FaultInjectionEnabled"] = False
    return found


def stats(state: State, name: str, sample: ContainerStats, earlier: ContainerStats | None) -> dict[str, Any]:
    def cpu(one: ContainerStats | None) -> dict[str, Any]:
        used = one.cpu_nanoseconds if one is not None else 0
        cpus = max(1, -(-state.workload.resources.cpu_millis // 1000))
        return {
            "cpu_usage": {"total_usage": used, "usage_in_kernelmode": 0, "usage_in_usermode": used},
            "system_cpu_usage": int(one.sampled_at * 1e9) * cpus if one is not None else 0,
            "online_cpus": cpus,
            "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
        }

    zero = "0001-01-01T00:00:00Z"
    found: dict[str, Any] = {
        "read": rfc3339_nano(sample.sampled_at),
        "preread": rfc3339_nano(earlier.sampled_at) if earlier is not None else zero,
        "pids_stats": {"current": sample.processes},
        "blkio_stats": {
            "io_service_bytes_recursive": [
                {"major": 0, "minor": 0, "op": "Read", "value": sample.read_bytes},
                {"major": 0, "minor": 0, "op": "Write", "value": sample.written_bytes},
            ]
        },
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": cpu(sample),
        "precpu_stats": cpu(earlier),
        "memory_stats": {
            "usage": sample.memory_bytes + sample.memory_cache_bytes,
            "limit": sample.memory_limit_bytes or state.workload.resources.memory_bytes,
            "stats": {"cache": sample.memory_cache_bytes, "inactive_file": sample.memory_cache_bytes},
        },
        "name": name,
        "id": docker_id(state, name),
        "networks": {"eth1": {"rx_bytes": sample.received_bytes, "tx_bytes": sample.sent_bytes}},
    }
    if earlier is not None and sample.sampled_at > earlier.sampled_at:
        seconds = sample.sampled_at - earlier.sampled_at
        found["network_rate_stats"] = {
            "rx_bytes_per_sec": (sample.received_bytes - earlier.received_bytes) / seconds,
            "tx_bytes_per_sec": (sample.sent_bytes - earlier.sent_bytes) / seconds,
        }
    return found
