"""A Workload in CRI's words: sandbox and container configurations. Pure.

What CRI cannot say (ulimits) goes into an annotation that our OCI wrapper reads (`adjust.py`). Labels tell a sandbox or
container again after a restart of ours; annotations of the sandbox carry what its containers need of it later.

Sources: the CRI protocol's comments; Docker's defaults for masked and read-only paths and for entrypoint and command.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from ropewalk.model.host import RESOLVER_ADDRESS
from ropewalk.model.ids import Owner, WorkloadUid
from ropewalk.model.workload import Container, Isolation, NetworkMode, Workload
from ropewalk.node.cri._generated import cri_pb2 as cri
from ropewalk.node.cri.adjust import RLIMITS
from ropewalk.node.cri.cgroups import PERIOD, Version, clamped
from ropewalk.node.runtime import ContainerSetup, CreateFailed, Forbidden, ImageInfo

MANAGED = "ropewalk/managed"
OWNER = "ropewalk/owner"
UID = "ropewalk/uid"
NAME = "ropewalk/name"
ATTEMPT = "ropewalk/attempt"
SANDBOX = "ropewalk/sandbox"
LOG_FOLDER = "ropewalk/log-folder"
ADDRESS = "ropewalk/address"
CPU = "ropewalk/cpu-millis"
INIT_PATH = "/sbin/docker-init"
"""Where `init: true` puts the small init, as Docker does."""

PLAIN, ADJUSTED, OWN_KERNEL = "runc", "runc-adjusted", "runsc"
"""Runtime handlers."""

_MASKED = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_HOSTNAME_LIMIT = 63


def handler(workload: Workload) -> str:
    """Which runtime handler makes the sandbox."""
    if workload.isolation is Isolation.OWN_KERNEL:
        return OWN_KERNEL
    return ADJUSTED if any(container.ulimits for container in workload.containers) else PLAIN


def hostname(workload: Workload) -> str:
    if workload.network is NetworkMode.HOST:
        return ""
    given = workload.hostname or (workload.interface.hostname if workload.interface else "") or workload.name
    return re.sub(r"[^A-Za-z0-9.-]+", "-", given)[:_HOSTNAME_LIMIT].strip("-.") or "workload"


def hosts_file(workload: Workload) -> str:
    """/etc/hosts of the workload's containers: loopback, itself, and what it asked for."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    if workload.interface is not None and workload.domain:
        name = hostname(workload)
        lines.append(f"{workload.interface.address} {name}.{workload.domain} {name}")
    elif workload.interface is not None:
        name = hostname(workload)
        short = name.partition(".")[0]
        lines.append(f"{workload.interface.address} {name}" + (f" {short}" if short != name else ""))
    lines += [f"{address} {name}" for name, address in workload.extra_hosts]
    return "\n".join(lines) + "\n"


def _namespaces(workload: Workload) -> cri.NamespaceOption:
    return cri.NamespaceOption(
        network=cri.NODE if workload.network is NetworkMode.HOST else cri.POD,
        pid=cri.POD if workload.shared_pid_namespace else cri.CONTAINER,
        ipc=cri.POD,
    )


def _dns(workload: Workload) -> cri.DNSConfig | None:
    """None copies the machine's own resolver configuration, right only for what shares its network."""
    servers = workload.dns_servers
    if not servers and workload.network is NetworkMode.INTERFACE:
        servers = (RESOLVER_ADDRESS,)
    if not servers and not workload.dns_search and workload.network is NetworkMode.HOST:
        return None
    return cri.DNSConfig(servers=servers or ("127.0.0.1",), searches=workload.dns_search, options=workload.dns_options)


def sandbox_config(workload: Workload, log_folder: str, attempt: int, cgroup: str) -> cri.PodSandboxConfig:
    """Raises `CreateFailed` for what this runtime does not offer."""
    if workload.network is NetworkMode.BRIDGE:
        raise CreateFailed("network mode bridge is not offered on this machine; use an interface, host or none")
    sysctls = {name: value for container in workload.containers for name, value in container.sysctls}
    if workload.network is NetworkMode.HOST and any(name.startswith("net.") for name in sysctls):
        raise CreateFailed("net.* sysctls cannot be set where the workload shares the machine's network")
    privileged = any(container.privileged for container in workload.containers)
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", workload.name)[:_HOSTNAME_LIMIT].strip("-.")
    return cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(
            name=plain or "workload", uid=workload.uid, namespace=workload.owner, attempt=attempt
        ),
        hostname=hostname(workload),
        log_directory=log_folder,
        dns_config=_dns(workload),
        labels={
            MANAGED: "true",
            OWNER: workload.owner,
            UID: workload.uid,
            NAME: workload.name,
            ATTEMPT: str(attempt),
        },
        annotations={
            LOG_FOLDER: log_folder,
            ADDRESS: workload.interface.address
            if workload.interface is not None and workload.network is NetworkMode.INTERFACE
            else "",
            CPU: str(workload.resources.cpu_millis),
        },
        linux=cri.LinuxPodSandboxConfig(
            cgroup_parent=cgroup,
            sysctls=sysctls,
            security_context=cri.LinuxSandboxSecurityContext(
                namespace_options=_namespaces(workload),
                privileged=privileged,
                # A sandbox's only process is ours and waits for ever; loading a filter for it costs 30 ms a sandbox.
                seccomp=cri.SecurityProfile(profile_type=cri.SecurityProfile.Unconfined),
            ),
        ),
    )


