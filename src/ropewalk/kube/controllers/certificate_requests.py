"""CertificateSigningRequests: kubelets' own are approved, approved ones signed, old ones removed.

https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.kube.controllers.following import follow, found, split
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, copied, metadata
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.runtime.controller import DONE, Controller, RequeueAfter, Result

REQUESTS = GroupResource("certificates.k8s.io", "certificatesigningrequests")
CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"
SIGNERS = frozenset((CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY))
LONGEST_SECONDS = 365 * 86_400.0
HOUR = 3600.0
KEPT = {"Approved": HOUR, "Denied": HOUR, "Failed": HOUR, "": 24 * HOUR}
"""Seconds after which a request in that state is removed."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request asks to be called."""

    common_name: str
    organizations: tuple[str, ...]
    names: tuple[str, ...]
    """DNS names, addresses, mail addresses and URIs beside."""
    plain_addresses: bool
    """The names are DNS names and addresses only."""


@dataclass(frozen=True, slots=True)
class Signer:
    """What certificates are made with; `kube.security` has it."""

    read: Callable[[bytes], Subject]
    """Raises `ValueError` for what is no request."""
    sign: Callable[[bytes, float, list[str]], bytes]
    """(request in PEM, seconds, usages) → certificate in PEM."""
    may_approve: Callable[[Object, str], Awaitable[bool]]
    """(request object, "nodeclient" or "selfnodeclient") → whether its author may create that subresource."""


class CertificateRequests:
    """A `Runnable`."""

    name = "certificate requests"

    def __init__(self, api: Api, signer: Signer, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._signer = signer
        self._clock = clock
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy)

    async def run(self) -> None:
        follow(self._api, REQUESTS, self._controller.enqueue)
        await self._controller.run()

    async def _reconcile(self, key: str) -> Result:
        name = split(key)[1]
        request = await found(self._api, REQUESTS, "", name)
        if request is None:
            return DONE
        conditions = {condition["type"] for condition in at(request, "status", "conditions") or ()}
        if not conditions:
            await self._approve(request)
        elif "Approved" in conditions and not conditions & {"Denied", "Failed"}:
            await self._sign(request)
        return await self._expire(request, conditions)

    async def _approve(self, request: Object) -> None:
        """A kubelet's request for its own client certificate, where its author may have one."""
        if at(request, "spec", "signerName") != KUBELET_CLIENT:
            return
        subject = self._subject(request)
        if subject is None or not _is_node_client(subject, request):
            return
        own = at(request, "spec", "username") == subject.common_name
        for permission in ("selfnodeclient", "nodeclient") if own else ("nodeclient",):
            if await self._signer.may_approve(request, permission):
                reason = "AutoApproved"
                message = f"Auto approving {'self ' if permission.startswith('self') else ''}kubelet client certificate"
                await self._update(request, "approval", _condition("Approved", reason, message, self._clock.wall()))
                return

    async def _sign(self, request: Object) -> None:
        signer = at(request, "spec", "signerName")
        if signer not in SIGNERS or at(request, "status", "certificate"):
            return
        problem = self._problem(request, signer)
        if problem:
            now = self._clock.wall()
            await self._update(request, "status", _condition("Failed", "SignerValidationFailure", problem, now))
            return
        seconds = min(float(at(request, "spec", "expirationSeconds") or LONGEST_SECONDS), LONGEST_SECONDS)
        pem = b64decode(request["spec"]["request"])
        certificate = self._signer.sign(pem, seconds, at(request, "spec", "usages") or [])
        changed = copied(request)
        changed.setdefault("status", {})["certificate"] = b64encode(certificate).decode()
        await self._write(changed, "status")

    def _problem(self, request: Object, signer: str) -> str:
        """Why this signer signs no such request; "" where it does."""
        subject = self._subject(request)
        if subject is None:
            return "unable to parse csr"
        usages = set(at(request, "spec", "usages") or ())
        if signer == KUBELET_CLIENT:
            return "" if _is_node_client(subject, request) else "the request is no kubelet's client certificate"
        if signer == KUBELET_SERVING:
            return _serving_problem(subject, usages, request)
        if signer == CLIENT:
            extra = usages - {"digital signature", "key encipherment", "client auth"}
            return f"invalid usages for client certificate: {sorted(usages)}" if extra else ""
        return ""

    def _subject(self, request: Object) -> Subject | None:
        try:
            return self._signer.read(b64decode(at(request, "spec", "request") or ""))
        except ValueError:
            return None

    async def _expire(self, request: Object, conditions: set[str]) -> Result:
        state = next((state for state in ("Failed", "Denied", "Approved") if state in conditions), "")
        age = self._clock.wall() - times.parse(metadata(request)["creationTimestamp"])
        left = KEPT[state] - age
        if left > 0:
            return RequeueAfter(left)
        await self._api.delete(REQUESTS, "", metadata(request)["name"], uid=metadata(request)["uid"])
        return DONE

    async def _update(self, request: Object, subresource: str, condition: Object) -> None:
        changed = copied(request)
        changed.setdefault("status", {}).setdefault("conditions", []).append(condition)
        await self._write(changed, subresource)

    async def _write(self, changed: Object, subresource: str) -> None:
        try:
            await self._api.update(REQUESTS, changed, subresource=subresource)
        except StatusFault as fault:
            if fault.reason == "Conflict":
                raise Retryable(fault.message, after=0.05) from fault
            if fault.status != 404:
                raise


def _condition(kind: str, reason: str, message: str, now: float) -> Object:
    stamp = times.rfc3339(now)
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastUpdateTime": stamp,
        "lastTransitionTime": stamp,
    }


def _is_node_client(subject: Subject, request: Object) -> bool:
    usages = set(at(request, "spec", "usages") or ())
    return (
        subject.organizations == ("system:nodes",)
        and subject.common_name.startswith("system:node:")
        and not subject.names
        and usages in ({"digital signature", "client auth"}, {"digital signature", "key encipherment", "client auth"})
    )


def _serving_problem(subject: Subject, usages: set[str], request: Object) -> str:
    if subject.organizations != ("system:nodes",):
        return "subject organization is not system:nodes"
    if not subject.common_name.startswith("system:node:"):
        return 'subject common name does not begin with "system:node:"'
    if subject.common_name != at(request, "spec", "username"):
        return "subject common name is not the requesting node's"
    if not subject.names:
        return "DNS or IP subjectAltName is required"
    if not subject.plain_addresses:
        return "subjectAltNames other than DNS names and IP addresses are not allowed"
    allowed = ({"digital signature", "server auth"}, {"digital signature", "key encipherment", "server auth"})
    return "" if usages in allowed else f"invalid usages for a kubelet's serving certificate: {sorted(usages)}"
