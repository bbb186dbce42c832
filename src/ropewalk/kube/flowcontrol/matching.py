"""Which flow schema a request belongs to. Pure; built once from the decoded objects.

https://kubernetes.io/docs/concepts/cluster-administration/flow-control/#flowschema
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ropewalk.kube.machinery.objects import Object, at, name_of, uid_of
from ropewalk.kube.machinery.requests import Attributes, User

SERVICE_ACCOUNT = "system:serviceaccount:"

IsUser = Callable[[User], bool]
IsRequest = Callable[[Attributes], bool]


@dataclass(frozen=True, slots=True)
class FlowSchema:
    name: str
    uid: str
    level: str
    precedence: int
    told_apart: str
    """"ByUser", "ByNamespace" or "": all its requests are one flow."""
    rules: tuple[tuple[tuple[IsUser, ...], tuple[IsRequest, ...], tuple[IsRequest, ...]], ...]
    """(subjects, resource rules, URL rules)."""

    def matches(self, attributes: Attributes) -> bool:
        for subjects, resources, urls in self.rules:
            wanted = resources if attributes.is_resource else urls
            if any(rule(attributes) for rule in wanted) and any(subject(attributes.user) for subject in subjects):
                return True
        return False

    def flow(self, attributes: Attributes) -> str:
        """What tells its flows apart."""
        if self.told_apart == "ByUser":
            return attributes.user.name
        return attributes.namespace if self.told_apart == "ByNamespace" else ""


def flow_schema(obj: Object) -> FlowSchema:
    spec = obj.get("spec") or {}
    return FlowSchema(
        name_of(obj),
        uid_of(obj),
        at(spec, "priorityLevelConfiguration", "name") or "",
        spec.get("matchingPrecedence") or 1000,
        at(spec, "distinguisherMethod", "type") or "",
        tuple(
            (
                tuple(_subject(subject) for subject in rule.get("subjects") or ()),
                tuple(_resources(one) for one in rule.get("resourceRules") or ()),
                tuple(_urls(one) for one in rule.get("nonResourceRules") or ()),
            )
            for rule in spec.get("rules") or ()
        ),
    )


def in_order(schemas: Sequence[FlowSchema]) -> list[FlowSchema]:
    return sorted(schemas, key=lambda schema: (schema.precedence, schema.name))


def first(schemas: Sequence[FlowSchema], attributes: Attributes) -> FlowSchema:
    """The first that matches. The last of all stands for what nothing matches."""
    return next((schema for schema in schemas if schema.matches(attributes)), schemas[-1])


def _subject(subject: Object) -> IsUser:
    match subject.get("kind"):
        case "User":
            name = at(subject, "user", "name") or ""
            return lambda user: name in ("*", user.name)
        case "Group":
            name = at(subject, "group", "name") or ""
            return lambda user: name == "*" or name in user.groups
        case "ServiceAccount":
            name, namespace = at(subject, "serviceAccount", "name"), at(subject, "serviceAccount", "namespace")
            prefix = f"{SERVICE_ACCOUNT}{namespace}:"
            if name == "*":
                return lambda user: user.name.startswith(prefix)
            return lambda user: user.name == f"{prefix}{name}"
    return lambda user: False


def _resources(rule: Object) -> IsRequest:
    verbs, groups = _words(rule.get("verbs")), _words(rule.get("apiGroups"))
    resources, namespaces = _words(rule.get("resources")), _words(rule.get("namespaces"))
    cluster = bool(rule.get("clusterScope"))

    def matches(asked: Attributes) -> bool:
        if (verbs is not None and asked.verb not in verbs) or (groups is not None and asked.group not in groups):
            return False
        if resources is not None:
            called = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
            if called not in resources:
                return False
        if not asked.namespace:
            return cluster
        return namespaces is None or asked.namespace in namespaces

    return matches


def _urls(rule: Object) -> IsRequest:
    verbs, urls = _words(rule.get("verbs")), _words(rule.get("nonResourceURLs"))
    prefixes = tuple(f"{url.removesuffix('*').removesuffix('/')}/" for url in urls or ())

    def matches(asked: Attributes) -> bool:
        if verbs is not None and asked.verb not in verbs:
            return False
        return urls is None or asked.path in urls or asked.path.startswith(prefixes)

    return matches


def _words(words: Sequence[str] | None) -> frozenset[str] | None:
    """None is every word there is."""
    return None if words and "*" in words else frozenset(words or ())
