"""Certificate requests: which are approved unasked, what each signer signs and says of the rest, how long they stay."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.controllers.certificate_requests import (
    CLIENT,
    KUBELET_CLIENT,
    KUBELET_SERVING,
    LEGACY,
    REQUESTS,
    CertificateRequests,
)
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.access import Decision, Verdict
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.requests import Attributes
from ropewalk.kube.signing import signer
from support.kube_api import WALL, MemoryApi
from support.running import running
from unit.kube.security.material import keys, now, subject

NODE = "system:node:n-1"
NODES = ("system:nodes",)
AUTH, SIGNATURE, ENCIPHERMENT = "client auth", "digital signature", "key encipherment"
SERVING = ("server auth", SIGNATURE)
DNS: tuple[x509.GeneralName, ...] = (x509.DNSName("n-1"),)


class Permissions:
    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed
        self.asked: list[Attributes] = []

    async def authorize(self, attributes: Attributes) -> Decision:
        self.asked.append(attributes)
        allowed = attributes.subresource in self.allowed
        return Decision(Verdict.ALLOW if allowed else Verdict.NO_OPINION)


class Scene:
    def __init__(self) -> None:
        self.api, self.clock, self.permissions = (
            MemoryApi(),
            VirtualClock(),
            Permissions("nodeclient", "selfnodeclient"),
        )

    def put(self, request: Object) -> None:
        self.api.put(REQUESTS, request)

    async def outcome(self, request: Object) -> Object:
        """The request's status, once the controller had its time."""
        self.put(request)
        async with running(CertificateRequests(self.api, self._signer(), self.clock, SeededEntropy(1))):
            await self.clock.advance(1)
        found: Object = (await self.api.get(REQUESTS, "", "r")).get("status") or {}
        return found

    async def is_there_after(self, seconds: float) -> bool:
        async with running(CertificateRequests(self.api, self._signer(), self.clock, SeededEntropy(1))):
            await self.clock.advance(seconds)
        return bool(await self.api.list(REQUESTS))

    def _signer(self) -> Any:
        return signer(keys().ca, self.permissions, self.clock)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    yield Scene()


def a_request(
    signer_name: str = KUBELET_CLIENT,
    name: str = NODE,
    groups: Sequence[str] = NODES,
    alternatives: Sequence[x509.GeneralName] = (),
    usages: Sequence[str] = (AUTH, SIGNATURE),
    conditions: Sequence[Object] = (),
    **spec: Any,
) -> Object:
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject(name, *groups))
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    pem = b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()
    made: Object = {
        "metadata": {"name": "r"},
        "spec": {"request": pem, "signerName": signer_name, "usages": list(usages), "username": NODE, **spec},
    }
    return {**made, "status": {"conditions": list(conditions)}} if conditions else made


def condition(kind: str, since: str = WALL) -> Object:
    return {"type": kind, "status": "True", "lastUpdateTime": since}


def approved(*given: Any, **more: Any) -> Object:
    return a_request(*given, conditions=[condition("Approved")], **more)


def certificate_of(status: Object) -> x509.Certificate:
    return x509.load_pem_x509_certificate(b64decode(status["certificate"]))


# --- approval


async def test_a_kubelets_own_request_is_approved_and_signed(scene: Scene) -> None:
    status = await scene.outcome(a_request())
    (told,) = status["conditions"]
    assert (told["type"], told["reason"]) == ("Approved", "AutoApproved")
    assert told["message"] == "Auto approving self kubelet client certificate after SubjectAccessReview."
    assert certificate_of(status).subject == subject(NODE, *NODES)
    (asked,) = scene.permissions.asked
    assert (asked.user.name, asked.verb, asked.subresource) == (NODE, "create", "selfnodeclient")


async def test_another_needs_the_other_permission(scene: Scene) -> None:
    status = await scene.outcome(a_request(username="bootstrapper"))
    assert [asked.subresource for asked in scene.permissions.asked] == ["nodeclient"]
    assert status["conditions"][0]["message"] == "Auto approving kubelet client certificate after SubjectAccessReview."


async def test_what_may_not_be_approved_waits(scene: Scene) -> None:
    scene.permissions.allowed = ()
    assert await scene.outcome(a_request()) == {}
    assert [asked.subresource for asked in scene.permissions.asked] == ["selfnodeclient", "nodeclient"]


@pytest.mark.parametrize(
    "request_",
    [
        a_request(CLIENT),
        a_request(KUBELET_SERVING, usages=SERVING, alternatives=DNS),
        a_request("example.com/signer"),
        a_request(groups=("admins",)),
        a_request(name="jane"),
        a_request(alternatives=DNS),
        a_request(usages=(AUTH,)),
    ],
)
async def test_only_kubelets_client_certificates_are_approved_unasked(scene: Scene, request_: Object) -> None:
    assert await scene.outcome(request_) == {}
    assert not scene.permissions.asked


