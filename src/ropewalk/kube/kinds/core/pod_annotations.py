"""Annotations that mean something to a pod: seccomp's and AppArmor's of old, the mark of mirror pods, what a pod costs
to delete. https://kubernetes.io/docs/reference/labels-annotations-taints/
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

from ropewalk.kube.kinds.core.checks import check_relative
from ropewalk.kube.kinds.core.pod_spec_rules import CONTAINER_LISTS, MIRROR
from ropewalk.kube.kinds.core.tolerations import validate_tolerations
from ropewalk.kube.machinery.fields import FieldErrors, Path, spelled
from ropewalk.kube.machinery.objects import Object

SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_TOLERATIONS = "scheduler.alpha.kubernetes.io/tolerations"
_LOCAL = "localhost/"
_COST = re.compile(r"0|[1-9][0-9]*|-[0-9]+")
_DEFAULT_PROFILES = ("runtime/default", "docker/default")


def validate_pod_annotations(annotations: dict[str, str], spec: Object, path: Path, errors: FieldErrors) -> None:
    """What a pod's or a template's annotations may say; their format is checked elsewhere."""
    if not annotations:
        return
    if MIRROR in annotations and not spec.get("nodeName"):
        text = "must set spec.nodeName if mirror pod annotation is set"
        errors.invalid(path.key(MIRROR), annotations[MIRROR], text)
    if annotations.get(_TOLERATIONS):
        _validate_tolerations(annotations[_TOLERATIONS], path, errors)
    if DELETION_COST in annotations and not _is_cost(annotations[DELETION_COST]):
        errors.invalid(path.key(DELETION_COST), annotations[DELETION_COST], "must be a 32bit integer")
    for key, value in annotations.items():
        if key == SECCOMP_POD or key.startswith(SECCOMP_CONTAINER):
            _check_seccomp(value, path / key, errors)
        elif key.startswith(APP_ARMOR):
            _check_app_armor(key, value, spec, path, errors)


def _validate_tolerations(text: str, path: Path, errors: FieldErrors) -> None:
    try:
        tolerations = orjson.loads(text)
    except ValueError as problem:
        errors.invalid(path, _TOLERATIONS, str(problem))
        return
    if isinstance(tolerations, list) and all(isinstance(found, dict) for found in tolerations):
        validate_tolerations(tolerations, path / _TOLERATIONS, errors)
    else:
        errors.invalid(path, _TOLERATIONS, "json: cannot unmarshal into Go value of type []core.Toleration")


def _is_cost(text: str) -> bool:
    return _COST.fullmatch(text) is not None and -(2**31) <= int(text) < 2**31


def _check_seccomp(profile: str, path: Path, errors: FieldErrors) -> None:
    if profile in _DEFAULT_PROFILES or profile == "unconfined":
        return
    if profile.startswith(_LOCAL):
        check_relative(errors, path, profile.removeprefix(_LOCAL))
    else:
        errors.invalid(path, profile, "must be a valid seccomp profile")


def _check_app_armor(key: str, profile: str, spec: Object, path: Path, errors: FieldErrors) -> None:
    name = key.removeprefix(APP_ARMOR)
    if all(container.get("name") != name for _, container in _containers(spec, path)):
        errors.invalid(path.key(key), name, "container not found")
    if profile not in ("", "runtime/default", "unconfined") and not profile.startswith(_LOCAL):
        errors.invalid(path.key(key), profile, f"invalid AppArmor profile name: {spelled(profile)}")


def _containers(spec: Object, path: Path) -> Iterator[tuple[Path, Object]]:
    for step in CONTAINER_LISTS:
        for index, container in enumerate(spec.get(step) or ()):
            yield path / step / index, container


# --- where annotation and field both speak


def check_profiles_agree(annotations: dict[str, str], spec: Object, path: Path, errors: FieldErrors) -> None:
    """At creation, and in templates: a profile's field and its annotation of old say the same."""
    if not any(key == SECCOMP_POD or key.startswith((SECCOMP_CONTAINER, APP_ARMOR)) for key in annotations):
        return
    context = spec.get("securityContext") or {}
    seccomp = context.get("seccompProfile")
    if seccomp and SECCOMP_POD in annotations:
        here = path / "securityContext" / "seccompProfile"
        _check_agree("seccomp", seccomp, annotations[SECCOMP_POD], _DEFAULT_PROFILES, here, errors)
    for here, container in _containers(spec, path):
        own = container.get("securityContext") or {}
        key = SECCOMP_CONTAINER + container.get("name", "")
        if own.get("seccompProfile") and key in annotations:
            at = here / "securityContext" / "seccompProfile"
            _check_agree("seccomp", own["seccompProfile"], annotations[key], _DEFAULT_PROFILES, at, errors)
    if (spec.get("os") or {}).get("name") == "windows":
        return
    for here, container in _containers(spec, path):
        profile = (container.get("securityContext") or {}).get("appArmorProfile") or context.get("appArmorProfile")
        key = APP_ARMOR + container.get("name", "")
        if profile and key in annotations:
            at = here / "securityContext" / "appArmorProfile"
            _check_agree("apparmor", profile, annotations[key], ("runtime/default",), at, errors)


