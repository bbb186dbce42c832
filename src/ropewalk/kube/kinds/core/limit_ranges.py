"""Limit ranges: bounds and defaults for what a single pod, container or claim of a namespace asks for.
https://kubernetes.io/docs/concepts/policy/limit-range/
"""

from __future__ import annotations

from collections.abc import Mapping

from ropewalk.kube.kinds.cells import CREATED_AT, NAME
from ropewalk.kube.kinds.core.resource_lists import check_name, settle
from ropewalk.kube.kinds.core.resources import check_container_resource, may_overcommit
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.machinery.quantities import canonical, compare, milli, whole
from ropewalk.kube.machinery.strategy import Strategy

LIMITS = ROOT / "spec" / "limits"
TYPES = ("Container", "PersistentVolumeClaim", "Pod")
LISTS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
_LARGEST_TO_COMPARE_IN_THOUSANDTHS = ((1 << 63) - 1) // 1000


class LimitRanges(Strategy):
    allow_create_on_update = True
    columns = (NAME, CREATED_AT)

    def default(self, obj: Object) -> None:
        for limit in at(obj, "spec", "limits") or ():
            settle(limit, *LISTS)
            if limit.get("type") == "Container":
                _default_container(limit)

    def prepare_create(self, obj: Object) -> None:
        """A nameless one gets a name that nothing else has: Kubernetes makes up a UUID, here it is the object's own."""
        super().prepare_create(obj)
        if not obj["metadata"].get("name"):
            obj["metadata"]["name"] = obj["metadata"]["uid"]

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        seen = set()
        for index, limit in enumerate(at(obj, "spec", "limits") or ()):
            here, kind = LIMITS / index, limit.get("type", "")
            _validate_type(kind, here / "type", errors)
            if kind in seen:
                errors.duplicate(here / "type", kind)
            seen.add(kind)
            _validate_limit(limit, kind, here, errors)


def _default_container(limit: Object) -> None:
    """Where no default is given, the maximum is it; where no request is, the default or the minimum."""
    default = {**(limit.get("max") or {}), **(limit.get("default") or {})}
    request = {**(limit.get("min") or {}), **default, **(limit.get("defaultRequest") or {})}
    for name, found in (("default", default), ("defaultRequest", request)):
        if found:
            limit[name] = found


def _validate_type(kind: str, path: Path, errors: FieldErrors) -> None:
    problems = names.qualified_name(kind)
    errors.messages(path, kind, problems)
    if not problems and "/" not in kind and kind not in TYPES:
        errors.invalid(path, kind, "must be a standard limit type or fully qualified")


def _validate_limit(limit: Object, kind: str, path: Path, errors: FieldErrors) -> None:
    check = check_container_resource if kind in ("Container", "Pod") else check_name
    lists: dict[str, Mapping[str, str]] = {name: limit.get(name) or {} for name in LISTS}
    if kind == "Pod":
        for name in ("default", "defaultRequest"):
            if lists[name]:
                errors.forbidden(path / name, "may not be specified when `type` is 'Pod'")
            lists[name] = {}
    for name in LISTS:
        for key in lists[name]:
            check(errors, (path / name).key(key), key)
    if kind == "PersistentVolumeClaim" and "storage" not in lists["min"] and "storage" not in lists["max"]:
        told = "either minimum or maximum storage value is required, but neither was provided"
        errors.required(path / "limits", told)
    for key in sorted({key for found in lists.values() for key in found}):
        _compare(key, lists, path, errors)
        _compare_ratio(key, lists, path, errors)


_ORDER = (
    # (the smaller, the larger, told of which, what they are called)
    ("min", "max", "min", "min value {} is greater than max value {}", 0),
    ("min", "defaultRequest", "defaultRequest", "min value {} is greater than default request value {}", 1),
    ("defaultRequest", "max", "defaultRequest", "default request value {} is greater than max value {}", 0),
    (
        "defaultRequest",
        "default",
        "defaultRequest",
        "default request value {} is greater than default limit value {}",
        0,
    ),
    ("min", "default", "default", "min value {} is greater than default value {}", 0),
    ("default", "max", "default", "default value {} is greater than max value {}", 1),
)
"""The last: whether the first or the second amount is the one that the answer shows as wrong."""


def _compare(key: str, lists: Mapping[str, Mapping[str, str]], path: Path, errors: FieldErrors) -> None:
    for small, large, told_of, words, shown in _ORDER:
        if key in lists[small] and key in lists[large] and compare(lists[small][key], lists[large][key]) > 0:
            pair = (canonical(lists[small][key]), canonical(lists[large][key]))
            errors.invalid((path / told_of).key(key), pair[shown], words.format(*pair))
    default, request = lists["default"].get(key), lists["defaultRequest"].get(key)
    if default is not None and request is not None and not may_overcommit(key) and compare(default, request):
        told = f"default value {canonical(default)} must equal to defaultRequest value {canonical(request)} in {key}"
        errors.invalid((path / "defaultRequest").key(key), canonical(request), told)


def _compare_ratio(key: str, lists: Mapping[str, Mapping[str, str]], path: Path, errors: FieldErrors) -> None:
    ratio = lists["maxLimitRequestRatio"].get(key)
    if ratio is None:
        return
    here, shown = (path / "maxLimitRequestRatio").key(key), canonical(ratio)
    if compare(ratio, "1") < 0:
        errors.invalid(here, shown, f"ratio {shown} is less than 1")
    smallest, largest = lists["min"].get(key), lists["max"].get(key)
    if smallest is None or largest is None:
        return
    fine = all(whole(value) < _LARGEST_TO_COMPARE_IN_THOUSANDTHS for value in (ratio, smallest, largest))
    figure = milli(ratio) / 1000 if fine else float(whole(ratio))
    low, high = (milli(smallest), milli(largest)) if fine else (whole(smallest), whole(largest))
    most = high / low if low else float("inf")
    if figure > most:
        errors.invalid(here, shown, f"ratio {shown} is greater than max/min = {most:f}")
