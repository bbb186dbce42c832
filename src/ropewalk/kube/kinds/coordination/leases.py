"""Leases: locks with a time, for elections and for heartbeats of nodes.
https://kubernetes.io/docs/concepts/architecture/leases/
"""

from __future__ import annotations

from ropewalk.kube.kinds.cells import AGE, NAME, field
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.machinery.strategy import Strategy

SPEC = ROOT / "spec"
OF_COORDINATED_ELECTION = ("strategy", "preferredHolder")
"""Fields of a feature that is off in 1.35: dropped, as kube-apiserver drops them, unless they were there before."""
STRATEGIES = ("OldestEmulationVersion",)


class Leases(Strategy):
    allow_create_on_update = True
    allow_unconditional_update = False
    columns = (NAME, field("Holder", "spec", "holderIdentity"), AGE)

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        for name in OF_COORDINATED_ELECTION:
            (obj.get("spec") or {}).pop(name, None)

    def prepare_update(self, new: Object, old: Object) -> None:
        super().prepare_update(new, old)
        for name in OF_COORDINATED_ELECTION:
            if at(old, "spec", name) is None:
                (new.get("spec") or {}).pop(name, None)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        spec = obj.get("spec") or {}
        seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
        if seconds is not None and seconds <= 0:
            errors.invalid(SPEC / "leaseDurationSeconds", seconds, "must be greater than 0")
        if transitions is not None and transitions < 0:
            errors.invalid(SPEC / "leaseTransitions", transitions, "must be greater than or equal to 0")
        strategy = spec.get("strategy")
        if strategy is not None:
            _validate_strategy(strategy, SPEC / "strategy" / "strategy", errors)
        if spec.get("preferredHolder") and not strategy:
            errors.forbidden(SPEC / "preferredHolder", "may only be specified if `strategy` is defined")


def _validate_strategy(strategy: str, path: Path, errors: FieldErrors) -> None:
    if "/" in strategy:
        errors.messages(path, strategy, names.qualified_name(strategy))
    elif strategy not in STRATEGIES:
        errors.not_supported(path, strategy, STRATEGIES)
