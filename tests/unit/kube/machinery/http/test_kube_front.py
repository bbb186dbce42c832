"""The front, step by step: who is turned away where, and with which words; pages, probes, discovery, figures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ropewalk.base.http.messages import Request, Response
from ropewalk.kube.kinds.published import published
from ropewalk.kube.kinds.table import RESOURCES
from ropewalk.kube.machinery import discovery, errors
from ropewalk.kube.machinery.http.described import Described
from ropewalk.kube.machinery.http.health import Health
from ropewalk.kube.machinery.openapi.specification import Specification
from ropewalk.kube.machinery.requests import Attributes, User
from ropewalk.store.protocol import StoreClosed, StoreUnavailable
from support.kube_front import ALICE, METADATA_ONLY, TABLE, Anyone, Server, config_map, pod

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


@asynccontextmanager
async def serving(**steps: Any) -> AsyncIterator[Server]:
    made = await Server(**steps).start()
    try:
        yield made
    finally:
        await made.stop()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as made:
        yield made


# --- the steps


class Wrong:
    async def authenticate(self, request: Request) -> User | None:
        raise errors.unauthorized()


async def test_wrong_credentials_are_401() -> None:
    async with serving(authenticator=Wrong()) as server:
        answer = await server.get(MAPS)
        assert (answer.status, answer.reason, answer.message) == (401, "Unauthorized", "Unauthorized")


async def test_nobody_is_401_where_somebody_would_be_403() -> None:
    async with serving(authenticator=Anyone(None)) as server:
        server.rules.denied.add(("list", "configmaps"))
        assert (await server.get(MAPS)).status == 401
        assert (await server.get("/api/v1/namespaces/default/secrets")).status == 200


@pytest.mark.parametrize(
    ("target", "denied", "text"),
    [
        (
            f"{PODS}/web",
            ("get", "pods"),
            'pods "web" is forbidden: User "alice" cannot get resource "pods" in API group "" in the namespace'
            ' "default": no rule says so',
        ),
        (
            "/api/v1/nodes",
            ("list", "nodes"),
            'nodes is forbidden: User "alice" cannot list resource "nodes" in API group "" at the cluster scope:'
            " no rule says so",
        ),
        (
            "/apis/apps/v1/namespaces/n/deployments/d/scale",
            ("get", "deployments"),
            'deployments.apps "d" is forbidden: User "alice" cannot get resource "deployments/scale" in API'
            ' group "apps" in the namespace "n": no rule says so',
        ),
        ("/metrics", ("get", "/metrics"), 'forbidden: User "alice" cannot get path "/metrics": no rule says so'),
    ],
)
async def test_who_may_not_is_told_what(server: Server, target: str, denied: tuple[str, str], text: str) -> None:
    server.rules.denied.add(denied)
    answer = await server.get(target)
    assert (answer.status, answer.reason, answer.message) == (403, "Forbidden", text)


async def test_a_name_in_a_field_selector_is_what_is_authorized(server: Server) -> None:
    await server.get(f"{MAPS}?fieldSelector=metadata.name%3Da&labelSelector=x%3Dy")
    asked: Attributes = server.rules.asked[-1]
    assert (asked.verb, asked.name, asked.field_selector, asked.label_selector) == (
        "list",
        "a",
        "metadata.name=a",
        "x=y",
    )


async def test_web_pages_of_others_are_kept_out(server: Server) -> None:
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"host": "evil.example"}):
        assert (await server.get(MAPS, headers=headers)).status == 403


async def test_acting_as_another_is_asked_of_the_impersonator() -> None:
    async def impersonate(request: Request, user: User) -> User:
        if user.name != "root":
            raise errors.forbidden("users", "", request.header("impersonate-user"), "no")
        return User(request.header("impersonate-user"))

    async with serving(impersonator=impersonate, authenticator=Anyone(User("root"))) as server:
        await server.get(MAPS, headers={"Impersonate-User": "bob"})
        assert server.rules.asked[-1].user.name == "bob"
    async with serving(impersonator=impersonate) as server:
        assert (await server.get(MAPS, headers={"Impersonate-User": "bob"})).status == 403


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/api/v9/pods", 404),
        ("GET", "/apis/none.example/v1/things", 404),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/pods/web", 404),
        ("GET", "/api/v1/namespaces/default/nodes", 404),
        ("GET", f"{PODS}/web/nothing", 404),
        ("POST", "/api/v1/pods", 405),
        ("DELETE", "/api/v1/pods", 405),
        ("POST", f"{PODS}/web", 405),
        ("PUT", PODS, 405),
        ("PATCH", PODS, 405),
        ("OPTIONS", PODS, 405),
        ("DELETE", f"{PODS}/web/status", 405),
        ("POST", f"{PODS}/web/status", 405),
        ("GET", f"{PODS}/web/binding", 405),
        ("GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", 405),
        ("POST", "/", 404),
    ],
)
async def test_where_nothing_is_or_nothing_may_be_done(server: Server, method: str, target: str, status: int) -> None:
    answer = await server.ask(method, target, {} if method in ("POST", "PUT") else None)
    assert answer.status == status, answer.body
    assert answer.json["kind"] == "Status"
    if status == 405:
        assert answer.message == "the server does not allow this method on the requested resource"


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"accept": "text/html"}, 406),
        ({"content_type": "text/plain"}, 415),
        ({"content_type": "application/cbor"}, 415),
    ],
)
async def test_forms_that_are_not_spoken(server: Server, more: dict[str, str], status: int) -> None:
    assert (await server.post(MAPS, config_map("a"), **more)).status == status
    assert server.store.revision == 0


async def test_yaml_comes_and_goes(server: Server) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata: {x: '1'}\n"
    made = await server.post(MAPS, body, content_type="application/yaml", accept="application/yaml")
    assert (made.status, made.headers["content-type"]) == (201, "application/yaml")
    assert b"\n  name: a\n" in made.body


@pytest.mark.parametrize(
    ("error", "status"),
    [(StoreUnavailable("elsewhere"), 503), (StoreClosed("closing"), 503), (RuntimeError("secret"), 500)],
)
async def test_what_goes_wrong_inside_is_told_without_its_words(
    server: Server, error: Exception, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(key: str) -> None:
        raise error

    monkeypatch.setattr(server.registry.storage, "get", fail)
    answer = await server.get(f"{MAPS}/a")
    assert answer.status == status
    assert "secret" not in answer.message


async def test_the_old_spelling_of_a_watch(server: Server) -> None:
    for name in ("a", "b"):
        await server.config_map(name)
    whole = await server.watch("/api/v1/watch/namespaces/default/configmaps")
    one = await server.watch("/api/v1/watch/namespaces/default/configmaps/b")
    await server.clock.settle()
    assert (whole.told, one.told) == ([("ADDED", "a"), ("ADDED", "b")], [("ADDED", "b")])
    assert {asked.verb for asked in server.rules.asked[-2:]} == {"watch"}
    await whole.close()
    await one.close()


async def test_head_is_get(server: Server) -> None:
    await server.config_map("a")
    assert (await server.ask("HEAD", f"{MAPS}/a")).status == 200
    assert (await server.ask("HEAD", f"{MAPS}/b")).status == 404
    assert server.rules.asked[-1].verb == "get"


async def test_connections_and_other_servers_are_handed_on() -> None:
    async def connect(served: Any, exchange: Any) -> Response:
        return Response(200, {}, f"{served.info.plural}/{exchange.route.subresource}".encode())

    async def delegate(exchange: Any) -> Response | None:
        return Response(200, {}, b"other") if exchange.route.group == "other.example" else None

    pods = Server().served("pods").storage
    async with serving(connectors={(pods, "log"): connect}, delegate=delegate) as server:
        assert (await server.get(f"{PODS}/web/log")).body == b"pods/log"
        assert (await server.get("/apis/other.example/v1/things")).body == b"other"
        assert (await server.get("/apis/none.example/v1/things")).status == 404


# --- reviews, evictions and bindings: bodies of any shape


@pytest.mark.parametrize("sub", ["eviction", "binding"])
@pytest.mark.parametrize(
    "body",
    [
        {"metadata": 5},
        {"metadata": {"name": 5}},
        {"metadata": None},
        {"deleteOptions": 5},
        {"target": 5},
        {"target": {"name": []}},
        [],
        5,
        None,
    ],
)
async def test_a_body_of_any_shape_is_no_bug(sub: str, body: Any) -> None:
    async def creator(served: Any, namespace: str, name: str, given: Any, call: Any) -> Any:
        given.setdefault("metadata", {}).setdefault("name", name)
        (given.get("deleteOptions") or given.get("target") or {}).get("kind")
        return {"kind": "Status"}

    pods = Server().served("pods").storage
    async with serving(subresources={"creators": {(pods, sub): creator}}) as server:
        answer = await server.post(f"{PODS}/web/{sub}", b"null" if body is None else body)
        assert answer.status in (201, 400), answer.body


# --- forms


async def test_a_table_is_columns_and_rows(server: Server) -> None:
    await server.config_map("a", data={"x": "1", "y": "2"})
    await server.clock.advance(90)
    table = (await server.get(MAPS, accept=TABLE)).json
    assert (table["kind"], table["apiVersion"], table["metadata"]) == (
        "Table",
        "meta.k8s.io/v1",
        {"resourceVersion": "1"},
    )
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert table["rows"][0]["cells"] == ["a", 2, "90s"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    whole = (await server.get(f"{MAPS}?includeObject=Object", accept=TABLE)).json
    assert whole["rows"][0]["object"]["data"] == {"x": "1", "y": "2"}
    bare = (await server.get(f"{MAPS}?includeObject=None", accept=TABLE)).json
    assert "object" not in bare["rows"][0]
    assert (await server.get(f"{MAPS}?includeObject=Some", accept=TABLE)).status == 400


async def test_a_watched_table_says_its_columns_once(server: Server) -> None:
    watcher = await server.watch(f"{MAPS}?watch=true&allowWatchBookmarks=true&timeoutSeconds=300", accept=TABLE)
    for name in ("a", "b"):
        await server.config_map(name)
    await server.clock.advance(61)
    tables = [event["object"] for event in watcher.events]
    assert [bool(table["columnDefinitions"]) for table in tables] == [True, False, False]
    assert [table["kind"] for table in tables] == ["Table"] * 3
    assert tables[2]["rows"][0]["object"]["metadata"] == {"resourceVersion": "2"}
    await watcher.close()


async def test_metadata_alone_is_that_of_the_whole(server: Server) -> None:
    """Cut out of stored bytes, for gets, lists, watches and writes alike."""
    labels = {"quoted": "a-b", "empty": ""}
    made = await server.post(
        MAPS, config_map("a", x='}{"') | {"metadata": {"name": "a", "labels": labels}}, accept=METADATA_ONLY
    )
    whole = (await server.get(f"{MAPS}/a")).json
    expected = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": whole["metadata"]}
    assert made.json == expected
    assert (await server.get(f"{MAPS}/a", accept=METADATA_ONLY)).json == expected
    listed = (await server.get(MAPS, accept=METADATA_ONLY)).json
    assert (listed["kind"], listed["items"]) == ("PartialObjectMetadataList", [expected])
    watcher = await server.watch(f"{MAPS}?watch=true", accept=METADATA_ONLY)
    await server.delete(f"{MAPS}/a")
    await server.clock.settle()
    gone = {**expected, "metadata": {**whole["metadata"], "resourceVersion": "2"}}
    assert watcher.events == [{"type": "ADDED", "object": expected}, {"type": "DELETED", "object": gone}]
    await watcher.close()


async def test_lists_items_gets_and_watches_show_one_object_alike(server: Server) -> None:
    await server.post(PODS, pod(labels={"a": "b"}))
    whole = (await server.get(f"{PODS}/web")).json
    item = (await server.get(PODS)).json["items"][0]
    watcher = await server.watch(f"{PODS}?watch=true")
    await server.clock.settle()
    assert watcher.events[0]["object"] == whole == {"kind": "Pod", "apiVersion": "v1", **item}
    await watcher.close()


# --- pages


class Elsewhere:
    """One aggregated server's OpenAPI."""

    def openapi_places(self) -> dict[str, str]:
        return {"apis/other.example/v1": "/openapi/v3/apis/other.example/v1?hash=X"}

    async def openapi(self, group: str, version: str) -> bytes | None:
        return b'{"openapi":"3.0.0"}' if (group, version) == ("other.example", "v1") else None


