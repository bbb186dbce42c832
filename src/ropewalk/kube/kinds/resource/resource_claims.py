"""Resource claims, and templates that pods make them from.
https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ropewalk.kube.kinds.cells import AGE, NAME, text
from ropewalk.kube.kinds.checks import immutable
from ropewalk.kube.kinds.resource.claim_status import drop_from_status, validate_status
from ropewalk.kube.kinds.resource.device_rules import (
    Compiler,
    any_selector,
    default_devices,
    drop_disabled,
    validate_devices,
)
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at, labels_of, metadata, name_of, namespace_of
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.machinery.strategy import ALL_METADATA, STATUS_ALONE, Finish, Strategy

if TYPE_CHECKING:
    from ropewalk.kube.machinery.api import Api

SPEC = ROOT / "spec"
ADMIN_ACCESS = "resource.kubernetes.io/admin-access"
GROUP = "resource.k8s.io"


def _state(claim: Object) -> str:
    deleted = bool(metadata(claim).get("deletionTimestamp"))
    words = ["deleted"] if deleted else []
    if at(claim, "status", "allocation") is not None:
        words.append("allocated")
        if at(claim, "status", "reservedFor"):
            words.append("reserved")
    elif not deleted:
        words.append("pending")
    return ",".join(words)


async def _authorize_admin(devices: Object, path: Path, kind: str, obj: Object, api: Api) -> None:
    """Devices that are in use by others are for namespaces that are labelled for it."""
    for index, request in enumerate(devices.get("requests") or ()):
        if not at(request, "exactly", "adminAccess"):
            continue
        namespace = await api.get(GroupResource("", "namespaces"), "", namespace_of(obj))
        if labels_of(namespace).get(ADMIN_ACCESS) != "true":
            errors = FieldErrors()
            errors.forbidden(
                path / "requests" / index / "adminAccess",
                f"admin access to devices requires the `{ADMIN_ACCESS}: true` label on the containing namespace",
            )
            raise errors.fault(kind, GROUP, name_of(obj))
        return


class ResourceClaims(Strategy):
    has_status = True
    status_keeps = ALL_METADATA
    reset_fields = STATUS_ALONE
    returns_deleted = True
    columns = (NAME, text("State", _state), AGE)

    def __init__(self, compiler: Compiler = any_selector) -> None:
        self._compiler = compiler

    def default(self, obj: Object) -> None:
        default_devices(obj.setdefault("spec", {}).get("devices") or {})

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        drop_disabled(at(obj, "spec", "devices") or {})

    def prepare_update(self, new: Object, old: Object) -> None:
        super().prepare_update(new, old)
        drop_disabled(at(new, "spec", "devices") or {})

    def prepare_status_update(self, new: Object, old: Object) -> None:
        super().prepare_status_update(new, old)
        drop_from_status(new, old)

    async def before_create(self, obj: Object, api: Api, *, dry_run: bool) -> Finish | None:
        await _authorize_admin(at(obj, "spec", "devices") or {}, SPEC / "devices", "ResourceClaim", obj, api)
        return None

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        validate_devices(at(obj, "spec", "devices") or {}, SPEC / "devices", errors, self._compiler)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        immutable(new.get("spec") or {}, old.get("spec"), SPEC, errors, "resource.v1.ResourceClaimSpec")

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        validate_status(new, old, errors)


class ResourceClaimTemplates(Strategy):
    returns_deleted = True
    columns = (NAME, AGE)

    def __init__(self, compiler: Compiler = any_selector) -> None:
        self._compiler = compiler

    def default(self, obj: Object) -> None:
        default_devices(at(obj.setdefault("spec", {}), "spec", "devices") or {})

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        drop_disabled(at(obj, "spec", "spec", "devices") or {})

    def prepare_update(self, new: Object, old: Object) -> None:
        super().prepare_update(new, old)
        drop_disabled(at(new, "spec", "spec", "devices") or {})

    async def before_create(self, obj: Object, api: Api, *, dry_run: bool) -> Finish | None:
        devices = at(obj, "spec", "spec", "devices") or {}
        await _authorize_admin(devices, SPEC / "devices", "ResourceClaimTemplate", obj, api)
        return None

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        own = at(obj, "spec", "metadata") or {}
        names.labels(own.get("labels") or {}, SPEC / "metadata" / "labels", errors)
        names.annotations(own.get("annotations") or {}, SPEC / "metadata" / "annotations", errors)
        devices = at(obj, "spec", "spec", "devices") or {}
        validate_devices(devices, SPEC / "spec" / "devices", errors, self._compiler)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        immutable(new.get("spec") or {}, old.get("spec"), SPEC, errors, "resource.v1.ResourceClaimTemplateSpec")
