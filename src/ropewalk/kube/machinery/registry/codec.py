"""Stored bytes and what is served of them, without decoding.

A stored value is the object's JSON with `metadata` first and without resourceVersion, which is the revision of the
write and known only afterwards: serving splices it in. Built-in kinds are stored without apiVersion and kind, which the
resource implies (list items carry neither, as kube-apiserver's do not); custom resources keep theirs, since they say
which version the object was stored in.

A list or a watch copies bytes. Selecting by label reads the labels alone (`Peek`), not the object.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import orjson

from ropewalk.kube.machinery.objects import Object
from ropewalk.store.protocol import Entry

_HEAD = b'{"metadata":{'
_SPLICE = len(_HEAD)


def encode(obj: Object, *, custom: bool) -> bytes:
    """What is stored of an object. It is not changed."""
    metadata = obj["metadata"]
    if "resourceVersion" in metadata:
        metadata = {key: value for key, value in metadata.items() if key != "resourceVersion"}
    stored: Object = {"metadata": metadata}
    for key, value in obj.items():
        if key != "metadata" and (custom or (key not in ("apiVersion", "kind"))):
            stored[key] = value
    return bytes(memoryview(orjson.dumps(stored)))  # kept for long: orjson's own bytes have room for twice as much


def decode(value: bytes, revision: int, api_version: str, kind: str) -> Object:
    """The object as it is served; a fresh one."""
    stored: Object = orjson.loads(value)
    stored["metadata"]["resourceVersion"] = str(revision)
    if "kind" not in stored:
        stored["kind"] = kind
        stored["apiVersion"] = api_version
    return stored


def single_head(api_version: str, kind: str) -> bytes:
    """What a built-in object begins with where it stands alone."""
    return b'{"kind":%b,"apiVersion":%b,"metadata":{"resourceVersion":"' % (
        orjson.dumps(kind),
        orjson.dumps(api_version),
    )


ITEM_HEAD = b'{"metadata":{"resourceVersion":"'
"""What a list's item begins with, and a custom resource everywhere."""


def spliced(value: bytes, revision: int, head: bytes) -> bytes:
    """The stored value as served: `head`, the revision, and the rest of it."""
    return b'%b%d",%b' % (head, revision, value[_SPLICE:])


def listed(entries: Iterable[Entry]) -> list[bytes | memoryview]:
    """Stored entries as a list's items, with commas: in parts to be joined, so that each byte is copied but once."""
    parts: list[bytes | memoryview] = []
    start = ITEM_HEAD
    for entry in entries:
        parts += (b'%b%d",' % (start, entry.revision), memoryview(entry.value)[_SPLICE:])
        start = _NEXT_ITEM
    return parts


_NEXT_ITEM = b"," + ITEM_HEAD


class PeekMetadata(msgspec.Struct, gc=False):
    """What selectors and preconditions ask of an object's metadata."""

    name: str = ""
    namespace: str = ""
    labels: dict[str, str] | None = None


class Peek(msgspec.Struct, gc=False):
    metadata: PeekMetadata


_PEEK = msgspec.json.Decoder(Peek)


def peek(value: bytes) -> PeekMetadata:
    """Name, namespace and labels of a stored value; the rest is scanned over."""
    return _PEEK.decode(value).metadata
