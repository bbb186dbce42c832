"""Audit: who asked for what, and how it was answered, as events of audit.k8s.io/v1. The front's `Auditor`.

An event is written when a request is answered; requests that go on (watches, exec) have one when the answer begins and
one when it is over. What is kept of each is the policy's to say.
https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/
"""

from __future__ import annotations

import ipaddress
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import orjson

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.http.messages import Duplex, Request, Response
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.http import answers
from ropewalk.kube.machinery.http.exchange import Exchange
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.requests import Attributes, User
from ropewalk.kube.security.audit_policy import COMPLETE, PANIC, RECEIVED, STARTED, VERSION, AuditPolicy, Keeping, Level
from ropewalk.kube.security.users import user_info

ID_HEADER = "audit-id"
_LONGEST_ID = 64
_LONGEST_AGENT = 1024
_BUG = answers.bug().message


class Sink(Protocol):
    def put(self, line: bytes) -> None:
        """Take an event; never wait."""
        ...


@dataclass(slots=True)
class _Record:
    keeping: Keeping
    user: User
    """Who asked; the call's user may be another by the end (impersonation)."""
    began: float
    event: Object
    is_long: bool
    status: Object = field(default_factory=dict)


class Audit:
    """An `Auditor`. `began` is called once the caller is known and before impersonation; `ended` for each it began."""

    def __init__(self, policy: AuditPolicy, sink: Sink, clock: Clock, entropy: Entropy) -> None:
        self._policy = policy
        self._sink = sink
        self._clock = clock
        self._entropy = entropy

    def began(self, exchange: Exchange, *, long_running: bool) -> object | None:
        attributes = exchange.call.attributes
        keeping = self._policy.keeping(attributes)
        if keeping.level is Level.NONE:
            return None
        now = self._clock.wall()
        event = _head(exchange.request, attributes, keeping, self._audit_id(exchange.request), now)
        record = _Record(keeping, attributes.user, now, event, long_running)
        self._emit(record, RECEIVED)
        return record

    def ended(self, record: object, exchange: Exchange, response: Response) -> None:
        assert isinstance(record, _Record)
        response.headers.setdefault(ID_HEADER, record.event["auditID"])
        self._complete(record, exchange, response)
        if record.status.get("message") == _BUG:
            self._emit(record, PANIC)
        elif not record.is_long:
            self._emit(record, COMPLETE)
        else:
            self._emit(record, STARTED)
            self._at_end(response, record)

    def _audit_id(self, request: Request) -> str:
        given = request.header(ID_HEADER)
        return given if given and len(given) <= _LONGEST_ID and given.isprintable() else self._entropy.uuid()

    # --- what is learnt on the way

    def _complete(self, record: _Record, exchange: Exchange, response: Response) -> None:
        event, call = record.event, exchange.call
        if call.user is not record.user and call.user != record.user:
            event["impersonatedUser"] = user_info(call.user)
        record.status = event["responseStatus"] = _status(response)
        if call.audit:
            event["annotations"] = dict(call.audit)
        level = record.keeping.level
        if not call.attributes.is_resource or level < Level.REQUEST:
            return
        body = _request_object(exchange)
        if body is not None:
            _refer(event["objectRef"], body)
            event["requestObject"] = self._shown(record, body)
        if level is Level.RESPONSE:
            answer = _response_object(response)
            if answer is not None:
                event["responseObject"] = self._shown(record, answer)

    def _shown(self, record: _Record, body: Json) -> Json:
        return _without_managed_fields(body) if record.keeping.omits_managed_fields else body

    # --- writing

    def _emit(self, record: _Record, stage: str) -> None:
        if stage in record.keeping.omitted_stages:
            return
        now = record.began if stage == RECEIVED else self._clock.wall()
        event = {**record.event, "stage": stage, "stageTimestamp": times.rfc3339_micro(now)}
        self._sink.put(orjson.dumps(event, default=str))

    def _at_end(self, response: Response, record: _Record) -> None:
        """Tell when a long answer is over. Where that is possible nothing stands between the answer and its pieces: a
        generator is over when nobody holds it any more.
        """
        if response.upgrade is not None:
            response.upgrade = self._served(response.upgrade, record)
        elif isinstance(response.body, bytes):
            self._emit(record, COMPLETE)
        elif isinstance(response.body, AsyncGenerator):
            weakref.finalize(response.body, self._emit, record, COMPLETE).atexit = False
        else:
            response.body = self._passed_on(response.body, record)

    async def _passed_on(self, body: AsyncIterator[bytes], record: _Record) -> AsyncIterator[bytes]:
        try:
            async for piece in body:
                yield piece
        finally:
            self._emit(record, COMPLETE)

    def _served(
        self, serve: Callable[[Duplex], Awaitable[None]], record: _Record
    ) -> Callable[[Duplex], Awaitable[None]]:
        async def served(duplex: Duplex) -> None:
            try:
                await serve(duplex)
            finally:
                self._emit(record, COMPLETE)

        return served


