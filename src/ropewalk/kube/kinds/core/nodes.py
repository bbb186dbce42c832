"""Nodes: the machines that pods run on.
https://kubernetes.io/docs/concepts/architecture/nodes/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from ropewalk.kube.kinds.cells import AGE, NAME, field, text
from ropewalk.kube.kinds.checks import same
from ropewalk.kube.kinds.core.checks import POSITIVE
from ropewalk.kube.kinds.core.node_columns import address, roles, status
from ropewalk.kube.kinds.core.resource_lists import settle, validate_amount
from ropewalk.kube.kinds.go_spelling import go_printed
from ropewalk.kube.machinery import addresses, names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.machinery.strategy import Selectable, Strategy

SPEC = ROOT / "spec"
STATUS = ROOT / "status"
TAINTS = ROOT / "metadata" / "taints"
"""Where Kubernetes says that taints stand."""
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_KEPT_RANGE = 'node updates may not change podCIDR except from "" to valid'
_INFO = ("status", "nodeInfo")


class Nodes(Strategy):
    """A node may be made with its status: it is the kubelet who makes it."""

    has_status = True
    kept_under = "minions"
    columns = (
        NAME,
        text("Status", status),
        text("Roles", roles),
        AGE,
        field("Version", *_INFO, "kubeletVersion"),
        text("Internal-IP", lambda obj: address(obj, "InternalIP"), 1),
        text("External-IP", lambda obj: address(obj, "ExternalIP"), 1),
        field("OS-Image", *_INFO, "osImage", none="<unknown>", priority=1),
        field("Kernel-Version", *_INFO, "kernelVersion", none="<unknown>", priority=1),
        field("Container-Runtime", *_INFO, "containerRuntimeVersion", none="<unknown>", priority=1),
    )
    selectable_fields: ClassVar[Mapping[str, Selectable]] = {
        "spec.unschedulable": lambda node: "true" if at(node, "spec", "unschedulable") else "false",
    }

    def default(self, obj: Object) -> None:
        status = obj.get("status") or {}
        settle(status, "capacity", "allocatable")
        if "allocatable" not in status and status.get("capacity"):
            status["allocatable"] = dict(status["capacity"])
        _agree_on_ranges(obj.get("spec") or {})

    def prepare_create(self, obj: Object) -> None:
        """Unlike elsewhere the status stays."""
        (obj.get("spec") or {}).pop("configSource", None)
        for name in ("config", "declaredFeatures"):
            (obj.get("status") or {}).pop(name, None)

    def prepare_update(self, new: Object, old: Object) -> None:
        super().prepare_update(new, old)
        if at(old, "spec", "configSource") is None:
            (new.get("spec") or {}).pop("configSource", None)

    def prepare_status_update(self, new: Object, old: Object) -> None:
        super().prepare_status_update(new, old)
        if at(old, "status", "config") is None:
            (new.get("status") or {}).pop("config", None)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        spec = obj.get("spec") or {}
        _validate_taints(spec.get("taints") or (), errors)
        _validate_amounts(obj, errors)
        swap = at(obj, "status", "nodeInfo", "swap", "capacity")
        if swap is not None and swap <= 0:
            errors.invalid(ROOT / "metadata" / "nodeSwapStatus" / "capacity", swap, POSITIVE)
        _validate_ranges(spec.get("podCIDRs") or [], errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self.validate_create(new, errors)
        _validate_kept(new, old, errors)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        _validate_amounts(new, errors)
        _validate_kept(new, old, errors)
        _validate_taints(at(new, "spec", "taints") or (), errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        spec = new.get("spec") or {}
        found = []
        if spec.get("configSource") is not None:
            found.append("spec.configSource: the feature is removed")
        if spec.get("externalID"):
            found.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
        for index, cidr in enumerate(spec.get("podCIDRs") or ()):
            found += addresses.cidr_warnings(f"spec.podCIDRs[{index}]", cidr)
        return found


def _agree_on_ranges(spec: Object) -> None:
    """`podCIDR` is the first of `podCIDRs`, whichever of the two was given; where both were, `podCIDR` holds."""
    one, several = spec.get("podCIDR"), spec.get("podCIDRs")
    if one and (not several or several[0] != one):
        spec["podCIDRs"] = [one]
    elif several and not one:
        spec["podCIDR"] = several[0]


def _validate_ranges(ranges: Sequence[str], errors: FieldErrors) -> None:
    for index, cidr in enumerate(ranges):
        errors.messages(SPEC / "podCIDRs" / index, cidr, names.cidr(cidr))
    versions = [found[1].version for found in map(addresses.parse_cidr, ranges) if found]
    if len(ranges) > 2 or (len(ranges) == 2 and len(set(versions)) != 2):
        errors.invalid(SPEC / "podCIDRs", list(ranges), "may specify no more than one CIDR for each IP family")


def _validate_amounts(node: Object, errors: FieldErrors) -> None:
    for kind in ("capacity", "allocatable"):
        for name, value in (at(node, "status", kind) or {}).items():
            validate_amount(name, value, STATUS / kind / name, errors)


def _validate_taints(taints: Sequence[Object], errors: FieldErrors) -> None:
    seen = set()
    for index, taint in enumerate(taints):
        here = TAINTS / index
        key, value, effect = taint.get("key", ""), taint.get("value", ""), taint.get("effect", "")
        errors.messages(here / "key", key, names.qualified_name(key))
        if problems := names.label_value(value):
            errors.invalid(here / "value", value, ";".join(problems))
        if not effect:
            errors.required(here / "effect")
        elif effect not in EFFECTS:
            errors.not_supported(here / "effect", effect, EFFECTS)
        if (key, effect) in seen:
            errors.duplicate(here, go_printed(taint, "core.v1.Taint"), "taints must be unique by key and effect pair")
        seen.add((key, effect))


def _validate_kept(new: Object, old: Object, errors: FieldErrors) -> None:
    """What no update may change, be it of the node or of its status."""
    seen: list[Object] = []
    for index, given in enumerate(at(new, "status", "addresses") or ()):
        if given in seen:
            errors.duplicate(STATUS / "addresses" / index, go_printed(given, "core.v1.NodeAddress"))
        seen.append(given)
    before, now = old.get("spec") or {}, new.get("spec") or {}
    if before.get("podCIDRs") and not same(before["podCIDRs"], now.get("podCIDRs")):
        errors.forbidden(SPEC / "podCIDRs", _KEPT_RANGE)
    if before.get("providerID") and before["providerID"] != now.get("providerID"):
        errors.forbidden(SPEC / "providerID", 'node updates may not change providerID except from "" to valid')
    if not same(before.get("externalID"), now.get("externalID")):
        errors.forbidden(SPEC / "externalID", "may not be updated")
