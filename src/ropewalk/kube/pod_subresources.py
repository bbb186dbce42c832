"""POST to a pod's `binding` and `eviction`: a scheduler's decision, and a deletion that asks the disruption budgets.

https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
"""

from __future__ import annotations

from ropewalk.base.clock import Clock
from ropewalk.kube.kinds.core import bindings
from ropewalk.kube.kinds.policy.evictions import check_eviction
from ropewalk.kube.machinery import errors, times
from ropewalk.kube.machinery.admission import Admission, AdmissionChain
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import Cause, Details, StatusFault
from ropewalk.kube.machinery.objects import Object, at, copied, labels_of, metadata
from ropewalk.kube.machinery.registry.aspects import Aspect, nothing
from ropewalk.kube.machinery.registry.deletion import DeleteOptions
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.registry.writing import Proposal, Writer
from ropewalk.kube.machinery.requests import Call
from ropewalk.kube.machinery.resources import GroupResource, GroupVersionKind
from ropewalk.kube.machinery.selectors import label_selector_of

BUDGETS = GroupResource("policy", "poddisruptionbudgets")
TRIES = 8
LONGEST_DISRUPTED = 2000
"""Pods that a budget remembers as being disrupted; past it evictions wait for its controller."""
SUCCESS: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

BINDING = Aspect("binding", nothing, lambda strategy, new, old: None, lambda strategy, new, old, found: None)
"""A binding writes node, condition, labels and annotations, whatever else an update may not change."""


class PodSubresources:
    """What answers the two. Budgets are read live: two evictions at once must not share one allowance."""

    def __init__(self, api: Api, writer: Writer, chain: AdmissionChain, clock: Clock) -> None:
        self._api = api
        self._writer = writer
        self._chain = chain
        self._clock = clock

    # --- binding

    async def bind(self, served: Served, namespace: str, name: str, body: Object, call: Call) -> Object:
        bindings.check_binding(name, body)
        await self._admit(served, "binding", GroupVersionKind("", "v1", "Binding"), namespace, name, body, call)
        now = times.rfc3339(self._clock.wall())

        async def change(pod: Object) -> Proposal:
            return Proposal(bindings.bind(pod, body, now))

        options: Object = {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}
        await self._writer.update(served, namespace, name, change, call, options, aspect=BINDING)
        return SUCCESS

    # --- eviction

    async def evict(self, served: Served, namespace: str, name: str, body: Object, call: Call) -> Object:
        metadata(body).setdefault("name", name)
        check_eviction(body, name)
        kind = GroupVersionKind("policy", "v1", "Eviction")
        await self._admit(served, "eviction", kind, namespace, name, body, call)
        pod = await self._api.get(served.info.group_resource, namespace, name)
        given = body.get("deleteOptions") or {}
        if given.get("dryRun"):
            call.dry_run = True
        if not _may_go_at_once(pod):
            await self._ask_budgets(pod, namespace, call)
        preconditions = given.get("preconditions") or {}
        options = DeleteOptions(
            given.get("gracePeriodSeconds"),
            preconditions.get("uid") or metadata(pod)["uid"],
            preconditions.get("resourceVersion") or "",
            given.get("propagationPolicy") or "",
        )
        document: Object = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1", **given}
        await self._writer.delete(served, namespace, name, options, call, document)
        return SUCCESS

    async def _ask_budgets(self, pod: Object, namespace: str, call: Call) -> None:
        budgets = [
            budget
            for budget in await self._api.list(BUDGETS, namespace)
            if label_selector_of(at(budget, "spec", "selector")).matches(labels_of(pod))
        ]
        if len(budgets) > 1:
            raise StatusFault(
                "InternalError",
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
                status=500,
            )
        if budgets:
            await self._take_allowance(budgets[0], pod, call)

    async def _take_allowance(self, budget: Object, pod: Object, call: Call) -> None:
        """One disruption less, and the pod remembered as disrupted. Raises TooManyRequests."""
        name = metadata(budget)["name"]
        for _ in range(TRIES):
            if _is_unhealthy_and_free(budget, pod):
                return
            changed = _charged(budget, metadata(pod)["name"], times.rfc3339(self._clock.wall()))
            if call.dry_run:
                return
            try:
                await self._api.update(BUDGETS, changed, subresource="status")
                return
            except StatusFault as fault:
                if fault.reason != "Conflict":
                    raise
            budget = await self._api.get(BUDGETS, metadata(budget)["namespace"], name)
        raise errors.conflict("poddisruptionbudgets", "policy", name, errors.OBJECT_MODIFIED)

    async def _admit(
        self,
        served: Served,
        subresource: str,
        kind: GroupVersionKind,
        namespace: str,
        name: str,
        body: Object,
        call: Call,
    ) -> None:
        options: Object = {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}
        admission = Admission(
            call, "CREATE", served.info, subresource, namespace, name, body, None, options, kind, dry_run=call.dry_run
        )
        await self._chain.mutate(admission)
        await self._chain.validate(admission)


def _may_go_at_once(pod: Object) -> bool:
    """What is over, has not begun or is going already disrupts nothing."""
    return at(pod, "status", "phase") in ("Succeeded", "Failed", "Pending") or "deletionTimestamp" in metadata(pod)


def _is_unhealthy_and_free(budget: Object, pod: Object) -> bool:
    """A pod that is not ready may go where the budget's policy says so, or while enough others are healthy."""
    ready = any(
        condition.get("type") == "Ready" and condition.get("status") == "True"
        for condition in at(pod, "status", "conditions") or ()
    )
    if ready:
        return False
    if at(budget, "spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    healthy, desired = at(budget, "status", "currentHealthy") or 0, at(budget, "status", "desiredHealthy") or 0
    return desired > 0 and healthy >= desired


def _charged(budget: Object, pod: str, now: str) -> Object:
    status = budget.get("status") or {}
    name = metadata(budget)["name"]
    if status.get("observedGeneration", 0) < metadata(budget).get("generation", 1):
        raise _over_budget(f"The disruption budget {name} is still being processed by the server.", retry_after=10)
    allowed = status.get("disruptionsAllowed", 0)
    if allowed < 0:
        raise errors.forbidden("poddisruptionbudgets", "policy", name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or ()) > LONGEST_DISRUPTED:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise errors.forbidden("poddisruptionbudgets", "policy", name, why)
    if allowed == 0:
        healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
        raise _over_budget(f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently")
    changed: Object = copied(budget)
    changed["status"]["disruptionsAllowed"] = allowed - 1
    changed["status"].setdefault("disruptedPods", {})[pod] = now
    return changed


def _over_budget(cause: str, retry_after: int = 0) -> StatusFault:
    details = Details(causes=(Cause("DisruptionBudget", cause),), retry_after_seconds=retry_after)
    return errors.too_many_requests(
        "Cannot evict pod as it would violate the pod's disruption budget.", retry_after, details=details
    )
