"""Persistent volume claims: a wish for storage, bound to the volume that fulfils it.
https://kubernetes.io/docs/concepts/storage/persistent-volumes/#persistentvolumeclaims
"""

from __future__ import annotations

from ropewalk.kube.kinds.cells import AGE, NAME, field, text
from ropewalk.kube.kinds.checks import immutable, same
from ropewalk.kube.kinds.core import access_modes
from ropewalk.kube.kinds.core.access_modes import BETA_CLASS, VOLUME_MODES
from ropewalk.kube.kinds.core.persistent_volumes import phase_text
from ropewalk.kube.kinds.core.resource_lists import amount, settle, validate_basic, validate_positive
from ropewalk.kube.kinds.core.resources import is_native
from ropewalk.kube.kinds.go_spelling import difference
from ropewalk.kube.machinery import names, selectors
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, annotations_of, at, metadata
from ropewalk.kube.machinery.quantities import canonical, milli
from ropewalk.kube.machinery.strategy import Strategy

SPEC = ROOT / "spec"
STATUS = ROOT / "status"
CLAIM, SNAPSHOT = ("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot")
RESIZE_STATUSES = (
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizePending",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
)
_CLASS_PATH = ("spec", "volumeAttributesClassName")


class PersistentVolumeClaims(Strategy):
    has_status = True
    returns_deleted = True
    columns = (
        NAME,
        text("Status", phase_text),
        field("Volume", "spec", "volumeName"),
        text("Capacity", lambda obj: _bound(obj, at(obj, "status", "capacity", "storage") or "0")),
        text("Access Modes", lambda obj: _bound(obj, access_modes.text(at(obj, "status", "accessModes") or ()))),
        text("StorageClass", lambda obj: storage_class(obj) or ""),
        field("VolumeAttributesClass", *_CLASS_PATH, none="<unset>"),
        AGE,
        field("VolumeMode", "spec", "volumeMode", none="<unset>", priority=1),
    )

    def default(self, obj: Object) -> None:
        default_claim_spec(obj.setdefault("spec", {}))
        settle(obj.get("status"), "capacity", "allocatedResources")

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        obj["status"] = {"phase": "Pending"}
        _settle_sources(obj["spec"], {})

    def prepare_update(self, new: Object, old: Object) -> None:
        super().prepare_update(new, old)
        _settle_sources(new.setdefault("spec", {}), old.get("spec") or {})

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        validate_claim_spec(obj.get("spec") or {}, SPEC, errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        now, before = new.get("spec") or {}, old.get("spec") or {}
        any_group = any(at(before, name, "apiGroup") is not None for name in ("dataSource", "dataSourceRef"))
        validate_claim_spec(now, SPEC, errors, any_group=any_group)
        compared = _as_compared(new, old, errors)
        if not same(_numbers(compared), _numbers(before)):
            told = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound"
            changes = difference(before, compared, "core.v1.PersistentVolumeClaimSpec")
            errors.forbidden(SPEC, f"{told} claims\n{changes}")
        if grows(new, old) < 0 and amount(_asked(new)) <= amount(at(old, "status", "capacity", "storage")):
            told = "field can not be less than status.capacity"
            errors.forbidden(SPEC / "resources" / "requests" / "storage", told)
        immutable(now.get("volumeMode"), before.get("volumeMode"), ROOT / "volumeMode", errors)
        _validate_attributes_class(now, before, old, errors)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        status = new.get("status") or {}
        if not metadata(new).get("resourceVersion"):
            errors.required(ROOT / "resourceVersion")
        if not at(new, "spec", "accessModes"):
            errors.required(ROOT / "Spec" / "accessModes")
        for key, value in (status.get("capacity") or {}).items():
            validate_basic(value, (STATUS / "capacity").key(key), errors)
        here = STATUS / "allocatedResourceStatuses"
        for key, word in (status.get("allocatedResourceStatuses") or {}).items():
            _check_key(key, here, errors)
            if word not in RESIZE_STATUSES:
                errors.not_supported(here, key, sorted(RESIZE_STATUSES))
        here = STATUS / "allocatedResources"
        for key, value in (status.get("allocatedResources") or {}).items():
            if _check_key(key, here, errors):
                validate_basic(value, here.key(key), errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        found = []
        if BETA_CLASS in annotations_of(new):
            told = 'deprecated since v1.8; use "storageClassName" attribute instead'
            found.append(f"metadata.annotations[{BETA_CLASS}]: {told}")
        for kind in ("requests", "limits"):
            value = at(new, "spec", "resources", kind, "storage")
            if value is not None and milli(value) % 1000:
                here = (SPEC / "resources" / kind).key("storage")
                found.append(f'{here}: fractional byte value "{canonical(value)}" is invalid, must be an integer')
        return found


def storage_class(claim: Object) -> str | None:
    """The class a claim asks for: "" for none at all, None for the default."""
    old = annotations_of(claim).get(BETA_CLASS)
    return old if old is not None else at(claim, "spec", "storageClassName")


def _asked(claim: Object) -> str | None:
    found: str | None = at(claim, "spec", "resources", "requests", "storage")
    return found


def grows(new: Object, old: Object) -> int:
    """1 where the claim asks for more than before, -1 for less: admission asks the class whether it may."""
    now, before = amount(_asked(new)), amount(_asked(old))
    return (now > before) - (now < before)


def _bound(claim: Object, value: str) -> str:
    return value if at(claim, "spec", "volumeName") else ""


# --- preparation


def default_claim_spec(spec: Object) -> None:
    settle(spec.get("resources"), "requests", "limits")
    spec.setdefault("volumeMode", "Filesystem")


def _settle_sources(spec: Object, old: Object) -> None:
    """`dataSource` and `dataSourceRef` say the same; what the older field may not name is dropped, as ever."""
    reference = spec.get("dataSourceRef")
    had_source = old.get("dataSource") is not None or old.get("dataSourceRef") is not None
    if reference is not None and reference.get("namespace") and old.get("dataSourceRef") is None:
        # A reference into another namespace: a feature that is off in 1.35.
        del spec["dataSourceRef"]
        reference = None
    source = spec.get("dataSource")
    if not had_source and reference is None and source is not None and not _is_old_source(source):
        del spec["dataSource"]
        source = None
    if source is not None and reference is None:
        spec["dataSourceRef"] = dict(source)
    elif reference is not None and source is None and not reference.get("namespace"):
        spec["dataSource"] = {key: value for key, value in reference.items() if key != "namespace"}


def _is_old_source(source: Object) -> bool:
    """What could be named before there was `dataSourceRef`."""
    return (source.get("apiGroup") or "", source.get("kind", "")) in (CLAIM, SNAPSHOT)


# --- rules


def validate_claim_spec(spec: Object, path: Path, errors: FieldErrors, *, any_group: bool = False) -> None:
    """Also of a claim's template. `any_group`: the data source's group need not be one, as it stood there before."""
    modes = spec.get("accessModes") or ()
    access_modes.validate(modes, path / "accessModes", errors, "at least 1 access mode is required")
    selectors.validate_label_selector(spec.get("selector"), path / "selector", errors)
    storage, here = at(spec, "resources", "requests", "storage"), (path / "resources").key("storage")
    if storage is None:
        errors.required(here)
    else:
        validate_positive(storage, here, errors)
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        errors.not_supported(path / "volumeMode", mode, VOLUME_MODES)
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    for name, found in (("dataSource", source), ("dataSourceRef", reference)):
        if found is not None:
            _validate_source(found, path / name, any_group, errors)
    if source is not None and reference is not None:
        told = str(path / "dataSource")
        if reference.get("namespace"):
            errors.invalid(path, told, "may not be specified when dataSourceRef.namespace is specified")
        elif any(source.get(key) != reference.get(key) for key in ("apiGroup", "kind", "name")):
            errors.invalid(path, told, "must match dataSourceRef")
    for name in ("storageClassName", "volumeAttributesClassName"):
        if value := spec.get(name):
            errors.messages(path / name, value, names.dns1123_subdomain(value))


def _validate_source(source: Object, path: Path, any_group: bool, errors: FieldErrors) -> None:
    group, kind = source.get("apiGroup") or "", source.get("kind", "")
    if not source.get("name"):
        errors.required(path / "name")
    if not kind:
        errors.required(path / "kind")
    if not group and kind != "PersistentVolumeClaim":
        errors.invalid(path, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup")
    if group and not any_group:
        errors.messages(path / "apiGroup", group, names.dns1123_subdomain(group))
    if namespace := source.get("namespace"):
        errors.messages(path / "namespace", namespace, names.dns1123_label(namespace))


def _as_compared(new: Object, old: Object, errors: FieldErrors) -> Object:
    """The new spec with all that may change as it was before."""
    now, before = new.get("spec") or {}, old.get("spec") or {}
    found = dict(now)

    def as_before(name: str) -> None:
        found.pop(name, None)
        if name in before:
            found[name] = before[name]

    if not before.get("volumeName"):
        found.pop("volumeName", None)
    old_class, new_class = (annotations_of(obj).get(BETA_CLASS) for obj in (old, new))
    name, had_none = now.get("storageClassName"), before.get("storageClassName") is None
    if old_class is not None and had_none and name == old_class and new_class in (None, old_class):
        as_before("storageClassName")
    else:
        if new_class != old_class:
            here = ROOT / "metadata" / "annotations" / BETA_CLASS
            errors.immutable(here, new_class or "")
        if had_none and name is not None and old_class in (None, name):
            as_before("storageClassName")
    if at(new, "status", "phase") == "Bound":
        as_before("volumeAttributesClassName")
        requests = dict(at(now, "resources", "requests") or {})
        if requests:
            requests["storage"] = _asked(old)
            found["resources"] = {**(now.get("resources") or {}), "requests": requests}
    return found


def _numbers(spec: Object) -> Object:
    """Amounts by what they are, not by how they are written; `volumeName` where it is set."""
    found = {key: value for key, value in spec.items() if key != "resources"}
    for kind in ("requests", "limits"):
        listed = at(spec, "resources", kind) or {}
        found[f"resources.{kind}"] = {key: str(amount(value).normalize()) for key, value in listed.items()}
    return found


def _validate_attributes_class(now: Object, before: Object, old: Object, errors: FieldErrors) -> None:
    name = "volumeAttributesClassName"
    if same(now.get(name), before.get(name)) or at(old, "status", "currentVolumeAttributesClassName") is None:
        return
    word = {None: "nil", "": "empty string"}.get(now.get(name))
    if word:
        told = f"update to {word} is forbidden when status.currentVolumeAttributesClassName is not nil"
        errors.forbidden(SPEC / name, told)


def _check_key(key: str, path: Path, errors: FieldErrors) -> bool:
    problems = names.qualified_name(key)
    errors.messages(path, key, problems)
    if problems:
        return False
    if is_native(key) and key != "storage":
        errors.not_supported(path, key, ("storage",))
        return False
    return True
