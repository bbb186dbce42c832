"""Subresources that edit an object through a door of their own: which kinds have which, as `Aspect`s."""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.kube.kinds.certificates.certificate_signing_requests import CertificateSigningRequests
from ropewalk.kube.kinds.core.namespaces import Namespaces
from ropewalk.kube.kinds.core.pods import SUBRESOURCES as POD_DOORS
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.registry.aspects import Aspect
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.machinery.strategy import Strategy

PODS = GroupResource("", "pods")
NAMESPACES = GroupResource("", "namespaces")
REQUESTS = GroupResource("certificates.k8s.io", "certificatesigningrequests")


def aspects() -> dict[tuple[GroupResource, str], Aspect]:
    found = {(PODS, name): _by_strategy(name, rules) for name, rules in POD_DOORS.items()}
    requests, namespaces = CertificateSigningRequests(), Namespaces()
    found[REQUESTS, "approval"] = _door("approval", requests.prepare_approval_update, requests.validate_approval_update)
    found[NAMESPACES, "finalize"] = _door("finalize", namespaces.prepare_finalize, namespaces.validate_finalize)
    return found


def _by_strategy(name: str, rules: Strategy) -> Aspect:
    """A door whose rules are written as a strategy's update."""
    return _door(name, rules.prepare_update, rules.validate_update)


def _door(
    name: str, prepare: Callable[[Object, Object], None], validate: Callable[[Object, Object, FieldErrors], None]
) -> Aspect:
    def prepared(strategy: Strategy, new: Object, old: Object) -> None:
        prepare(new, old)

    def validated(strategy: Strategy, new: Object, old: Object, errors: FieldErrors) -> None:
        validate(new, old, errors)

    return Aspect(name, prepared, prepared, validated)
