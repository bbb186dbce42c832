"""What a pod may not say once it says which operating system it is for.
https://kubernetes.io/docs/concepts/workloads/pods/#pod-os
"""

from __future__ import annotations

from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

SYSTEMS = ("linux", "windows")
_LISTS = ("initContainers", "containers", "ephemeralContainers")
_NOT_ON_LINUX = "windows options cannot be set for a linux pod"
_NOT_ON_WINDOWS = "cannot be set for a windows pod"
_POD_FIELDS = (
    ("securityContext", "appArmorProfile"),
    ("securityContext", "seLinuxOptions"),
    ("hostUsers",),
    ("hostPID",),
    ("hostIPC",),
    ("securityContext", "seccompProfile"),
    ("securityContext", "fsGroup"),
    ("securityContext", "fsGroupChangePolicy"),
    ("securityContext", "sysctls"),
    ("shareProcessNamespace",),
    ("securityContext", "runAsUser"),
    ("securityContext", "runAsGroup"),
    ("securityContext", "supplementalGroups"),
    ("securityContext", "supplementalGroupsPolicy"),
    ("securityContext", "seLinuxChangePolicy"),
)
_SET_WHEN_TRUE = ("hostPID", "hostIPC", "sysctls")
_CONTAINER_FIELDS = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
)


def validate_operating_system(system: Object, spec: Object, path: Path, errors: FieldErrors) -> None:
    name = system.get("name")
    if not name:
        errors.required(path / "os" / "name")
    elif name not in SYSTEMS:
        errors.not_supported(path / "os", name, SYSTEMS)
    elif name == "linux":
        _validate_linux(spec, path, errors)
    else:
        _validate_windows(spec, path, errors)


def _validate_linux(spec: Object, path: Path, errors: FieldErrors) -> None:
    if (spec.get("securityContext") or {}).get("windowsOptions") is not None:
        errors.forbidden(path / "securityContext" / "windowsOptions", _NOT_ON_LINUX)
    for step in _LISTS:
        for index, container in enumerate(spec.get(step) or ()):
            if (container.get("securityContext") or {}).get("windowsOptions") is not None:
                errors.forbidden(path / step / index / "securityContext" / "windowsOptions", _NOT_ON_LINUX)


def _validate_windows(spec: Object, path: Path, errors: FieldErrors) -> None:
    context = spec.get("securityContext") or {}
    for steps in _POD_FIELDS:
        value = (context if len(steps) > 1 else spec).get(steps[-1])
        if value if steps[-1] in _SET_WHEN_TRUE else value is not None:
            here = path
            for step in steps:
                here = here / step
            errors.forbidden(here, _NOT_ON_WINDOWS)
    for step in _LISTS:
        for index, container in enumerate(spec.get(step) or ()):
            own = container.get("securityContext") or {}
            for name in _CONTAINER_FIELDS:
                if own.get(name) is not None:
                    errors.forbidden(path / step / index / "securityContext" / name, _NOT_ON_WINDOWS)
