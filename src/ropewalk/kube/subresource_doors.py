"""Subresources that edit an object through a door of their own: which kinds have which, as `Aspect`s."""

from __future__ import annotations

from ropewalk.kube.kinds.certificates.certificate_signing_requests import CertificateSigningRequests
from ropewalk.kube.kinds.core.pods import SUBRESOURCES as POD_DOORS
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.registry.aspects import Aspect
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.machinery.strategy import Strategy

PODS = GroupResource("", "pods")
REQUESTS = GroupResource("certificates.k8s.io", "certificatesigningrequests")


def aspects() -> dict[tuple[GroupResource, str], Aspect]:
    found = {(PODS, name): _by_strategy(name, rules) for name, rules in POD_DOORS.items()}
    found[REQUESTS, "approval"] = _approval(CertificateSigningRequests())
    return found


def _by_strategy(name: str, rules: Strategy) -> Aspect:
    """A door whose rules are written as a strategy's update."""

    def prepare(strategy: Strategy, new: Object, old: Object) -> None:
        rules.prepare_update(new, old)

    def validate(strategy: Strategy, new: Object, old: Object, errors: FieldErrors) -> None:
        rules.validate_update(new, old, errors)

    return Aspect(name, prepare, prepare, validate)


def _approval(rules: CertificateSigningRequests) -> Aspect:
    def prepare(strategy: Strategy, new: Object, old: Object) -> None:
        rules.prepare_approval_update(new, old)

    def validate(strategy: Strategy, new: Object, old: Object, errors: FieldErrors) -> None:
        rules.validate_approval_update(new, old, errors)

    return Aspect("approval", prepare, prepare, validate)
