"""In which form objects are answered: whole, as a table, or their metadata alone.

https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources
A form is chosen by the Accept header (`negotiation`). Each gives list items, single objects and watch lines as bytes;
the whole form splices stored bytes wherever the resource allows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec
import orjson

from ropewalk.kube.machinery.http.tables import Tables
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.registry import codec
from ropewalk.kube.machinery.registry.served import Served, decoded, head_of
from ropewalk.store.protocol import Entry


class Form(Protocol):
    """How one resource's objects are written."""

    @property
    def key(self) -> object:
        """Same key, same bytes: encodings of a watch's events are shared under it."""
        ...

    async def one(self, value: bytes, revision: int) -> bytes:
        """A stored object, standing alone."""
        ...

    def object(self, obj: Object) -> bytes:
        """A decoded object in the request's version, standing alone."""
        ...

    def objects(self, objects: Sequence[Object]) -> bytes:
        """Decoded objects that stand at no revision, as a list."""
        ...

    async def many(
        self, entries: Sequence[Entry], revision: int, continue_token: str, remaining: int | None
    ) -> bytes: ...


def _list_metadata(revision: int, continue_token: str, remaining: int | None) -> Object:
    metadata: Object = {"resourceVersion": str(revision)}
    if continue_token:
        metadata["continue"] = continue_token
    if remaining is not None:
        metadata["remainingItemCount"] = remaining
    return metadata


def _list_head(kind: str, api_version: str, metadata: Object) -> bytes:
    return b'{"kind":%b,"apiVersion":%b,"metadata":%b,"items":[' % (
        orjson.dumps(kind),
        orjson.dumps(api_version),
        orjson.dumps(metadata),
    )


class Whole:
    """The object itself."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._head = served.head or head_of(served.info, custom=served.custom)
        self.key: object = ("whole", served.info.api_version, served.info.kind)

    async def one(self, value: bytes, revision: int) -> bytes:
        if self._served.passes_bytes:
            return codec.spliced(value, revision, self._head)
        return orjson.dumps((await decoded(self._served, [(value, revision)]))[0])

    def object(self, obj: Object) -> bytes:
        return orjson.dumps(obj)

    def objects(self, objects: Sequence[Object]) -> bytes:
        items = [{key: part for key, part in obj.items() if key not in ("kind", "apiVersion")} for obj in objects]
        return b"%b%b]}" % (self._list_head({}), b",".join(map(orjson.dumps, items)))

    def _list_head(self, metadata: Object) -> bytes:
        info = self._served.info
        return _list_head(info.list_kind or f"{info.kind}List", info.api_version, metadata)

    async def many(self, entries: Sequence[Entry], revision: int, continue_token: str, remaining: int | None) -> bytes:
        head = self._list_head(_list_metadata(revision, continue_token, remaining))
        if self._served.passes_bytes:
            parts = [head, *codec.listed(entries), b"]}"]
        else:
            objects = await decoded(self._served, [(entry.value, entry.revision) for entry in entries])
            if not self._served.custom:
                for obj in objects:
                    obj.pop("kind", None)
                    obj.pop("apiVersion", None)
            parts = [head, b",".join([orjson.dumps(obj) for obj in objects]), b"]}"]
        return b"".join(parts)  # once: bodies may be large


class _Metadata(msgspec.Struct):
    metadata: msgspec.Raw


_METADATA = msgspec.json.Decoder(_Metadata)


class MetadataOnly:
    """PartialObjectMetadata: the metadata's bytes, cut out."""

    def __init__(self, served: Served, api_version: str) -> None:
        """`api_version` is `meta.k8s.io/v1`, or v1beta1 where that was asked for."""
        self._served = served
        self._api_version = api_version
        self._head = b'{"kind":"PartialObjectMetadata","apiVersion":"%b",' % api_version.encode()
        self.key: object = ("metadata", api_version)

    async def one(self, value: bytes, revision: int) -> bytes:
        return self._head + self._cut(value, revision)

    def _cut(self, value: bytes, revision: int) -> bytes:
        metadata = bytes(_METADATA.decode(value).metadata)
        return b'"metadata":{"resourceVersion":"%d",%b}' % (revision, metadata[1:])

    def object(self, obj: Object) -> bytes:
        return self._head + b'"metadata":%b}' % orjson.dumps(obj["metadata"])

    def objects(self, objects: Sequence[Object]) -> bytes:
        return self._list({}, map(self.object, objects))

    def _list(self, metadata: Object, items: Iterable[bytes]) -> bytes:
        return b"%b%b]}" % (
            _list_head("PartialObjectMetadataList", self._api_version, metadata),
            b",".join(items),
        )

    async def many(self, entries: Sequence[Entry], revision: int, continue_token: str, remaining: int | None) -> bytes:
        items = [self._head + self._cut(entry.value, entry.revision) for entry in entries]
        return self._list(_list_metadata(revision, continue_token, remaining), items)


class AsTable:
    """What `kubectl get` prints."""

    def __init__(self, served: Served, tables: Tables, include: str, *, headers: bool = True) -> None:
        """`include`: how much of each object a row carries along: Metadata, Object or None."""
        self._served = served
        self._tables = tables
        self._include = include
        self._headers = headers
        self.key: object = ("table", served.info.api_version, served.info.kind, include, headers)

    async def one(self, value: bytes, revision: int) -> bytes:
        return self.object((await decoded(self._served, [(value, revision)]))[0])

    def object(self, obj: Object) -> bytes:
        metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return orjson.dumps(self._tables.table(self._served, [obj], metadata, self._include, headers=self._headers))

    def objects(self, objects: Sequence[Object]) -> bytes:
        return orjson.dumps(self._tables.table(self._served, objects, {}, self._include))

    async def many(self, entries: Sequence[Entry], revision: int, continue_token: str, remaining: int | None) -> bytes:
        objects = await decoded(self._served, [(entry.value, entry.revision) for entry in entries])
        metadata = _list_metadata(revision, continue_token, remaining)
        return orjson.dumps(self._tables.table(self._served, objects, metadata, self._include))
