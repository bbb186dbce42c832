"""What signs certificate requests in this cluster: its CA, behind the controllers' `Signer`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

from ropewalk.base.clock import Clock
from ropewalk.kube.controllers.certificate_requests import Signer, Subject
from ropewalk.kube.machinery.access import Authorizer, Verdict
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.requests import Attributes, User
from ropewalk.kube.security.pki import Pair, sign_request

GROUP, RESOURCE = "certificates.k8s.io", "certificatesigningrequests"


def signer(ca: Pair, authorizer: Authorizer, clock: Clock) -> Signer:
    def sign(request: bytes, seconds: float, usages: list[str]) -> bytes:
        now = datetime.fromtimestamp(clock.wall(), UTC)
        return sign_request(ca, x509.load_pem_x509_csr(request), now, seconds, usages)

    return Signer(_subject, sign, _asking(authorizer))


def _asking(authorizer: Authorizer) -> Callable[[Object, str], Awaitable[bool]]:
    async def may_approve(request: Object, subresource: str) -> bool:
        spec = request["spec"]
        extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
        author = User(spec.get("username", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""), extra)
        asked = Attributes(author, "create", "", GROUP, "v1", RESOURCE, subresource)
        return (await authorizer.authorize(asked)).verdict is Verdict.ALLOW

    return may_approve


def _subject(pem: bytes) -> Subject:
    request = x509.load_pem_x509_csr(pem)
    return Subject(
        next(iter(_texts(request, NameOID.COMMON_NAME)), ""),
        _texts(request, NameOID.ORGANIZATION_NAME),
        _alternatives(request),
    )


_ALTERNATIVES: dict[type[x509.GeneralName], str] = {
    x509.DNSName: "DNS",
    x509.IPAddress: "IP",
    x509.RFC822Name: "Email",
    x509.UniformResourceIdentifier: "URI",
}


def _alternatives(request: x509.CertificateSigningRequest) -> frozenset[str]:
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(_ALTERNATIVES[type(name)] for name in names if type(name) in _ALTERNATIVES)


def _texts(request: x509.CertificateSigningRequest, oid: ObjectIdentifier) -> tuple[str, ...]:
    return tuple(str(attribute.value) for attribute in request.subject.get_attributes_for_oid(oid))
