"""GET: one object, a list, a watch. From the store's bytes to the answer's."""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson

from ropewalk.base.http.messages import Response
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.http import answers
from ropewalk.kube.machinery.http.exchange import Exchange
from ropewalk.kube.machinery.http.forms import AsTable, Form, MetadataOnly, Whole
from ropewalk.kube.machinery.http.negotiation import Wanted
from ropewalk.kube.machinery.http.options import first, list_options
from ropewalk.kube.machinery.http.tables import Tables
from ropewalk.kube.machinery.objects import Object, name_of
from ropewalk.kube.machinery.registry import reading
from ropewalk.kube.machinery.registry.feed import FeedEvent
from ropewalk.kube.machinery.registry.reading import ListOptions, Watch
from ropewalk.kube.machinery.registry.registry import Registry
from ropewalk.kube.machinery.registry.selection import Selection
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.selectors import parse_field_selector, parse_label_selector
from ropewalk.store.protocol import Entry

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
INITIAL_CHUNK = 512
"""Objects of an initial state that are sent at once."""


def form_for(served: Served, wanted: Wanted, tables: Tables, include: str, *, headers: bool = True) -> Form:
    match wanted.transform:
        case "Table":
            if include not in ("", "Metadata", "Object", "None"):
                raise errors.bad_request(f'unrecognized includeObject value: "{include}"')
            return AsTable(served, tables, include or "Metadata", headers=headers)
        case "PartialObjectMetadata" | "PartialObjectMetadataList":
            return MetadataOnly(served, f"meta.k8s.io/{wanted.version}")
        case _:
            return Whole(served)


def selection_for(served: Served, options: ListOptions) -> Selection:
    """Raises BadRequest."""
    selection = Selection(
        served,
        parse_label_selector(options.label_selector) if options.label_selector else None,
        parse_field_selector(options.field_selector) if options.field_selector else None,
    )
    selection.check()
    return selection


class Reads:
    def __init__(self, registry: Registry, tables: Tables) -> None:
        self._registry = registry
        self._tables = tables

    def form(self, served: Served, exchange: Exchange, *, headers: bool = True) -> Form:
        return form_for(served, exchange.wanted, self._tables, first(exchange.query, "includeObject"), headers=headers)

    async def get(self, served: Served, exchange: Exchange) -> Response:
        route = exchange.route
        if served.computed is not None:
            body = self.form(served, exchange).object(_named(served, served.computed(), route.name))
            return answers.encoded(body, media_type=exchange.wanted.media_type)
        version = first(exchange.query, "resourceVersion")
        entry = await self._registry.reader.get(served, route.namespace_of(served.info), route.name, version)
        body = await self.form(served, exchange).one(entry.value, int(entry.revision))
        return answers.encoded(body, media_type=exchange.wanted.media_type)

    async def list(self, served: Served, exchange: Exchange) -> Response:
        options = list_options(exchange.query, watch=False)
        reading.validate(options)
        selection = selection_for(served, options)
        if served.computed is not None:
            objects = [obj for obj in served.computed() if selection.takes_object(obj)]
            body = self.form(served, exchange).objects(objects)
            return answers.encoded(body, media_type=exchange.wanted.media_type)
        found = await self._registry.reader.page(served, exchange.route.namespace, selection, options)
        body = await self.form(served, exchange).many(
            found.entries, found.revision, found.continue_token, found.remaining
        )
        return answers.encoded(body, media_type=exchange.wanted.media_type)

    async def watch(self, served: Served, exchange: Exchange) -> Response:
        options = list_options(exchange.query, watch=True)
        reading.validate(options)
        selection = selection_for(served, options)
        if exchange.route.legacy_watch and exchange.route.name:
            selection = Selection(
                served, selection.labels, parse_field_selector(f"metadata.name={exchange.route.name}")
            )
        watch = await self._registry.reader.watch(served, exchange.route.namespace, selection, options)
        lines = Lines(served, selection, self.form(served, exchange), self.form(served, exchange, headers=False))
        return Response(200, {"content-type": "application/json"}, lines.of(watch))


