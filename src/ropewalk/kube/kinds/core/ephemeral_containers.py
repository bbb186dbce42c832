"""The subresource `pods/ephemeralcontainers`: adds containers for debugging to a pod that runs.
https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/
"""

from __future__ import annotations

from ropewalk.kube.kinds.core.pod_annotations import check_annotation_updates
from ropewalk.kube.kinds.core.pod_spec_rules import MIRROR, NOWHERE
from ropewalk.kube.kinds.core.pod_updates import ANNOTATIONS, SPEC, validate_pod
from ropewalk.kube.kinds.go_spelling import difference
from ropewalk.kube.machinery.fields import FieldErrors, spelled
from ropewalk.kube.machinery.objects import Object, annotations_of
from ropewalk.kube.machinery.strategy import Strategy, keep

_STEP = "ephemeralContainers"


class PodEphemeralContainers(Strategy):
    """Takes the ephemeral containers of what is written and nothing else."""

    has_generation = True

    def prepare_update(self, new: Object, old: Object) -> None:
        asked = (new.get("spec") or {}).get(_STEP)
        new["spec"] = dict(old.get("spec") or {})
        new["spec"].pop(_STEP, None)
        if asked:
            new["spec"][_STEP] = asked
        keep(new, old, "status")
        keep_metadata(new, old)
        self.count_generation(new, old)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        if MIRROR in annotations_of(old):
            errors.forbidden(NOWHERE, "static pods do not support ephemeral containers")
            return
        validate_pod(new, errors)
        check_annotation_updates(annotations_of(new), annotations_of(old), ANNOTATIONS, errors)
        present = {container.get("name", ""): container for container in new["spec"].get(_STEP) or ()}
        for container in (old.get("spec") or {}).get(_STEP) or ():
            name = container.get("name", "")
            if name not in present:
                errors.forbidden(SPEC / _STEP, f"existing ephemeral containers {spelled(name)} may not be removed\n")
            elif present[name] != container:
                changes = difference(container, present[name], "core.v1.EphemeralContainer")
                text = f"existing ephemeral containers {spelled(name)} may not be changed\n{changes}"
                errors.forbidden(SPEC / _STEP, text)


def keep_metadata(new: Object, old: Object) -> None:
    """A subresource's write leaves metadata alone, but for who manages the fields and which version was read."""
    written = new.get("metadata") or {}
    new["metadata"] = dict(old.get("metadata") or {})
    for name in ("managedFields", "resourceVersion"):
        if name in written:
            new["metadata"][name] = written[name]
