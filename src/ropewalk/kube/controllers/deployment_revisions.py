"""A deployment's replica sets: which is of which template, what they are called, what their annotations say. Pure.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#pod-template-hash-label
The hash is not Kubernetes' own, which is one of a Go program's way to print a struct; it is as short, of the same
alphabet, and changes whenever the template does.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from ropewalk.kube.controllers.claims import controller_reference
from ropewalk.kube.kinds import int_or_percent
from ropewalk.kube.kinds.checks import same
from ropewalk.kube.machinery.names import WORDLESS
from ropewalk.kube.machinery.objects import Object, annotations_of, at, copied, labels_of, metadata, name_of
from ropewalk.planning.rollout import Bounds, Group, bounds

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MOST = "deployment.kubernetes.io/max-replicas"
KEPT_FROM_SETS = frozenset(
    (
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        HISTORY,
        DESIRED,
        MOST,
        "deprecated.deployment.rollback.to",
    )
)
"""A deployment's annotations that are not its sets'."""
LONGEST_HISTORY = 2000
LONGEST_NAME = 253
_FNV_OFFSET, _FNV_PRIME = 2166136261, 16777619


def limits_of(deployment: Object) -> Bounds:
    """What its strategy allows. Recreate allows neither more nor, of one version, fewer."""
    desired = replicas_of(deployment)
    rolling = at(deployment, "spec", "strategy", "rollingUpdate") or {}
    if not is_rolling(deployment):
        return Bounds(desired, 0, 0)
    return bounds(
        desired,
        int_or_percent.scaled(rolling.get("maxSurge", 0), desired, round_up=True),
        int_or_percent.scaled(rolling.get("maxUnavailable", 0), desired, round_up=False),
    )


def is_rolling(deployment: Object) -> bool:
    return bool(at(deployment, "spec", "strategy", "type") == "RollingUpdate")


def replicas_of(obj: Object) -> int:
    return int(at(obj, "spec", "replicas") or 0)


def counted(one: Object, name: str) -> int:
    """A count of its status."""
    return int(at(one, "status", name) or 0)


def by_age(sets: Sequence[Object]) -> list[Object]:
    """The oldest first."""
    return sorted(sets, key=lambda one: (metadata(one).get("creationTimestamp") or "", name_of(one)))


def groups_of(sets: Sequence[Object]) -> list[Group]:
    """As the rollout's arithmetic knows them."""
    ages = {name_of(one): age for age, one in enumerate(by_age(sets))}
    return [
        Group(
            name_of(one),
            replicas_of(one),
            counted(one, "availableReplicas"),
            ages[name_of(one)],
            _number(annotations_of(one).get(MOST, "")) or 0,
            is_known=_is_counted(one),
        )
        for one in sets
    ]


def _is_counted(one: Object) -> bool:
    """Its controller has acted on what it was told last, and counted."""
    return counted(one, "observedGeneration") >= int(metadata(one).get("generation", 0))


def _number(text: str, most: int = 2**31 - 1) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most else None


# --- which is the new one


def new_of(deployment: Object, sets: Sequence[Object]) -> Object | None:
    """The oldest set of the deployment's template."""
    template = at(deployment, "spec", "template") or {}
    return next((one for one in by_age(sets) if is_of_template(one, template)), None)


def is_of_template(one: Object, template: Object) -> bool:
    return same(_without_hash(at(one, "spec", "template") or {}), _without_hash(template))


def _without_hash(template: Object) -> Object:
    meta = metadata(template)
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if key != HASH}
    return {**template, "metadata": {**meta, "labels": labels}}


