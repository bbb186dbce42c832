"""Rules of affinity: to nodes, to pods, away from pods.
https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.kinds.core.checks import (
    check_format,
    label_problems,
    label_value_problems,
    qualified_problems,
    subdomain_problems,
)
from ropewalk.kube.machinery import selectors
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_NAME = "metadata.name"
_WEIGHT = "must be in the range 1-100"


def validate_affinity(affinity: Object, path: Path, errors: FieldErrors) -> None:
    if (nodes := affinity.get("nodeAffinity")) is not None:
        here = path / "nodeAffinity"
        if (selector := nodes.get(REQUIRED)) is not None:
            validate_node_selector(selector, here / REQUIRED, errors)
        for index, term in enumerate(nodes.get(PREFERRED) or ()):
            at = here / PREFERRED / index
            _check_weight(term, at, errors)
            # A preference may name a value that is none: older releases let it through, and it harms nobody.
            _validate_node_term(term.get("preference") or {}, at / "preference", errors, check_values=False)
    for name in ("podAffinity", "podAntiAffinity"):
        if (pods := affinity.get(name)) is not None:
            for index, term in enumerate(pods.get(REQUIRED) or ()):
                _validate_pod_term(term, path / name / REQUIRED / index, errors)
            for index, weighted in enumerate(pods.get(PREFERRED) or ()):
                at = path / name / PREFERRED / index
                _check_weight(weighted, at, errors)
                _validate_pod_term(weighted.get("podAffinityTerm") or {}, at / "podAffinityTerm", errors)


def _check_weight(term: Object, path: Path, errors: FieldErrors) -> None:
    weight = term.get("weight", 0)
    if not 1 <= weight <= 100:
        errors.invalid(path / "weight", weight, _WEIGHT)


def validate_node_selector(selector: Object, path: Path, errors: FieldErrors) -> None:
    terms = selector.get("nodeSelectorTerms")
    if not terms:
        errors.required(path / "nodeSelectorTerms", "must have at least one node selector term")
        return
    for index, term in enumerate(terms):
        _validate_node_term(term, path / "nodeSelectorTerms" / index, errors, check_values=True)


def _validate_node_term(term: Object, path: Path, errors: FieldErrors, *, check_values: bool) -> None:
    for index, requirement in enumerate(term.get("matchExpressions") or ()):
        _validate_requirement(requirement, path / "matchExpressions" / index, errors, check_values)
    for index, requirement in enumerate(term.get("matchFields") or ()):
        _validate_field(requirement, path / "matchFields" / index, errors)


def _validate_requirement(requirement: Object, path: Path, errors: FieldErrors, check_values: bool) -> None:
    operator, values = requirement.get("operator", ""), requirement.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            errors.required(path / "values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.forbidden(path / "values", text)
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            text = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            errors.required(path / "values", text)
    else:
        errors.invalid(path / "operator", operator, "not a valid selector operator")
    check_format(errors, path, "key", requirement.get("key", ""), qualified_problems)
    if check_values:
        for index, value in enumerate(values):
            check_format(errors, path / "values" / index, "", value, label_value_problems)


def _validate_field(requirement: Object, path: Path, errors: FieldErrors) -> None:
    operator, values = requirement.get("operator", ""), requirement.get("values") or ()
    if operator not in ("In", "NotIn"):
        errors.invalid(path / "operator", operator, "not a valid selector operator")
    elif len(values) != 1:
        text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        errors.required(path / "values", text)
    key = requirement.get("key", "")
    if key != _NAME:
        errors.invalid(path / "key", key, "not a valid field selector key")
        return
    for index, value in enumerate(values):
        check_format(errors, path / "values" / index, "", value, subdomain_problems)


def _validate_pod_term(term: Object, path: Path, errors: FieldErrors) -> None:
    for name in ("labelSelector", "namespaceSelector"):
        if (selector := term.get(name)) is not None:
            selectors.validate_label_selector(selector, path / name, errors)
    for namespace in term.get("namespaces") or ():
        check_format(errors, path, "namespace", namespace, label_problems)
    check_label_keys(term, path, errors)
    key = term.get("topologyKey", "")
    if not key:
        errors.required(path / "topologyKey", "can not be empty")
    check_format(errors, path, "topologyKey", key, qualified_problems)


def check_label_keys(term: Object, path: Path, errors: FieldErrors) -> None:
    """`matchLabelKeys` and `mismatchLabelKeys` of a pod affinity term or a spread constraint."""
    matched: Sequence[str] = term.get("matchLabelKeys") or ()
    mismatched: Sequence[str] = term.get("mismatchLabelKeys") or ()
    if not matched and not mismatched:
        return
    selector = term.get("labelSelector")
    for name, keys in (("matchLabelKeys", matched), ("mismatchLabelKeys", mismatched)):
        if keys and selector is None:
            errors.forbidden(path / name, "must not be specified when labelSelector is not set")
        elif keys:
            for index, key in enumerate(keys):
                check_format(errors, path / name / index, "", key, qualified_problems)
    _check_selected_once(selector or {}, matched, path, errors)
    for index, key in enumerate(matched):
        if key in mismatched:
            text = "exists in both matchLabelKeys and mismatchLabelKeys"
            errors.invalid(path / "matchLabelKeys" / index, key, text)


def _check_selected_once(selector: Object, matched: Sequence[str], path: Path, errors: FieldErrors) -> None:
    """A pod's selector has the matched keys merged into it by now: each may stand there that once only."""
    places = {key: index for index, key in enumerate(matched)}
    seen = set(selector.get("matchLabels") or ())
    for expression in selector.get("matchExpressions") or ():
        key = expression.get("key", "")
        if key in places and key in seen:
            errors.invalid(path / places[key], key, "exists in both matchLabelKeys and labelSelector")
        seen.add(key)


# --- what a pod's creation makes of label keys


def merge_label_keys(pod: Object) -> None:
    """Write what `matchLabelKeys` and `mismatchLabelKeys` mean for this pod's labels into the selectors, in place."""
    labels = (pod.get("metadata") or {}).get("labels") or {}
    spec = pod.get("spec") or {}
    affinity = spec.get("affinity") or {}
    for name in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(name) or {}
        for weighted in terms.get(PREFERRED) or ():
            _merge(weighted.get("podAffinityTerm") or {}, labels)
        for term in terms.get(REQUIRED) or ():
            _merge(term, labels)
    for constraint in spec.get("topologySpreadConstraints") or ():
        _merge(constraint, labels)


def _merge(term: Object, labels: dict[str, str]) -> None:
    selector = term.get("labelSelector")
    if selector is None:
        return
    for name, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
        for key in term.get(name) or ():
            if key in labels:
                requirement = {"key": key, "operator": operator, "values": [labels[key]]}
                selector.setdefault("matchExpressions", []).append(requirement)