def _named(served: Served, objects: list[Object], name: str) -> Object:
    found = next((obj for obj in objects if name_of(obj) == name), None)
    if found is None:  # in the singular, unlike what is stored
        raise errors.not_found(served.info.singular, served.info.group, name)
    return found


class Lines:
    """A watch's events as lines of JSON, many in one piece where many come at once."""

    def __init__(self, served: Served, selection: Selection, form: Form, later: Form) -> None:
        self._served = served
        self._selection = selection
        self._form = form
        self._later = later
        """The form after the first object: a table says its columns once."""
        self._sight = (selection.labels, selection.fields, later.key)
        """Equal for those who see events alike."""

    async def of(self, watch: Watch) -> AsyncIterator[bytes]:
        with reading.opened(watch):
            for start in range(0, len(watch.initial), INITIAL_CHUNK):
                yield await self._initial(watch.initial[start : start + INITIAL_CHUNK])
            watch.initial.clear()
            if watch.marks_initial:
                yield self._bookmark(watch.revision, {INITIAL_EVENTS_END: "true"})
            async for news in watch.batches():
                if isinstance(news, int):
                    yield self._bookmark(news)
                elif piece := await self._shared_piece(watch, news):
                    yield piece
            if watch.oldest is not None:
                gone = errors.expired(f"too old resource version: {watch.revision} ({watch.oldest})")
                yield _line(b"ERROR", orjson.dumps(answers.status_of(gone)))

    async def _initial(self, entries: list[Entry]) -> bytes:
        lines = []
        for entry in entries:
            lines.append(_line(b"ADDED", await self._next_form().one(entry.value, int(entry.revision))))
        return b"".join(lines)

    def _next_form(self) -> Form:
        form, self._form = self._form, self._later
        return form

    async def _shared_piece(self, watch: Watch, events: list[FeedEvent]) -> bytes:
        """The piece that another watcher made of the same events, where it sees them as we do.

        Watches share events only where one's prefix begins the other's: from the same first to the same last event,
        as many are the same.
        """
        if self._form is not self._later:
            return await self._piece(events)
        key = (events[0].revision, events[-1].revision, len(events), self._sight)
        piece = watch.feed.pieces.get(key)
        if piece is None:
            piece = watch.feed.pieces[key] = await self._piece(events)
        return piece

    async def _piece(self, events: list[FeedEvent]) -> bytes:
        lines = []
        for event in events:
            kind = self._kind(event)
            if kind:
                form = self._next_form()
                key = (kind, form.key)
                line = event.lines.get(key)
                if line is None:
                    line = event.lines[key] = await self._encoded(event, kind, form)
                lines.append(line)
        return lines[0] if len(lines) == 1 else b"".join(lines)

    def _kind(self, event: FeedEvent) -> bytes:
        """How this watcher sees the event; b"" where it is none of its business."""
        if self._selection.everything:
            now, before = event.value is not None, event.previous is not None
        else:
            now = self._selection.takes_event(event, previous=False)
            before = self._selection.takes_event(event, previous=True)
        if now:
            return b"MODIFIED" if before else b"ADDED"
        return b"DELETED" if before else b""

    async def _encoded(self, event: FeedEvent, kind: bytes, form: Form) -> bytes:
        value = event.previous if kind == b"DELETED" else event.value
        assert value is not None
        return _line(kind, await form.one(value, event.revision))

    def _bookmark(self, revision: int, annotations: dict[str, str] | None = None) -> bytes:
        metadata: Object = {"resourceVersion": str(revision)}
        if annotations:
            metadata["annotations"] = annotations
        info = self._served.info
        if isinstance(self._later, Whole):
            told: Object = {"kind": info.kind, "apiVersion": info.api_version, "metadata": metadata}
        elif isinstance(self._later, MetadataOnly):
            told = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
        else:
            told = {
                "kind": "Table",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": {"resourceVersion": str(revision)},
                "columnDefinitions": [],
                "rows": [
                    {
                        "cells": [],
                        "object": {"kind": info.kind, "apiVersion": info.api_version, "metadata": metadata},
                    }
                ],
            }
        return _line(b"BOOKMARK", orjson.dumps(told))


def _line(kind: bytes, body: bytes) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (kind, body)