def describe(server: Server) -> None:
    registry = server.registry
    Described(
        lambda: registry.generation,
        lambda: discovery.catalogue(registry.infos(), {}),
        lambda: Specification(published(), RESOURCES),
        Elsewhere(),
        "127.0.0.1:6443",
    ).add_to(server.pages)


AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


async def test_discovery_plain_and_aggregated(server: Server) -> None:
    describe(server)
    assert (await server.get("/api")).json["versions"] == ["v1"]
    assert "apps" in [group["name"] for group in (await server.get("/apis")).json["groups"]]
    resources = (await server.get("/apis/apps/v1")).json
    assert (resources["kind"], resources["groupVersion"]) == ("APIResourceList", "apps/v1")
    assert (await server.get("/apis/apps")).json["kind"] == "APIGroup"
    for target in ("/apis/none.example", "/apis/apps/v9", "/api/v9", "/apis/apps/v1/x/y"):
        assert (await server.get(target)).status == 404
    whole = await server.get("/apis", accept=f"{AGGREGATED},application/json")
    assert (whole.headers["content-type"], whole.json["kind"]) == (AGGREGATED, "APIGroupDiscoveryList")
    assert (await server.get("/apis", accept="application/json")).json["kind"] == "APIGroupList"


@pytest.mark.parametrize("target", ["/api", "/apis", "/api/v1", "/openapi/v2", "/openapi/v3", "/openapi/v3/api/v1"])
async def test_descriptions_are_tagged_and_not_sent_again(server: Server, target: str) -> None:
    describe(server)
    first = await server.get(target)
    assert first.status == 200
    again = await server.get(target, headers={"if-none-match": first.headers["etag"]})
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert (await server.get(target, headers={"if-none-match": '"other"'})).status == 200


