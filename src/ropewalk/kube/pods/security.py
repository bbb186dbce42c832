"""Whom a pod's containers run as and what they may do, in the waist's terms. Pure.

Where nothing is said of a filter for system calls the runtime's own is used, as by a kubelet with `seccompDefault`: the
machines stand on one kernel with everything else of their owner. What reaches the machine itself (privileged, its
namespaces, capabilities beyond a container's own namespaces) is refused by name unless the machine confines it.
https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.pods.refusals import Refused
from ropewalk.kube.pods.sources import Place

_BASIC = {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW"}
_IDENTITY = {"SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}
OWN_CAPABILITIES = frozenset(_BASIC | _IDENTITY | {"IPC_LOCK", "NET_ADMIN", "NET_BROADCAST", "SYS_PTRACE"})
"""What can be had without reaching beyond the container's own namespaces."""
_IPV4 = "net.ipv4."
SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        _IPV4 + "tcp_syncookies",
        _IPV4 + "ping_group_range",
        _IPV4 + "ip_unprivileged_port_start",
    }
    | {_IPV4 + name for name in ("ip_local_port_range", "ip_local_reserved_ports", "tcp_keepalive_time")}
    | {
        _IPV4 + name
        for name in ("tcp_fin_timeout", "tcp_keepalive_intvl", "tcp_keepalive_probes", "tcp_rmem", "tcp_wmem")
    }
)
"""What a pod may set of its own kernel parameters and reach nobody else."""
_HOST_FIELDS = ("hostPID", "hostIPC", "hostNetwork")


class Security(NamedTuple):
    user: str
    must_not_be_root: bool
    read_only_root: bool
    privileged: bool
    no_new_privileges: bool
    seccomp: str
    add: tuple[str, ...]
    drop: tuple[str, ...]


def check_pod(pod: Object, place: Place) -> None:
    """Raises `Refused`; on a simulated machine there is nothing to be refused."""
    if not place.files:
        return
    spec = pod.get("spec") or {}
    for name in _HOST_FIELDS:
        if spec.get(name) and not (place.host_access and name == "hostNetwork"):
            raise Refused("", f"{name} is not offered on this node")
    if spec.get("hostUsers") is False:
        raise Refused("", "user namespaces (hostUsers: false) are not offered on this node")
    for sysctl in at(spec, "securityContext", "sysctls") or ():
        if sysctl["name"].replace("/", ".") not in SAFE_SYSCTLS:
            raise Refused("", f'forbidden sysctl: "{sysctl["name"]}" not allowlisted')
    if spec.get("runtimeClassName"):
        raise Refused("", f"runtimeClassName {spec['runtimeClassName']} is not offered on this node")
    if spec.get("resourceClaims"):
        raise Refused("", "resourceClaims are not offered on this node")
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        if not spec.get("hostNetwork") and any(port.get("hostPort") for port in container.get("ports") or ()):
            raise Refused(container["name"], "hostPort is not offered on this node")
    if at(spec, "securityContext", "supplementalGroupsPolicy") == "Strict":
        raise Refused("", "supplementalGroupsPolicy Strict is not offered on this node")


def of_container(pod: Object, container: Object, place: Place) -> Security:
    """The container's own word before the pod's. Raises `Refused`."""
    confined = place.host_access or not place.files
    whole, own = at(pod, "spec", "securityContext") or {}, container.get("securityContext") or {}

    def said(name: str) -> Any:
        return own[name] if own.get(name) is not None else whole.get(name)

    name = container["name"]
    privileged = bool(own.get("privileged"))
    if privileged and not confined:
        raise Refused(name, "a privileged container is not offered on this node")
    capabilities = own.get("capabilities") or {}
    add = tuple(str(each).removeprefix("CAP_") for each in capabilities.get("add") or ())
    beyond = sorted(set(add) - OWN_CAPABILITIES)
    if beyond and not confined:
        raise Refused(name, f"capability {beyond[0]} is not offered on this node")
    if own.get("procMount") == "Unmasked" and place.files:
        raise Refused(name, "procMount Unmasked is not offered on this node")
    if (said("appArmorProfile") or {}).get("type") == "Localhost" and place.files:
        raise Refused(name, "an AppArmor profile of the node's own is not offered on this node")
    user, group = said("runAsUser"), said("runAsGroup")
    if said("runAsNonRoot") and user == 0:
        raise Refused(name, "container's runAsUser breaks non-root policy")
    return Security(
        user=("" if user is None else str(user)) + ("" if group is None else f":{group}"),
        must_not_be_root=bool(said("runAsNonRoot")),
        read_only_root=bool(own.get("readOnlyRootFilesystem")),
        privileged=privileged,
        no_new_privileges=own.get("allowPrivilegeEscalation") is False,
        seccomp=_seccomp(name, said("seccompProfile") or {}) if place.files else "",
        add=add,
        drop=tuple(str(each).removeprefix("CAP_") for each in capabilities.get("drop") or ()),
    )


def _seccomp(container: str, profile: Object) -> str:
    kind = profile.get("type", "RuntimeDefault")
    if kind == "Localhost":
        raise Refused(container, "a seccomp profile of the node's own is not offered on this node")
    return "unconfined" if kind == "Unconfined" else ""


def groups(pod: Object) -> tuple[int, ...]:
    """Beside their own group, of every container of the pod."""
    context = at(pod, "spec", "securityContext") or {}
    own = () if context.get("fsGroup") is None else (context["fsGroup"],)
    return (*own, *(context.get("supplementalGroups") or ()))
