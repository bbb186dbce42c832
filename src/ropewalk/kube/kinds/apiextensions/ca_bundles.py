"""Certificates by which a webhook's server is known: whether they can be read. Pure."""

from __future__ import annotations

import base64
import binascii

from cryptography import x509


def problem_of(bundle: str) -> str:
    """Why the bundle (base64 of PEM) cannot be used, in Go's words; "" where it can, and where it is empty."""
    try:
        text = base64.b64decode(bundle)
    except (binascii.Error, ValueError):
        return "unable to load root certificates: unable to parse bytes as PEM block"
    if not text.strip():
        return ""
    if b"-----BEGIN CERTIFICATE-----" not in text:
        return "unable to load root certificates: unable to parse bytes as PEM block"
    try:
        x509.load_pem_x509_certificates(text)
    except ValueError as error:
        return f"unable to load root certificates: failed to parse certificate: {error}"
    return ""
