"""Whether a certificate and a private key belong together: what a secret of type `kubernetes.io/tls` is warned about.

The texts are Go's `tls.X509KeyPair`.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

_NO_CERTIFICATE = "tls: failed to find any PEM data in certificate input"
_NO_KEY = "tls: failed to find any PEM data in key input"
_BAD_KEY = "tls: failed to parse private key"
_BAD_CERTIFICATE = "x509: malformed certificate"
_OTHER_TYPE = "tls: private key type does not match public key type"
_OTHER_KEY = "tls: private key does not match public key"


def pair_problem(certificate: bytes, key: bytes) -> str:
    """ "" where they do."""
    if b"-----BEGIN " not in certificate:
        return _NO_CERTIFICATE
    if b"-----BEGIN " not in key:
        return _NO_KEY
    try:
        public = x509.load_pem_x509_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return _BAD_CERTIFICATE
    try:
        private = load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return _BAD_KEY
    theirs = private.public_key()
    if type(theirs) is not type(public):
        return _OTHER_TYPE
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return "" if theirs.public_bytes(*form) == public.public_bytes(*form) else _OTHER_KEY
