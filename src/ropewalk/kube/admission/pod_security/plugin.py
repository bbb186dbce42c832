"""PodSecurity: refuses pods that violate what their namespace enforces, warns of the rest.
https://kubernetes.io/docs/concepts/security/pod-security-admission/
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from ropewalk.kube.admission.plugin import NAMESPACES, PODS, Lookup, Plugin, ready
from ropewalk.kube.admission.pod_security.levels import (
    DEFAULT,
    PREFIX,
    PRIVILEGED,
    Asked,
    Policy,
    detailed,
    policy_of,
    violations,
)
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object, at, controller_of, labels_of, name_of
from ropewalk.kube.machinery.resources import GroupResource, ResourceInfo

TEMPLATES: dict[GroupResource, tuple[str, ...]] = {
    GroupResource("", "podtemplates"): ("template",),
    GroupResource("", "replicationcontrollers"): ("spec", "template"),
    GroupResource("apps", "replicasets"): ("spec", "template"),
    GroupResource("apps", "deployments"): ("spec", "template"),
    GroupResource("apps", "statefulsets"): ("spec", "template"),
    GroupResource("apps", "daemonsets"): ("spec", "template"),
    GroupResource("batch", "jobs"): ("spec", "template"),
    GroupResource("batch", "cronjobs"): ("spec", "jobTemplate", "spec", "template"),
}
"""Where workloads keep the pods they will make: warned about, never refused."""

_IGNORED = frozenset({"exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"})
_ENFORCED, _PRIVILEGED = f"{PREFIX}enforce-policy", str(Asked())

MAX_PODS = 3_000
"""Of a namespace, looked at when its level changes."""


@dataclass(frozen=True, slots=True)
class Exemptions:
    usernames: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    runtime_classes: frozenset[str] = frozenset()


class PodSecurity(Plugin):
    name: ClassVar[str] = "PodSecurity"

    def __init__(self, api: Api, *, default: Policy = DEFAULT, exemptions: Exemptions | None = None) -> None:
        self._api = api
        self._namespaces = Lookup(api, NAMESPACES)
        self._default = default
        self._exempt = exemptions or Exemptions()

    def concerns(self, info: ResourceInfo, subresource: str, operation: str) -> tuple[bool, bool]:
        if operation not in ("CREATE", "UPDATE"):
            return False, False
        resource = info.group_resource
        if resource == PODS:
            return False, subresource not in _IGNORED
        return False, not subresource and (resource == NAMESPACES or resource in TEMPLATES)

    async def validate(self, admission: Admission) -> None:
        if admission.info.plural == "namespaces":
            await self._validate_namespace(admission)
            return
        reason = self._exemption(admission)
        if reason:
            _annotate(admission, "exempt", reason)
            return
        namespace = (await self._namespaces()).get("", admission.namespace)
        if namespace is None:
            namespace = await self._api.get(NAMESPACES, "", admission.namespace)
        wrong = FieldErrors()
        policy = policy_of(labels_of(namespace), wrong, self._default)
        is_pod = admission.info.plural == "pods"
        if not wrong and policy.is_privileged:
            if is_pod:
                admission.annotations[_ENFORCED] = _PRIVILEGED
            return
        assert admission.object is not None
        pod = admission.object if is_pod else at(admission.object, *TEMPLATES[admission.info.group_resource])
        if pod is None or (is_pod and admission.operation == "UPDATE" and not _matters(pod, admission.old or {})):
            return
        if at(pod, "spec", "runtimeClassName") in self._exempt.runtime_classes:
            _annotate(admission, "exempt", "runtimeClass")
            return
        if wrong:
            told = "; ".join(f"{cause.field}: {cause.message}" for cause in wrong.causes)
            _annotate(admission, "error", f"Failed to parse policy: {told}")
        _judge(admission, policy, pod, enforce=is_pod)

    def _exemption(self, admission: Admission) -> str:
        if admission.namespace in self._exempt.namespaces:
            return "namespace"
        return "user" if admission.user.name in self._exempt.usernames else ""

    async def _validate_namespace(self, admission: Admission) -> None:
        new, old = admission.object or {}, admission.old or {}
        labels, old_labels = labels_of(new), labels_of(old)
        if admission.operation == "UPDATE" and labels == old_labels:
            return
        wrong, wrong_before = FieldErrors(), FieldErrors()
        policy = policy_of(labels, wrong, self._default)
        before = policy_of(old_labels, wrong_before, self._default)
        if wrong and (admission.operation == "CREATE" or wrong.causes != wrong_before.causes):
            raise errors.invalid("Namespace", "", name_of(new), wrong.causes)
        enforce = policy.enforce
        if admission.operation == "CREATE":
            unchanged = True
        else:
            same_version = enforce.minor == before.enforce.minor
            unchanged = enforce.level == PRIVILEGED or (same_version and enforce.rank <= before.enforce.rank)
        if admission.operation == "UPDATE" and unchanged:
            return
        if name_of(new) in self._exempt.namespaces:
            self._warn_exempt(admission, policy, labels)
        elif not unchanged:
            for warning in self._existing(name_of(new), enforce, (await ready(self._api, PODS)).all(name_of(new))):
                admission.warn(warning)

    def _warn_exempt(self, admission: Admission, policy: Policy, labels: dict[str, str]) -> None:
        if policy.is_privileged or policy == self._default:
            return
        modes = (("enforce", policy.enforce), ("audit", policy.audit), ("warn", policy.warn))
        told = ", ".join(
            f"{mode}={asked}"
            for mode, asked in modes
            if asked.level != PRIVILEGED and (PREFIX + mode in labels or f"{PREFIX}{mode}-version" in labels)
        )
        name = name_of(admission.object or {})
        admission.warn(f'namespace "{name}" is exempt from Pod Security, and the policy ({told}) will be ignored')

    def _existing(self, namespace: str, asked: Asked, pods: list[Object]) -> Iterable[str]:
        """Warnings about pods that stand already."""
        looked_at = _one_of_each(
            [pod for pod in pods if at(pod, "spec", "runtimeClassName") not in self._exempt.runtime_classes]
        )
        names: dict[str, list[str]] = {}
        for pod in looked_at[:MAX_PODS]:
            found = violations(asked, pod)
            if found:
                names.setdefault(", ".join(reason for reason, _ in found), []).append(name_of(pod))
        if len(looked_at) > MAX_PODS:
            checked = f"the first {MAX_PODS} of {len(looked_at)} existing pods"
            yield f"new PodSecurity enforce level only checked against {checked}"
        if names:
            yield f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{asked}"'
        yield from sorted(f"{_first_of(whose)}: {reason}" for reason, whose in names.items())


def _first_of(names: list[str]) -> str:
    others = len(names) - 1
    if not others:
        return names[0]
    return f"{min(names)} (and {others} other {'pod' if others == 1 else 'pods'})"


def _one_of_each(pods: list[Object]) -> list[Object]:
    """Pods of one controller resemble each other: one of each first."""
    first: list[Object] = []
    further: list[Object] = []
    seen: set[str] = set()
    for pod in pods:
        controller = controller_of(pod)
        uid = str(controller.get("uid", "")) if controller is not None else ""
        (further if uid and uid in seen else first).append(pod)
        seen.add(uid)
    return [*first, *further]


def _judge(admission: Admission, policy: Policy, pod: Object, *, enforce: bool) -> None:
    known: dict[Asked, str] = {}

    def wrong(asked: Asked) -> str:
        if asked not in known:
            known[asked] = detailed(violations(asked, pod))
        return known[asked]

    if enforce:
        _annotate(admission, "enforce-policy", str(policy.enforce))
    if wrong(policy.audit):
        told = f'would violate PodSecurity "{policy.audit}": {wrong(policy.audit)}'
        _annotate(admission, "audit-violations", told)
    if enforce and wrong(policy.enforce):
        why = f'violates PodSecurity "{policy.enforce}": {wrong(policy.enforce)}'
        raise errors.forbidden("pods", "", admission.name or name_of(admission.object or {}), why)
    if wrong(policy.warn):
        admission.warn(f'would violate PodSecurity "{policy.warn}": {wrong(policy.warn)}')


def _annotate(admission: Admission, key: str, value: str) -> None:
    admission.annotations[PREFIX + key] = value


def _matters(pod: Object, old: Object) -> bool:
    """An update that could make a pod worse: other images, more containers."""
    new_spec, old_spec = pod.get("spec") or {}, old.get("spec") or {}
    for kind in ("containers", "initContainers"):
        new, before = new_spec.get(kind) or (), old_spec.get(kind) or ()
        if [one.get("image") for one in new] != [one.get("image") for one in before]:
            return True
    images = {one.get("name"): one.get("image") for one in old_spec.get("ephemeralContainers") or ()}
    return any(
        one.get("name") not in images or images[one.get("name")] != one.get("image")
        for one in new_spec.get("ephemeralContainers") or ()
    )
