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
SHORTEST_SECONDS, LONGEST_SECONDS = 600.0, 365 * 86_400.0
"""Of a certificate."""
HOUR = 3600.0
KEPT = {"Approved": HOUR, "Denied": HOUR, "Failed": HOUR, "": 24 * HOUR}
"""Seconds after which a request that has come into that state is removed."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request asks to be called."""

    common_name: str
    organizations: tuple[str, ...]
    alternatives: frozenset[str]
    """What kinds of names it asks for beside: of DNS, Email, IP, URI."""


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
        return await self._expire(request)

    async def _approve(self, request: Object) -> None:
        """A kubelet's request for its own client certificate, where its author may have one."""
        if at(request, "spec", "signerName") != KUBELET_CLIENT:
            return
        subject = self._subject(request)
        if subject is None or _kubelet_client_problem(subject, _usages(request)):
            return
        own = at(request, "spec", "username") == subject.common_name
        for permission in ("selfnodeclient", "nodeclient") if own else ("nodeclient",):
            if await self._signer.may_approve(request, permission):
                reason = "AutoApproved"
                whose = "self kubelet" if permission == "selfnodeclient" else "kubelet"
                message = f"Auto approving {whose} client certificate after SubjectAccessReview."
                await self._update(request, "approval", _condition("Approved", reason, message, self._clock.wall()))
                return

    async def _sign(self, request: Object) -> None:
        signer = at(request, "spec", "signerName")
        subject = self._subject(request)
        if signer not in _PROBLEMS or at(request, "status", "certificate") or subject is None:
            return
        problem = _PROBLEMS[signer](subject, _usages(request))
        if problem:
            now = self._clock.wall()
            await self._update(request, "status", _condition("Failed", "SignerValidationFailure", problem, now))
            return
        asked = float(at(request, "spec", "expirationSeconds") or LONGEST_SECONDS)
        seconds = min(max(asked, SHORTEST_SECONDS), LONGEST_SECONDS)
        pem = b64decode(request["spec"]["request"])
        certificate = self._signer.sign(pem, seconds, at(request, "spec", "usages") or [])
        changed = copied(request)
        changed.setdefault("status", {})["certificate"] = b64encode(certificate).decode()
        await self._write(changed, "status")

    def _subject(self, request: Object) -> Subject | None:
        try:
            return self._signer.read(b64decode(at(request, "spec", "request") or ""))
        except ValueError:
            return None

    async def _expire(self, request: Object) -> Result:
        state, since = _state(request)
        left = KEPT[state] - (self._clock.wall() - times.parse(since))
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


def _state(request: Object) -> tuple[str, str]:
    """What has become of it, and since when."""
    made: str = metadata(request)["creationTimestamp"]
    told = {condition["type"]: condition for condition in at(request, "status", "conditions") or ()}
    state = next((state for state in ("Failed", "Denied", "Approved") if state in told), "")
    return state, told[state].get("lastUpdateTime") or made if state else made


# --- what a signer signs; "" where it does


def _usages(request: Object) -> frozenset[str]:
    return frozenset(at(request, "spec", "usages") or ())


def _kubelet_client_problem(subject: Subject, usages: frozenset[str]) -> str:
    if subject.organizations != ("system:nodes",):
        return _NO_NODE
    for kind in ("DNS", "Email", "IP", "URI"):
        if kind in subject.alternatives:
            return f"{kind} subjectAltNames are not allowed"
    if not subject.common_name.startswith("system:node:"):
        return _NO_NODE_NAME
    return _usage_problem(usages, "client auth")


def _kubelet_serving_problem(subject: Subject, usages: frozenset[str]) -> str:
    if subject.organizations != ("system:nodes",):
        return _NO_NODE
    if not subject.alternatives & {"DNS", "IP"}:
        return "DNS or IP subjectAltName is required"
    for kind in ("Email", "URI"):
        if kind in subject.alternatives:
            return f"{kind} subjectAltNames are not allowed"
    named = subject.common_name.startswith("system:node:")
    return _usage_problem(usages, "server auth") or ("" if named else _NO_NODE_NAME)


_NO_NODE = "subject organization is not system:nodes"
_NO_NODE_NAME = "subject common name does not begin with system:node:"


def _usage_problem(usages: frozenset[str], purpose: str) -> str:
    required = {"digital signature", "key encipherment", purpose}
    if usages in (required, required - {"key encipherment"}):
        return ""
    return f"usages did not match [{' '.join(sorted(required))}]"


def _client_problem(subject: Subject, usages: frozenset[str]) -> str:
    extra = sorted(usages - {"digital signature", "key encipherment", "client auth"})
    if extra:
        return f"invalid usage for client certificate: {extra[0]}"
    return "" if "client auth" in usages else "missing required usage for client certificate: client auth"


_PROBLEMS: dict[str, Callable[[Subject, frozenset[str]], str]] = {
    CLIENT: _client_problem,
    KUBELET_CLIENT: _kubelet_client_problem,
    KUBELET_SERVING: _kubelet_serving_problem,
    LEGACY: lambda subject, usages: "",
}
