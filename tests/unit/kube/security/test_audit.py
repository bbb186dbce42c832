"""Audit events: what they say of a request and its answer, at every level and stage."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.base.http.messages import Duplex, Peer, Request, Response
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.http import answers
from ropewalk.kube.machinery.http.exchange import Exchange
from ropewalk.kube.machinery.http.routes import Route
from ropewalk.kube.machinery.requests import Attributes, Call, User
from ropewalk.kube.security.audit import Audit
from ropewalk.kube.security.audit_policy import AuditPolicy, Keeping, Level, Rule

JANE = User("jane", ("devs",), "u1")
BEGAN = "2023-11-14T22:13:20.000000Z"
POD = {"kind": "Pod", "metadata": {"name": "p", "uid": "u", "managedFields": [{}]}, "spec": {}}


class Sink:
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def put(self, line: bytes) -> None:
        assert b"\n" not in line
        self.events.append(orjson.loads(line))

    @property
    def stages(self) -> list[str]:
        return [event["stage"] for event in self.events]


class Scene:
    def __init__(self, level: Level, omitted: tuple[str, ...] = (), *, omits_fields: bool = False) -> None:
        self.clock, self.sink = VirtualClock(), Sink()
        keeping = Keeping(level, frozenset(omitted), omits_fields)
        self.audit = Audit(AuditPolicy((Rule(keeping),)), self.sink, self.clock, SeededEntropy(1))

    async def run(self, exchange: Exchange, response: Response, *, long: bool = False) -> dict[str, Any]:
        """The last event."""
        record = self.audit.began(exchange, long_running=long)
        await self.clock.advance(1)
        assert record is not None
        self.audit.ended(record, exchange, response)
        return self.sink.events[-1]


def exchange(body: bytes = b"", method: str = "POST", resource: str = "pods", **headers: str) -> Exchange:
    path = "/api/v1/namespaces/web/pods" if resource else "/metrics"
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    request = Request(method, f"{path}?x=y", path, "x=y", named, body, Peer("10.0.0.1"))
    asked = (
        Attributes(JANE, "create", path, "", "v1", resource, "", "web") if resource else Attributes(JANE, "get", path)
    )
    return Exchange(request, {}, Route(path, "create"), Call(JANE, asked))


def answered(obj: Any, status: int = 201) -> Response:
    return Response(status, {"content-type": "application/json"}, orjson.dumps(obj))


async def test_metadata_of_a_request() -> None:
    scene = Scene(Level.METADATA)
    asked = exchange(orjson.dumps(POD), user_agent="kubectl/v1")
    asked.call.audit["authorization.k8s.io/decision"] = "allow"
    response = answered(POD)
    event = await scene.run(asked, response)
    audit_id = event.pop("auditID")
    assert response.headers["audit-id"] == audit_id
    assert event == {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/web/pods?x=y",
        "verb": "create",
        "user": {"username": "jane", "uid": "u1", "groups": ["devs"]},
        "sourceIPs": ["10.0.0.1"],
        "userAgent": "kubectl/v1",
        "objectRef": {"resource": "pods", "namespace": "web", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 201},
        "requestReceivedTimestamp": BEGAN,
        "stageTimestamp": "2023-11-14T22:13:21.000000Z",
        "annotations": {"authorization.k8s.io/decision": "allow"},
    }
    first = scene.sink.events[0]
    assert (first["stage"], first["stageTimestamp"], first["auditID"]) == ("RequestReceived", BEGAN, audit_id)
    assert "responseStatus" not in first


async def test_contents_come_with_their_levels() -> None:
    body = orjson.dumps(POD)
    event = await Scene(Level.REQUEST).run(exchange(body), answered({"kind": "Pod"}))
    assert event["requestObject"] == POD
    assert "responseObject" not in event
    assert event["objectRef"] == {"resource": "pods", "namespace": "web", "name": "p", "uid": "u", "apiVersion": "v1"}
    event = await Scene(Level.RESPONSE).run(exchange(body), answered({"kind": "Pod"}))
    assert event["level"] == "RequestResponse"
    assert event["responseObject"] == {"kind": "Pod"}


async def test_a_body_that_was_no_json_is_shown_as_it_was_read() -> None:
    asked = exchange(b"kind: Pod\n")
    asked.body = {"kind": "Pod"}
    event = await Scene(Level.REQUEST).run(asked, answered({}))
    assert event["requestObject"] == {"kind": "Pod"}
    assert "requestObject" not in await Scene(Level.REQUEST).run(exchange(b"{broken"), answered({}))


async def test_managed_fields_are_left_out_where_the_policy_says_so() -> None:
    scene = Scene(Level.RESPONSE, omits_fields=True)
    table = {"kind": "Table", "rows": [{"cells": [], "object": POD}, None]}
    for answer in (POD, {"kind": "PodList", "items": [POD]}, table):
        event = await scene.run(exchange(orjson.dumps(POD)), answered(answer))
        assert "managedFields" not in orjson.dumps(event).decode()
    assert "managedFields" in orjson.dumps(await Scene(Level.RESPONSE).run(exchange(), answered(POD))).decode()


async def test_the_answer_to_what_was_refused() -> None:
    response = answers.refused(errors.not_found("pods", "", "p"))
    event = await Scene(Level.METADATA).run(exchange(), response)
    assert event["responseStatus"] == {
        "metadata": {},
        "status": "Failure",
        "message": 'pods "p" not found',
        "reason": "NotFound",
        "details": {"name": "p", "kind": "pods"},
        "code": 404,
    }


async def test_a_bug_is_a_panic() -> None:
    scene = Scene(Level.METADATA)
    await scene.run(exchange(), answers.refused(answers.bug()))
    assert scene.sink.stages == ["RequestReceived", "Panic"]


async def test_what_is_no_resource() -> None:
    event = await Scene(Level.RESPONSE).run(exchange(method="GET", resource=""), answered({"a": 1}, 200))
    assert "objectRef" not in event
    assert "responseObject" not in event


async def test_stages_may_be_left_out_and_nothing_kept() -> None:
    scene = Scene(Level.METADATA, ("RequestReceived", "ResponseComplete"))
    record = scene.audit.began(exchange(), long_running=False)
    assert record is not None
    scene.audit.ended(record, exchange(), answered({}))
    assert scene.sink.events == []
    assert Scene(Level.NONE).audit.began(exchange(), long_running=False) is None


async def test_impersonation() -> None:
    scene, asked = Scene(Level.METADATA), exchange()
    record = scene.audit.began(asked, long_running=False)
    asked.call.user = User("robot", ("g",))
    asked.call.attributes = replace(asked.call.attributes, user=asked.call.user)
    assert record is not None
    scene.audit.ended(record, asked, answered({}))
    event = scene.sink.events[-1]
    assert event["user"]["username"] == "jane"
    assert event["impersonatedUser"] == {"username": "robot", "groups": ["g"]}


@pytest.mark.parametrize(
    ("headers", "addresses"),
    [
        ({}, ["10.0.0.1"]),
        ({"x_forwarded_for": "1.2.3.4, nonsense,5.6.7.8"}, ["1.2.3.4", "5.6.7.8", "10.0.0.1"]),
        ({"x_forwarded_for": "1.2.3.4", "x_real_ip": "1.2.3.4"}, ["1.2.3.4", "10.0.0.1"]),
        ({"x_real_ip": "10.0.0.1"}, ["10.0.0.1"]),
        ({"x_forwarded_for": "10.0.0.1,1.2.3.4"}, ["10.0.0.1", "1.2.3.4", "10.0.0.1"]),
    ],
)
async def test_where_it_came_from(headers: dict[str, str], addresses: list[str]) -> None:
    event = await Scene(Level.METADATA).run(exchange(**headers), answered({}))
    assert event["sourceIPs"] == addresses


async def test_ids_and_agents_of_clients() -> None:
    event = await Scene(Level.METADATA).run(exchange(audit_id="mine", user_agent="x" * 2000), answered({}))
    assert event["auditID"] == "mine"
    assert event["userAgent"] == "x" * 1024 + "...TRUNCATED"
    event = await Scene(Level.METADATA).run(exchange(audit_id="x" * 65), answered({}))
    assert event["auditID"] != "x" * 65


# --- what goes on


async def pieces() -> AsyncIterator[bytes]:
    yield b"1"
    yield b"2"


class Pieces:
    def __init__(self) -> None:
        self.left = [b"1", b"2"]

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> bytes:
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop(0)


@pytest.mark.parametrize("body", [pieces, Pieces])
async def test_a_watch_begins_and_ends(body: Any) -> None:
    scene, response = Scene(Level.METADATA), Response(200, {}, body())
    await scene.run(exchange(method="GET"), response, long=True)
    assert scene.sink.stages == ["RequestReceived", "ResponseStarted"]
    assert not isinstance(response.body, bytes)
    assert [piece async for piece in response.body] == [b"1", b"2"]
    response.body = b""
    assert scene.sink.stages == ["RequestReceived", "ResponseStarted", "ResponseComplete"]


async def test_a_connection_begins_and_ends() -> None:
    scene = Scene(Level.METADATA)
    seen: list[list[str]] = []

    async def serve(duplex: Duplex) -> None:
        seen.append(scene.sink.stages)
        raise ConnectionResetError

    response = Response(101, upgrade=serve)
    await scene.run(exchange(method="GET"), response, long=True)
    assert response.upgrade is not None
    with pytest.raises(ConnectionResetError):
        await response.upgrade(None)  # type: ignore[arg-type]
    assert seen == [["RequestReceived", "ResponseStarted"]]
    assert scene.sink.stages[-1] == "ResponseComplete"


async def test_a_refused_watch_is_over_at_once() -> None:
    scene = Scene(Level.METADATA)
    await scene.run(exchange(method="GET"), answers.refused(errors.expired("too old")), long=True)
    assert scene.sink.stages == ["RequestReceived", "ResponseStarted", "ResponseComplete"]
