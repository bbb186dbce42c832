"""Pod disruption budgets: how many pods of an application may be evicted at a time.
https://kubernetes.io/docs/concepts/workloads/pods/disruptions/
"""

from __future__ import annotations

from ropewalk.kube.kinds import int_or_percent
from ropewalk.kube.kinds.cells import AGE, NAME, number, text
from ropewalk.kube.kinds.checks import non_negatives
from ropewalk.kube.kinds.conditions import validate_conditions
from ropewalk.kube.kinds.go_spelling import go_printed
from ropewalk.kube.machinery import selectors
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.strategy import Strategy

SPEC = ROOT / "spec"
STATUS = ROOT / "status"
POLICIES = ("AlwaysAllow", "IfHealthyBudget")


def _amount(obj: Object, name: str) -> str:
    return str((obj.get("spec") or {}).get(name, "N/A"))


class PodDisruptionBudgets(Strategy):
    has_status = True
    has_generation = True
    allow_unconditional_update = False
    columns = (
        NAME,
        text("Min Available", lambda obj: _amount(obj, "minAvailable")),
        text("Max Unavailable", lambda obj: _amount(obj, "maxUnavailable")),
        number("Allowed Disruptions", "status", "disruptionsAllowed"),
        AGE,
    )

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        spec = obj.get("spec") or {}
        if "minAvailable" in spec and "maxUnavailable" in spec:
            errors.invalid(
                SPEC,
                go_printed(spec, "policy.v1.PodDisruptionBudgetSpec"),
                "minAvailable and maxUnavailable cannot be both set",
            )
        for name in ("minAvailable", "maxUnavailable"):
            if name in spec:
                int_or_percent.check(spec[name], SPEC / name, errors)
                int_or_percent.at_most_all(spec[name], SPEC / name, errors)
        if spec.get("selector") is not None:
            selectors.validate_label_selector(spec["selector"], SPEC / "selector", errors)
        policy = spec.get("unhealthyPodEvictionPolicy")
        if policy is not None and policy not in POLICIES:
            errors.not_supported(SPEC / "unhealthyPodEvictionPolicy", policy, POLICIES)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        status = new.get("status") or {}
        validate_conditions(status.get("conditions") or (), STATUS / "conditions", errors)
        counts = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
        non_negatives(status, counts, STATUS, errors)
