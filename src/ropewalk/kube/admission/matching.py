"""Which requests a webhook or policy is about: rules, selectors, equivalent versions.
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#matching-requests-rules
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from ropewalk.kube.admission.plugin import NAMESPACES, ready
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.objects import Object, copied, labels_of
from ropewalk.kube.machinery.resources import GroupResource, GroupVersionKind, ResourceInfo
from ropewalk.kube.machinery.selectors import label_selector_of

Converter: TypeAlias = Callable[[Object, GroupVersionKind], Object]
"""An object in another version of its kind."""

CONFIGURATIONS = frozenset(
    GroupResource("admissionregistration.k8s.io", plural)
    for plural in (
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
    )
)
"""What nobody's webhook or policy may stand in the way of: else none could be removed again."""


def relabelled(obj: Object, kind: GroupVersionKind) -> Object:
    """The conversion between versions that differ in nothing but their name."""
    if obj.get("apiVersion") == kind.api_version:
        return obj
    changed: Object = copied(obj)
    changed["apiVersion"] = kind.api_version
    return changed


def matches_rule(rule: Object, info: ResourceInfo, subresource: str, operation: str, name: str = "") -> bool:
    operations, groups = rule.get("operations") or (), rule.get("apiGroups") or ()
    versions, names = rule.get("apiVersions") or (), rule.get("resourceNames") or ()
    scope = rule.get("scope", "*")
    return (
        ("*" in operations or operation in operations)
        and ("*" in groups or info.group in groups)
        and ("*" in versions or info.version in versions)
        and (scope == "*" or (scope == "Namespaced") == info.namespaced)
        and (not names or name in names)
        and any(_matches_resource(pattern, info.plural, subresource) for pattern in rule.get("resources") or ())
    )


def _matches_resource(pattern: str, plural: str, subresource: str) -> bool:
    resource, _, part = pattern.partition("/")
    return resource in ("*", plural) and (part == "*" or part == subresource)


class Matcher:
    def __init__(self, api: Api) -> None:
        self._api = api

    def matching_info(
        self, admission: Admission, rules: Iterable[Object], policy: str, excluded: Iterable[Object] = ()
    ) -> ResourceInfo | None:
        """The version of the resource in which a rule is about this request; None where none is."""
        if any(self._matches(admission, rule, policy) for rule in excluded):
            return None
        return next((found for rule in rules if (found := self._matches(admission, rule, policy)) is not None), None)

    def _matches(self, admission: Admission, rule: Object, policy: str) -> ResourceInfo | None:
        about = (admission.subresource, admission.operation, admission.name)
        if matches_rule(rule, admission.info, *about):
            return admission.info
        if policy == "Exact":
            return None
        same = admission.info.group_resource
        for info in self._api.infos():
            if info.group_resource == same and matches_rule(rule, info, *about):
                return info
        return None

    async def matches_selectors(self, admission: Admission, holder: Object) -> bool:
        """The `namespaceSelector` and `objectSelector` of a webhook or of a policy's match resources."""
        chosen = holder.get("objectSelector")
        if chosen:
            selector = label_selector_of(chosen)
            candidates = [one for one in (admission.object, admission.old) if one is not None]
            if not any(selector.matches(labels_of(one)) for one in candidates):
                return False
        chosen = holder.get("namespaceSelector")
        if not chosen:
            return True
        labels = await self._namespace_labels(admission)
        return labels is None or label_selector_of(chosen).matches(labels)

    async def _namespace_labels(self, admission: Admission) -> dict[str, str] | None:
        """None for what belongs to no namespace. A namespace belongs to itself."""
        if admission.info.group_resource == NAMESPACES:
            itself = admission.object if admission.object is not None else admission.old
            return labels_of(itself or {})
        if not admission.namespace:
            return None
        return labels_of(await self.namespace(admission) or {})

    async def namespace(self, admission: Admission) -> Object | None:
        if not admission.namespace or admission.info.group_resource == NAMESPACES:
            return None
        found = (await ready(self._api, NAMESPACES)).get("", admission.namespace)
        return found if found is not None else await self._api.get(NAMESPACES, "", admission.namespace)
