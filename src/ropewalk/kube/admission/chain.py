"""The chain: which plug-ins there are, in which order, and running those that a request concerns.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#which-plugins-are-enabled-by-default
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, cast

from ropewalk.kube.machinery.admission import Admission, AdmissionPlugin
from ropewalk.kube.machinery.resources import ResourceInfo

ORDER = (
    "NamespaceLifecycle",
    "LimitRanger",
    "ServiceAccount",
    "NodeRestriction",
    "TaintNodesByCondition",
    "PodSecurity",
    "Priority",
    "DefaultTolerationSeconds",
    "DefaultStorageClass",
    "StorageObjectInUseProtection",
    "PersistentVolumeClaimResize",
    "RuntimeClass",
    "CertificateApproval",
    "CertificateSigning",
    "ClusterTrustBundleAttest",
    "CertificateSubjectRestriction",
    "DefaultIngressClass",
    "PodTopologyLabels",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionWebhook",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
    "ResourceQuota",
)
"""kube-apiserver's order. Whatever others there are stand before the webhooks."""


class Reinvocation:
    """What webhooks and policies did to one object in the first round of the mutating phase."""

    __slots__ = ("changed", "eligible", "required")

    def __init__(self) -> None:
        self.changed = False
        """Somebody changed the object: there will be a second round."""
        self.eligible: set[str] = set()
        """Who was called and wants to be called again if others change the object after."""
        self.required: set[str] = set()
        """Who is to be called again."""

    def called(self, key: str, *, if_needed: bool) -> None:
        if if_needed:
            self.eligible.add(key)

    def object_changed(self) -> None:
        """All that were eligible before this change are to be called again."""
        self.changed = True
        self.required |= self.eligible


class Reinvoker(Protocol):
    """A plug-in that calls others (webhooks, policies) and so may bring about a second round."""

    async def mutate_noting(self, admission: Admission, reinvocation: Reinvocation) -> None: ...


class _Plan:
    """Who is to look at one kind of request."""

    __slots__ = ("mutating", "noting", "reinvokes", "validating")

    def __init__(
        self, plugins: Sequence[AdmissionPlugin], info: ResourceInfo, subresource: str, operation: str
    ) -> None:
        concerned = [(plugin, _concerns(plugin, info, subresource, operation)) for plugin in plugins]
        self.mutating = tuple(plugin for plugin, (mutates, _) in concerned if mutates)
        self.validating = tuple(plugin for plugin, (_, validates) in concerned if validates)
        self.noting = tuple(
            cast("Reinvoker", plugin).mutate_noting if hasattr(plugin, "mutate_noting") else None
            for plugin in self.mutating
        )
        self.reinvokes = any(note is not None for note in self.noting)


def _concerns(plugin: AdmissionPlugin, info: ResourceInfo, subresource: str, operation: str) -> tuple[bool, bool]:
    ask: Callable[[ResourceInfo, str, str], tuple[bool, bool]] | None = getattr(plugin, "concerns", None)
    return ask(info, subresource, operation) if ask is not None else (True, True)


class Chain:
    """An `AdmissionChain`. `disabled` names plug-ins that are left out."""

    def __init__(self, plugins: Sequence[AdmissionPlugin], *, disabled: Collection[str] = ()) -> None:
        unknown = set(disabled) - {plugin.name for plugin in plugins} - set(ORDER)
        if unknown:
            raise ValueError(f"unknown admission plug-ins: {', '.join(sorted(unknown))}")
        place = {name: at for at, name in enumerate(ORDER)}
        others = place["MutatingAdmissionPolicy"] - 0.5
        self._plugins = sorted(
            (plugin for plugin in plugins if plugin.name not in disabled),
            key=lambda plugin: place.get(plugin.name, others),
        )
        self._plans: dict[tuple[str, str, str, str], _Plan] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(plugin.name for plugin in self._plugins)

    async def mutate(self, admission: Admission) -> None:
        plan = self._plan(admission)
        if not plan.reinvokes:
            for plugin in plan.mutating:
                await plugin.mutate(admission)
            return
        reinvocation = Reinvocation()
        await _round(plan, admission, reinvocation)
        if reinvocation.changed:
            admission.reinvocation = True
            await _round(plan, admission, reinvocation)

    async def validate(self, admission: Admission) -> None:
        for plugin in self._plan(admission).validating:
            await plugin.validate(admission)

    def _plan(self, admission: Admission) -> _Plan:
        info = admission.info
        key = (info.group, info.plural, admission.subresource, admission.operation)
        plan = self._plans.get(key)
        if plan is None:
            plan = _Plan(self._plugins, info, admission.subresource, admission.operation)
            self._plans[key] = plan
        return plan


async def _round(plan: _Plan, admission: Admission, reinvocation: Reinvocation) -> None:
    for plugin, note in zip(plan.mutating, plan.noting, strict=True):
        if note is None:
            await plugin.mutate(admission)
        else:
            await note(admission, reinvocation)
