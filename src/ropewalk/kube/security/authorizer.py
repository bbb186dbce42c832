"""Authorization as a chain: the first that has an opinion decides.

    Masters             whoever is in system:masters may do everything
    NodeAuthorizer      what a node needs for its pods                     node_authorizer
    Rbac                roles and their bindings                           rbac

https://kubernetes.io/docs/reference/access-authn-authz/authorization/
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.machinery.access import Authorizer, Decision, Verdict
from ropewalk.kube.machinery.requests import Attributes, User
from ropewalk.kube.security.policy_rules import FULL_AUTHORITY, HeldRules

MASTERS = "system:masters"

_ALLOWED = Decision(Verdict.ALLOW)
_NO_OPINION = Decision(Verdict.NO_OPINION)


class Masters:
    """The group system:masters may do everything. An `Authorizer` and a `RuleResolver`."""

    async def authorize(self, attributes: Attributes) -> Decision:
        return _ALLOWED if MASTERS in attributes.user.groups else _NO_OPINION

    def rules_for(self, user: User, namespace: str) -> HeldRules:
        return HeldRules(FULL_AUTHORITY if MASTERS in user.groups else ())


class Chain:
    """An `Authorizer` of several. Reasons and errors of those without an opinion are told together."""

    def __init__(self, authorizers: Sequence[Authorizer]) -> None:
        self._authorizers = authorizers

    async def authorize(self, attributes: Attributes) -> Decision:
        reasons: list[str] = []
        problems: list[str] = []
        for authorizer in self._authorizers:
            decision = await authorizer.authorize(attributes)
            if decision.verdict is not Verdict.NO_OPINION:
                return decision
            if decision.reason:
                reasons.append(decision.reason)
            if decision.error:
                problems.append(decision.error)
        return Decision(Verdict.NO_OPINION, "\n".join(reasons), "; ".join(problems))
