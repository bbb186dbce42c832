"""A node becomes a `Machine` of the planner, a pod a `Unit`. Pure.

What a pod's template says is lowered once and shared by all its pods. `matchLabelKeys` and `mismatchLabelKeys` are in
the selectors already: the API server writes them there when the pod is created, as kube-apiserver does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import orjson

from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.objects import Object, at, labels_of, metadata, name_of, namespace_of, uid_of
from ropewalk.kube.machinery.selectors import EVERYTHING, NOTHING, LabelSelector, label_selector_of
from ropewalk.kube.scheduler import node_terms
from ropewalk.kube.scheduler.amounts import PODS, numbers, room_of
from ropewalk.planning.demands import (
    CPU,
    MEMORY,
    Company,
    Constraint,
    Evenly,
    HostPort,
    Machine,
    Preference,
    Query,
    Unit,
)

HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
BY_DEFAULT = ((HOSTNAME, 3), (ZONE, 5))
"""Field and skew over which pods of one service or controller are rather spread, where they say nothing of it."""
_TEMPLATE = ("tolerations", "nodeSelector", "affinity", "topologySpreadConstraints")
_REQUIRED, _PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)
_ANY_ADDRESS = ("", "0.0.0.0")


def machine_of(node: Object) -> Machine:
    status = node.get("status") or {}
    room = numbers(status.get("allocatable") or {})
    images = {
        name: int(image.get("sizeBytes", 0))
        for image in status.get("images") or ()
        for name in image.get("names") or ()
    }
    cpu, memory = room.pop(CPU, 0), room.pop(MEMORY, 0)
    return Machine(
        name_of(node),
        cpu,
        memory,
        attributes=labels_of(node),
        further={PODS: 0} | room,
        taints=node_terms.taints_of(node),
        images=images,
    )


@dataclass(frozen=True, slots=True)
class _Terms:
    """What the template says of where its pods may go."""

    constraints: tuple[Constraint, ...]
    only: frozenset[str] | None
    preferences: tuple[Preference, ...]
    near: tuple[Company, ...]
    apart: tuple[Company, ...]
    likes: tuple[Company, ...]
    dislikes: tuple[Company, ...]
    evenly: tuple[Evenly, ...]
    rather_evenly: tuple[Evenly, ...]


def unit_of(pod: Object) -> Unit:
    spec, status, meta = pod.get("spec") or {}, pod.get("status") or {}, metadata(pod)
    labels = labels_of(pod)
    terms = _terms(orjson.dumps([spec.get(step) for step in _TEMPLATE]), namespace_of(pod))
    room, weight = room_of(pod)
    return Unit(
        uid_of(pod),
        namespace_of(pod),
        labels,
        room,
        weight,
        frozenset(_ports(spec)),
        terms.constraints,
        terms.only,
        terms.preferences,
        terms.near,
        terms.apart,
        terms.likes,
        terms.dislikes,
        tuple(_for_itself(evenly, labels) for evenly in terms.evenly),
        terms.rather_evenly,
        images=tuple(
            _image(each.get("image", "")) for step in ("initContainers", "containers") for each in spec.get(step) or ()
        ),
        priority=int(spec.get("priority") or 0),
        since=times.parse(status.get("startTime") or meta.get("creationTimestamp") or "1970-01-01T00:00:00Z"),
        preempts=spec.get("preemptionPolicy") != "Never",
        leaving=meta.get("deletionTimestamp") is not None,
    )


def spread_by_default(unit: Unit, pod: Object, selector: LabelSelector) -> Unit:
    """As the system's default constraints spread it: by the selector of its services and its controller, if any."""
    if at(pod, "spec", "topologySpreadConstraints") or selector == EVERYTHING:
        return unit
    query = Query(selector, frozenset((unit.space,)), staying=True)
    among = tuple(each for each in unit.constraints if each.name == node_terms.UNSELECTED)
    wanted = tuple(Evenly(query, field, skew, among=among, by_machine=field == HOSTNAME) for field, skew in BY_DEFAULT)
    return replace(unit, rather_evenly=wanted, rather_everywhere=True)