def _seccomp(container: Container) -> cri.SecurityProfile:
    free = container.privileged or container.seccomp == "unconfined"
    kind = cri.SecurityProfile.Unconfined if free else cri.SecurityProfile.RuntimeDefault
    return cri.SecurityProfile(profile_type=kind)


def _user(user: str) -> tuple[cri.Int64Value | None, cri.Int64Value | None, str]:
    """(uid, gid, name) as CRI splits it; a name may carry its group behind a colon."""
    name, colon, group = user.partition(":")
    if name.isdigit() and (not colon or group.isdigit()):
        return cri.Int64Value(value=int(name)), cri.Int64Value(value=int(group)) if group else None, ""
    return None, None, user


def _check_not_root(user: str, container: str) -> None:
    """As the kubelet has it, and in its words."""
    name = user.partition(":")[0]
    if name and not name.isdigit():
        raise Forbidden(
            f"container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root"
        )
    if int(name or "0") == 0:
        raise Forbidden(f"container has runAsNonRoot and image will run as root (container: {container})")


def process(container: Container, image: ImageInfo) -> list[str]:
    """The whole command line: replacing the entrypoint drops the image's command, as in Docker."""
    if container.command:
        argv = [*container.command, *(container.arguments or ())]
    else:
        argv = [*image.entrypoint, *(image.command if container.arguments is None else container.arguments)]
    if not argv:
        raise CreateFailed(f"no command is given for container {container.name}, and its image names none")
    return [INIT_PATH, "--", *argv] if container.init else argv


def _mounts(container: Container, setup: ContainerSetup, files: Mapping[str, str]) -> list[cri.Mount]:
    """The agent's files first, so that a volume may lie over them."""
    mounted = {mount.path for mount in container.mounts}
    mounts = [
        cri.Mount(container_path=path, host_path=source, readonly=path == INIT_PATH)
        for path, source in files.items()
        if path not in mounted
    ]
    for mount in container.mounts:
        source = setup.parts.get(mount.path) if mount.sub_path else setup.volumes.get(mount.volume)
        if source is None:
            raise CreateFailed(f"container {container.name} mounts volume {mount.volume}, which does not exist")
        mounts.append(cri.Mount(container_path=mount.path, host_path=source, readonly=mount.read_only))
    return mounts


def _resources(workload: Workload, container: Container, version: Version) -> cri.LinuxContainerResources:
    limit = clamped(container.resources, workload.resources)
    unified = {}
    if version is Version.TWO and limit.memory_reservation_bytes:
        unified["memory.low"] = str(limit.memory_reservation_bytes)
    return cri.LinuxContainerResources(
        cpu_period=PERIOD if limit.cpu_millis else 0,
        cpu_quota=max(1000, limit.cpu_millis * PERIOD // 1000) if limit.cpu_millis else 0,
        cpu_shares=limit.cpu_shares,
        memory_limit_in_bytes=limit.memory_bytes,
        unified=unified,
        oom_score_adj=container.out_of_memory_score,
    )


def container_config(
    sandbox: str,
    workload: Workload,
    container: Container,
    image: ImageInfo,
    attempt: int,
    setup: ContainerSetup,
    files: Mapping[str, str],
    version: Version,
) -> cri.ContainerConfig:
    """`files`: path in the container → file of the machine, for what the runtime mounts on its own account."""
    user = container.user
    if user.startswith(":"):
        user = (image.user.partition(":")[0] or "0") + user
    if container.must_not_be_root:
        _check_not_root(user or image.user, container.name)
    uid, gid, username = _user(user)
    environment = dict(setup.environment) | {variable.name: variable.value for variable in container.environment}
    annotations = {}
    if container.ulimits:
        annotations[RLIMITS] = json.dumps([[limit.name, limit.soft, limit.hard] for limit in container.ulimits])
    return cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name=container.name, attempt=attempt),
        image=cri.ImageSpec(image=image.reference),
        command=process(container, image),
        working_dir=container.working_directory,
        envs=[cri.KeyValue(key=name, value=value) for name, value in environment.items()],
        mounts=_mounts(container, setup, files),
        labels={
            MANAGED: "true",
            OWNER: workload.owner,
            UID: workload.uid,
            NAME: container.name,
            ATTEMPT: str(attempt),
            SANDBOX: sandbox,
        },
        annotations=annotations,
        log_path=setup.log_path,
        stdin=container.interactive,
        stdin_once=container.input_once,
        tty=container.terminal,
        linux=cri.LinuxContainerConfig(
            resources=_resources(workload, container, version),
            security_context=cri.LinuxContainerSecurityContext(
                capabilities=cri.Capability(
                    add_capabilities=[name.removeprefix("CAP_") for name in container.add_capabilities],
                    drop_capabilities=[name.removeprefix("CAP_") for name in container.drop_capabilities],
                ),
                privileged=container.privileged,
                namespace_options=_namespaces(workload),
                run_as_user=uid,
                run_as_group=gid,
                run_as_username=username,
                readonly_rootfs=container.read_only_root,
                masked_paths=() if container.privileged else _MASKED,
                readonly_paths=() if container.privileged else _READ_ONLY,
                seccomp=_seccomp(container),
                no_new_privs=container.no_new_privileges,
                supplemental_groups=workload.groups,
            ),
        ),
    )


def identity(labels: Mapping[str, str]) -> tuple[Owner, WorkloadUid, str, int]:
    """(owner, uid, name, attempt) of what bears these labels."""
    return Owner(labels[OWNER]), WorkloadUid(labels[UID]), labels[NAME], int(labels[ATTEMPT])
