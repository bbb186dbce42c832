"""Lists and watches through the front: which revision they stand for, pages, selectors, events, bookmarks, ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from ropewalk.kube.machinery.registry import feed as feeds
from ropewalk.store.protocol import Revision
from support.kube_front import Server, deployment

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = await Server().start()
    yield made
    await made.stop()


async def names(server: Server, target: str) -> list[str]:
    answer = await server.get(target)
    assert answer.status == 200, answer.body
    return [item["metadata"]["name"] for item in answer.json["items"]]


async def fill(server: Server, count: int = 5) -> list[int]:
    return [int((await server.config_map(f"m-{n}"))["metadata"]["resourceVersion"]) for n in range(count)]


# --- which revision


async def test_a_list_says_its_revision_and_names_no_kind_in_its_items(server: Server) -> None:
    await fill(server, 2)
    answer = (await server.get(MAPS)).json
    assert (answer["kind"], answer["apiVersion"], answer["metadata"]) == (
        "ConfigMapList",
        "v1",
        {"resourceVersion": "2"},
    )
    assert all("kind" not in item for item in answer["items"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", 5),
        ("resourceVersion=0", 5),
        ("resourceVersion=3", 5),
        ("resourceVersion=3&resourceVersionMatch=NotOlderThan", 5),
        ("resourceVersion=3&resourceVersionMatch=Exact", 3),
        ("resourceVersion=3&limit=10", 3),
        ("resourceVersion=0&resourceVersionMatch=NotOlderThan", 5),
    ],
)
async def test_how_old_a_list_may_be(server: Server, query: str, expected: int) -> None:
    await fill(server)
    assert len(await names(server, f"{MAPS}?{query}")) == expected


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("resourceVersion=99", 504, "Too large resource version: 99, current: 5"),
        ("resourceVersion=99&resourceVersionMatch=Exact", 504, "Too large resource version: 99, current: 5"),
        ("resourceVersion=2&resourceVersionMatch=Exact", 410, "The resourceVersion for the provided list is too old."),
        ("resourceVersion=x", 422, "Invalid value"),
        ("resourceVersionMatch=Exact", 422, "resourceVersionMatch is forbidden unless resourceVersion is provided"),
        ("resourceVersion=0&resourceVersionMatch=Exact", 422, 'is forbidden for resourceVersion "0"'),
        ("resourceVersion=1&resourceVersionMatch=Near", 422, 'Unsupported value: "Near"'),
        ("sendInitialEvents=true", 422, "sendInitialEvents is forbidden for list"),
        ("continue=x&resourceVersion=3", 400, "specifying resource version is not allowed when using continue"),
        ("continue=x", 400, "invalid continue token"),
        ("limit=x", 400, "invalid syntax"),
        ("labelSelector=a%20b", 400, "unable to parse requirement"),
        (
            "fieldSelector=data.x%3D1",
            400,
            '"data.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
    ],
)
async def test_lists_that_are_refused(server: Server, query: str, status: int, text: str) -> None:
    await fill(server)
    await server.store.compact(Revision(4))
    answer = await server.get(f"{MAPS}?{query}")
    assert answer.status == status
    assert text in answer.message


@pytest.mark.parametrize(
    ("collection", "field", "text"),
    [
        ("/api/v1/pods", "spec.foo", "field label not supported: spec.foo"),
        ("/api/v1/nodes", "metadata.namespace", "field label not supported: metadata.namespace"),
        ("/apis/batch/v1/jobs", "spec.foo", 'field label "spec.foo" not supported for Job'),
        (
            "/apis/resource.k8s.io/v1/resourceslices",
            "spec.foo",
            "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: spec.foo",
        ),
        (
            "/apis/apps/v1/replicasets",
            "status.replicas",
            '"status.replicas" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
    ],
)
async def test_fields_that_a_kind_cannot_be_selected_by(server: Server, collection: str, field: str, text: str) -> None:
    for query in (f"fieldSelector={field}%3D1", f"watch=1&fieldSelector={field}%3D1"):
        answer = await server.get(f"{collection}?{query}")
        assert (answer.status, answer.reason, answer.message) == (400, "BadRequest", text)


# --- pages


async def test_pages_are_of_one_moment_and_count_what_remains(server: Server) -> None:
    await fill(server)
    first = (await server.get(f"{MAPS}?limit=2")).json
    assert first["metadata"]["remainingItemCount"] == 3
    await server.delete(f"{MAPS}/m-3")
    await server.config_map("m-9")
    second = (await server.get(f"{MAPS}?limit=2&continue={first['metadata']['continue']}")).json
    assert [item["metadata"]["name"] for item in second["items"]] == ["m-2", "m-3"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"] == "5"
    last = (await server.get(f"{MAPS}?limit=2&continue={second['metadata']['continue']}")).json
    assert [item["metadata"]["name"] for item in last["items"]] == ["m-4"]
    assert last["metadata"] == {"resourceVersion": "5"}


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("limit", [1, 2, 5, 6])
async def test_pages_cover_everything_once(server: Server, count: int, limit: int) -> None:
    await fill(server, count)
    found: list[str] = []
    token = ""
    while True:
        page = (await server.get(f"{MAPS}?limit={limit}&continue={token}")).json
        found += [item["metadata"]["name"] for item in page["items"]]
        token = page["metadata"].get("continue", "")
        assert bool(token) is (len(found) < count), "a token is given exactly where something is left"
        if not token:
            break
    assert found == [f"m-{n}" for n in range(count)]


async def test_an_expired_page_offers_to_go_on_with_what_is_there(server: Server) -> None:
    await fill(server)
    token = (await server.get(f"{MAPS}?limit=2")).json["metadata"]["continue"]
    await server.config_map("m-9")
    await server.store.compact(server.store.revision)
    gone = await server.get(f"{MAPS}?limit=2&continue={token}")
    assert (gone.status, gone.reason) == (410, "Expired")
    rest = (await server.get(f"{MAPS}?limit=20&continue={gone.json['metadata']['continue']}")).json
    assert [item["metadata"]["name"] for item in rest["items"]] == ["m-2", "m-3", "m-4", "m-9"]
    assert rest["metadata"]["resourceVersion"] == "6"


async def test_a_selected_page_does_not_count_what_remains(server: Server) -> None:
    for number in range(6):
        await server.config_map(f"m-{number}", labels={"odd": str(number % 2)})
    page = (await server.get(f"{MAPS}?limit=2&labelSelector=odd%3D1")).json
    assert [item["metadata"]["name"] for item in page["items"]] == ["m-1", "m-3"]
    assert "remainingItemCount" not in page["metadata"]
    token = page["metadata"]["continue"]
    assert await names(server, f"{MAPS}?limit=2&labelSelector=odd%3D1&continue={token}") == ["m-5"]


# --- selectors


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("metadata.name=b", ["b"]),
        ("metadata.name==b", ["b"]),
        ("metadata.name!=b", ["a", "bb"]),
        ("metadata.name=zz", []),
        ("metadata.name=a,metadata.name=b", []),
        ("metadata.namespace=default", ["a", "b", "bb"]),
        ("metadata.namespace=other", []),
        ("metadata.name=" + "x" * 2000, []),
    ],
)
async def test_names_are_selected_by_key_alone(server: Server, selector: str, expected: list[str]) -> None:
    for name in ("a", "b", "bb"):
        await server.config_map(name)
    await server.config_map("b", "other")
    assert await names(server, f"{MAPS}?fieldSelector={quote(selector)}") == expected
    everywhere = await names(server, f"/api/v1/configmaps?fieldSelector={quote(selector)}")
    assert [name for name in everywhere if name in expected] != [] or expected == []


async def test_a_name_at_an_exact_revision_is_as_it_was_then(server: Server) -> None:
    await server.config_map("a", data={"x": "1"})
    await server.patch(f"{MAPS}/a", {"data": {"x": "2"}})
    query = "fieldSelector=metadata.name%3Da&resourceVersion=1&resourceVersionMatch=Exact"
    listed = (await server.get(f"{MAPS}?{query}")).json
    assert (listed["metadata"]["resourceVersion"], listed["items"][0]["data"]) == ("1", {"x": "1"})


async def test_secrets_are_selected_by_type(server: Server) -> None:
    where = "/api/v1/namespaces/default/secrets"
    await server.post(where, {"metadata": {"name": "plain"}})
    await server.post(where, {"metadata": {"name": "own"}, "type": "example.com/own"})
    assert await names(server, f"{where}?fieldSelector=type%3DOpaque") == ["plain"]
    assert await names(server, f"{where}?fieldSelector=type!%3DOpaque") == ["own"]


async def test_events_are_selected_in_the_shape_they_are_asked_in(server: Server) -> None:
    about = {"kind": "Pod", "name": "web", "namespace": "default"}
    made = await server.post(
        "/api/v1/namespaces/default/events",
        {"metadata": {"name": "e"}, "involvedObject": about, "reason": "Started", "type": "Normal", "message": "hello"},
    )
    assert made.status == 201, made.body
    core = await server.get("/api/v1/events?fieldSelector=involvedObject.name%3Dweb")
    assert [item["message"] for item in core.json["items"]] == ["hello"]
    newer = await server.get("/apis/events.k8s.io/v1/events?fieldSelector=regarding.name%3Dweb")
    assert newer.status == 200, newer.body
    assert [item["note"] for item in newer.json["items"]] == ["hello"]
    assert (await server.get("/apis/events.k8s.io/v1/events?fieldSelector=reason%3DOther")).json["items"] == []


# --- one object


@pytest.mark.parametrize(("version", "status"), [("", 200), ("0", 200), ("1", 200), ("5", 504), ("x", 422)])
async def test_a_get_is_not_older_than_asked(server: Server, version: str, status: int) -> None:
    await server.config_map("a")
    assert (await server.get(f"{MAPS}/a?resourceVersion={version}")).status == status


# --- watches


async def test_a_watch_tells_what_is_there_then_what_happens(server: Server) -> None:
    await server.config_map("a")
    watcher = await server.watch(f"{MAPS}?watch=true")
    await server.clock.settle()
    await server.config_map("b")
    await server.patch(f"{MAPS}/a", {"data": {"x": "1"}})
    await server.delete(f"{MAPS}/b")
    await server.clock.settle()
    assert watcher.told == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    assert [event["object"]["metadata"]["resourceVersion"] for event in watcher.events] == ["1", "2", "3", "4"]
    assert watcher.events[0]["object"]["kind"] == "ConfigMap"
    await watcher.close()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["1", "2", "3"]),
        ("resourceVersion=0", ["1", "2", "3"]),
        ("resourceVersion=1", ["2", "3"]),
        ("resourceVersion=3", []),
        ("sendInitialEvents=false&resourceVersionMatch=NotOlderThan", []),
        (
            "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
            ["1", "2", "3", "bookmark 3"],
        ),
    ],
)
async def test_where_a_watch_begins(server: Server, query: str, expected: list[str]) -> None:
    await fill(server, 3)
    watcher = await server.watch(f"{MAPS}?watch=true&{query}")
    await server.clock.settle()
    told = [
        ("bookmark " if event["type"] == "BOOKMARK" else "") + event["object"]["metadata"]["resourceVersion"]
        for event in watcher.events
    ]
    assert told == expected
    if "bookmark 3" in expected:
        assert watcher.events[-1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    await watcher.close()


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("sendInitialEvents=true", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
        ("resourceVersionMatch=NotOlderThan", "forbidden for watch unless sendInitialEvents is provided"),
        ("sendInitialEvents=true&resourceVersionMatch=Exact&resourceVersion=1", 'Unsupported value: "Exact"'),
    ],
)
async def test_watches_that_are_refused(server: Server, query: str, text: str) -> None:
    answer = await server.get(f"{MAPS}?watch=true&{query}")
    assert answer.status == 422
    assert text in answer.message


async def test_a_change_of_labels_comes_and_goes_for_who_selects_by_them(server: Server) -> None:
    watcher = await server.watch(f"{MAPS}?watch=true&labelSelector=on%3Dyes")
    await server.config_map("a")
    for value in ("yes", "yes", "no"):
        await server.patch(
            f"{MAPS}/a", {"metadata": {"labels": {"on": value}}, "data": {"at": str(server.store.revision)}}
        )
    await server.delete(f"{MAPS}/a")
    await server.clock.settle()
    assert watcher.told == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    last = watcher.events[-1]["object"]["metadata"]
    assert (last["resourceVersion"], last["labels"]) == ("4", {"on": "yes"}), "as it was last seen, at the new revision"
    await watcher.close()


async def test_a_watch_of_one_name_sees_no_other(server: Server) -> None:
    watcher = await server.watch(f"{MAPS}?watch=true&fieldSelector=metadata.name%3Da")
    for name in ("a", "ab", "b"):
        await server.config_map(name)
    await server.clock.settle()
    assert watcher.told == [("ADDED", "a")]
    await watcher.close()


async def test_bookmarks_come_each_minute_and_before_the_end(server: Server) -> None:
    watcher = await server.watch(f"{MAPS}?watch=true&allowWatchBookmarks=true&timeoutSeconds=130")
    await server.clock.advance(61)
    assert watcher.told == [("BOOKMARK", "")]
    await server.post("/api/v1/namespaces", {"metadata": {"name": "x"}})
    await server.clock.advance(62)
    assert [event["object"]["metadata"]["resourceVersion"] for event in watcher.events] == ["0", "1"]
    assert watcher.events[1]["object"] == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "1"},
    }
    await server.clock.advance(8)
    assert watcher.ended and len(watcher.events) == 3


async def test_who_asks_for_no_bookmarks_gets_none(server: Server) -> None:
    watcher = await server.watch(f"{MAPS}?watch=true&timeoutSeconds=100")
    await server.clock.advance(101)
    assert (watcher.told, watcher.ended) == ([], True)


async def test_a_resume_from_before_the_server_began_ends_and_is_bookmarked_like_any(server: Server) -> None:
    """Nothing happens to the resource, so nothing but time can tell that it has caught up."""
    await fill(server, 3)
    again = await Server(server.store, server.clock).start()
    watcher = await again.watch(f"{MAPS}?watch=true&resourceVersion=1&allowWatchBookmarks=true&timeoutSeconds=90")
    await server.clock.advance(61)
    assert watcher.told == [("ADDED", "m-1"), ("ADDED", "m-2"), ("BOOKMARK", "")]
    await again.config_map("new")
    await server.clock.advance(1)
    assert watcher.told[-1] == ("ADDED", "new")
    await server.clock.advance(29)
    assert watcher.ended
    assert not again.registry.feeds.feed("/registry/core/configmaps/").subscriptions
    await again.stop()


async def test_what_was_compacted_away_is_told_as_an_error_in_the_stream(server: Server) -> None:
    await fill(server, 3)
    again = await Server(server.store, server.clock).start()
    await server.store.compact(Revision(3))
    watcher = await again.watch(f"{MAPS}?watch=true&resourceVersion=1")
    await server.clock.settle()
    assert watcher.ended
    status = watcher.events[0]["object"]
    assert (watcher.events[0]["type"], status["code"], status["reason"]) == ("ERROR", 410, "Expired")
    assert status["message"] == "too old resource version: 1 (2)"
    await again.stop()


async def test_a_watch_that_nobody_reads_holds_nothing(server: Server) -> None:
    response = await server.answer("HEAD", f"{MAPS}?watch=true")
    assert response.status == 200
    feed = server.registry.feeds.feed("/registry/core/configmaps/")
    assert feed.subscriptions == ()


async def test_who_reads_too_slowly_is_cut_off_before_a_gap(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "BACKLOG", 3)
    response = await server.answer("GET", f"{MAPS}?watch=true")
    assert not isinstance(response.body, bytes)
    await server.config_map("m-0")
    pieces = [await anext(response.body)]  # it is under way, and now reads no further
    for number in range(1, 8):
        await server.config_map(f"m-{number}")
    await server.clock.settle()
    pieces.append(await anext(response.body))
    await server.config_map("m-8")
    await server.clock.settle()
    pieces += [piece async for piece in response.body]
    told = [line.count(b'"type"') for line in pieces]
    assert sum(told) == 4, "the first, then as many as fit: never one that came after those that did not"


async def test_a_withdrawn_resource_ends_its_watches(server: Server) -> None:
    watcher = await server.watch(f"{MAPS}?watch=true")
    await server.clock.settle()
    server.registry.withdraw(server.served("configmaps").storage, ["v1"])
    await server.clock.settle()
    assert watcher.ended
    assert (await server.get(MAPS)).status == 404


# --- kinds in other versions


async def test_an_older_version_is_another_view_of_the_same(server: Server) -> None:
    v1, v2 = "/apis/autoscaling/v1/namespaces/default", "/apis/autoscaling/v2/namespaces/default"
    body = {
        "metadata": {"name": "h"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "maxReplicas": 5,
            "targetCPUUtilizationPercentage": 70,
        },
    }
    watcher = await server.watch(f"{v2}/horizontalpodautoscalers?watch=true")
    older = await server.watch(f"{v1}/horizontalpodautoscalers?watch=true")
    made = await server.post(f"{v1}/horizontalpodautoscalers", body)
    assert made.status == 201, made.body
    assert (made.json["apiVersion"], made.json["spec"]["targetCPUUtilizationPercentage"]) == ("autoscaling/v1", 70)
    shown = (await server.get(f"{v2}/horizontalpodautoscalers/h")).json
    assert shown["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 70
    patched = await server.patch(f"{v2}/horizontalpodautoscalers/h", {"spec": {"minReplicas": 2}})
    assert patched.status == 200, patched.body
    status = {"status": {"currentReplicas": 3, "desiredReplicas": 3}}
    told = await server.patch(f"{v1}/horizontalpodautoscalers/h/status", {**status, "spec": {"maxReplicas": 9}})
    assert told.status == 200, told.body
    assert (told.json["spec"]["maxReplicas"], told.json["status"]["currentReplicas"]) == (5, 3)
    await server.clock.settle()
    for watch, version in ((watcher, "autoscaling/v2"), (older, "autoscaling/v1")):
        assert {event["object"]["apiVersion"] for event in watch.events} == {version}
        assert watch.told == [("ADDED", "h"), ("MODIFIED", "h"), ("MODIFIED", "h")]
        await watch.close()
    refused = await server.patch(f"{v1}/horizontalpodautoscalers/h", {"spec": {"maxReplicas": 0}})
    assert refused.status == 422 and "spec.maxReplicas" in refused.message


async def test_an_event_written_in_one_shape_is_read_in_the_other(server: Server) -> None:
    newer = "/apis/events.k8s.io/v1/namespaces/default/events"
    body: dict[str, Any] = {
        "metadata": {"name": "e"},
        "eventTime": "2023-11-14T22:13:20.000000Z",
        "reportingController": "example.com/c",
        "reportingInstance": "c-1",
        "action": "Do",
        "reason": "Done",
        "type": "Normal",
        "regarding": {"kind": "Pod", "name": "web", "namespace": "default"},
        "note": "hello",
    }
    made = await server.post(newer, body)
    assert made.status == 201, made.body
    core = (await server.get("/api/v1/namespaces/default/events/e")).json
    assert (core["kind"], core["apiVersion"], core["message"]) == ("Event", "v1", "hello")
    assert core["involvedObject"]["name"] == "web"
    assert (await server.delete(f"{newer}/e")).status == 200
    assert (await server.get("/api/v1/namespaces/default/events/e")).status == 404


async def test_a_list_of_many_resources_is_of_that_resource(server: Server) -> None:
    where = "/apis/apps/v1/namespaces/default/deployments"
    assert (await server.post(where, deployment())).status == 201
    assert await names(server, "/apis/apps/v1/deployments") == ["web"]
    assert await names(server, "/apis/apps/v1/replicasets") == []
