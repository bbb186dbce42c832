"""Cluster roles that gather the rules of others, chosen by label.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles
"""

from __future__ import annotations

from collections.abc import Iterable

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.kube.machinery.api import Api, ObjectChange
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, labels_of, name_of
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.machinery.selectors import label_selector_of
from ropewalk.runtime.controller import DONE, Controller, Result

CLUSTER_ROLES = GroupResource("rbac.authorization.k8s.io", "clusterroles")


def is_aggregated(role: Object) -> bool:
    return bool(at(role, "aggregationRule", "clusterRoleSelectors"))


def aggregated_rules(role: Object, roles: Iterable[Object]) -> list[Object]:
    """The rules that `role`, which has an aggregationRule, should have: those of every other of `roles` that one of its
    selectors chooses, by name, each rule once.
    """
    others = sorted((other for other in roles if name_of(other) != name_of(role)), key=name_of)
    found: list[Object] = []
    for selector in at(role, "aggregationRule", "clusterRoleSelectors") or ():
        chosen = label_selector_of(selector)
        for other in others:
            if chosen.matches(labels_of(other)):
                found += [rule for rule in other.get("rules") or () if rule not in found]
    return found


class ClusterRoleAggregation:
    """A `Runnable`: writes into aggregated roles what they gather, whenever any cluster role changes."""

    name = "cluster role aggregation"

    def __init__(self, api: Api, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._roles = api.cache(CLUSTER_ROLES)
        self._gathering: set[str] = set()
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy)

    async def run(self) -> None:
        self._roles.on_change(self._observe)
        await self._controller.run()

    def _observe(self, change: ObjectChange) -> None:
        """Whose labels the role has, or had, is not asked: roles that gather are few, and looking at one is cheap."""
        name = name_of(change.present)
        if change.new is not None and is_aggregated(change.new):
            self._gathering.add(name)
        else:
            self._gathering.discard(name)
        for gathering in self._gathering:
            self._controller.enqueue(gathering)

    async def _reconcile(self, name: str) -> Result:
        role = self._roles.get("", name)
        if role is None or not is_aggregated(role):
            return DONE
        rules = aggregated_rules(role, self._roles.all())
        if rules == (role.get("rules") or []):
            return DONE
        try:
            await self._api.patch(CLUSTER_ROLES, "", name, {"rules": rules})
        except StatusFault as fault:
            if fault.status != 404:
                raise
        return DONE
