"""API services: which server answers for a group's version.
https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/apiserver-aggregation/
"""

from __future__ import annotations

import base64
import binascii

from ropewalk.kube.kinds.cells import AGE, NAME, text
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object, at, metadata, name_of
from ropewalk.kube.machinery.strategy import ALL_METADATA, STATUS_ALONE, Strategy

SPEC = ROOT / "spec"
STATUSES = ("True", "False", "Unknown")


def _service(obj: Object) -> str:
    service = at(obj, "spec", "service")
    return "Local" if service is None else f"{service.get('namespace', '')}/{service.get('name', '')}"


def _available(obj: Object) -> str:
    for condition in at(obj, "status", "conditions") or ():
        if condition.get("type") == "Available":
            status, reason = condition.get("status", ""), condition.get("reason")
            return f"{status} ({reason})" if status != "True" and reason else str(status)
    return "Unknown"


class ApiServices(Strategy):
    has_status = True
    status_keeps = ALL_METADATA
    reset_fields = STATUS_ALONE
    kept_under = "apiregistration.k8s.io/apiservices"
    allow_unconditional_update = False
    columns = (NAME, text("Service", _service), text("Available", _available), AGE)

    def name_problems(self, name: str, *, prefix: bool) -> list[str]:
        return names.path_segment(name)

    def default(self, obj: Object) -> None:
        service = obj.setdefault("spec", {}).get("service")
        if service is not None:
            service.setdefault("port", 443)

    def prepare_create(self, obj: Object) -> None:
        """What is served here is available at once."""
        super().prepare_create(obj)
        obj["status"] = {}
        if at(obj, "spec", "service") is None:
            condition = {
                "type": "Available",
                "status": "True",
                "lastTransitionTime": metadata(obj).get("creationTimestamp"),
                "reason": "Local",
                "message": "Local APIServices are always available",
            }
            obj["status"]["conditions"] = [{key: value for key, value in condition.items() if value is not None}]

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        spec = obj.get("spec") or {}
        group, version = spec.get("group", ""), spec.get("version", "")
        if not names.path_segment(name_of(obj)) and name_of(obj) != f"{version}.{group}":
            errors.invalid(
                ROOT / "metadata" / "name",
                name_of(obj),
                f'must be `spec.version+"."+spec.group`: "{version}.{group}"',
            )
        if not group and version != "v1":
            errors.required(SPEC / "group", "only v1 may have an empty group and it better be legacy kube")
        if group:
            errors.messages(SPEC / "group", group, names.dns1123_subdomain(group))
        errors.messages(SPEC / "version", version, names.dns1035_label(version))
        for name, most in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
            if not 0 < spec.get(name, 0) <= most:
                errors.invalid(SPEC / name, spec.get(name, 0), f"must be positive and less than {most}")
        if spec.get("service") is None:
            _validate_local(spec, errors)
        else:
            _validate_service(spec, errors)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        for index, condition in enumerate(at(new, "status", "conditions") or ()):
            if condition.get("status") not in STATUSES:
                path = ROOT / "status" / "conditions" / index / "status"
                errors.not_supported(path, condition.get("status", ""), STATUSES)


def _validate_local(spec: Object, errors: FieldErrors) -> None:
    if spec.get("caBundle"):
        size = _decoded_size(spec["caBundle"])
        errors.invalid(SPEC / "caBundle", f"{size} bytes", "local APIServices may not have a caBundle")
    if spec.get("insecureSkipTLSVerify"):
        errors.invalid(SPEC / "insecureSkipTLSVerify", True, "local APIServices may not have insecureSkipTLSVerify")


def _validate_service(spec: Object, errors: FieldErrors) -> None:
    service = spec["service"]
    for name in ("namespace", "name"):
        if not service.get(name):
            errors.required(SPEC / "service" / name)
    port = service.get("port", 0)
    problems = names.port_number(port)
    if problems:
        errors.invalid(SPEC / "service" / "port", port, "port is not valid: " + ", ".join(problems))
    if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
        errors.invalid(SPEC / "insecureSkipTLSVerify", True, "may not be true if caBundle is present")


def _decoded_size(encoded: str) -> int:
    try:
        return len(base64.b64decode(encoded))
    except (binascii.Error, ValueError):
        return len(encoded)
