"""CSI drivers: what a driver of volumes needs and can do. The object's name is the driver's.
https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/csi-driver-v1/
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.kinds.cells import AGE, NAME, text
from ropewalk.kube.kinds.checks import immutable, same
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object, at, metadata
from ropewalk.kube.machinery.strategy import Column, Strategy

SPEC = ROOT / "spec"
GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
LIFECYCLES = ("Persistent", "Ephemeral")
SHORTEST_UPDATE_PERIOD = 10
SHORTEST_TOKEN, LONGEST_TOKEN = 600, 1 << 32
TOKENS_RECOMMENDED = (
    "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible"
    " logging of tokens in volume attributes"
)


def _flag(name: str, field: str, *, unset: bool) -> Column:
    def cell(obj: Object, now: float) -> bool:
        value = at(obj, "spec", field)
        return unset if value is None else bool(value)

    return Column(name, cell, type="boolean")


def _token_text(obj: Object) -> str:
    requests = at(obj, "spec", "tokenRequests")
    return "<unset>" if requests is None else ",".join(request.get("audience", "") for request in requests)


class CSIDrivers(Strategy):
    allow_unconditional_update = False
    returns_deleted = True
    columns = (
        NAME,
        _flag("AttachRequired", "attachRequired", unset=True),
        _flag("PodInfoOnMount", "podInfoOnMount", unset=False),
        _flag("StorageCapacity", "storageCapacity", unset=False),
        text("TokenRequests", _token_text),
        _flag("RequiresRepublish", "requiresRepublish", unset=False),
        text("Modes", lambda obj: ",".join(at(obj, "spec", "volumeLifecycleModes") or ()) or "<none>"),
        AGE,
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("attachRequired", True)
        spec.setdefault("podInfoOnMount", False)
        spec.setdefault("storageCapacity", False)
        spec.setdefault("fsGroupPolicy", "ReadWriteOnceWithFSType")
        if not spec.get("volumeLifecycleModes"):
            spec["volumeLifecycleModes"] = ["Persistent"]
        spec.setdefault("requiresRepublish", False)
        spec.setdefault("seLinuxMount", False)

    def count_generation(self, new: Object, old: Object) -> None:
        """Counted from the first change on: a new driver has none."""
        if not same(new.get("spec"), old.get("spec")):
            new["metadata"]["generation"] = metadata(old).get("generation", 0) + 1

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        spec = obj.get("spec") or {}
        policy, period = spec.get("fsGroupPolicy"), spec.get("nodeAllocatableUpdatePeriodSeconds")
        if policy is not None and policy not in GROUP_POLICIES:
            errors.not_supported(SPEC / "fsGroupPolicy", policy, GROUP_POLICIES)
        requests = spec.get("tokenRequests") or ()
        _validate_tokens(requests, errors)
        for mode in spec.get("volumeLifecycleModes") or ():
            if mode not in LIFECYCLES:
                errors.not_supported(SPEC / "volumeLifecycleModes", mode, LIFECYCLES)
        if period is not None and period < SHORTEST_UPDATE_PERIOD:
            errors.invalid(
                SPEC / "nodeAllocatableUpdatePeriodSeconds", period, "must be greater than or equal to 10 seconds"
            )
        in_secrets = spec.get("serviceAccountTokenInSecrets")
        if in_secrets is not None and not requests:
            errors.invalid(
                SPEC / "serviceAccountTokenInSecrets",
                in_secrets,
                "serviceAccountTokenInSecrets is set but no tokenRequests are specified",
            )

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self.validate_create(new, errors)
        for name, told in (("attachRequired", "attachedRequired"), ("volumeLifecycleModes", "volumeLifecycleModes")):
            immutable(at(new, "spec", name), at(old, "spec", name), SPEC / told, errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        requests = at(new, "spec", "tokenRequests")
        if not requests or at(new, "spec", "serviceAccountTokenInSecrets") is not None:
            return []
        if old is not None and same(requests, at(old, "spec", "tokenRequests")):
            return []
        return [TOKENS_RECOMMENDED]


def _validate_tokens(requests: Sequence[Object], errors: FieldErrors) -> None:
    seen = set()
    for index, request in enumerate(requests):
        here, audience = SPEC / "tokenRequests" / index, request.get("audience", "")
        if audience in seen:
            errors.duplicate(here / "audience", audience)
            continue
        seen.add(audience)
        seconds = request.get("expirationSeconds")
        if seconds is None:
            continue
        if seconds < SHORTEST_TOKEN:
            errors.invalid(here / "expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
        if seconds > LONGEST_TOKEN:
            errors.invalid(here / "expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