def _check_agree(
    what: str, profile: Object, annotation: str, defaults: tuple[str, ...], path: Path, errors: FieldErrors
) -> None:
    kind = profile.get("type")
    agree = {
        "Unconfined": annotation == "unconfined",
        "RuntimeDefault": annotation in defaults,
        "Localhost": annotation.startswith(_LOCAL),
    }.get(kind or "", True)
    if not agree:
        errors.forbidden(path / "type", f"{what} type in annotation and field must match")
    elif kind == "Localhost" and annotation.removeprefix(_LOCAL) != profile.get("localhostProfile"):
        errors.forbidden(path / "localhostProfile", f"{what} profile in annotation and field must match")


def profile_of_annotation(annotation: str) -> Object | None:
    """The AppArmor field that says what the annotation says; None where it says nothing that can be read."""
    if annotation == "unconfined":
        return {"type": "Unconfined"}
    if annotation == "runtime/default":
        return {"type": "RuntimeDefault"}
    name = annotation.removeprefix(_LOCAL)
    if not annotation.startswith(_LOCAL) or not name or name.strip() != name or len(name.encode()) > 4095:
        return None
    return {"type": "Localhost", "localhostProfile": name}


def take_over_app_armor(pod: Object) -> None:
    """At creation: containers get the field for an annotation that differs from the pod's own profile, in place."""
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    spec = pod.get("spec") or {}
    if (spec.get("os") or {}).get("name") == "windows":
        return
    for step in CONTAINER_LISTS:
        for container in spec.get(step) or ():
            profile = needed_app_armor(container, spec, annotations)
            if profile is not None:
                container.setdefault("securityContext", {})["appArmorProfile"] = profile


def needed_app_armor(container: Object, spec: Object, annotations: dict[str, str]) -> Object | None:
    key = APP_ARMOR + container.get("name", "")
    if key not in annotations or (container.get("securityContext") or {}).get("appArmorProfile") is not None:
        return None
    profile = profile_of_annotation(annotations[key])
    return None if profile == (spec.get("securityContext") or {}).get("appArmorProfile") else profile


# --- updates


def check_annotation_updates(new: dict[str, str], old: dict[str, str], path: Path, errors: FieldErrors) -> None:
    for key, value in old.items():
        if new.get(key) == value:
            continue
        if key.startswith(APP_ARMOR):
            errors.forbidden(path.key(key), "may not remove or update AppArmor annotations")
        if key == MIRROR:
            errors.forbidden(path.key(key), "may not remove or update mirror pod annotation")
    for key in new:
        if key in old:
            continue
        if key.startswith(APP_ARMOR):
            errors.forbidden(path.key(key), "may not add AppArmor annotations")
        if key == MIRROR:
            errors.forbidden(path.key(key), "may not add mirror pod annotation")
