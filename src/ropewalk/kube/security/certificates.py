"""The caller by client certificate: common name → user, organizations → groups.

TLS has verified the chain before a byte of the request was read; here it is only read, and remembered by its bytes. A
certificate of the front proxy's CA is no user: it vouches for one, in headers (`request_headers`).
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates
"""

from __future__ import annotations

from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import NameOID

from ropewalk.base.http.messages import Request
from ropewalk.kube.machinery.requests import User


class CertificateAuthenticator:
    """An `Authenticator`."""

    def __init__(self, ca_certificate: bytes) -> None:
        """`ca_certificate` in PEM form: of those that the listener takes, the one whose certificates are users."""
        issuer = x509.load_pem_x509_certificate(ca_certificate).subject

        @lru_cache(maxsize=4096)
        def user_of(certificate: bytes) -> User | None:
            return _user(certificate, issuer)

        self._user_of = user_of

    async def authenticate(self, request: Request) -> User | None:
        certificate = request.peer.certificate
        return None if certificate is None else self._user_of(certificate)


def _user(der: bytes, issuer: x509.Name) -> User | None:
    certificate = x509.load_der_x509_certificate(der)
    if certificate.issuer != issuer:
        return None
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not names or not names[0].value:
        return None
    groups = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return User(str(names[0].value), (*(str(group.value) for group in groups), "system:authenticated"))
