"""The claims that a stateful set makes, one a pod: what its templates gain by default, and what is warned of."""

from __future__ import annotations

from ropewalk.kube.kinds.core.persistent_volume_claims import default_claim_spec
from ropewalk.kube.machinery import quantities
from ropewalk.kube.machinery.fields import Path
from ropewalk.kube.machinery.objects import Object, at


def default_claim_template(claim: Object) -> None:
    """A template is a whole claim: Kubernetes writes its kind and its status too."""
    claim.setdefault("apiVersion", "v1")
    claim.setdefault("kind", "PersistentVolumeClaim")
    default_claim_spec(claim.setdefault("spec", {}))
    status = claim.setdefault("status", {})
    status["phase"] = status.get("phase") or "Pending"


def claim_warnings(spec: Object, path: Path) -> list[str]:
    found = []
    for name in ("requests", "limits"):
        value = at(spec, "resources", name, "storage")
        if value is not None and quantities.milli(value) % 1000:
            where = (path / "resources" / name).key("storage")
            found.append(f'{where}: fractional byte value "{value}" is invalid, must be an integer')
    return found
