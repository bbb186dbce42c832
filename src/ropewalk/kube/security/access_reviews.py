"""SubjectAccessReview and its kin, answered: an object in, the same with its status out. Nothing is stored.

Validation of the objects is the kinds' (`kinds.authorization`).
https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ropewalk.kube.kinds.authorization.reviews import check_rules_review
from ropewalk.kube.machinery.access import Authorizer, Verdict
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.requests import Attributes, Call, User
from ropewalk.kube.machinery.selectors import (
    FieldSelector,
    label_selector_of,
    parse_field_selector,
    parse_label_selector,
)
from ropewalk.kube.security.policy_rules import RuleResolver
from ropewalk.kube.security.rbac import aggregated


class AccessReviews:
    """Each method is an `Evaluate` of `Subresources.virtual`."""

    def __init__(self, authorizer: Authorizer, resolvers: Sequence[RuleResolver]) -> None:
        """`resolvers` are the chain's parts that can tell their rules, in its order."""
        self._authorizer = authorizer
        self._resolvers = resolvers

    async def of_subject(self, review: Object, call: Call) -> Object:
        """SubjectAccessReview and LocalSubjectAccessReview."""
        return await self._judged(review, _subject(review.get("spec") or {}))

    async def of_self(self, review: Object, call: Call) -> Object:
        """SelfSubjectAccessReview."""
        return await self._judged(review, call.user)

    async def _judged(self, review: Object, user: User) -> Object:
        asked, problems = _attributes(review.get("spec") or {}, user)
        decision = await self._authorizer.authorize(asked)
        status: Object = {"allowed": decision.verdict is Verdict.ALLOW}
        if decision.verdict is Verdict.DENY:
            status["denied"] = True
        if decision.reason:
            status["reason"] = decision.reason
        told = "; ".join(([decision.error] if decision.error else []) + problems)
        if told:
            status["evaluationError"] = told
        return {**review, "status": status}

    async def rules_of_self(self, review: Object, call: Call) -> Object:
        """SelfSubjectRulesReview: the answer repeats nothing of the question."""
        namespace = check_rules_review(review)
        held = [resolver.rules_for(call.user, namespace) for resolver in self._resolvers]
        rules = [rule for found in held for rule in found.rules]
        status: Object = {
            "resourceRules": [_shown(rule, _RESOURCE) for rule in rules if rule.get("resources")],
            "nonResourceRules": [_shown(rule, _URL) for rule in rules if rule.get("nonResourceURLs")],
            "incomplete": any(found.incomplete for found in held),
        }
        problem = aggregated([found.error for found in held if found.error])
        if problem:
            status["evaluationError"] = problem
        head: Object = {key: review[key] for key in ("kind", "apiVersion") if key in review}
        return {**head, "metadata": {}, "spec": {}, "status": status}


_RESOURCE = ("verbs", "apiGroups", "resources", "resourceNames")
_URL = ("verbs", "nonResourceURLs")


def _shown(rule: Object, keys: Sequence[str]) -> Object:
    return {key: list(rule[key]) for key in keys if rule.get(key)}


def _subject(spec: Object) -> User:
    extra = {key.lower(): tuple(values) for key, values in (spec.get("extra") or {}).items()}
    return User(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""), extra)


def _attributes(spec: Object, user: User) -> tuple[Attributes, list[str]]:
    """(what is asked, which selectors could not be read)."""
    resource = spec.get("resourceAttributes")
    if resource is None:
        other = spec.get("nonResourceAttributes") or {}
        return Attributes(user, other.get("verb", ""), other.get("path", "")), []
    problems: list[str] = []
    field_selector = _selector(resource, "fieldSelector", _fields, problems)
    label_selector = _selector(resource, "labelSelector", _labels, problems)
    asked = Attributes(
        user,
        resource.get("verb", ""),
        "",
        resource.get("group", ""),
        resource.get("version") or "*",
        resource.get("resource", ""),
        resource.get("subresource", ""),
        resource.get("namespace", ""),
        resource.get("name", ""),
        field_selector,
        label_selector,
    )
    return asked, problems


# --- selectors


def _selector(resource: Object, name: str, read: Callable[[Object], tuple[str, bool]], problems: list[str]) -> str:
    """A selector's text. What cannot be read of it is left out: that only asks for more."""
    selector = resource.get(name)
    if selector is None:
        return ""
    text, whole = read(selector)
    if not whole:
        partly = "partially ignored" if text else "ignored"
        problems.append(f"spec.resourceAttributes.{name} {partly} due to parse error")
    return text


def _fields(selector: Object) -> tuple[str, bool]:
    raw = selector.get("rawSelector")
    if raw:
        return _parsed(lambda: str(parse_field_selector(raw)))
    found: list[tuple[str, str, str]] = []
    requirements: Sequence[Object] = selector.get("requirements") or ()
    for each in requirements:
        operator = {"In": "=", "NotIn": "!="}.get(each.get("operator", ""))
        values = each.get("values") or []
        if operator is not None and len(values) == 1:
            found.append((each.get("key", ""), operator, values[0]))
    return str(FieldSelector(tuple(found))), len(found) == len(requirements)


def _labels(selector: Object) -> tuple[str, bool]:
    raw = selector.get("rawSelector")
    if raw:
        return _parsed(lambda: str(parse_label_selector(raw)))
    texts: list[str] = []
    requirements: Sequence[Object] = selector.get("requirements") or ()
    for each in requirements:
        text, good = _parsed(partial(_requirement, each))
        if good:
            texts.append(text)
    return ",".join(texts), len(texts) == len(requirements)


def _requirement(requirement: Object) -> str:
    return str(label_selector_of({"matchExpressions": [requirement]}))


def _parsed(read: Callable[[], str]) -> tuple[str, bool]:
    try:
        return read(), True
    except (StatusFault, ValueError):
        return "", False
