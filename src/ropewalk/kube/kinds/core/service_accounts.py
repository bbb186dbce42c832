"""Service accounts: who pods are.
https://kubernetes.io/docs/concepts/security/service-accounts/
"""

from __future__ import annotations

from ropewalk.kube.kinds.cells import AGE, NAME
from ropewalk.kube.machinery.objects import Object, annotations_of
from ropewalk.kube.machinery.strategy import Strategy

MOUNTABLE_ONLY = "kubernetes.io/enforce-mountable-secrets"


class ServiceAccounts(Strategy):
    returns_deleted = True
    columns = (NAME, AGE)

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        _name_only(obj)

    def prepare_update(self, new: Object, old: Object) -> None:
        super().prepare_update(new, old)
        _name_only(new)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        if MOUNTABLE_ONLY not in annotations_of(new) or (old is not None and MOUNTABLE_ONLY in annotations_of(old)):
            return []
        return [
            f"metadata.annotations[{MOUNTABLE_ONLY}]: deprecated in v1.32+; prefer separate namespaces to isolate"
            " access to mounted secrets"
        ]


def _name_only(obj: Object) -> None:
    """A reference to a secret is its name: the rest of it is dropped."""
    if obj.get("secrets"):
        obj["secrets"] = [{"name": secret["name"]} if secret.get("name") else {} for secret in obj["secrets"]]
