"""Rules of spreading pods over topology.
https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.kinds.core.affinity import check_label_keys
from ropewalk.kube.kinds.core.checks import POSITIVE
from ropewalk.kube.machinery import selectors
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

_ACTIONS = ("DoNotSchedule", "ScheduleAnyway")
_POLICIES = ("Honor", "Ignore")


def validate_spread_constraints(constraints: Sequence[Object], path: Path, errors: FieldErrors) -> None:
    kinds = [(found.get("topologyKey", ""), found.get("whenUnsatisfiable", "")) for found in constraints]
    for index, constraint in enumerate(constraints):
        here = path / index
        topology, action = kinds[index]
        if constraint.get("maxSkew", 0) <= 0:
            errors.invalid(here / "maxSkew", constraint.get("maxSkew", 0), POSITIVE)
        if not topology:
            errors.required(here / "topologyKey", "can not be empty")
        if action not in _ACTIONS:
            errors.not_supported(here / "whenUnsatisfiable", action, _ACTIONS)
        if kinds[index] in kinds[index + 1 :]:
            errors.duplicate(here / "{topologyKey, whenUnsatisfiable}", f"{{{topology}, {action}}}")
        domains = constraint.get("minDomains")
        if domains is not None:
            if domains <= 0:
                errors.invalid(here / "minDomains", domains, POSITIVE)
            if action != "DoNotSchedule":
                text = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                errors.invalid(here / "minDomains", domains, text)
        for step in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if (policy := constraint.get(step)) is not None and policy not in _POLICIES:
                errors.not_supported(here / step, policy, _POLICIES)
        check_label_keys(constraint, here, errors)
        if (selector := constraint.get("labelSelector")) is not None:
            selectors.validate_label_selector(selector, here / "labelSelector", errors)
