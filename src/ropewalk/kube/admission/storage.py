"""What storage asks of admission: default classes of claims, finalizers on what is in use, claims that grow.
https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#defaultstorageclass
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from ropewalk.kube.admission.plugin import CREATE, UPDATE, Plugin, forbidden, ready
from ropewalk.kube.machinery import quantities
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.objects import Object, annotations_of, at, metadata, name_of
from ropewalk.kube.machinery.resources import GroupResource

CLAIMS = GroupResource("", "persistentvolumeclaims")
VOLUMES = GroupResource("", "persistentvolumes")
STORAGE_CLASSES = GroupResource("storage.k8s.io", "storageclasses")
ATTRIBUTES_CLASSES = GroupResource("storage.k8s.io", "volumeattributesclasses")
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
DEFAULT_ANNOTATIONS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
FINALIZERS = {
    CLAIMS: "kubernetes.io/pvc-protection",
    VOLUMES: "kubernetes.io/pv-protection",
    ATTRIBUTES_CLASSES: "kubernetes.io/vac-protection",
}


class DefaultStorageClass(Plugin):
    name: ClassVar[str] = "DefaultStorageClass"
    operations: ClassVar[frozenset[str]] = CREATE
    resources: ClassVar[frozenset[GroupResource] | None] = frozenset({CLAIMS})
    mutates: ClassVar[bool] = True

    def __init__(self, api: Api) -> None:
        self._api = api

    async def mutate(self, admission: Admission) -> None:
        claim = admission.object
        assert claim is not None
        spec = claim.setdefault("spec", {})
        if "storageClassName" in spec or CLASS_ANNOTATION in annotations_of(claim):
            return
        found = newest([one for one in (await ready(self._api, STORAGE_CLASSES)).all() if _is_default(one)])
        if found is not None:
            spec["storageClassName"] = name_of(found)


def _is_default(found: Object) -> bool:
    annotations = annotations_of(found)
    return any(annotations.get(annotation) == "true" for annotation in DEFAULT_ANNOTATIONS)


def newest(objects: list[Object]) -> Object | None:
    """The one made last; by name where several were made in the same second."""
    by_name = sorted(objects, key=name_of)
    return max(by_name, key=lambda found: str(metadata(found).get("creationTimestamp", ""))) if by_name else None


class StorageObjectInUseProtection(Plugin):
    name: ClassVar[str] = "StorageObjectInUseProtection"
    operations: ClassVar[frozenset[str]] = CREATE
    resources: ClassVar[frozenset[GroupResource] | None] = frozenset(FINALIZERS)
    mutates: ClassVar[bool] = True

    async def mutate(self, admission: Admission) -> None:
        assert admission.object is not None
        about = admission.object.setdefault("metadata", {})
        finalizer = FINALIZERS[admission.info.group_resource]
        present = about.get("finalizers") or []
        if finalizer not in present:
            about["finalizers"] = [*present, finalizer]


class PersistentVolumeClaimResize(Plugin):
    name: ClassVar[str] = "PersistentVolumeClaimResize"
    operations: ClassVar[frozenset[str]] = UPDATE
    resources: ClassVar[frozenset[GroupResource] | None] = frozenset({CLAIMS})
    validates: ClassVar[bool] = True

    def __init__(self, api: Api) -> None:
        self._api = api

    async def validate(self, admission: Admission) -> None:
        new, old = admission.object, admission.old
        if new is None or old is None or _size(new) <= _size(old):
            return
        if at(old, "status", "phase") != "Bound":
            raise forbidden(admission, "Only bound persistent volume claims can be expanded")
        wanted = _class_of(new)
        found = (await ready(self._api, STORAGE_CLASSES)).get("", wanted) if wanted else None
        if found is None or wanted != _class_of(old) or not found.get("allowVolumeExpansion"):
            why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must"
            raise forbidden(admission, f"{why} support resize")


def _size(claim: Object) -> Decimal:
    return quantities.parse(at(claim, "spec", "resources", "requests", "storage") or "0")


def _class_of(claim: Object) -> str:
    return annotations_of(claim).get(CLASS_ANNOTATION) or at(claim, "spec", "storageClassName") or ""