def template_hash(template: Object, collisions: int | None) -> str:
    """FNV-1a of its JSON, in letters and figures that make no word."""
    text = orjson.dumps(template, option=orjson.OPT_SORT_KEYS)
    if collisions is not None:
        text += collisions.to_bytes(8, "little")
    found = _FNV_OFFSET
    for byte in text:
        found = ((found ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return "".join(WORDLESS[ord(figure) % len(WORDLESS)] for figure in str(found))


def new_set(deployment: Object) -> Object:
    """The replica set of its template, with no replicas yet."""
    spec = deployment["spec"]
    template = copied(spec["template"])
    found = template_hash(template, at(deployment, "status", "collisionCount"))
    labels = {**labels_of(template), HASH: found}
    template.setdefault("metadata", {})["labels"] = labels
    selector = copied(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH: found}
    made: Object = {"replicas": 0, "selector": selector, "template": template}
    if spec.get("minReadySeconds"):
        made["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name_of(deployment)[: LONGEST_NAME - 1 - len(found)]}-{found}",
            "namespace": metadata(deployment)["namespace"],
            "labels": dict(labels),
            "ownerReferences": [controller_reference(deployment)],
        },
        "spec": made,
    }


# --- annotations


def revision_of(one: Object) -> int:
    """0 where it has none, -1 where it is nonsense."""
    text = annotations_of(one).get(REVISION, "")
    if not text:
        return 0
    found = _number(text, 2**63 - 1)
    return -1 if found is None else found


def by_revision(sets: Sequence[Object]) -> list[Object]:
    return sorted(by_age(sets), key=revision_of)


def next_revision(olds: Sequence[Object]) -> int:
    return max((0, *(revision_of(one) for one in olds))) + 1


def with_annotations(deployment: Object, one: Object, revision: int, *, fresh: bool) -> dict[str, str]:
    """What the new set's annotations should be: the deployment's, the revision, and which it was before."""
    found = dict(annotations_of(one))
    found |= {key: value for key, value in annotations_of(deployment).items() if key not in KEPT_FROM_SETS}
    before = revision_of(one)
    if 0 <= before < revision:
        if REVISION in found:
            found[HISTORY] = _history(found.get(HISTORY, ""), found[REVISION])
            if not found[HISTORY]:
                del found[HISTORY]
        found[REVISION] = str(revision)
    if fresh:
        found |= size_annotations(deployment)
    return found


def _history(held: str, former: str) -> str:
    """The oldest are forgotten where there are too many."""
    revisions = [*(held.split(",") if held else ()), former]
    while len(",".join(revisions)) > LONGEST_HISTORY:
        revisions.pop(0)
    return ",".join(revisions)


def size_annotations(deployment: Object) -> dict[str, str]:
    """By which a later step sees that the deployment was scaled meanwhile."""
    limits = limits_of(deployment)
    return {DESIRED: str(limits.desired), MOST: str(limits.most)}


def was_scaled(deployment: Object, sets: Sequence[Object]) -> bool:
    """A set with replicas was last told of another number."""
    told = (_number(annotations_of(one).get(DESIRED, "")) for one in sets if replicas_of(one))
    return any(found is not None and found != replicas_of(deployment) for found in told)


def is_saturated(deployment: Object, one: Object | None) -> bool:
    """It has all the pods the deployment wants, and both know it."""
    wanted = replicas_of(deployment)
    return (
        one is not None
        and _number(annotations_of(one).get(DESIRED, "")) == wanted
        and replicas_of(one) == counted(one, "availableReplicas") == wanted
    )


def to_forget(deployment: Object, olds: Sequence[Object]) -> list[Object]:
    """Old sets beyond what the history keeps, as far as nothing of them runs."""
    limit = at(deployment, "spec", "revisionHistoryLimit")
    if limit is None or limit == 2**31 - 1:
        return []
    alive = [one for one in olds if metadata(one).get("deletionTimestamp") is None]
    return [one for one in by_revision(alive)[: max(0, len(alive) - limit)] if _is_at_rest(one)]


def _is_at_rest(one: Object) -> bool:
    return not (counted(one, "replicas") or replicas_of(one)) and _is_counted(one)
