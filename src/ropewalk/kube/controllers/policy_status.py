"""What a ValidatingAdmissionPolicy's expressions get wrong, told in its status once for each of its generations.

https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/#type-checking
"""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.kube.controllers.following import follow, found, split
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, metadata
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.runtime.controller import DONE, Controller, Result

POLICIES = GroupResource("admissionregistration.k8s.io", "validatingadmissionpolicies")
Check = Callable[[Object], list[Object]]
"""A policy → its `ExpressionWarning`s; `admission.policy_types` has it."""


class PolicyStatus:
    """A `Runnable`."""

    name = "validatingadmissionpolicy-status"

    def __init__(self, api: Api, check: Check, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._check = check
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy, workers=1)

    async def run(self) -> None:
        await self._api.cache(POLICIES).synced()
        follow(self._api, POLICIES, self._controller.enqueue)
        await self._controller.run()

    async def _reconcile(self, key: str) -> Result:
        policy = await found(self._api, POLICIES, *split(key))
        if policy is None:
            return DONE
        generation = metadata(policy).get("generation", 0)
        if generation <= (at(policy, "status", "observedGeneration") or 0):
            return DONE
        status = {
            "observedGeneration": generation,
            "typeChecking": {"expressionWarnings": self._check(policy) or None},
        }
        try:
            await self._api.patch(POLICIES, "", metadata(policy)["name"], {"status": status}, subresource="status")
        except StatusFault as fault:
            if fault.status != 404:
                raise
        return DONE