# --- events


def _head(request: Request, asked: Attributes, keeping: Keeping, audit_id: str, now: float) -> Object:
    event: Object = {
        "kind": "Event",
        "apiVersion": VERSION,
        "level": keeping.level.title,
        "auditID": audit_id,
        "stage": RECEIVED,
        "requestURI": request.target,
        "verb": asked.verb,
        "user": user_info(asked.user),
        "sourceIPs": _addresses(request),
    }
    agent = request.header("user-agent")
    if agent:
        event["userAgent"] = agent if len(agent) <= _LONGEST_AGENT else f"{agent[:_LONGEST_AGENT]}...TRUNCATED"
    if asked.is_resource:
        reference = {
            "resource": asked.resource,
            "namespace": asked.namespace,
            "name": asked.name,
            "apiGroup": asked.group,
            "apiVersion": asked.version,
            "subresource": asked.subresource,
        }
        event["objectRef"] = {key: value for key, value in reference.items() if value}
    event["requestReceivedTimestamp"] = times.rfc3339_micro(now)
    return event


def _addresses(request: Request) -> list[str]:
    """Whom the request came through, as far as they say so; who it came from at last."""
    forwarded, real, peer = request.header("x-forwarded-for"), request.header("x-real-ip"), request.peer.address
    found = [address for address in map(_address, forwarded.split(",")) if address] if forwarded else []
    if real and _address(real) not in ("", *found):
        found.append(_address(real))
    if _address(peer) not in ("", *found[-1:]):
        found.append(_address(peer))
    return found


@lru_cache(maxsize=4096)
def _address(text: str) -> str:
    """ "" for what is none."""
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return ""


def _status(response: Response) -> Object:
    """The answer's Status, or what one would say."""
    status: Object = {"metadata": {}}
    if isinstance(response.body, bytes) and response.body.startswith(b'{"kind":"Status"'):
        told = _read(response.body) or {}
        status |= {key: told[key] for key in ("status", "message", "reason", "details") if key in told}
    return {**status, "code": response.status}


def _request_object(exchange: Exchange) -> Json:
    """As it was sent, where that was JSON."""
    body = exchange.request.body
    return (_read(body) if body else None) or exchange.body


def _response_object(response: Response) -> Json:
    if not isinstance(response.body, bytes) or "content-encoding" in response.headers:
        return None
    return _read(response.body)


def _read(body: bytes) -> Json:
    if body[:1] not in (b"{", b"["):
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _refer(reference: Object, body: Json) -> None:
    """What the URL did not say of the object."""
    metadata = body.get("metadata") if type(body) is dict else None
    if type(metadata) is not dict:
        return
    for key in ("namespace", "name", "uid", "resourceVersion"):
        value = metadata.get(key)
        if type(value) is str and value:
            reference.setdefault(key, value)


def _without_managed_fields(body: Json) -> Json:
    """Of an object, or of each in a list or table. What stays is shared."""
    if type(body) is not dict:
        return body
    shown = dict(body)
    if type(shown.get("metadata")) is dict:
        shown["metadata"] = {key: value for key, value in shown["metadata"].items() if key != "managedFields"}
    if type(shown.get("items")) is list:
        shown["items"] = [_without_managed_fields(item) for item in shown["items"]]
    if type(shown.get("rows")) is list:
        shown["rows"] = [
            {**row, "object": _without_managed_fields(row.get("object"))} if type(row) is dict else row
            for row in shown["rows"]
        ]
    return shown