@lru_cache(maxsize=4096)
def _terms(template: bytes, namespace: str) -> _Terms:
    spec = dict(zip(_TEMPLATE, orjson.loads(template), strict=True))
    tolerations = node_terms.tolerations_of(spec)
    entering, tolerating = node_terms.entering(tolerations), node_terms.tolerating(tolerations)
    selected = node_terms.selected(spec)
    preferred = node_terms.preferred(spec)
    affinity = spec.get("affinity") or {}
    near, apart = _companies(affinity, _REQUIRED, namespace)
    likes, dislikes = _companies(affinity, _PREFERRED, namespace)
    evenly, rather_evenly = (
        tuple(
            _evenly(each, namespace, selected, tolerating)
            for each in spec.get("topologySpreadConstraints") or ()
            if each.get("whenUnsatisfiable") == action
        )
        for action in ("DoNotSchedule", "ScheduleAnyway")
    )
    return _Terms(
        (entering, tolerating) if selected is None else (entering, tolerating, selected),
        node_terms.only(spec),
        (node_terms.repelled(tolerations), *(() if preferred is None else (preferred,))),
        near,
        apart,
        likes,
        dislikes,
        evenly,
        rather_evenly,
    )


def _companies(affinity: Object, how: str, namespace: str) -> Iterator[tuple[Company, ...]]:
    """Near, then apart."""
    for kind in ("podAffinity", "podAntiAffinity"):
        given = at(affinity, kind, how) or ()
        if how == _REQUIRED:
            yield tuple(_company(each, 0, namespace) for each in given)
        else:
            yield tuple(_company(each.get("podAffinityTerm") or {}, int(each["weight"]), namespace) for each in given)


def _company(term: Object, weight: int, namespace: str) -> Company:
    spaces, space_selector = term.get("namespaces") or (), term.get("namespaceSelector")
    if not spaces and space_selector is None:
        spaces = (namespace,)
    query = Query(
        label_selector_of(term.get("labelSelector")),
        frozenset(spaces),
        None if space_selector is None else label_selector_of(space_selector),
    )
    return Company(query, term.get("topologyKey", ""), weight)


def _evenly(given: Object, namespace: str, selected: Constraint | None, tolerating: Constraint) -> Evenly:
    among = []
    if selected is not None and given.get("nodeAffinityPolicy", "Honor") == "Honor":
        among.append(selected)
    if given.get("nodeTaintsPolicy", "Ignore") == "Honor":
        among.append(tolerating)
    field = given.get("topologyKey", "")
    return Evenly(
        Query(label_selector_of(given.get("labelSelector")), frozenset((namespace,)), staying=True),
        field,
        int(given.get("maxSkew", 1)),
        places=int(given.get("minDomains") or 1),
        among=tuple(among),
        by_machine=field == HOSTNAME,
    )


def _for_itself(evenly: Evenly, labels: dict[str, str]) -> Evenly:
    """Whether the pod is one of those counted. A selector that asks for nothing counts nobody else."""
    if evenly.query.selector == EVERYTHING:
        return replace(evenly, query=replace(evenly.query, selector=NOTHING))
    return evenly if evenly.query.selector.matches(labels) else replace(evenly, counts_itself=False)


def _ports(spec: Object) -> Iterator[HostPort]:
    sidecars = [each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"]
    for container in (*(spec.get("containers") or ()), *sidecars):
        for port in container.get("ports") or ():
            if number := int(port.get("hostPort") or 0):
                protocol, address = port.get("protocol", "TCP"), port.get("hostIP", "")
                yield (protocol, number) if address in _ANY_ADDRESS else (protocol, number, address)


def _image(name: str) -> str:
    """Under the name that a node tells it by."""
    return name if name.rfind(":") > name.rfind("/") else f"{name}:latest"
