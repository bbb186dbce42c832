"""The status of CustomResourceDefinitions: names accepted, resources established, objects of deleted ones removed.

Only the leading replica runs it.
https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/#CustomResourceDefinitionStatus
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.kube.extension import structure_rules
from ropewalk.kube.kinds.apiextensions.ca_bundles import problem_of
from ropewalk.kube.kinds.apiextensions.conditions import Told, is_true, with_condition
from ropewalk.kube.kinds.apiextensions.custom_resource_definitions import CLEANUP, approval
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.api import Api, ObjectChange
from ropewalk.kube.machinery.conditions import find, without
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, copied, metadata
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.runtime.controller import DONE, Controller, RequeueAfter, Result

DEFINITIONS = GroupResource("apiextensions.k8s.io", "customresourcedefinitions")
LOOK_AGAIN_SECONDS = 0.5
CONFLICT_SECONDS = 0.05
PATIENCE_SECONDS = 60
"""After which it is told that objects do not go."""


class DefinitionController:
    """A `Runnable`."""

    name = "custom resource definitions"

    def __init__(self, api: Api, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._clock = clock
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy)

    async def run(self) -> None:
        self._api.cache(DEFINITIONS).on_change(self._observe)
        await self._controller.run()

    def _observe(self, change: ObjectChange) -> None:
        definition = change.present
        self._controller.enqueue(metadata(definition)["name"])
        before, after = (at(side, "status", "acceptedNames") for side in (change.old, change.new))
        if before is not None and before != after:
            # Some of its names may be free now: somebody may wait for them.
            for other in self._others(definition):
                self._controller.enqueue(metadata(other)["name"])

    def _others(self, definition: Object) -> list[Object]:
        """The other definitions of its group."""
        group, name = definition["spec"]["group"], metadata(definition)["name"]
        return [
            other
            for other in self._api.cache(DEFINITIONS).all()
            if other["spec"]["group"] == group and metadata(other)["name"] != name
        ]

    async def _reconcile(self, name: str) -> Result:
        try:
            definition = await self._api.get(DEFINITIONS, "", name)
        except StatusFault as fault:
            if fault.status == 404:
                return DONE
            raise
        if "deletionTimestamp" in metadata(definition):
            return await self._clean_up(definition)
        changed = copied(definition)
        self._judge(changed, times.rfc3339(self._clock.wall()))
        if changed.get("status") != definition.get("status"):
            await self._update_status(changed)
        return DONE

    def _judge(self, definition: Object, now: str) -> None:
        """Bring its status up to date, in place."""
        status = definition.setdefault("status", {})
        conditions: list[Object] = status.get("conditions") or []
        if status.get("acceptedNames") != definition["spec"]["names"] or not is_true(definition, "NamesAccepted"):
            status["acceptedNames"], told = accepted(definition, taken(self._others(definition)))
            conditions = with_condition(conditions, told, now)
            if find(conditions, "Established") is None and told[1] != "True":
                not_all = ("Established", "False", "NotAccepted", "not all names are accepted")
                conditions = with_condition(conditions, not_all, now)
        for told in _judged(definition):
            conditions = with_condition(conditions, told, now)
        if not violations(definition):
            conditions = without(conditions, "NonStructuralSchema")
        status["conditions"] = conditions
        if is_true(definition, "NamesAccepted") and not is_true(definition, "Established"):
            status["conditions"] = with_condition(conditions, _established(definition), now)

    # --- deletion

    async def _clean_up(self, definition: Object) -> Result:
        """Delete all its objects; then let it go."""
        if CLEANUP not in (metadata(definition).get("finalizers") or ()):
            return DONE
        told = ("Terminating", "False", "NeverEstablished", "resource was never established")
        if is_true(definition, "Established"):
            left = await self._empty(definition)
            if left:
                await self._tell(definition, self._waiting(definition))
                return RequeueAfter(LOOK_AGAIN_SECONDS)
            told = ("Terminating", "False", "InstanceDeletionCompleted", "removed all instances")
        changed = copied(definition)
        changed["metadata"]["finalizers"] = [name for name in metadata(definition)["finalizers"] if name != CLEANUP]
        await self._tell(changed, told)
        return DONE

    def _waiting(self, definition: Object) -> Told:
        since = times.parse(metadata(definition)["deletionTimestamp"])
        if self._clock.wall() - since < PATIENCE_SECONDS:
            return "Terminating", "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress"
        told = "could not confirm zero CustomResources remaining: timed out waiting for the condition"
        return "Terminating", "True", "InstanceDeletionCheck", told

    async def _empty(self, definition: Object) -> int:
        """How many objects are left, after the deletion of all was asked for."""
        resource = GroupResource(definition["spec"]["group"], definition["spec"]["names"]["plural"])
        if self._api.info(resource) is None:
            return 0
        namespaced = definition["spec"]["scope"] == "Namespaced"
        for obj in await self._api.list(resource):
            if "deletionTimestamp" not in metadata(obj):
                namespace = metadata(obj).get("namespace", "") if namespaced else ""
                try:
                    await self._api.delete(resource, namespace, metadata(obj)["name"])
                except StatusFault as fault:
                    if fault.status != 404:
                        raise
        return len(await self._api.list(resource))

    async def _tell(self, definition: Object, told: Told) -> None:
        changed = copied(definition)
        status = changed.setdefault("status", {})
        now = times.rfc3339(self._clock.wall())
        status["conditions"] = with_condition(status.get("conditions") or [], told, now)
        if changed != definition or CLEANUP not in metadata(definition).get("finalizers", ()):
            await self._update_status(changed)

    async def _update_status(self, changed: Object) -> None:
        try:
            await self._api.update(DEFINITIONS, changed, subresource="status")
        except StatusFault as fault:
            if fault.reason == "Conflict":
                raise Retryable(fault.message, after=CONFLICT_SECONDS) from fault
            if fault.status != 404:
                raise


# --- names


@dataclass(frozen=True, slots=True)
class Taken:
    """Names that other definitions of the group have."""

    resources: frozenset[str]
    """Plurals, singulars and short names: they share one space."""
    kinds: frozenset[str]


def taken(others: Sequence[Object]) -> Taken:
    resources: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        theirs = at(other, "status", "acceptedNames") or {}
        resources |= {theirs.get("plural", ""), theirs.get("singular", ""), *(theirs.get("shortNames") or ())}
        kinds |= {theirs.get("kind", ""), theirs.get("listKind", "")}
    return Taken(frozenset(resources - {""}), frozenset(kinds - {""}))


def accepted(definition: Object, others: Taken) -> tuple[Object, Told]:
    """(the names it may have, the condition that tells so). What conflicts stays as it was accepted before."""
    wanted = definition["spec"]["names"]
    before: Object = at(definition, "status", "acceptedNames") or {}
    found = dict(before)
    told: Told = ("NamesAccepted", "True", "NoConflicts", "no conflicts found")

    def take(name: str, reason: str, used: frozenset[str]) -> None:
        nonlocal told
        value = wanted.get(name, "")
        if value != before.get(name, "") and value in used:
            told = ("NamesAccepted", "False", reason, f'"{value}" is already in use')
        else:
            _set(found, name, value)

    resources = others.resources | _own(before, "plural", "singular", "shortNames")
    kinds = others.kinds | _own(before, "kind", "listKind")
    take("plural", "PluralConflict", resources)
    take("singular", "SingularConflict", resources)
    ours = before.get("shortNames") or ()
    bad = [name for name in wanted.get("shortNames") or () if name not in ours and name in resources]
    if bad:
        problems = [f'"{name}" is already in use' for name in bad]
        listed = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
        told = ("NamesAccepted", "False", "ShortNamesConflict", listed)
    else:
        _set(found, "shortNames", wanted.get("shortNames"))
    take("kind", "KindConflict", kinds)
    take("listKind", "ListKindConflict", kinds)
    _set(found, "categories", wanted.get("categories"))
    return {"plural": "", "kind": "", **found}, told


def _own(before: Object, *words: str) -> frozenset[str]:
    """Its own names of before: one of them may not become another of them."""
    found: set[str] = set()
    for word in words:
        value = before.get(word) or ()
        found |= {value} if type(value) is str else set(value)
    return frozenset(found)


def _set(found: Object, name: str, value: object) -> None:
    if value:
        found[name] = value
    else:
        found.pop(name, None)


# --- conditions


def _established(definition: Object) -> Told:
    bundle = at(definition, "spec", "conversion", "webhook", "clientConfig", "caBundle")
    if bundle and problem_of(bundle):
        return "Established", "False", "InvalidCABundle", "The conversion webhook CABundle is invalid"
    return "Established", "True", "InitialNamesAccepted", "the initial names have been accepted"


def _judged(definition: Object) -> list[Told]:
    """What its schemas and its group say."""
    found: list[Told] = []
    told = violations(definition)
    if told:
        found.append(("NonStructuralSchema", "True", "Violations", told))
    reason, why = approval(definition)
    if reason:
        status = "True" if reason == "ApprovedAnnotation" else "False"
        found.append(("KubernetesAPIApprovalPolicyConformant", status, reason, why))
    return found


def violations(definition: Object) -> str:
    """Why its schemas are not structural (they may be older than that rule); "" where they are."""
    found: list[str] = []
    if definition["spec"].get("preserveUnknownFields"):
        found.append("spec.preserveUnknownFields: Invalid value: true: must be false")
    for place, version in enumerate(definition["spec"]["versions"]):
        schema = at(version, "schema", "openAPIV3Schema")
        if schema is not None:
            path = f"spec.versions[{place}].schema.openAPIV3Schema"
            found += [f"{cause.field}: {cause.message}" for cause in structure_rules.validate(schema, path)]
    return found[0] if len(found) == 1 else f"[{', '.join(found)}]" if found else ""
