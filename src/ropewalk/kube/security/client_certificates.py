"""Callers by client certificate: users of the cluster's CA, and proxies that vouch for a user in headers.

TLS has verified the chain before a byte of the request was read, against both CAs. Here it is told apart which of them
signed, and whether the certificate has run out since: connections live longer. Certificates are remembered by their
bytes.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#authenticating-proxy
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from ropewalk.base.clock import Clock
from ropewalk.base.http.messages import Request
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.requests import User

REMEMBERED = 4096
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
_UID = ObjectIdentifier("1.3.6.1.4.1.57683.2")
"""Of a subject: the user's uid."""

_CLIENT_USAGES = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)

USER_HEADER, UID_HEADER, GROUP_HEADER = "x-remote-user", "x-remote-uid", "x-remote-group"
EXTRA_PREFIX = "x-remote-extra-"


@dataclass(frozen=True, slots=True)
class _Holder:
    """Whom a certificate names, while it holds."""

    user: User
    begins: float
    ends: float


class _Issuer:
    """Reads what one CA has signed."""

    def __init__(self, ca_certificate: bytes, clock: Clock) -> None:
        self._clock = clock
        ca = x509.load_pem_x509_certificate(ca_certificate)

        @lru_cache(maxsize=REMEMBERED)
        def holder_of(certificate: bytes) -> _Holder | None:
            return _read(certificate, ca)

        self._holder_of = holder_of

    def user(self, certificate: bytes) -> User | None:
        """None for a certificate that is another's, or that does not hold now."""
        holder = self._holder_of(certificate)
        if holder is None or not holder.begins <= self._clock.wall() <= holder.ends:
            return None
        return holder.user


def _read(der: bytes, ca: x509.Certificate) -> _Holder | None:
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.verify_directly_issued_by(ca)
        if not _is_for_clients(certificate):
            return None
    except (ValueError, TypeError, InvalidSignature):
        return None
    name = _texts(certificate, NameOID.COMMON_NAME)
    uid = _texts(certificate, _UID)
    if not name or not name[0] or len(uid) > 1:
        return None
    extra = {CREDENTIAL_ID: (f"X509SHA256={hashlib.sha256(der).hexdigest()}",)}
    groups = _texts(certificate, NameOID.ORGANIZATION_NAME)
    user = User(name[0], groups, uid[0] if uid else "", extra)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return _Holder(user, begins.timestamp(), ends.timestamp())


def _is_for_clients(certificate: x509.Certificate) -> bool:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return any(
        usage in (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE) for usage in usages
    )


def _texts(certificate: x509.Certificate, oid: ObjectIdentifier) -> tuple[str, ...]:
    return tuple(str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid))


class ClientCertificates:
    """Common name → user, organizations → groups. An `Authenticator`."""

    def __init__(self, ca_certificate: bytes, clock: Clock) -> None:
        """`ca_certificate` in PEM form."""
        self._issuer = _Issuer(ca_certificate, clock)

    async def authenticate(self, request: Request) -> User | None:
        certificate = request.peer.certificate
        if certificate is None:
            return None
        user = self._issuer.user(certificate)
        if user is None:
            raise errors.unauthorized()
        return user


class RequestHeaders:
    """The user that a trusted proxy names in headers. An `Authenticator`."""

    def __init__(self, ca_certificate: bytes, clock: Clock, allowed: Collection[str] = ()) -> None:
        """`allowed` are the common names of proxies; all that the CA has signed where there are none."""
        self._issuer = _Issuer(ca_certificate, clock)
        self._allowed = frozenset(allowed)

    async def authenticate(self, request: Request) -> User | None:
        certificate = request.peer.certificate
        if certificate is None:
            return None
        proxy = self._issuer.user(certificate)
        if proxy is None or (self._allowed and proxy.name not in self._allowed):
            raise errors.unauthorized()
        name = request.header(USER_HEADER)
        if not name:
            return None
        groups = listed(request.header(GROUP_HEADER))
        return User(name, groups, request.header(UID_HEADER), extra_of(request.headers, EXTRA_PREFIX))


def listed(header: str) -> tuple[str, ...]:
    """The values of a header that may be repeated: they come joined by commas."""
    return tuple(value for value in map(str.strip, header.split(",")) if value)


def extra_of(headers: Mapping[str, str], prefix: str) -> dict[str, tuple[str, ...]]:
    """What headers with this prefix say, by key."""
    return {
        unquote(name[len(prefix) :]).lower(): listed(value)
        for name, value in headers.items()
        if name.startswith(prefix)
    }
