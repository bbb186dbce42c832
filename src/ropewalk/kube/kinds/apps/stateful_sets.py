"""Stateful sets: pods that are told apart, each with volumes of its own.
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/
"""

from __future__ import annotations

from ropewalk.kube.kinds import int_or_percent
from ropewalk.kube.kinds.apps.claim_templates import claim_warnings, default_claim_template
from ropewalk.kube.kinds.apps.deployments import replica_counts
from ropewalk.kube.kinds.cells import AGE, NAME, template_columns, text
from ropewalk.kube.kinds.checks import non_negative, non_negatives, not_decremented, same
from ropewalk.kube.kinds.core.persistent_volume_claims import validate_claim_spec
from ropewalk.kube.kinds.core.pod_template_rules import default_pod_template, validate_pod_template
from ropewalk.kube.kinds.go_spelling import go_printed
from ropewalk.kube.kinds.workloads import (
    SPEC,
    STATUS,
    is_empty,
    parsed_selector,
    validate_labels_match,
    validate_selector,
    warnings_of_template,
)
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at, metadata, name_of
from ropewalk.kube.machinery.strategy import ScalePaths, Strategy

CHANGEABLE = (
    "replicas",
    "template",
    "updateStrategy",
    "minReadySeconds",
    "ordinals",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
)
IMMUTABLE = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy',"
    " 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


