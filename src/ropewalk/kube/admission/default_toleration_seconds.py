"""DefaultTolerationSeconds: pods stay five minutes on a node that is not ready or cannot be reached.
https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#defaulttolerationseconds
"""

from __future__ import annotations

from typing import ClassVar

from ropewalk.kube.admission.plugin import PODS, WRITES, Plugin
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.resources import GroupResource

SECONDS = 300
TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


class DefaultTolerationSeconds(Plugin):
    name: ClassVar[str] = "DefaultTolerationSeconds"
    operations: ClassVar[frozenset[str]] = WRITES
    resources: ClassVar[frozenset[GroupResource] | None] = frozenset({PODS})
    mutates: ClassVar[bool] = True

    async def mutate(self, admission: Admission) -> None:
        assert admission.object is not None
        spec = admission.object.setdefault("spec", {})
        tolerations: list[Object] = spec.get("tolerations") or []
        wanted: tuple[str, ...] = TAINTS
        if tolerations:
            wanted = tuple(taint for taint in TAINTS if not any(_tolerates(found, taint) for found in tolerations))
        if wanted:
            added = [
                {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}
                for taint in wanted
            ]
            spec["tolerations"] = [*tolerations, *added]


def _tolerates(toleration: Object, taint: str) -> bool:
    return toleration.get("key", "") in ("", taint) and toleration.get("effect", "") in ("", "NoExecute")
