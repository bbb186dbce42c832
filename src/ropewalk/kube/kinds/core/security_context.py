"""Rules of security contexts, a pod's and a container's.
https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ropewalk.kube.kinds.core.checks import check_id, check_relative
from ropewalk.kube.kinds.core.windows_options import validate_windows_options
from ropewalk.kube.kinds.go_spelling import go_printed
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_PROC_MOUNTS = ("Default", "Unmasked")
_LONGEST_SYSCTL = 253
_SYSCTL_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL_TEXT = rf"^({_SYSCTL_SEGMENT}[\./])*{_SYSCTL_SEGMENT}$"
_SYSCTL = re.compile(_SYSCTL_TEXT)
_LONGEST_PROFILE = 4095
_IPC_SYSCTLS = frozenset(
    f"kernel.{name}"
    for name in ["sem", "shm", "shmall", "shmmax", "shmmni", "shm_rmid_forced", "msg", "msgmax", "msgmnb", "msgmni"]
)


def validate_security_context(context: Object, path: Path, errors: FieldErrors, *, host_users: bool) -> None:
    """A container's."""
    get = context.get
    check_id(errors, path / "runAsUser", get("runAsUser"))
    check_id(errors, path / "runAsGroup", get("runAsGroup"))
    if (mount := get("procMount")) is not None:
        if mount not in _PROC_MOUNTS:
            errors.not_supported(path / "procMount", mount, _PROC_MOUNTS)
        if host_users and mount == "Unmasked":
            errors.invalid(path / "procMount", mount, "`hostUsers` must be false to use `Unmasked`")
    if (profile := get("seccompProfile")) is not None:
        _validate_seccomp(profile, path / "seccompProfile", errors)
    if get("allowPrivilegeEscalation") is False:
        if get("privileged"):
            text = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            errors.invalid(path, go_printed(context, "core.v1.SecurityContext"), text)
        for capability in (get("capabilities") or {}).get("add") or ():
            if capability == "CAP_SYS_ADMIN":
                text = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
                errors.invalid(path, go_printed(context, "core.v1.SecurityContext"), text)
    if (options := get("windowsOptions")) is not None:
        validate_windows_options(options, path / "windowsOptions", errors)
    if (profile := get("appArmorProfile")) is not None:
        validate_app_armor(profile, path / "appArmorProfile", errors)


def validate_pod_security_context(context: Object, spec: Object, path: Path, errors: FieldErrors) -> None:
    get = context.get
    for name in ("fsGroup", "runAsUser", "runAsGroup"):
        check_id(errors, path / name, get(name))
    for index, group in enumerate(get("supplementalGroups") or ()):
        check_id(errors, path / "supplementalGroups" / index, group)
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.invalid(path / "shareProcessNamespace", True, text)
    if sysctls := get("sysctls"):
        _validate_sysctls(sysctls, spec, path / "sysctls", errors)
    if (policy := get("fsGroupChangePolicy")) is not None and policy not in ("Always", "OnRootMismatch"):
        errors.not_supported(path / "fsGroupChangePolicy", policy, ("Always", "OnRootMismatch"))
    if (profile := get("seccompProfile")) is not None:
        _validate_seccomp(profile, path / "seccompProfile", errors)
    if (options := get("windowsOptions")) is not None:
        validate_windows_options(options, path / "windowsOptions", errors)
    if (profile := get("appArmorProfile")) is not None:
        validate_app_armor(profile, path / "appArmorProfile", errors)
    if (policy := get("supplementalGroupsPolicy")) is not None and policy not in ("Merge", "Strict"):
        errors.not_supported(path / "supplementalGroupsPolicy", policy, ("Merge", "Strict"))
    # MountOption waits for SELinuxMount, which is off in 1.35.
    if (policy := get("seLinuxChangePolicy")) is not None and policy != "Recursive":
        errors.not_supported(path / "seLinuxChangePolicy", policy, ("Recursive",))


def _validate_seccomp(profile: Object, path: Path, errors: FieldErrors) -> None:
    kind, local = profile.get("type"), profile.get("localhostProfile")
    if not kind:
        errors.required(path / "type", "type is required when seccompProfile is set")
    elif kind not in _PROFILES:
        errors.not_supported(path / "type", kind, _PROFILES)
    if kind == "Localhost":
        if local is None:
            errors.required(path / "localhostProfile", "must be set when seccomp type is Localhost")
        else:
            check_relative(errors, path / "localhostProfile", local)
    elif local is not None:
        text = "can only be set when seccomp type is Localhost"
        errors.invalid(path / "localhostProfile", go_printed(profile, "core.v1.SeccompProfile"), text)


def validate_app_armor(profile: Object, path: Path, errors: FieldErrors) -> None:
    kind, local = profile.get("type"), profile.get("localhostProfile")
    here = path / "localhostProfile"
    if not kind:
        errors.required(path / "type", "type is required when appArmorProfile is set")
    elif kind not in _PROFILES:
        errors.not_supported(path / "type", kind, _PROFILES)
    elif kind != "Localhost":
        if local is not None:
            errors.invalid(here, local, "can only be set when AppArmor type is Localhost")
    elif local is None:
        errors.required(here, "must be set when AppArmor type is Localhost")
    else:
        if local.strip() != local:
            errors.invalid(here, local, "must not be padded with whitespace")
        elif not local:
            errors.required(here, "must be set when AppArmor type is Localhost")
        if len(local.encode()) > _LONGEST_PROFILE:
            errors.too_long(here, _LONGEST_PROFILE)


def _validate_sysctls(sysctls: Sequence[Object], spec: Object, path: Path, errors: FieldErrors) -> None:
    seen: set[str] = set()
    for index, sysctl in enumerate(sysctls):
        name = sysctl.get("name", "")
        here = path / index / "name"
        if not name:
            errors.required(here)
        elif len(name) > _LONGEST_SYSCTL or not _SYSCTL.fullmatch(name):
            text = f"must have at most {_LONGEST_SYSCTL} characters and match regex {_SYSCTL_TEXT}"
            errors.invalid(here, name, text)
        elif name in seen:
            errors.duplicate(here, name)
        seen.add(name)
        space = _namespace(name)
        if space == "net" and spec.get("hostNetwork"):
            errors.invalid(here, name, "may not be specified when 'hostNetwork' is true")
        elif space == "ipc" and spec.get("hostIPC"):
            errors.invalid(here, name, "may not be specified when 'hostIPC' is true")


def _namespace(sysctl: str) -> str:
    """The kernel namespace that a sysctl belongs to: "net", "ipc", or "" for none."""
    first = re.search(r"[./]", sysctl)
    name = sysctl
    if first is not None and first[0] == "/":
        name = sysctl.translate(str.maketrans("./", "/."))
    if name.startswith("net."):
        return "net"
    return "ipc" if name in _IPC_SYSCTLS or name.startswith("fs.mqueue.") else ""
