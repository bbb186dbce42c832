"""What DELETE does to an object: decided here, carried out by `writing`. Pure.

An object that others still hold (finalizers), or that ends gracefully (pods), stays with a deletionTimestamp; whoever
removes the last finalizer, or confirms the end with a grace period of 0, removes it for good.
https://kubernetes.io/docs/concepts/architecture/garbage-collection/
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ropewalk.kube.machinery import errors, times
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.registry.metadata import FOREGROUND, ORPHAN
from ropewalk.kube.machinery.resources import ResourceInfo
from ropewalk.kube.machinery.strategy import Strategy

PROPAGATIONS = ("Foreground", "Background", "Orphan")


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/delete-options/"""

    grace_seconds: int | None = None
    uid: str = ""
    resource_version: str = ""
    propagation: str = ""
    orphan_dependents: bool | None = None
    """Deprecated form of `propagation`."""
    dry_run: bool = False


class Fate(Enum):
    KEEP = "keep"
    """It is being deleted already: nothing to write."""
    MARK = "mark"
    """Write the changed object: it waits for its end."""
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Verdict:
    fate: Fate
    changed: Object | None = None
    """For MARK, and for REMOVE where finalizers were changed on the way."""


def validate_options(options: DeleteOptions) -> None:
    """Raises Invalid."""
    found = FieldErrors()
    if options.propagation and options.orphan_dependents is not None:
        found.invalid(
            Path("propagationPolicy"),
            options.propagation,
            "orphanDependents and deletionPropagation cannot be both set",
        )
    if options.propagation and options.propagation not in PROPAGATIONS:
        found.not_supported(Path("propagationPolicy"), options.propagation, [*PROPAGATIONS, "nil"])
    if found:
        raise found.fault("DeleteOptions", "meta.k8s.io", "")


def check_preconditions(obj: Object, info: ResourceInfo, options: DeleteOptions) -> None:
    """Raises Conflict."""
    metadata = obj["metadata"]
    for wanted, there, what, told in (
        (options.uid, metadata.get("uid", ""), "UID", "The object might have been deleted and then recreated"),
        (
            options.resource_version,
            metadata.get("resourceVersion", ""),
            "ResourceVersion",
            "The object might have been modified",
        ),
    ):
        if wanted and wanted != there:
            raise errors.conflict(
                info.plural,
                info.group,
                metadata["name"],
                f"the {what} in the precondition ({wanted}) does not match the {what} in record ({there}). {told}",
            )


def decide(obj: Object, strategy: Strategy, options: DeleteOptions, now: float) -> Verdict:
    """What becomes of `obj`, an owned copy of what is stored (`now` in seconds of wall time)."""
    metadata = dict(obj["metadata"])
    graceful, pending = _grace(metadata, obj, strategy, options, now)
    if pending:
        return Verdict(Fate.KEEP)
    finalizers = _finalizers(metadata, strategy, options)
    changed_finalizers = finalizers != (metadata.get("finalizers") or [])
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    held = strategy.is_held(obj)
    if not graceful and not finalizers and not held:
        return Verdict(Fate.REMOVE, {**obj, "metadata": metadata} if changed_finalizers else None)
    if not graceful:
        if "deletionTimestamp" in metadata and not finalizers:
            return Verdict(Fate.KEEP)
        if "deletionTimestamp" not in metadata:
            _count_generation(metadata)
            metadata["deletionTimestamp"] = times.rfc3339(now)
        metadata["deletionGracePeriodSeconds"] = 0
    changed = {**obj, "metadata": metadata}
    if graceful and not finalizers and not held and not metadata["deletionGracePeriodSeconds"]:
        return Verdict(Fate.REMOVE, changed)
    strategy.begin_deletion(changed)
    return Verdict(Fate.MARK, changed)


def _grace(metadata: Object, obj: Object, strategy: Strategy, options: DeleteOptions, now: float) -> tuple[bool, bool]:
    """(ends gracefully, is ending already and no sooner than asked); sets the marks in `metadata`."""
    asked = options.grace_seconds
    if asked is not None and asked < 0:
        asked = 1
    if "deletionTimestamp" in metadata:
        present = metadata.get("deletionGracePeriodSeconds")
        if not present:
            return False, False
        if asked is None or asked >= present:
            return False, True
        moment = times.parse(metadata["deletionTimestamp"]) - present + asked
        if moment < now:
            moment, asked = now, (1 if asked else 0)
        metadata["deletionTimestamp"] = times.rfc3339(moment)
        metadata["deletionGracePeriodSeconds"] = asked
        return True, False
    grace = strategy.grace_seconds(obj, asked)
    if grace is None:
        return False, False
    metadata["deletionTimestamp"] = times.rfc3339(now + grace)
    metadata["deletionGracePeriodSeconds"] = grace
    _count_generation(metadata)
    return True, False


def _count_generation(metadata: Object) -> None:
    if metadata.get("generation", 0) > 0:
        metadata["generation"] += 1


def _finalizers(metadata: Object, strategy: Strategy, options: DeleteOptions) -> list[str]:
    present = list(metadata.get("finalizers") or ())
    orphan, foreground = _dependents(present, strategy, options)
    kept = [name for name in present if name not in (ORPHAN, FOREGROUND)]
    if orphan:
        kept.append(ORPHAN)
    if foreground:
        kept.append(FOREGROUND)
    return present if set(kept) == set(present) else kept


def _dependents(present: list[str], strategy: Strategy, options: DeleteOptions) -> tuple[bool, bool]:
    """Whether dependents are to be orphaned, whether they are to go first."""
    if options.orphan_dependents is not None:
        return options.orphan_dependents, False
    if options.propagation:
        return options.propagation == "Orphan", options.propagation == "Foreground"
    if ORPHAN in present:
        return True, False
    if FOREGROUND in present:
        return False, True
    return strategy.default_propagation == "Orphan", False


def is_finished(obj: Object, strategy: Strategy) -> bool:
    """Whether an update has removed the last thing that a deletion waited for."""
    metadata = obj["metadata"]
    return (
        "deletionTimestamp" in metadata
        and not metadata.get("finalizers")
        and not metadata.get("deletionGracePeriodSeconds")
        and not strategy.is_held(obj)
    )