# --- signing


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (approved(groups=()), "subject organization is not system:nodes"),
        (approved(alternatives=DNS), "DNS subjectAltNames are not allowed"),
        (approved(alternatives=[x509.RFC822Name("a@b.c")]), "Email subjectAltNames are not allowed"),
        (approved(alternatives=[x509.IPAddress(ip_address("10.0.0.1"))]), "IP subjectAltNames are not allowed"),
        (approved(alternatives=[x509.UniformResourceIdentifier("a:b")]), "URI subjectAltNames are not allowed"),
        (approved(name="jane"), "subject common name does not begin with system:node:"),
        (approved(usages=[AUTH]), "usages did not match [client auth digital signature key encipherment]"),
        (approved(KUBELET_SERVING, usages=SERVING), "DNS or IP subjectAltName is required"),
        (
            approved(KUBELET_SERVING, usages=SERVING, alternatives=[*DNS, x509.RFC822Name("a@b.c")]),
            "Email subjectAltNames are not allowed",
        ),
        (
            approved(KUBELET_SERVING, alternatives=DNS),
            "usages did not match [digital signature key encipherment server auth]",
        ),
        (
            approved(KUBELET_SERVING, "jane", usages=SERVING, alternatives=DNS),
            "subject common name does not begin with system:node:",
        ),
        (approved(CLIENT, usages=SERVING), "invalid usage for client certificate: server auth"),
        (approved(CLIENT, usages=[SIGNATURE]), "missing required usage for client certificate: client auth"),
    ],
)
async def test_what_a_signer_does_not_sign_has_failed(scene: Scene, request_: Object, problem: str) -> None:
    status = await scene.outcome(request_)
    assert "certificate" not in status
    told = status["conditions"][-1]
    assert (told["type"], told["reason"], told["message"]) == ("Failed", "SignerValidationFailure", problem)


@pytest.mark.parametrize(
    "request_",
    [
        approved(usages=(AUTH, SIGNATURE, ENCIPHERMENT)),
        approved(KUBELET_SERVING, usages=SERVING, alternatives=[*DNS, x509.IPAddress(ip_address("10.0.0.1"))]),
        approved(CLIENT, "jane", ("admins",), usages=(AUTH,)),
        approved(LEGACY, "anything", (), usages=("server auth", AUTH)),
    ],
)
async def test_what_each_signer_signs(scene: Scene, request_: Object) -> None:
    status = await scene.outcome(request_)
    found = certificate_of(status)
    found.verify_directly_issued_by(x509.load_pem_x509_certificate(keys().ca.certificate))
    assert [told["type"] for told in status["conditions"]] == ["Approved"]


@pytest.mark.parametrize(("asked", "given"), [(3600, 3600), (1, 600), (10**9, 365 * 86_400), (None, 365 * 86_400)])
async def test_how_long_a_certificate_lasts(scene: Scene, asked: int | None, given: int) -> None:
    status = await scene.outcome(approved(expirationSeconds=asked))
    left = certificate_of(status).not_valid_after_utc - now()
    assert timedelta(seconds=given - 2) <= left <= timedelta(seconds=given + 2)


@pytest.mark.parametrize(
    "request_",
    [
        approved("example.com/signer"),
        a_request(conditions=[condition("Denied")]),
        a_request(conditions=[condition("Approved"), condition("Denied")]),
        a_request(conditions=[condition("Approved"), condition("Failed")]),
        {**approved(), "status": {"conditions": [condition("Approved")], "certificate": "eA=="}},
    ],
)
async def test_what_is_left_alone(scene: Scene, request_: Object) -> None:
    assert await scene.outcome(request_) == request_["status"]
    assert not scene.api.log


# --- their end


@pytest.mark.parametrize(("state", "hours"), [("", 24), ("Denied", 1), ("Failed", 1), ("Approved", 1)])
async def test_requests_are_removed_when_they_are_old(scene: Scene, state: str, hours: int) -> None:
    scene.put(a_request("example.com/signer", conditions=[condition(state)] if state else ()))
    assert await scene.is_there_after(hours * 3600 - 60)
    assert not await scene.is_there_after(120)


async def test_an_old_request_that_was_approved_just_now_stays(scene: Scene) -> None:
    await scene.clock.advance(5 * 3600)
    scene.put(a_request(conditions=[condition("Approved", times.rfc3339(scene.clock.wall()))]))
    assert await scene.is_there_after(3000)
    assert not await scene.is_there_after(3600)
