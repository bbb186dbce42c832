"""Authorization as a chain: the first that has an opinion decides. https://kubernetes.io/docs/reference/access-authn-authz/authorization/"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.machinery.access import Authorizer, Decision, Verdict
from ropewalk.kube.machinery.requests import Attributes

MASTERS = "system:masters"

_ALLOWED = Decision(Verdict.ALLOW)
_NO_OPINION = Decision(Verdict.NO_OPINION)


class Masters:
    """The group system:masters may do everything. An `Authorizer`."""

    async def authorize(self, attributes: Attributes) -> Decision:
        return _ALLOWED if MASTERS in attributes.user.groups else _NO_OPINION


class Chain:
    """An `Authorizer` of several. Reasons of those without an opinion are told together."""

    def __init__(self, authorizers: Sequence[Authorizer]) -> None:
        self._authorizers = authorizers

    async def authorize(self, attributes: Attributes) -> Decision:
        reasons: list[str] = []
        for authorizer in self._authorizers:
            decision = await authorizer.authorize(attributes)
            if decision.verdict is not Verdict.NO_OPINION:
                return decision
            if decision.reason:
                reasons.append(decision.reason)
        return Decision(Verdict.NO_OPINION, "\n".join(reasons))
