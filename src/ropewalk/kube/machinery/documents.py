"""A document that is made once and served often: its bytes, and the tag by which clients know that it is unchanged."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import orjson

from ropewalk.kube.machinery.objects import Json


@dataclass(frozen=True, slots=True)
class Document:
    content: bytes
    """Compact JSON."""
    hash: str
    """SHA-512 of the content, in capital hexadecimal digits, as kube-apiserver's."""

    @property
    def etag(self) -> str:
        return f'"{self.hash}"'


def document(value: Json) -> Document:
    content = orjson.dumps(value)
    return Document(content, hashlib.sha512(content).hexdigest().upper())
