"""`metadata` of what is written: filled at creation, taken over at updates, judged at both. Pure.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/
"""

from __future__ import annotations

from ropewalk.base.entropy import Entropy
from ropewalk.kube.machinery import errors, names
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.names import WORDLESS
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.resources import GroupVersionKind, ResourceInfo
from ropewalk.kube.machinery.strategy import Strategy

METADATA = Path("metadata")
ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
GENERATED_BASE = 58
"""Characters of a generateName that are kept."""
SUFFIX_LENGTH = 5

_OURS = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


def generated_name(base: str, entropy: Entropy) -> str:
    suffix = "".join(WORDLESS[int(entropy.random() * len(WORDLESS))] for _ in range(SUFFIX_LENGTH))
    return base[:GENERATED_BASE] + suffix


def match_namespace(obj: Object, info: ResourceInfo, namespace: str) -> None:
    """Make the object's namespace the request's. Raises BadRequest where it names another."""
    metadata = obj.setdefault("metadata", {})
    given = metadata.get("namespace", "")
    if not info.namespaced:
        metadata.pop("namespace", None)
    elif not given:
        metadata["namespace"] = namespace
    elif given != namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def fill_create(obj: Object, uid: str, now: str) -> None:
    """What the server alone says of a new object. In place."""
    metadata = obj["metadata"]
    for key in _OURS:
        metadata.pop(key, None)
    metadata["uid"] = uid
    metadata["creationTimestamp"] = now


def fill_update(new: Object, old: Object) -> None:
    """What no update may change is as it was. In place."""
    metadata, before = new["metadata"], old["metadata"]
    metadata.pop("selfLink", None)
    if not metadata.get("uid"):
        metadata["uid"] = before["uid"]
    for key in ("creationTimestamp", "deletionTimestamp"):
        if key in before:
            metadata[key] = before[key]
    if "deletionGracePeriodSeconds" in before:
        metadata.setdefault("deletionGracePeriodSeconds", before["deletionGracePeriodSeconds"])


def validate(obj: Object, info: ResourceInfo, strategy: Strategy, found: FieldErrors) -> None:
    """The rules of every object's metadata at creation."""
    metadata = obj["metadata"]
    if base := metadata.get("generateName"):
        found.messages(METADATA / "generateName", base, strategy.name_problems(base, prefix=True))
    name = metadata.get("name", "")
    if not name:
        found.required(METADATA / "name", "name or generateName is required")
    else:
        found.messages(METADATA / "name", name, strategy.name_problems(name, prefix=False))
    _validate_common(metadata, info, found)


def validate_update(new: Object, old: Object, info: ResourceInfo, found: FieldErrors) -> None:
    metadata, before = new["metadata"], old["metadata"]
    _validate_common(metadata, info, found)
    if "deletionTimestamp" in before:
        extra = sorted(set(metadata.get("finalizers") or ()) - set(before.get("finalizers") or ()))
        if extra:
            listed = "[]string{" + ", ".join(f'"{name}"' for name in extra) + "}"
            found.forbidden(
                METADATA / "finalizers",
                f"no new finalizers can be added if the object is being deleted, found new finalizers {listed}",
            )
    for key in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if metadata.get(key) != before.get(key):
            found.immutable(METADATA / key, metadata.get(key))


def _validate_common(metadata: Object, info: ResourceInfo, found: FieldErrors) -> None:
    namespace = metadata.get("namespace", "")
    if info.namespaced:
        if not namespace:
            found.required(METADATA / "namespace")
        else:
            found.messages(METADATA / "namespace", namespace, names.dns1123_label(namespace))
    elif namespace:
        found.forbidden(METADATA / "namespace", "not allowed on this type")
    if metadata.get("generation", 0) < 0:
        found.invalid(METADATA / "generation", metadata["generation"], "must be greater than or equal to 0")
    if labels := metadata.get("labels"):
        names.labels(labels, METADATA / "labels", found)
    if annotations := metadata.get("annotations"):
        names.annotations(annotations, METADATA / "annotations", found)
    if owners := metadata.get("ownerReferences"):
        _validate_owners(owners, found)
    if finalizers := metadata.get("finalizers"):
        _validate_finalizers(finalizers, found)


def _validate_owners(owners: list[Object], found: FieldErrors) -> None:
    path = METADATA / "ownerReferences"
    controller = ""
    for owner in owners:
        api_version, kind = owner.get("apiVersion", ""), owner.get("kind", "")
        if not GroupVersionKind.of(api_version, kind).version:
            found.invalid(path / "apiVersion", api_version, "version must not be empty")
        for key in ("kind", "name", "uid"):
            if not owner.get(key):
                found.invalid(path / key, owner.get(key, ""), "must not be empty")
        if (api_version, kind) == ("v1", "Event"):
            found.invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner")
        if owner.get("controller"):
            this = f"{kind}/{owner.get('name', '')}"
            if controller:
                found.invalid(
                    path,
                    owners,
                    'Only one reference can have Controller set to true. Found "true" in references for'
                    f" {controller} and {this}",
                )
            controller = controller or this


def _validate_finalizers(finalizers: list[str], found: FieldErrors) -> None:
    path = METADATA / "finalizers"
    for finalizer in finalizers:
        found.messages(path, finalizer, names.qualified_name(finalizer))
    if ORPHAN in finalizers and FOREGROUND in finalizers:
        found.invalid(path, finalizers, f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set")


def without_double_owners(obj: Object) -> str:
    """Drop repeated owner references in place; answers the warning, "" where there were none."""
    owners = obj["metadata"].get("ownerReferences")
    if not owners or len(owners) < 2:
        return ""
    seen: dict[str, Object] = {}
    doubled: list[str] = []
    for owner in owners:
        uid = str(owner.get("uid", ""))
        if seen.get(uid) == owner:
            doubled.append(uid)
        else:
            seen.setdefault(uid, owner)
    if not doubled:
        return ""
    kept: list[Object] = []
    for owner in owners:
        if owner not in kept:
            kept.append(owner)
    obj["metadata"]["ownerReferences"] = kept
    return (
        "metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may"
        " reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: "
        + ", ".join(doubled)
    )
