"""The Pod Security Standards, check by check, each since the version of Kubernetes that brought it.
https://kubernetes.io/docs/concepts/security/pod-security-standards/

A check is a pure function of a pod's annotations and spec; it gives a reason and a detail, or None where all is well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from ropewalk.kube.machinery.objects import Object, at

Violation: TypeAlias = tuple[str, str]
Check: TypeAlias = Callable[[dict[str, str], Object], "Violation | None"]


def containers_of(spec: Object) -> Iterator[Object]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(kind) or ()


def _security(container: Object) -> Object:
    found: Object = container.get("securityContext") or {}
    return found


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _many(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _containers(names: list[str]) -> str:
    return f"{_many('container', len(names))} {_quoted(names)}"


def _uses(names: list[str]) -> str:
    return "uses" if len(names) == 1 else "use"


def _setters(pod: bool, names: list[str]) -> str:
    """ "pod and containers …"."""
    return " and ".join([*(["pod"] if pod else []), *([_containers(names)] if names else [])])


def _is_windows(spec: Object) -> bool:
    return bool(at(spec, "os", "name") == "windows")


def _not_windows(check: Check) -> Check:
    return lambda annotations, spec: None if _is_windows(spec) else check(annotations, spec)


def _unless_own_users(check: Check) -> Check:
    """Pods in a user namespace of their own may do more."""
    return lambda annotations, spec: None if spec.get("hostUsers") is False else check(annotations, spec)


# --- baseline


def app_armor(annotations: dict[str, str], spec: Object) -> Violation | None:
    values: set[str] = set()

    def bad(context: Object) -> bool:
        profile = context.get("appArmorProfile")
        if profile is None or profile.get("type") in ("RuntimeDefault", "Localhost"):
            return False
        values.add(profile.get("type", ""))
        return True

    pod = bad(spec.get("securityContext") or {})
    names = [container["name"] for container in containers_of(spec) if bad(_security(container))]
    setters = [setter for setter in (_setters(pod, names),) if setter]
    listed = sorted(values)
    wrong = sorted(
        f'{key}="{value}"'
        for key, value in annotations.items()
        if key.startswith("container.apparmor.security.beta.kubernetes.io/")
        and value not in ("", "runtime/default")
        and not value.startswith("localhost/")
    )
    if wrong:
        listed += wrong
        setters.append(_many("annotation", len(wrong)))
    if not setters:
        return None
    reason = _many("forbidden AppArmor profile", len(listed))
    return reason, f"{' and '.join(setters)} must not set AppArmor profile type to {_quoted(listed)}"


_CAPABILITIES = frozenset(
    {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP"}
    | {"SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}
)


def _added(container: Object, allowed: frozenset[str]) -> list[str]:
    return [word for word in at(container, "securityContext", "capabilities", "add") or () if word not in allowed]


def capabilities_baseline(annotations: dict[str, str], spec: Object) -> Violation | None:
    wrong = {container["name"]: _added(container, _CAPABILITIES) for container in containers_of(spec)}
    names = [name for name, added in wrong.items() if added]
    if not names:
        return None
    added = _quoted(sorted({word for words in wrong.values() for word in words}))
    return "non-default capabilities", (
        f"{_containers(names)} must not include {added} in securityContext.capabilities.add"
    )


def host_namespaces(annotations: dict[str, str], spec: Object) -> Violation | None:
    wrong = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return ("host namespaces", ", ".join(wrong)) if wrong else None


def host_path_volumes(annotations: dict[str, str], spec: Object) -> Violation | None:
    names = [volume["name"] for volume in spec.get("volumes") or () if "hostPath" in volume]
    return ("hostPath volumes", f"{_many('volume', len(names))} {_quoted(names)}") if names else None


def host_ports(annotations: dict[str, str], spec: Object) -> Violation | None:
    ports: set[str] = set()
    names: list[str] = []
    for container in containers_of(spec):
        wrong = {str(port["hostPort"]) for port in container.get("ports") or () if port.get("hostPort")}
        if wrong:
            names.append(container["name"])
            ports |= wrong
    if not names:
        return None
    return "hostPort", (
        f"{_containers(names)} {_uses(names)} {_many('hostPort', len(ports))} {', '.join(sorted(ports))}"
    )


def host_probes(annotations: dict[str, str], spec: Object) -> Violation | None:
    hosts: set[str] = set()
    names: set[str] = set()
    for container in containers_of(spec):
        lifecycle = container.get("lifecycle") or {}
        handlers = [container.get(probe) for probe in ("livenessProbe", "readinessProbe", "startupProbe")]
        handlers += [lifecycle.get("postStart"), lifecycle.get("preStop")]
        for handler in handlers:
            wrong = {host for kind in ("httpGet", "tcpSocket") if (host := at(handler, kind, "host"))}
            if wrong:
                names.add(container["name"])
                hosts |= wrong
    if not names:
        return None
    listed = sorted(names)
    told = f"{_containers(listed)} {_uses(listed)} {_many('probe or lifecycle host', len(hosts))}"
    return "probe or lifecycle host", f"{told} {_quoted(sorted(hosts))}"


def privileged(annotations: dict[str, str], spec: Object) -> Violation | None:
    names = [container["name"] for container in containers_of(spec) if _security(container).get("privileged")]
    return ("privileged", f"{_containers(names)} must not set securityContext.privileged=true") if names else None


def proc_mount(annotations: dict[str, str], spec: Object) -> Violation | None:
    wrong = {
        container["name"]: mount
        for container in containers_of(spec)
        if (mount := _security(container).get("procMount")) not in (None, "Default")
    }
    if not wrong:
        return None
    kinds = _quoted(sorted(set(wrong.values())))
    return "procMount", f"{_containers(list(wrong))} must not set securityContext.procMount to {kinds}"


def _se_linux(allowed: frozenset[str]) -> Check:
    def check(annotations: dict[str, str], spec: Object) -> Violation | None:
        types: set[str] = set()
        fields: set[str] = set()

        def bad(context: Object) -> bool:
            options = context.get("seLinuxOptions")
            if options is None:
                return False
            wrong = {field for field in ("user", "role") if options.get(field)}
            fields.update(wrong)
            if options.get("type", "") not in allowed:
                types.add(options["type"])
                return True
            return bool(wrong)

        pod = bad(spec.get("securityContext") or {})
        names = [container["name"] for container in containers_of(spec) if bad(_security(container))]
        if not pod and not names:
            return None
        told = [f"{_many('type', len(types))} {_quoted(sorted(types))}"] if types else []
        told += [f"{field} may not be set" for field in ("user", "role") if field in fields]
        setters = _setters(pod, names)
        return "seLinuxOptions", f"{setters} set forbidden securityContext.seLinuxOptions: {'; '.join(told)}"

    return check


_SE_LINUX = frozenset({"", "container_t", "container_init_t", "container_kvm_t"})


def seccomp_annotations(annotations: dict[str, str], spec: Object) -> Violation | None:
    keys = ["seccomp.security.alpha.kubernetes.io/pod"]
    keys += [f"container.seccomp.security.alpha.kubernetes.io/{one['name']}" for one in containers_of(spec)]
    wrong = sorted(
        {
            f'{key}="{annotations[key]}"'
            for key in keys
            if key in annotations
            and annotations[key] not in ("runtime/default", "docker/default")
            and not annotations[key].startswith("localhost/")
        }
    )
    return ("seccompProfile", f"forbidden {_many('annotation', len(wrong))} {', '.join(wrong)}") if wrong else None


_SECCOMP = ("RuntimeDefault", "Localhost")


def _seccomp_set_badly(spec: Object) -> Violation | None:
    values: set[str] = set()

    def bad(context: Object) -> bool:
        profile = context.get("seccompProfile")
        if profile is None or profile.get("type") in _SECCOMP:
            return False
        values.add(profile.get("type", ""))
        return True

    pod = bad(spec.get("securityContext") or {})
    names = [container["name"] for container in containers_of(spec) if bad(_security(container))]
    if not pod and not names:
        return None
    told = f"{_setters(pod, names)} must not set securityContext.seccompProfile.type to {_quoted(sorted(values))}"
    return "seccompProfile", told


def seccomp_baseline(annotations: dict[str, str], spec: Object) -> Violation | None:
    return _seccomp_set_badly(spec)


_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
    }
)
_SYSCTLS_27 = _SYSCTLS | {"net.ipv4.ip_local_reserved_ports"}
_SYSCTLS_29 = _SYSCTLS_27 | {
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}
_SYSCTLS_32 = _SYSCTLS_29 | {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}


def _sysctls(allowed: frozenset[str]) -> Check:
    def check(annotations: dict[str, str], spec: Object) -> Violation | None:
        names = [sysctl["name"] for sysctl in at(spec, "securityContext", "sysctls") or ()]
        wrong = [name for name in names if name not in allowed]
        return ("forbidden sysctls", ", ".join(wrong)) if wrong else None

    return check


def windows_host_process(annotations: dict[str, str], spec: Object) -> Violation | None:
    def bad(context: Object) -> bool:
        return bool(at(context, "windowsOptions", "hostProcess"))

    pod = bad(spec.get("securityContext") or {})
    names = [container["name"] for container in containers_of(spec) if bad(_security(container))]
    if not pod and not names:
        return None
    return "hostProcess", f"{_setters(pod, names)} must not set securityContext.windowsOptions.hostProcess=true"


# --- restricted


def allow_privilege_escalation(annotations: dict[str, str], spec: Object) -> Violation | None:
    names = [
        container["name"]
        for container in containers_of(spec)
        if _security(container).get("allowPrivilegeEscalation") is not False
    ]
    if not names:
        return None
    told = f"{_containers(names)} must set securityContext.allowPrivilegeEscalation=false"
    return "allowPrivilegeEscalation != false", told


_BINDING = frozenset({"NET_BIND_SERVICE"})


def capabilities_restricted(annotations: dict[str, str], spec: Object) -> Violation | None:
    keeping = [
        container["name"]
        for container in containers_of(spec)
        if "ALL" not in (at(container, "securityContext", "capabilities", "drop") or ())
    ]
    wrong = {container["name"]: _added(container, _BINDING) for container in containers_of(spec)}
    adding = [name for name, added in wrong.items() if added]
    told = [f'{_containers(keeping)} must set securityContext.capabilities.drop=["ALL"]'] if keeping else []
    if adding:
        words = _quoted(sorted({word for added in wrong.values() for word in added}))
        told.append(f"{_containers(adding)} must not include {words} in securityContext.capabilities.add")
    return ("unrestricted capabilities", "; ".join(told)) if told else None


_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)


def restricted_volumes(annotations: dict[str, str], spec: Object) -> Violation | None:
    wrong = {
        volume["name"]: next((kind for kind in volume if kind != "name"), "unknown")
        for volume in spec.get("volumes") or ()
        if not _VOLUMES & volume.keys()
    }
    if not wrong:
        return None
    names, kinds = list(wrong), sorted(set(wrong.values()))
    told = f"{_many('volume', len(names))} {_quoted(names)} {_uses(names)}"
    return "restricted volume types", f"{told} {_many('restricted volume type', len(kinds))} {_quoted(kinds)}"


def run_as_non_root(annotations: dict[str, str], spec: Object) -> Violation | None:
    of_pod = at(spec, "securityContext", "runAsNonRoot")
    explicit: list[str] = []
    implicit: list[str] = []
    for container in containers_of(spec):
        stated = _security(container).get("runAsNonRoot")
        if stated is False:
            explicit.append(container["name"])
        elif stated is None and not of_pod:
            implicit.append(container["name"])
    reason = "runAsNonRoot != true"
    if of_pod is False or explicit:
        return reason, f"{_setters(of_pod is False, explicit)} must not set securityContext.runAsNonRoot=false"
    if implicit:
        return reason, f"pod or {_containers(implicit)} must set securityContext.runAsNonRoot=true"
    return None


def run_as_user(annotations: dict[str, str], spec: Object) -> Violation | None:
    pod = at(spec, "securityContext", "runAsUser") == 0
    names = [container["name"] for container in containers_of(spec) if _security(container).get("runAsUser") == 0]
    return ("runAsUser=0", f"{_setters(pod, names)} must not set runAsUser=0") if pod or names else None


def seccomp_restricted(annotations: dict[str, str], spec: Object) -> Violation | None:
    wrong = _seccomp_set_badly(spec)
    if wrong is not None:
        return wrong
    if at(spec, "securityContext", "seccompProfile", "type") in _SECCOMP:
        return None
    names = [container["name"] for container in containers_of(spec) if "seccompProfile" not in _security(container)]
    if not names:
        return None
    return "seccompProfile", (
        f'pod or {_containers(names)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    )


# --- which checks a level has in a version


@dataclass(frozen=True, slots=True)
class Standard:
    """One check through the versions: since which minor version it is which function."""

    id: str
    versions: tuple[tuple[int, Check], ...]
    overrides: str = ""
    """The baseline check that this restricted one takes the place of."""

    def at(self, minor: int) -> Check | None:
        found = None
        for since, check in self.versions:
            if since <= minor:
                found = check
        return found


BASELINE = (
    Standard("appArmorProfile", ((0, app_armor),)),
    Standard("capabilities_baseline", ((0, capabilities_baseline),)),
    Standard("hostNamespaces", ((0, host_namespaces),)),
    Standard("hostPathVolumes", ((0, host_path_volumes),)),
    Standard("hostPorts", ((0, host_ports),)),
    Standard("hostProbesAndHostLifecycle", ((34, host_probes),)),
    Standard("privileged", ((0, privileged),)),
    Standard("procMount", ((0, proc_mount), (35, _unless_own_users(proc_mount)))),
    Standard("seLinuxOptions", ((0, _se_linux(_SE_LINUX)), (31, _se_linux(_SE_LINUX | {"container_engine_t"})))),
    Standard("seccompProfile_baseline", ((0, seccomp_annotations), (19, seccomp_baseline))),
    Standard(
        "sysctls",
        (
            (0, _sysctls(_SYSCTLS)),
            (27, _sysctls(_SYSCTLS_27)),
            (29, _sysctls(_SYSCTLS_29)),
            (32, _sysctls(_SYSCTLS_32)),
        ),
    ),
    Standard("windowsHostProcess", ((0, windows_host_process),)),
)

RESTRICTED = (
    Standard(
        "allowPrivilegeEscalation",
        ((8, allow_privilege_escalation), (25, _not_windows(allow_privilege_escalation))),
    ),
    Standard(
        "capabilities_restricted",
        ((22, capabilities_restricted), (25, _not_windows(capabilities_restricted))),
        overrides="capabilities_baseline",
    ),
    Standard("procMount_restricted", ((35, proc_mount),), overrides="procMount"),
    Standard("restrictedVolumes", ((0, restricted_volumes),), overrides="hostPathVolumes"),
    Standard("runAsNonRoot", ((0, run_as_non_root), (35, _unless_own_users(run_as_non_root)))),
    Standard("runAsUser", ((23, run_as_user), (35, _unless_own_users(run_as_user)))),
    Standard(
        "seccompProfile_restricted",
        ((19, seccomp_restricted), (25, _not_windows(seccomp_restricted))),
        overrides="seccompProfile_baseline",
    ),
)
