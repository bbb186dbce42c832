"""Priority level configurations: how many requests of a level run at a time, and what happens to the rest.
https://kubernetes.io/docs/concepts/cluster-administration/flow-control/#prioritylevelconfiguration
"""

from __future__ import annotations

import math

from ropewalk.kube.kinds.cells import AGE, NAME, field
from ropewalk.kube.kinds.checks import same
from ropewalk.kube.kinds.flowcontrol.bootstrap import MANDATORY_SPECS
from ropewalk.kube.kinds.flowcontrol.flow_schemas import validate_condition_types
from ropewalk.kube.kinds.go_spelling import go_printed
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Json, Object, annotations_of, at, name_of
from ropewalk.kube.machinery.strategy import ALL_METADATA, STATUS_ALONE, Column, Strategy

SPEC = ROOT / "spec"
_SPEC = "flowcontrol.v1.PriorityLevelConfigurationSpec"
MOST_QUEUES = 10_000_000
HASH_BITS = 60
"""Of a request's hash: what dealing a hand of queues may use up."""
PRESERVE_ZERO = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares"


def _figure(name: str, *path: str) -> Column:
    def cell(obj: Object, now: float) -> Json:
        if at(obj, *path[:-1]) is None:
            return "<none>"
        return at(obj, *path) or 0

    return Column(name, cell)


QUEUING = ("spec", "limited", "limitResponse", "queuing")


class PriorityLevelConfigurations(Strategy):
    has_status = True
    status_keeps = ALL_METADATA
    reset_fields = STATUS_ALONE
    has_generation = True
    columns = (
        NAME,
        field("Type", "spec", "type"),
        _figure("NominalConcurrencyShares", "spec", "limited", "nominalConcurrencyShares"),
        _figure("Queues", *QUEUING, "queues"),
        _figure("HandSize", *QUEUING, "handSize"),
        _figure("QueueLengthLimit", *QUEUING, "queueLengthLimit"),
        AGE,
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        for name, shares in (("exempt", 0), ("limited", 30)):
            if spec.get(name) is not None:
                spec[name].setdefault("nominalConcurrencyShares", shares)
                spec[name].setdefault("lendablePercent", 0)
        queuing = at(obj, *QUEUING)
        if queuing is not None:
            for name, number in (("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)):
                queuing[name] = queuing.get(name) or number

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        name, spec = name_of(obj), obj.get("spec") or {}
        if PRESERVE_ZERO in annotations_of(obj):
            errors.forbidden(ROOT / "metadata" / "annotations", f"annotation '{PRESERVE_ZERO}' is forbidden")
        _validate_spec(name, spec, errors)
        fixed = MANDATORY_SPECS.get(("PriorityLevelConfiguration", name))
        if fixed is None:
            return
        if name == "exempt":
            if not same({**spec, "exempt": None}, {**fixed, "exempt": None}):
                told = f"spec of '{name}' except the 'spec.exempt' field must equal the fixed value"
                errors.invalid(SPEC, go_printed(spec, _SPEC), told)
        elif not same(spec, fixed):
            errors.invalid(SPEC, go_printed(spec, _SPEC), f"spec of '{name}' must equal the fixed value")

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        validate_condition_types(new, errors)


def _validate_spec(name: str, spec: Object, errors: FieldErrors) -> None:
    kind, limited, exempt = spec.get("type", ""), spec.get("limited"), spec.get("exempt")
    if (name == "exempt") != (kind == "Exempt"):
        errors.invalid(SPEC / "type", kind, "must be 'Exempt' if and only if `name` is 'exempt'")
    if kind == "Exempt":
        if limited is not None:
            errors.forbidden(SPEC / "limited", "must be nil if the type is not Limited")
        if exempt is not None:
            _validate_shares(exempt, SPEC / "exempt", errors)
            _validate_lendable(exempt, SPEC / "exempt", errors)
    elif kind == "Limited":
        if exempt is not None:
            errors.forbidden(SPEC / "exempt", "must be nil if the type is Limited")
        if limited is None:
            errors.required(SPEC / "limited", "must not be empty when type is Limited")
        else:
            _validate_limited(limited, SPEC / "limited", errors)
    else:
        errors.not_supported(SPEC / "type", kind, ("Exempt", "Limited"))


def _validate_shares(level: Object, path: Path, errors: FieldErrors) -> None:
    shares = level.get("nominalConcurrencyShares", 0)
    if shares < 0:
        errors.invalid(path / "nominalConcurrencyShares", shares, "must be a non-negative integer")


def _validate_lendable(level: Object, path: Path, errors: FieldErrors) -> None:
    lendable = level.get("lendablePercent", 0)
    if not 0 <= lendable <= 100:
        errors.invalid(path / "lendablePercent", lendable, "must be between 0 and 100, inclusive")


def _validate_limited(level: Object, path: Path, errors: FieldErrors) -> None:
    _validate_shares(level, path, errors)
    response = level.get("limitResponse") or {}
    queuing, kind = response.get("queuing"), response.get("type", "")
    here = path / "limitResponse"
    if kind == "Reject":
        if queuing is not None:
            errors.forbidden(here / "queuing", "must be nil if limited.limitResponse.type is not Limited")
    elif kind != "Queue":
        errors.not_supported(here / "type", kind, ("Queue", "Reject"))
    elif queuing is None:
        errors.required(here / "queuing", "must not be empty if limited.limitResponse.type is Limited")
    else:
        _validate_queuing(queuing, here / "queuing", errors)
    _validate_lendable(level, path, errors)
    borrowing = level.get("borrowingLimitPercent", 0)
    if borrowing < 0:
        errors.invalid(path / "borrowingLimitPercent", borrowing, "if specified, must be a non-negative integer")


def _validate_queuing(queuing: Object, path: Path, errors: FieldErrors) -> None:
    limit, queues, hand = (queuing.get(name, 0) for name in ("queueLengthLimit", "queues", "handSize"))
    if limit <= 0:
        errors.invalid(path / "queueLengthLimit", limit, "must be positive")
    if queues <= 0:
        errors.invalid(path / "queues", queues, "must be positive")
    elif queues > MOST_QUEUES:
        errors.invalid(path / "queues", queues, f"must not be greater than {MOST_QUEUES}")
    if hand <= 0:
        errors.invalid(path / "handSize", hand, "must be positive")
    elif hand > queues:
        errors.invalid(path / "handSize", hand, f"should not be greater than queues ({queues})")
    elif math.ceil(math.log2(queues) * hand) > HASH_BITS:
        errors.invalid(
            path / "handSize",
            hand,
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {HASH_BITS}",
        )