async def test_a_resource_that_goes_leaves_discovery(server: Server) -> None:
    describe(server)
    before = (await server.get("/api/v1")).headers["etag"]
    server.registry.withdraw(server.served("configmaps").storage, ["v1"])
    after = await server.get("/api/v1")
    assert after.headers["etag"] != before
    assert "configmaps" not in [one["name"] for one in after.json["resources"]]


async def test_openapi_by_its_hash_is_kept_for_ever(server: Server) -> None:
    describe(server)
    url = (await server.get("/openapi/v3")).json["paths"]["api/v1"]["serverRelativeURL"]
    assert "immutable" in (await server.get(url)).headers["cache-control"]
    assert "cache-control" not in (await server.get("/openapi/v3/api/v1")).headers
    assert (await server.get("/openapi/v3/apis/none/v1")).status == 404


async def test_the_openapi_of_others_stands_beside_ours(server: Server) -> None:
    describe(server)
    paths = (await server.get("/openapi/v3")).json["paths"]
    assert paths["apis/other.example/v1"]["serverRelativeURL"] == "/openapi/v3/apis/other.example/v1?hash=X"
    assert (await server.get("/openapi/v3/apis/other.example/v1")).json == {"openapi": "3.0.0"}


async def test_probes(server: Server) -> None:
    problem = [""]
    Health({"ping": lambda: ""}, {"bootstrap": lambda: problem[0]}).add_to(server.pages, "0.1")
    for path in ("/healthz", "/livez", "/readyz", "/readyz/bootstrap", "/livez/ping"):
        answer = await server.get(path, accept="text/plain")
        assert (answer.status, answer.body) == (200, b"ok")
    assert (await server.get("/readyz?verbose")).body == b"[+]ping ok\n[+]bootstrap ok\nreadyz check passed\n"
    problem[0] = "not there"
    assert (await server.get("/livez")).status == 200
    assert (await server.get("/readyz")).status == 500
    assert b"[-]bootstrap failed" in (await server.get("/readyz")).body
    assert (await server.get("/readyz?exclude=bootstrap")).status == 200
    assert (await server.get("/readyz/nothing")).status == 404
    assert (await server.ask("POST", "/healthz", {})).status == 405
    version = (await server.get("/version")).json
    assert (version["major"], version["minor"]) == ("1", "35")
    assert "/healthz" in (await server.get("/")).json["paths"]


async def test_figures_count_what_is_served_by_name_and_nothing_that_clients_make_up(server: Server) -> None:
    server.steps.metrics.add_to(server.pages)
    await server.config_map("a")
    for number in range(30):
        await server.get(f"/apis/made-up-{number}.example/v1/things")
        await server.get(f"{PODS}/web/made-up-{number}")
        await server.ask(f"VERB{number}", "/nowhere")
    text = (await server.get("/metrics", accept="text/plain")).body.decode()
    assert (
        'apiserver_request_total{code="201",group="",resource="configmaps",subresource="",verb="CREATE",version="v1"} 1'
        in text
    )
    assert "made-up" not in text and "VERB" not in text
    assert 'apiserver_request_duration_seconds_count{verb="CREATE"} 1' in text
    assert 'apiserver_request_duration_seconds_bucket{verb="CREATE",le="+Inf"} 1' in text
    assert ALICE.name not in text