class StatefulSets(Strategy):
    has_status = True
    has_generation = True
    scale = ScalePaths()
    columns = (
        NAME,
        text("Ready", lambda obj: f"{at(obj, 'status', 'readyReplicas') or 0}/{at(obj, 'spec', 'replicas') or 0}"),
        AGE,
        *template_columns("spec", "template", selector=None),
    )

    def name_problems(self, name: str, *, prefix: bool) -> list[str]:
        return names.dns1123_label(name, prefix=prefix)

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        default_pod_template(spec.setdefault("template", {}))
        for claim in spec.get("volumeClaimTemplates") or ():
            default_claim_template(claim)
        if not spec.get("podManagementPolicy"):
            spec["podManagementPolicy"] = "OrderedReady"
        strategy = spec.setdefault("updateStrategy", {})
        if not strategy.get("type"):
            strategy["type"] = "RollingUpdate"
            strategy.setdefault("rollingUpdate", {})
        if strategy["type"] == "RollingUpdate" and "rollingUpdate" in strategy:
            strategy["rollingUpdate"].setdefault("partition", 0)
        retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
        for name in ("whenDeleted", "whenScaled"):
            retention[name] = retention.get(name) or "Retain"
        spec.setdefault("replicas", 1)
        spec.setdefault("revisionHistoryLimit", 10)

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        _drop_max_unavailable(obj, None)

    def prepare_update(self, new: Object, old: Object) -> None:
        _drop_max_unavailable(new, old)
        super().prepare_update(new, old)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        spec = obj.get("spec") or {}
        _validate_policies(spec, errors)
        for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
            validate_claim_spec(claim.get("spec") or {}, SPEC / "volumeClaimTemplates" / index / "spec", errors)
        _validate_counts(spec, errors)
        if spec.get("serviceName"):
            errors.messages(SPEC / "serviceName", spec["serviceName"], names.dns1123_label(spec["serviceName"]))
        _validate_template(spec, SPEC, errors, with_spec=True)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        spec, before = new.get("spec") or {}, old.get("spec") or {}
        _validate_policies(spec, errors)
        _validate_counts(spec, errors)
        found = FieldErrors()
        _validate_template(before, SPEC, found, with_spec=True)
        _validate_template(spec, SPEC, errors, with_spec=not found)
        fixed = (spec.keys() | before.keys()) - set(CHANGEABLE)
        if any(not same(spec.get(key), before.get(key)) for key in fixed):
            errors.forbidden(SPEC, IMMUTABLE)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        status = new.get("status") or {}
        counts = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
        non_negatives(status, ("replicas", *counts, "observedGeneration", "collisionCount"), STATUS, errors)
        replica_counts(status, counts, errors, ready="status.readyReplicas")
        not_decremented(status, old.get("status") or {}, "collisionCount", STATUS, errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        found = warnings_of_template(new, old)
        spec = new.get("spec") or {}
        for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
            path = SPEC / "volumeClaimTemplates" / index
            found += claim_warnings(claim.get("spec") or {}, path if old is None else path / "Spec")
        if spec.get("revisionHistoryLimit", 0) < 0:
            found.append(
                "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is"
                " recommended"
            )
        return found


def _drop_max_unavailable(new: Object, old: Object | None) -> None:
    """The feature MaxUnavailableStatefulSet is off in 1.35 unless asked for: kept only where it was kept before."""
    path = ("spec", "updateStrategy", "rollingUpdate")
    rolling = at(new, *path)
    if rolling is not None and (old is None or at(old, *path, "maxUnavailable") is None):
        rolling.pop("maxUnavailable", None)


def _validate_policies(spec: Object, errors: FieldErrors) -> None:
    policy = spec.get("podManagementPolicy")
    if not policy:
        errors.required(SPEC / "podManagementPolicy")
    elif policy not in ("OrderedReady", "Parallel"):
        errors.invalid(SPEC / "podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'")
    _validate_strategy(spec.get("updateStrategy") or {}, SPEC / "updateStrategy", errors)
    retention = spec.get("persistentVolumeClaimRetentionPolicy")
    if retention is None:
        return
    for name in ("whenDeleted", "whenScaled"):
        if retention.get(name) not in ("Retain", "Delete"):
            path = SPEC / "persistentVolumeClaimRetentionPolicy" / name
            errors.not_supported(path, retention.get(name, ""), ("Retain", "Delete"))


def _validate_strategy(strategy: Object, path: Path, errors: FieldErrors) -> None:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if not kind:
        errors.required(path)
    elif kind == "OnDelete":
        if rolling is not None:
            rolling = go_printed(rolling, "apps.v1.RollingUpdateStatefulSetStrategy")
            errors.invalid(path / "rollingUpdate", rolling, "only allowed for updateStrategy 'RollingUpdate'")
    elif kind != "RollingUpdate":
        strategy = go_printed(strategy, "apps.v1.StatefulSetUpdateStrategy")
        errors.invalid(path, strategy, "must be 'RollingUpdate' or 'OnDelete'")
    elif rolling is not None:
        non_negative(rolling.get("partition"), path / "rollingUpdate" / "partition", errors)
        if "maxUnavailable" in rolling:
            path = path / "rollingUpdate" / "maxUnavailable"
            int_or_percent.check(rolling["maxUnavailable"], path, errors)
            if int_or_percent.figure(rolling["maxUnavailable"]) == 0:
                errors.invalid(path, rolling["maxUnavailable"], "cannot be 0")
            int_or_percent.at_most_all(rolling["maxUnavailable"], path, errors)


def _validate_counts(spec: Object, errors: FieldErrors) -> None:
    non_negatives(spec, ("replicas", "minReadySeconds"), SPEC, errors)
    non_negative(at(spec, "ordinals", "start"), SPEC / "ordinals.start", errors)


def _validate_template(spec: Object, path: Path, errors: FieldErrors, *, with_spec: bool) -> None:
    """`with_spec` False tolerates a pod spec that older rules let in."""
    validate_selector(spec, "statefulset", path, errors)
    template = spec.get("template") or {}
    selector = parsed_selector(spec, path, errors, "")
    if selector is not None:
        if not is_empty(spec):
            validate_labels_match(selector, template, path / "template", errors)
        if with_spec:
            validate_pod_template(_as_started(template, spec), path / "template", errors)
        else:
            names.labels(metadata(template).get("labels") or {}, path / "template" / "labels", errors)
            names.annotations(metadata(template).get("annotations") or {}, path / "template" / "annotations", errors)
    pod = template.get("spec") or {}
    where = path / "template" / "spec"
    if pod.get("restartPolicy") != "Always":
        errors.not_supported(where / "restartPolicy", pod.get("restartPolicy", ""), ("Always",))
    if "activeDeadlineSeconds" in pod:
        errors.forbidden(where / "activeDeadlineSeconds", "activeDeadlineSeconds in StatefulSet is not Supported")


def _as_started(template: Object, spec: Object) -> Object:
    """What is judged: the controller sets hostname and subdomain, and adds a volume a claim."""
    pod = dict(template.get("spec") or {})
    pod.pop("subdomain", None)
    pod.pop("hostname", None)
    claimed = dict.fromkeys(name_of(claim) for claim in spec.get("volumeClaimTemplates") or ())
    if claimed:
        added = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claimed]
        own = [volume for volume in pod.get("volumes") or () if volume.get("name") not in claimed]
        pod["volumes"] = added + own
    return {**template, "spec": pod}
