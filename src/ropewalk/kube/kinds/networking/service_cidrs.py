"""Service CIDRs: the ranges that services' addresses come from.
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/service-cidr-v1/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ropewalk.kube.kinds.cells import AGE, NAME, text
from ropewalk.kube.kinds.go_spelling import go_printed
from ropewalk.kube.machinery import addresses
from ropewalk.kube.machinery.apply.field_sets import LEAF, FieldSet
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.machinery.strategy import ALL_METADATA, Strategy

CIDRS = ROOT / "spec" / "cidrs"


class ServiceCIDRs(Strategy):
    """A write of the object may set the status, too: only the other way is closed. Kubernetes means both to own no more
    than they may write, but says so for a group that does not exist.
    """

    status_keeps = ALL_METADATA
    reset_fields: ClassVar[Mapping[str, FieldSet]] = {"": LEAF, "status": LEAF}
    columns = (NAME, text("CIDRs", lambda obj: ",".join(at(obj, "spec", "cidrs") or ())), AGE)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        spec = obj.get("spec") or {}
        ranges = spec.get("cidrs") or []
        if not ranges:
            errors.required(CIDRS, "at least one CIDR required")
            return
        if len(ranges) > 2:
            errors.invalid(CIDRS, go_printed(spec, "networking.v1.ServiceCIDRSpec"), "may only hold up to 2 values")
            return
        for index, cidr in enumerate(ranges):
            errors.messages(CIDRS / index, cidr, addresses.strict_cidr(cidr))
        found = [parsed[1] for parsed in map(addresses.parse_cidr, ranges) if parsed]
        if len(found) == 2 and found[0].version == found[1].version:
            errors.invalid(
                CIDRS,
                ranges,
                "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
            )

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        """A second family may be added; nothing else changes."""
        before, now = at(old, "spec", "cidrs") or [], at(new, "spec", "cidrs") or []
        if len(before) == len(now) or (len(before), len(now)) == (1, 2):
            for index, cidr in enumerate(before):
                if now[index] != cidr:
                    errors.immutable(CIDRS / index, now[index])
            if len(before) != len(now):
                self.validate_create(new, errors)
        else:
            errors.immutable(CIDRS, now or None)
