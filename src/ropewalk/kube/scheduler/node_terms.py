"""What a pod asks of a node itself: tolerations, selector and affinity, as constraints and preferences of the planner.

Pure, and compared by value, so that the pods of one template share one answer a node.
https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ropewalk.kube.kinds.core.tolerations import Toleration, toleration_of
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.machinery.selectors import ABSENT, EXISTS, GREATER, IN, LESS, NOT_IN, Requirement
from ropewalk.planning.demands import Constraint, Machine, Preference, Taint

CLOSED = "Closed"
"""Effect of the taint by which an unschedulable node is told to the planner; no node has it of its own."""
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
WERE_UNSCHEDULABLE = "node(s) were unschedulable"
UNTOLERATED = "node(s) had untolerated taint(s)"
UNSELECTED = "node(s) didn't match Pod's node affinity/selector"
TOLERATION_WEIGHT, AFFINITY_WEIGHT = 3, 2
_HARD = ("NoSchedule", "NoExecute")
_OPERATORS = {
    "In": IN,
    "NotIn": NOT_IN,
    "Exists": EXISTS,
    "DoesNotExist": ABSENT,
    "Gt": GREATER,
    "Lt": LESS,
}


Tolerations = tuple[Toleration, ...]


def tolerations_of(spec: Object) -> Tolerations:
    return tuple(map(toleration_of, spec.get("tolerations") or ()))


def taints_of(node: Object) -> tuple[Taint, ...]:
    spec = node.get("spec") or {}
    found = [
        Taint(each.get("key", ""), each.get("value", ""), each.get("effect", "")) for each in spec.get("taints") or ()
    ]
    if spec.get("unschedulable"):
        found.append(Taint(UNSCHEDULABLE, "", CLOSED))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Entering:
    """Nodes that are open, or closed ones where that is tolerated."""

    tolerated: bool

    def __call__(self, machine: Machine) -> bool:
        return self.tolerated or not any(taint.effect == CLOSED for taint in machine.taints)


@dataclass(frozen=True, slots=True)
class Tolerating:
    """Nodes all of whose taints that keep pods away are tolerated."""

    tolerations: Tolerations

    def __call__(self, machine: Machine) -> bool:
        return all(
            taint.effect not in _HARD or _tolerated(taint, self.tolerations) for taint in machine.taints
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Repelling:
    """How many taints that rather keep pods away are not tolerated."""

    tolerations: Tolerations

    def __call__(self, machine: Machine) -> int:
        return sum(
            taint.effect == "PreferNoSchedule" and not _tolerated(taint, self.tolerations) for taint in machine.taints
        )


def _tolerated(taint: Taint, tolerations: Tolerations) -> bool:
    return any(each.tolerates(taint.key, taint.value, taint.effect) for each in tolerations)


@dataclass(frozen=True, slots=True)
class NodeTerm:
    """Requirements that must all hold. Without any it matches nothing."""

    labels: tuple[Requirement, ...]
    fields: tuple[Requirement, ...]

    def matches(self, machine: Machine) -> bool:
        if not self.labels and not self.fields:
            return False
        return all(each.matches(machine.attributes) for each in self.labels) and all(
            each.matches({"metadata.name": machine.id}) for each in self.fields
        )


@dataclass(frozen=True, slots=True)
class Selected:
    """Nodes that have all of the labels and match one of the terms, where there are terms at all."""

    labels: tuple[tuple[str, str], ...]
    terms: tuple[NodeTerm, ...] | None

    def __call__(self, machine: Machine) -> bool:
        return all(machine.attributes.get(name) == value for name, value in self.labels) and (
            self.terms is None or any(term.matches(machine) for term in self.terms)
        )


@dataclass(frozen=True, slots=True)
class Preferred:
    """The weights of all terms that match, together."""

    terms: tuple[tuple[int, NodeTerm], ...]

    def __call__(self, machine: Machine) -> int:
        return sum(weight for weight, term in self.terms if term.matches(machine))


def entering(tolerations: Tolerations) -> Constraint:
    tolerated = any(each.tolerates(UNSCHEDULABLE, "", "NoSchedule") for each in tolerations)
    return Constraint(WERE_UNSCHEDULABLE, Entering(tolerated))


def tolerating(tolerations: Tolerations) -> Constraint:
    return Constraint(UNTOLERATED, Tolerating(tolerations))


def repelled(tolerations: Tolerations) -> Preference:
    soft = tuple(each for each in tolerations if each.effect in ("", "PreferNoSchedule"))
    return Preference(Repelling(soft), TOLERATION_WEIGHT, fewest=True)


def selected(spec: Object) -> Constraint | None:
    """From nodeSelector and required affinity; None where the pod has neither."""
    labels = tuple(sorted((spec.get("nodeSelector") or {}).items()))
    required = _required(spec)
    if not labels and required is None:
        return None
    terms = None if required is None else tuple(map(_term, required))
    return Constraint(UNSELECTED, Selected(labels, terms))


def only(spec: Object) -> frozenset[str] | None:
    """The nodes that required affinity calls by name, where every term does; None: it may be any node."""
    names: set[str] = set()
    required = _required(spec)
    if not required:
        return None
    for term in required:
        named: set[str] | None = None
        for each in term.get("matchFields") or ():
            if each.get("key") == "metadata.name" and each.get("operator") == "In":
                values = set(each.get("values") or ())
                named = values if named is None else named & values
        if named is None:
            return None
        names |= named
    return frozenset(names)


def preferred(spec: Object) -> Preference | None:
    given = at(spec, "affinity", "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution") or ()
    terms = tuple((int(each.get("weight", 0)), _term(each.get("preference") or {})) for each in given)
    return Preference(Preferred(terms), AFFINITY_WEIGHT) if terms else None


def _required(spec: Object) -> list[Object] | None:
    required = at(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    return None if required is None else required.get("nodeSelectorTerms") or []


def _term(term: Object) -> NodeTerm:
    return NodeTerm(
        _requirements(term.get("matchExpressions") or ()),
        _requirements(term.get("matchFields") or ()),
    )


def _requirements(given: Iterable[Object]) -> tuple[Requirement, ...]:
    return tuple(
        Requirement(each.get("key", ""), _OPERATORS[each["operator"]], tuple(sorted(set(each.get("values") or ()))))
        for each in given
    )
