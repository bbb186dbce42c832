"""PEM as Go reads it: blocks among any other text, each with a label, headers and content."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509

BLOCK = re.compile(rb"^-----BEGIN ([^\n]*?)-----[ \t]*\r?\n(.*?)^-----END \1-----[ \t]*\r?$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    label: str
    has_headers: bool
    content: bytes


def blocks(text: bytes) -> Iterator[Block]:
    for found in BLOCK.finditer(text):
        body = found.group(2)
        has_headers = b":" in body
        if has_headers:
            body = re.split(rb"\r?\n[ \t]*\r?\n", body, maxsplit=1)[-1]
        try:
            content = base64.b64decode(b"".join(body.split()), validate=True)
        except binascii.Error:
            continue
        yield Block(found.group(1).decode(errors="replace"), has_headers, content)


def first_block(text: bytes) -> Block | None:
    return next(blocks(text), None)


def certificates_problem(encoded: str) -> str:
    """What is wrong with a base64 field that is to hold certificates in PEM; "" with an empty one."""
    if not encoded:
        return ""
    try:
        text = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return "must contain at least one CERTIFICATE PEM block"
    count = 0
    for block in blocks(text):
        if block.label != "CERTIFICATE":
            return f'only CERTIFICATE PEM blocks are allowed, found "{block.label}"'
        if block.has_headers:
            return "no PEM block headers are permitted"
        if not block.content:
            return "found CERTIFICATE PEM block containing 0 certificates"
        try:
            x509.load_der_x509_certificate(block.content)
        except ValueError:
            return "x509: malformed certificate"
        count += 1
    return "" if count else "must contain at least one CERTIFICATE PEM block"
