"""Resource quotas: how much all objects of a namespace may ask for together.
https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from __future__ import annotations

from ropewalk.kube.kinds.cells import AGE, NAME, text
from ropewalk.kube.kinds.core.resource_lists import check_quota_name, settle, validate_amount
from ropewalk.kube.kinds.core.resources import is_for_quota
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Json, Object, at, metadata
from ropewalk.kube.machinery.quantities import canonical, compare
from ropewalk.kube.machinery.strategy import Strategy

SPEC = ROOT / "spec"
STATUS = ROOT / "status"
_OF_PODS = frozenset({"pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})
SCOPES = {
    "Terminating": _OF_PODS,
    "NotTerminating": _OF_PODS,
    "BestEffort": frozenset({"pods"}),
    "NotBestEffort": _OF_PODS,
    "PriorityClass": _OF_PODS,
    "VolumeAttributesClass": frozenset({"persistentvolumeclaims", "requests.storage"}),
    "CrossNamespacePodAffinity": _OF_PODS,
}
"""Scope → the resources that may be counted within it."""
_OPPOSITES = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
_ONLY_EXISTS = ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")
_MUST_EXIST = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating,"
    " ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)
_WARNED = ("cpu", "memory", "storage", "ephemeral-storage")


class ResourceQuotas(Strategy):
    has_status = True
    returns_deleted = True
    columns = (
        NAME,
        text("Request", lambda obj: _used(obj, of_limits=False)),
        text("Limit", lambda obj: _used(obj, of_limits=True)),
        AGE,
    )

    def default(self, obj: Object) -> None:
        settle(obj.get("spec"), "hard")
        settle(obj.get("status"), "hard", "used")

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        spec = obj.get("spec") or {}
        _validate_list(spec, SPEC, ("hard",), errors)
        _validate_scopes(spec, errors)
        if (selector := spec.get("scopeSelector")) is not None:
            _validate_selector(selector, spec, SPEC / "scopeSelector" / "matchExpressions", errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self.validate_create(new, errors)
        now, before = (at(obj, "spec", "scopes") or [] for obj in (new, old))
        if set(now) != set(before):
            errors.immutable(SPEC / "scopes", now)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        if not metadata(new).get("resourceVersion"):
            errors.required(ROOT / "resourceVersion")
        _validate_list(new.get("status") or {}, STATUS, ("hard", "used"), errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        if old is not None:
            return []
        hard, found = at(new, "spec", "hard") or {}, []
        for name in _WARNED:
            asked = f"requests.{name}"
            if asked not in hard and name in ("cpu", "memory"):
                asked = name
            limit = f"limits.{name}"
            if asked in hard and limit in hard and compare(hard[asked], hard[limit]) > 0:
                pair = canonical(hard[asked]), canonical(hard[limit])
                found.append(f"ResourceQuota {asked} ({pair[0]}) should be less than {limit} ({pair[1]})")
        return found


def _used(obj: Object, *, of_limits: bool) -> str:
    hard, used = at(obj, "status", "hard") or {}, at(obj, "status", "used") or {}
    names = [name for name in sorted(hard) if name.startswith("limits.") is of_limits]
    return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in names)


def _validate_list(holder: Object, path: Path, fields: tuple[str, ...], errors: FieldErrors) -> None:
    for name in fields:
        for key, value in (holder.get(name) or {}).items():
            here = (path / name).key(key)
            check_quota_name(errors, here, key)
            validate_amount(key, value, here, errors)


def _validate_scope(scope: str, hard: Object, told: Json, path: Path, whole: Path, errors: FieldErrors) -> None:
    if scope not in SCOPES:
        errors.invalid(path, told if path is whole else scope, "unsupported scope")
    for key in sorted(hard):
        if is_for_quota(key) and key not in SCOPES.get(scope, (key,)):
            errors.invalid(whole, told, "unsupported scope applied to resource")


def _validate_scopes(spec: Object, errors: FieldErrors) -> None:
    scopes, here = spec.get("scopes") or [], SPEC / "scopes"
    for scope in scopes:
        _validate_scope(scope, spec.get("hard") or {}, scopes, here, here, errors)
    _refuse_opposites(set(scopes), scopes, here, errors)


def _refuse_opposites(found: set[str], told: Json, path: Path, errors: FieldErrors) -> None:
    for pair in _OPPOSITES:
        if found.issuperset(pair):
            errors.invalid(path, told, "conflicting scopes")


def _validate_selector(selector: Object, spec: Object, path: Path, errors: FieldErrors) -> None:
    found = set()
    for entry in selector.get("matchExpressions") or ():
        scope, operator, values = entry.get("scopeName", ""), entry.get("operator", ""), entry.get("values") or []
        _validate_scope(scope, spec.get("hard") or {}, selector, path / "scopeName", path, errors)
        if scope in _ONLY_EXISTS and operator != "Exists":
            errors.invalid(path / "operator", operator, _MUST_EXIST)
        if operator in ("In", "NotIn"):
            if not values:
                told = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                errors.required(path / "values", told)
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                told = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                errors.invalid(path / "values", values, told)
        else:
            errors.invalid(path / "operator", operator, "not a valid selector operator")
        found.add(scope)
    _refuse_opposites(found, spec.get("scopes"), path, errors)
