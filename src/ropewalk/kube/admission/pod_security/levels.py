"""What the labels of a namespace ask for: a level and a version for each of the three modes.
https://kubernetes.io/docs/concepts/security/pod-security-admission/#pod-security-admission-labels-for-namespaces
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ropewalk.kube.admission.pod_security.checks import BASELINE, RESTRICTED, Check, Violation
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, annotations_of

PREFIX = "pod-security.kubernetes.io/"
PRIVILEGED, LEVELS = "privileged", ("privileged", "baseline", "restricted")
CURRENT_MINOR = 35
LATEST = -1
_VERSION = re.compile(r"v1\.([0-9]|[1-9][0-9]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """A level of the standards, as of a minor version of Kubernetes."""

    level: str = PRIVILEGED
    minor: int = LATEST

    def __str__(self) -> str:
        return f"{self.level}:{'latest' if self.minor == LATEST else f'v1.{self.minor}'}"

    @property
    def rank(self) -> int:
        return LEVELS.index(self.level)


@dataclass(frozen=True, slots=True)
class Policy:
    enforce: Asked = Asked()
    audit: Asked = Asked()
    warn: Asked = Asked()

    @property
    def is_privileged(self) -> bool:
        return all(asked.level == PRIVILEGED for asked in (self.enforce, self.audit, self.warn))


DEFAULT = Policy()


def policy_of(labels: Mapping[str, str], errors: FieldErrors | None = None, default: Policy = DEFAULT) -> Policy:
    """Labels that mean nothing count as the strictest for enforcing, as nothing for the others."""
    for label in labels:
        if label.startswith(PREFIX):
            break
    else:
        return default
    errors = FieldErrors() if errors is None else errors
    modes: dict[str, Asked] = {}
    for mode, given in (("enforce", default.enforce), ("audit", default.audit), ("warn", default.warn)):
        level, version = labels.get(PREFIX + mode), labels.get(f"{PREFIX}{mode}-version")
        if level is not None:
            if level in LEVELS:
                given = replace(given, level=level)
            else:
                _wrong(errors, PREFIX + mode, level, f"must be one of {', '.join(LEVELS)}")
                given = replace(given, level="restricted" if mode == "enforce" else PRIVILEGED)
        if version is not None:
            given = replace(given, minor=_minor(errors, f"{PREFIX}{mode}-version", version))
        modes[mode] = given
    enforce, warn = modes["enforce"], modes["warn"]
    if PREFIX + "warn" not in labels and labels.get(PREFIX + "enforce") in LEVELS and enforce.rank > warn.rank:
        told = PREFIX + "warn-version" in labels
        modes["warn"] = Asked(enforce.level, warn.minor if told else enforce.minor)
    return Policy(**modes)


def _minor(errors: FieldErrors, label: str, version: str) -> int:
    if version == "latest":
        return LATEST
    found = _VERSION.fullmatch(version)
    if found is None or len(version) > 10:
        _wrong(errors, label, version, 'must be "latest" or "v1.x"')
        return LATEST
    return int(found[1])


def _wrong(errors: FieldErrors, label: str, value: str, detail: str) -> None:
    errors.invalid((Path("metadata") / "labels").key(label), value, detail)


@functools.cache
def _checks(level: str, minor: int) -> tuple[Check, ...]:
    """Baseline first, then restricted, each by name."""
    if level == PRIVILEGED:
        return ()
    at = CURRENT_MINOR if minor == LATEST else min(minor, CURRENT_MINOR)
    baseline = {standard.id: check for standard in BASELINE if (check := standard.at(at)) is not None}
    if level == "baseline":
        return tuple(baseline.values())
    restricted: list[Check] = []
    for standard in RESTRICTED:
        check = standard.at(at)
        if check is not None:
            restricted.append(check)
            baseline.pop(standard.overrides, None)
    return (*baseline.values(), *restricted)


def violations(asked: Asked, pod: Object) -> list[Violation]:
    """Of a pod or a pod template."""
    annotations, spec = annotations_of(pod), pod.get("spec") or {}
    found = [check(annotations, spec) for check in _checks(asked.level, asked.minor)]
    return [violation for violation in found if violation is not None]


def detailed(found: list[Violation]) -> str:
    return ", ".join(f"{reason} ({detail})" if detail else reason for reason, detail in found)
