"""What may change in a pod that exists: little of its spec, by its own resource.
https://kubernetes.io/docs/concepts/workloads/pods/#pod-update-and-replacement
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.kinds.core.affinity import REQUIRED
from ropewalk.kube.kinds.core.checks import LARGEST_INT32, between
from ropewalk.kube.kinds.core.container_rules import check_image_spaces
from ropewalk.kube.kinds.core.pod_annotations import check_annotation_updates, validate_pod_annotations
from ropewalk.kube.kinds.core.pod_spec_rules import validate_pod_spec
from ropewalk.kube.kinds.core.tolerations import check_only_added
from ropewalk.kube.kinds.go_spelling import difference, go_printed
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, annotations_of, metadata

SPEC = ROOT / "spec"
ANNOTATIONS = ROOT / "metadata" / "annotations"
_CHANGEABLE = ",".join(
    (
        "`spec.containers[*].image`",
        "`spec.initContainers[*].image`",
        "`spec.activeDeadlineSeconds`",
        "`spec.tolerations` (only additions to existing tolerations)",
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
    )
)
_TERMS = "nodeSelectorTerms"
_LISTS = (("containers", SPEC / "containers"), ("initContainers", SPEC / "initContainers"))


def validate_pod(pod: Object, errors: FieldErrors) -> None:
    """The rules of a pod at any time, its metadata's format apart."""
    spec = pod.get("spec") or {}
    validate_pod_annotations(annotations_of(pod), spec, ANNOTATIONS, errors)
    validate_pod_spec(spec, SPEC, errors, metadata(pod))
    if not spec.get("serviceAccountName"):
        for index, volume in enumerate(spec.get("volumes") or ()):
            for place, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
                if source.get("serviceAccountToken") is not None:
                    here = SPEC / "volumes" / index / "projected" / "sources" / place / "serviceAccountToken"
                    errors.forbidden(here, "must not be specified when serviceAccountName is not set")
    for step, path in _LISTS:
        check_image_spaces(spec.get(step) or (), path, errors)


def validate_pod_update(new: Object, old: Object, errors: FieldErrors) -> None:
    """Of a write of the pod itself; `status` and the other subresources have rules of their own."""
    before, now = old.get("spec") or {}, new.get("spec") or {}
    if now != before or annotations_of(new) != annotations_of(old):
        validate_pod(new, errors)
        check_annotation_updates(annotations_of(new), annotations_of(old), ANNOTATIONS, errors)
    if now == before:
        return
    for step in ("containers", "initContainers"):
        if not _same_containers(now.get(step) or (), before.get(step) or (), SPEC / step, errors):
            return
    if not _check_deadline(now.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds"), errors):
        return
    check_only_added(now.get("tolerations") or (), before.get("tolerations") or (), SPEC / "tolerations", errors)
    _check_gates(now.get("schedulingGates") or (), before.get("schedulingGates") or (), errors)
    masked = _masked(now, before)
    if before.get("schedulingGates"):
        _allow_narrowing(masked, before, errors)
    if masked != before:
        changes = difference(before, masked, "core.v1.PodSpec")
        errors.forbidden(SPEC, f"pod updates may not change fields other than {_CHANGEABLE}\n{changes}")


def _same_containers(new: Sequence[Object], old: Sequence[Object], path: Path, errors: FieldErrors) -> bool:
    if len(new) != len(old):
        errors.forbidden(path, "pod updates may not add or remove containers")
        return False
    for index, container in enumerate(new):
        if not container.get("image"):
            errors.required(path / index / "image")
    check_image_spaces(new, path, errors)
    return True


def _check_deadline(new: int | None, old: int | None, errors: FieldErrors) -> bool:
    """Whether to look any further."""
    here = SPEC / "activeDeadlineSeconds"
    if new is None:
        if old is not None:
            errors.invalid(here, None, "must not update from a positive integer to nil value")
        return True
    if not 0 <= new <= LARGEST_INT32:
        errors.invalid(here, new, between(0, LARGEST_INT32))
        return False
    if old is not None and old < new:
        errors.invalid(here, new, "must be less than or equal to previous value")
        return False
    return True


def _check_gates(new: Sequence[Object], old: Sequence[Object], errors: FieldErrors) -> None:
    added = {gate.get("name", ""): index for index, gate in enumerate(new)}
    for gate in old:
        added.pop(gate.get("name", ""), None)
    for name, index in added.items():
        text = f"only deletion is allowed, but found new scheduling gate '{name}'"
        errors.forbidden(SPEC / "schedulingGates" / index / "name", text)


def _masked(new: Object, old: Object) -> Object:
    """`new` with all that may change put back to what it was."""
    masked = dict(new)
    for step in ("containers", "initContainers"):
        if step in new:
            pairs = zip(new[step], old.get(step) or (), strict=True)
            masked[step] = [_with(container, "image", was.get("image")) for container, was in pairs]
    for step in ("activeDeadlineSeconds", "schedulingGates", "tolerations"):
        masked = _with(masked, step, old.get(step))
    if old.get("terminationGracePeriodSeconds", 0) < 0 and new.get("terminationGracePeriodSeconds") == 1:
        masked["terminationGracePeriodSeconds"] = old["terminationGracePeriodSeconds"]
    return masked


def _with(holder: Object, step: str, value: object) -> Object:
    changed = {**holder, step: value}
    if value is None:
        del changed[step]
    return changed


def _allow_narrowing(masked: Object, old: Object, errors: FieldErrors) -> None:
    """A pod that still waits at a gate may be bound to fewer nodes: more selectors, more requirements in each term."""
    selector, before = masked.get("nodeSelector") or {}, old.get("nodeSelector") or {}
    if selector != before:
        if any(selector.get(key) != value for key, value in before.items()):
            text = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
            errors.invalid(SPEC / "nodeSelector", selector, text)
        _put_back(masked, "nodeSelector", old)
    affinity, affinity_before = masked.get("affinity") or {}, old.get("affinity") or {}
    nodes, nodes_before = affinity.get("nodeAffinity"), affinity_before.get("nodeAffinity")
    if nodes == nodes_before:
        return
    _check_narrowed(nodes or {}, nodes_before or {}, errors)
    changed = _with(affinity, "nodeAffinity", nodes_before)
    if changed or "affinity" in old:
        masked["affinity"] = changed
    else:
        masked.pop("affinity", None)


def _put_back(masked: Object, step: str, old: Object) -> None:
    if step in old:
        masked[step] = old[step]
    else:
        masked.pop(step, None)


def _check_narrowed(new: Object, old: Object, errors: FieldErrors) -> None:
    terms_before = (old.get(REQUIRED) or {}).get(_TERMS) or []
    if not terms_before:
        return
    terms = (new.get(REQUIRED) or {}).get(_TERMS) or []
    here = SPEC / "affinity" / "nodeAffinity" / REQUIRED / _TERMS
    if len(terms) != len(terms_before):
        text = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        errors.invalid(here, go_printed(terms, "core.v1.NodeSelectorTerm") or None, text)
        return
    for index, (term, before) in enumerate(zip(terms, terms_before, strict=True)):
        if not _only_adds(term, before):
            text = "only additions are allowed (no mutations or deletions)"
            errors.invalid(here / index, go_printed(term, "core.v1.NodeSelectorTerm"), text)


def _only_adds(new: Object, old: Object) -> bool:
    kinds = ("matchExpressions", "matchFields")
    if not any(old.get(kind) for kind in kinds):
        return not any(new.get(kind) for kind in kinds)
    return all((new.get(kind) or [])[: len(old.get(kind) or [])] == (old.get(kind) or []) for kind in kinds)
