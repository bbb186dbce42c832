"""`authorizer` in expressions: checks asked of the API server's own authorizer while an expression runs.
https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-authorizer-library

An authorizer answers asynchronously, an expression runs at once. So a check whose answer is not known stops the
expression (`Undecided`); whoever runs it awaits the answer (`Checks.decide`) and runs it again: `environment.evaluate`.
An expression can afford two checks, so this is rare and short.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ropewalk.kube.machinery.access import Authorizer, Decision, Verdict
from ropewalk.kube.machinery.cel.functions import method, opaque, traversal
from ropewalk.kube.machinery.cel.values import EvaluationError, Opaque
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.requests import Attributes, User

CHECK_COST = 350_000


class Undecided(Exception):
    """The expression needs to know what the authorizer says about these."""

    def __init__(self, attributes: Attributes) -> None:
        super().__init__()
        self.attributes = attributes


class Checks:
    """What was asked and answered so far, for one request."""

    __slots__ = ("_answers", "_authorizer")

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer
        self._answers: dict[tuple[object, ...], Decision] = {}

    def answer(self, attributes: Attributes) -> Decision:
        found = self._answers.get(_key(attributes))
        if found is None:
            raise Undecided(attributes)
        return found

    async def decide(self, attributes: Attributes) -> None:
        try:
            decision = await self._authorizer.authorize(attributes)
        except StatusFault as fault:
            decision = Decision(Verdict.NO_OPINION, error=fault.message)
        self._answers[_key(attributes)] = decision


def _key(asked: Attributes) -> tuple[object, ...]:
    return (
        asked.user.name,
        asked.user.groups,
        asked.verb,
        asked.path,
        asked.group,
        asked.resource,
        asked.subresource,
        asked.namespace,
        asked.name,
        asked.field_selector,
        asked.label_selector,
    )


@opaque("Authorizer")
@dataclass(frozen=True, slots=True)
class AuthorizerValue(Opaque):
    user: User
    checks: Checks
    type_name = "kubernetes.authorization.Authorizer"


@opaque("PathCheck")
@dataclass(frozen=True, slots=True)
class PathCheck(Opaque):
    authorizer: AuthorizerValue
    path: str
    type_name = "kubernetes.authorization.PathCheck"


@opaque("GroupCheck")
@dataclass(frozen=True, slots=True)
class GroupCheck(Opaque):
    authorizer: AuthorizerValue
    group: str
    type_name = "kubernetes.authorization.GroupCheck"


@opaque("ResourceCheck")
@dataclass(frozen=True, slots=True)
class ResourceCheck(Opaque):
    authorizer: AuthorizerValue
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""
    type_name = "kubernetes.authorization.ResourceCheck"


@opaque("AccessDecision")
@dataclass(frozen=True, slots=True)
class AccessDecision(Opaque):
    decision: Decision
    type_name = "kubernetes.authorization.Decision"


@method("path", "Authorizer string -> PathCheck")
def path(authorizer: AuthorizerValue, path: str) -> PathCheck:
    if not path:
        raise EvaluationError("path must not be empty")
    return PathCheck(authorizer, path)


@method("group", "Authorizer string -> GroupCheck")
def group(authorizer: AuthorizerValue, group: str) -> GroupCheck:
    return GroupCheck(authorizer, group)


@method("serviceAccount", "Authorizer string string -> Authorizer")
def service_account(authorizer: AuthorizerValue, namespace: str, name: str) -> AuthorizerValue:
    if not name:
        raise EvaluationError("Invalid service account name")
    if not namespace:
        raise EvaluationError("Invalid service account namespace")
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return AuthorizerValue(User(f"system:serviceaccount:{namespace}:{name}", groups), authorizer.checks)


@method("resource", "GroupCheck string -> ResourceCheck")
def resource(check: GroupCheck, resource: str) -> ResourceCheck:
    if not resource:
        raise EvaluationError("resource must not be empty")
    return ResourceCheck(check.authorizer, check.group, resource)


@method("subresource", "ResourceCheck string -> ResourceCheck")
def subresource(check: ResourceCheck, subresource: str) -> ResourceCheck:
    return replace(check, subresource=subresource)


@method("namespace", "ResourceCheck string -> ResourceCheck")
def namespace(check: ResourceCheck, namespace: str) -> ResourceCheck:
    return replace(check, namespace=namespace)


@method("name", "ResourceCheck string -> ResourceCheck")
def name(check: ResourceCheck, name: str) -> ResourceCheck:
    return replace(check, name=name)


@method("fieldSelector", "ResourceCheck string -> ResourceCheck", cost=traversal(25, 1))
def field_selector(check: ResourceCheck, selector: str) -> ResourceCheck:
    return replace(check, field_selector=selector)


@method("labelSelector", "ResourceCheck string -> ResourceCheck", cost=traversal(25, 1))
def label_selector(check: ResourceCheck, selector: str) -> ResourceCheck:
    return replace(check, label_selector=selector)


@method("check", "PathCheck string -> AccessDecision", cost=lambda given: CHECK_COST)
def check_path(check: PathCheck, verb: str) -> AccessDecision:
    asked = Attributes(check.authorizer.user, verb, check.path)
    return AccessDecision(check.authorizer.checks.answer(asked))


@method("check", "ResourceCheck string -> AccessDecision", cost=lambda given: CHECK_COST)
def check_resource(check: ResourceCheck, verb: str) -> AccessDecision:
    asked = Attributes(
        check.authorizer.user,
        verb,
        "",
        group=check.group,
        version="*",
        resource=check.resource,
        subresource=check.subresource,
        namespace=check.namespace,
        name=check.name,
        field_selector=check.field_selector,
        label_selector=check.label_selector,
    )
    return AccessDecision(check.authorizer.checks.answer(asked))


@method("errored", "AccessDecision -> bool")
def errored(decision: AccessDecision) -> bool:
    return bool(decision.decision.error)


@method("error", "AccessDecision -> string")
def error(decision: AccessDecision) -> str:
    return decision.decision.error


@method("allowed", "AccessDecision -> bool")
def allowed(decision: AccessDecision) -> bool:
    return decision.decision.verdict is Verdict.ALLOW


@method("reason", "AccessDecision -> string")
def reason(decision: AccessDecision) -> str:
    return decision.decision.reason
