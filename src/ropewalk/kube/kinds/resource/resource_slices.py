"""Resource slices: which devices a driver has where.
https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/#resourceslice
"""

from __future__ import annotations

import re
from typing import ClassVar

from ropewalk.kube.kinds.cells import AGE, NAME, field
from ropewalk.kube.kinds.checks import immutable
from ropewalk.kube.kinds.core.affinity import validate_node_selector
from ropewalk.kube.kinds.core.volume_sources import check_driver_name
from ropewalk.kube.kinds.go_spelling import go_printed
from ropewalk.kube.kinds.resource.device_rules import (
    validate_each,
    validate_label,
    validate_pool,
    validate_qualified,
)
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.machinery.strategy import Strategy

SPEC = ROOT / "spec"
MOST_DEVICES = 128
MOST_PROPERTIES = 32
LONGEST_VALUE = 64
SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)
VALUES = ("bool", "int", "string", "version")
DISABLED_OF_DEVICES = (
    "taints",
    "consumesCounters",
    "nodeName",
    "nodeSelector",
    "allNodes",
    "bindsToNode",
    "bindingConditions",
    "bindingFailureConditions",
    "allowMultipleAllocations",
)


class ResourceSlices(Strategy):
    has_generation = True
    returns_deleted = True
    selectable_fields: ClassVar = {
        "spec.nodeName": lambda obj: at(obj, "spec", "nodeName") or "",
        "spec.driver": lambda obj: at(obj, "spec", "driver") or "",
    }
    columns = (
        NAME,
        field("Node", "spec", "nodeName"),
        field("Driver", "spec", "driver"),
        field("Pool", "spec", "pool", "name"),
        AGE,
    )

    def unselectable(self, field: str) -> str:
        return f"field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: {field}"

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        _drop_disabled(obj.get("spec") or {})

    def prepare_update(self, new: Object, old: Object) -> None:
        _drop_disabled(new.get("spec") or {})
        super().prepare_update(new, old)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        _validate(obj.get("spec") or {}, None, errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        _validate(new.get("spec") or {}, old.get("spec") or {}, errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        driver = at(new, "spec", "driver") or ""
        if driver == driver.lower():
            return []
        return [f'spec.driver: driver names should be lowercase; "{driver}" contains uppercase characters']


def _drop_disabled(spec: Object) -> None:
    """Fields of features that 1.35 leaves off: taints, partitions, sharing, binding conditions."""
    for name in ("sharedCounters", "perDeviceNodeSelection"):
        spec.pop(name, None)
    for device in spec.get("devices") or ():
        for name in DISABLED_OF_DEVICES:
            device.pop(name, None)
        for capacity in (device.get("capacity") or {}).values():
            capacity.pop("requestPolicy", None)


def _validate(spec: Object, old: Object | None, errors: FieldErrors) -> None:
    check_driver_name(errors, SPEC / "driver", spec.get("driver", ""))
    pool = spec.get("pool") or {}
    validate_pool(pool.get("name", ""), SPEC / "pool" / "name", errors)
    if pool.get("resourceSliceCount", 0) <= 0:
        errors.invalid(
            SPEC / "pool" / "resourceSliceCount", pool.get("resourceSliceCount", 0), "must be greater than zero"
        )
    if pool.get("generation", 0) < 0:
        errors.invalid(SPEC / "pool" / "generation", pool["generation"], "must be greater than or equal to zero")
    if old is not None:
        immutable(pool.get("name", ""), at(old, "pool", "name"), SPEC / "pool" / "name", errors)
        immutable(spec.get("driver", ""), old.get("driver"), SPEC / "driver", errors)
        immutable(spec.get("nodeName"), old.get("nodeName"), SPEC / "nodeName", errors)
    _validate_place(spec, errors)

    def device(one: Object, here: Path) -> None:
        _validate_device(one, here, errors)

    devices = spec.get("devices") or ()
    validate_each(devices, MOST_DEVICES, device, SPEC / "devices", errors, key=lambda one: one.get("name", ""))


def _validate_place(spec: Object, errors: FieldErrors) -> None:
    node, selector, everywhere = (spec.get(name) for name in ("nodeName", "nodeSelector", "allNodes"))
    told = []
    if node:
        told.append("`nodeName`")
        errors.messages(SPEC / "nodeName", node, names.dns1123_subdomain(node))
    elif node is not None:
        errors.invalid(SPEC / "nodeName", node, "must be either unset or set to a non-empty string")
    if selector is not None:
        told.append("`nodeSelector`")
        validate_node_selector(selector, SPEC / "nodeSelector", errors)
        terms = selector.get("nodeSelectorTerms")
        if len(terms or ()) != 1:
            shown = go_printed(terms, "core.v1.NodeSelectorTerm")
            errors.invalid(
                SPEC / "nodeSelector" / "nodeSelectorTerms", shown, "must have exactly one node selector term"
            )
    if everywhere:
        told.append("`allNodes`")
    elif everywhere is not None:
        errors.invalid(SPEC / "allNodes", everywhere, "must be either unset or set to true")
    needed = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
    if not told:
        errors.required(SPEC, needed)
    elif len(told) > 1:
        errors.invalid(SPEC, f"{{{', '.join(told)}}}", f"{needed}, but multiple fields are set")


def _validate_device(device: Object, path: Path, errors: FieldErrors) -> None:
    validate_label(device.get("name", ""), path / "name", errors)
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    if len(attributes) + len(capacity) > MOST_PROPERTIES:
        errors.invalid(
            path,
            len(attributes) + len(capacity),
            f"the total number of attributes and capacities must not exceed {MOST_PROPERTIES}",
        )
    for name, attribute in attributes.items():
        here = (path / "attributes").key(name)
        validate_qualified(name, here, errors)
        _validate_attribute(attribute, here, errors)
    for name in capacity:
        validate_qualified(name, (path / "capacity").key(name), errors)


def _validate_attribute(attribute: Object, path: Path, errors: FieldErrors) -> None:
    version = attribute.get("version")
    if version is not None and not SEMVER.fullmatch(version):
        errors.invalid(path / "version", version, "must be a string compatible with semver.org spec 2.0.0")
    for name in ("string", "version"):
        if len(attribute.get(name, "").encode()) > LONGEST_VALUE:
            errors.too_long(path / name, LONGEST_VALUE)
    given = [name for name in VALUES if name in attribute]
    if len(given) != 1:
        errors.invalid(
            path,
            go_printed(attribute, "resource.v1.DeviceAttribute") if given else "",
            "exactly one value must be specified",
        )
