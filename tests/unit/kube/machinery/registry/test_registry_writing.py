"""Creates, updates, patches and deletes: names, conflicts, dry runs, admission, claims, finalizers, subresources."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.registry.inside import InsideApi
from ropewalk.kube.machinery.strategy import Finish, Strategy
from ropewalk.store.memory import MemoryStore
from ropewalk.store.protocol import StoreUnavailable
from support.kube_front import (
    APPLY_PATCH,
    CONFIG_MAPS,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_PATCH,
    Server,
    config_map,
    deployment,
    pod,
)

MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/namespaces/default/pods"
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = await Server().start()
    yield made
    await made.stop()


class Chain:
    """Admission that notes what it is asked, and does what a test says."""

    def __init__(self, log: list[str], change: Callable[[Admission], None] | None = None, refuse: str = "") -> None:
        self.log = log
        self.change = change
        self.refuse = refuse

    async def mutate(self, admission: Admission) -> None:
        self.log.append(f"mutate {admission.operation} {admission.name or '?'}")
        if self.change is not None:
            self.change(admission)

    async def validate(self, admission: Admission) -> None:
        self.log.append(f"validate {admission.operation} {admission.name or '?'}")
        if self.refuse:
            raise errors.forbidden("configmaps", "", admission.name, self.refuse)


@asynccontextmanager
async def admitting(chain: Any, **more: Any) -> AsyncIterator[Server]:
    made = await Server(chain=lambda api: chain, **more).start()
    yield made
    await made.stop()


# --- create


async def test_a_create_answers_what_is_stored(server: Server) -> None:
    made = await server.post(MAPS, config_map("a", x="1"))
    assert made.status == 201
    assert made.json == (await server.get(f"{MAPS}/a")).json
    assert made.json["metadata"]["namespace"] == "default"
    assert made.json["metadata"]["managedFields"][0]["manager"] == "kubectl"


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (config_map("a") | {"metadata": {"name": "a", "namespace": "x"}}, 400, "does not match the namespace sent"),
        ({"metadata": {}}, 422, "name or generateName is required"),
        (config_map("A"), 422, "lowercase RFC 1123 subdomain"),
        ({"metadata": {"name": "b", "resourceVersion": "4"}}, 400, "resourceVersion should not be set on objects"),
        (config_map("there"), 409, 'configmaps "there" already exists'),
        ({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "b"}}, 400, "cannot be handled as a ConfigMap"),
        (b"{", 400, ""),
        (b"[]", 400, "no object"),
        (b"", 400, "no body"),
    ],
)
async def test_creates_that_are_refused(server: Server, body: Any, status: int, text: str) -> None:
    await server.config_map("there")
    before = server.store.revision
    answer = await server.post(MAPS, body)
    assert (answer.status, text in answer.message) == (status, True), answer.body
    assert server.store.revision == before


async def test_a_cluster_wide_object_forgets_a_namespace_that_it_names(server: Server) -> None:
    made = await server.post("/api/v1/namespaces", {"metadata": {"name": "n", "namespace": "other"}})
    assert made.status == 201
    assert "namespace" not in made.json["metadata"]


class Stuttering(SeededEntropy):
    """Repeats itself: the first names it makes are all the same."""

    def __init__(self, repeats: int) -> None:
        super().__init__(1)
        self.left = repeats * 5

    def random(self) -> float:
        self.left -= 1
        return 0.0 if self.left >= 0 else super().random()


@pytest.mark.parametrize(("repeats", "status"), [(0, 201), (7, 201), (8, 409)])
async def test_a_generated_name_that_is_taken_is_made_anew_eight_times(repeats: int, status: int) -> None:
    server = await Server().start()
    await server.config_map("a-bbbbb")
    server.registry.writer._entropy = Stuttering(repeats)
    made = await server.post(MAPS, {"metadata": {"generateName": "a-"}})
    assert made.status == status, made.body
    if status == 201:
        assert made.json["metadata"]["name"].startswith("a-") and len(made.json["metadata"]["name"]) == 7
        assert made.json["metadata"]["generateName"] == "a-"
    else:
        assert "not able to generate a unique name" in made.message
        assert made.json["details"]["retryAfterSeconds"] == 1
    await server.stop()


# --- update


async def test_an_update_is_of_the_version_it_names(server: Server) -> None:
    first = await server.config_map("a")
    second = await server.put(f"{MAPS}/a", first | {"data": {"x": "1"}})
    assert second.status == 200
    stale = await server.put(f"{MAPS}/a", first | {"data": {"x": "2"}})
    assert (stale.status, stale.reason) == (409, "Conflict")
    assert stale.message == f'Operation cannot be fulfilled on configmaps "a": {MODIFIED}'
    anyhow = await server.put(f"{MAPS}/a", config_map("a", x="3"))
    assert (anyhow.status, anyhow.json["data"]) == (200, {"x": "3"})


async def test_an_update_that_changes_nothing_is_not_written(server: Server) -> None:
    made = await server.config_map("a", data={"x": "1"})
    await server.clock.advance(5)
    for answer in (
        await server.put(f"{MAPS}/a", made),
        await server.put(f"{MAPS}/a", config_map("a", x="1")),
        await server.patch(f"{MAPS}/a", {"data": {"x": "1"}}),
        await server.patch(f"{MAPS}/a", {}),
    ):
        assert answer.status == 200
        assert answer.json["metadata"]["resourceVersion"] == "1"
    assert server.store.revision == 1


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("a", config_map("b"), 400, "the name of the object (b) does not match the name on the URL (a)"),
        ("zz", config_map("zz"), 404, 'configmaps "zz" not found'),
        ("a", {"metadata": {"name": "a", "uid": "other"}}, 409, "Precondition failed: UID in precondition: other"),
        ("a", {"metadata": {"name": "a", "namespace": "x"}}, 400, "does not match the namespace"),
    ],
)
async def test_updates_that_are_refused(server: Server, path: str, body: Any, status: int, text: str) -> None:
    await server.config_map("a")
    answer = await server.put(f"{MAPS}/{path}", body)
    assert (answer.status, text in answer.message) == (status, True), answer.body


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [
        (f"{MAPS}/a", config_map("a"), "configmaps/default/a"),
        (f"{DEPLOYMENTS}/a", deployment("a"), "deployments/default/a"),
        ("/api/v1/nodes/a", {"metadata": {"name": "a"}}, "minions/a"),
    ],
)
async def test_an_update_of_another_incarnation_is_told_with_the_key(
    server: Server, path: str, body: Any, key: str
) -> None:
    made = (await server.post(path.rpartition("/")[0], body)).json
    answer = await server.put(path, {**body, "metadata": {**body["metadata"], "uid": "other"}})
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert answer.message.partition('"a": ')[2] == (
        f"StorageError: invalid object, Code: 4, Key: /registry/{key}, ResourceVersion: 0, AdditionalErrorMsg:"
        f" Precondition failed: UID in precondition: other, UID in object meta: {made['metadata']['uid']}"
    )


async def test_a_kind_that_must_name_its_version_says_so(server: Server) -> None:
    class Careful(Strategy):
        allow_unconditional_update = False

    served = server.served("configmaps")
    server.registry.serve([replace(served, strategy=Careful())])
    await server.config_map("a")
    answer = await server.put(f"{MAPS}/a", config_map("a", x="1"))
    assert answer.status == 422
    assert "metadata.resourceVersion: Invalid value: 0: must be specified for an update" in answer.message


async def test_a_lease_is_made_by_writing_it(server: Server) -> None:
    where = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    body = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}}
    made = await server.put(f"{where}/l", body)
    assert made.status == 201
    assert (await server.put(f"{where}/l", made.json)).status == 200
    assert (await server.put(f"{where}/m", {"metadata": {"name": "m", "resourceVersion": "1"}})).status == 404
    server.rules.denied.add(("create", "leases"))
    refused = await server.put(f"{where}/m", body | {"metadata": {"name": "m"}})
    assert (refused.status, server.rules.asked[-1].verb) == (403, "create"), (
        "a write that creates needs that verb as well"
    )


async def test_generation_counts_changes_of_the_spec_alone(server: Server) -> None:
    await server.post(DEPLOYMENTS, deployment(generation=7))

    async def after(patch: Any, sub: str = "") -> int:
        answer = await server.patch(f"{DEPLOYMENTS}/web{sub}", patch)
        assert answer.status == 200, answer.body
        return int(answer.json["metadata"]["generation"])

    assert await after({"metadata": {"labels": {"a": "b"}}}) == 1
    assert await after({"spec": {"replicas": 3}}) == 2
    assert await after({"status": {"replicas": 3}}, "/status") == 2
    assert await after({"metadata": {"generation": 9}}) == 2


async def test_status_and_spec_are_written_through_doors_of_their_own(server: Server) -> None:
    await server.post(DEPLOYMENTS, deployment())
    both = {"spec": {"replicas": 9}, "status": {"replicas": 5}}
    by_status = (await server.patch(f"{DEPLOYMENTS}/web/status", both)).json
    assert (by_status["spec"]["replicas"], by_status["status"]["replicas"]) == (2, 5)
    by_main = (await server.patch(f"{DEPLOYMENTS}/web", {"spec": {"replicas": 4}, "status": {"replicas": 7}})).json
    assert (by_main["spec"]["replicas"], by_main["status"]["replicas"]) == (4, 5)


async def test_writers_at_once_lose_nothing(server: Server) -> None:
    """Patches name no version: each is made again over what another wrote meanwhile."""
    slow = _Slow(server)
    await server.config_map("a")
    answers = await asyncio.gather(*(slow.patch(n) for n in range(8)))
    assert {answer.status for answer in answers} == {200}
    data = (await server.get(f"{MAPS}/a")).json["data"]
    assert data == {f"k{n}": "x" for n in range(8)}


class _Slow:
    """Patches whose reading and writing lie a turn of the loop apart."""

    def __init__(self, server: Server) -> None:
        self.server = server
        plain = server.registry.storage.get

        async def later(key: str) -> Any:
            found = await plain(key)
            await asyncio.sleep(0)
            return found

        server.registry.storage.get = later  # type: ignore[method-assign]

    async def patch(self, number: int) -> Any:
        return await self.server.patch(f"{MAPS}/a", {"data": {f"k{number}": "x"}})


async def test_a_patch_that_names_a_version_is_refused_once_that_is_past(server: Server) -> None:
    await server.config_map("a")
    await server.patch(f"{MAPS}/a", {"data": {"x": "1"}})
    stale = await server.patch(f"{MAPS}/a", {"metadata": {"resourceVersion": "1"}, "data": {"x": "2"}})
    assert (stale.status, stale.reason) == (409, "Conflict")


# --- patches


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        (MERGE_PATCH, {"data": {"x": "2", "y": None}}),
        (STRATEGIC_PATCH, {"data": {"x": "2", "y": None}}),
        (JSON_PATCH, [{"op": "replace", "path": "/data/x", "value": "2"}, {"op": "remove", "path": "/data/y"}]),
    ],
)
async def test_three_kinds_of_patch_come_to_the_same(server: Server, kind: str, patch: Any) -> None:
    await server.config_map("a", data={"x": "1", "y": "1"})
    answer = await server.patch(f"{MAPS}/a", patch, kind)
    assert (answer.status, answer.json["data"]) == (200, {"x": "2"})


async def test_lists_merge_by_key_strategically_and_are_replaced_otherwise(server: Server) -> None:
    await server.post(DEPLOYMENTS, deployment())
    added = {"spec": {"template": {"spec": {"containers": [{"name": "more", "image": "busybox"}]}}}}
    merged = await server.patch(f"{DEPLOYMENTS}/web", added, STRATEGIC_PATCH)
    assert [one["name"] for one in merged.json["spec"]["template"]["spec"]["containers"]] == ["more", "web"]
    replaced = await server.patch(f"{DEPLOYMENTS}/web", added, MERGE_PATCH)
    assert [one["name"] for one in replaced.json["spec"]["template"]["spec"]["containers"]] == ["more"]


async def test_apply_creates_owns_and_conflicts(server: Server) -> None:
    def text(x: str, *more: str) -> bytes:
        return "\n".join(["apiVersion: v1", "kind: ConfigMap", "data:", f"  x: '{x}'", *more]).encode()

    async def apply(manager: str, body: bytes, query: str = "") -> Any:
        return await server.patch(f"{MAPS}/a?fieldManager={manager}{query}", body, APPLY_PATCH)

    made = await apply("one", text("1", "  z: '1'"))
    assert (made.status, made.json["metadata"]["name"]) == (201, "a")
    assert made.json["metadata"]["managedFields"][0]["operation"] == "Apply"
    refused = await apply("two", text("2"))
    assert (refused.status, refused.reason) == (409, "Conflict")
    assert 'conflict with "one": .data.x' in refused.message
    assert (await apply("two", text("2"), "&force=true")).json["data"] == {"x": "2", "z": "1"}
    assert (await apply("one", b'{"apiVersion":"v1","kind":"ConfigMap"}')).json["data"] == {"x": "2"}
    unchanged = await apply("two", text("2"))
    assert unchanged.json["metadata"]["resourceVersion"] == str(server.store.revision)


@pytest.mark.parametrize(
    ("kind", "query", "body", "status", "text"),
    [
        (APPLY_PATCH, "", b"{}", 422, "fieldManager: Required value: is required for apply patch"),
        (APPLY_PATCH, "?fieldManager=m", b'{"kind":"ConfigMap","apiVersion":"v2"}', 400, "expected: v1"),
        (APPLY_PATCH, "?fieldManager=m", b'{"kind":"Pod","apiVersion":"v1"}', 400, "must be of type ConfigMap"),
        (APPLY_PATCH, "?fieldManager=m", b"[1]", 400, "no object"),
        (
            APPLY_PATCH,
            "?fieldManager=m",
            b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"managedFields":[{}]}}',
            400,
            "metadata.managedFields must be nil",
        ),
        (APPLY_PATCH, "?fieldManager=m", b'{"kind":"ConfigMap","apiVersion":"v1","metadata":"x"}', 400, "no object"),
        (APPLY_PATCH, "?fieldManager=m", b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"b"}}', 400, "(b)"),
        (MERGE_PATCH, "?force=true", b"{}", 422, "force: Forbidden: may not be specified for non-apply patch"),
        (MERGE_PATCH, "", b"[]", 400, "JSON object"),
        (MERGE_PATCH, "", b"{", 400, ""),
        (MERGE_PATCH, "", b'{"metadata":{"name":"b"}}', 400, "does not match the name on the URL"),
        (MERGE_PATCH, "", b'{"metadata":null}', 400, "does not match the name on the URL"),
        (MERGE_PATCH, "", b'{"metadata":5}', 422, "cannot"),
        (MERGE_PATCH, "", b'{"data":5}', 422, "cannot"),
        (JSON_PATCH, "", b"{}", 400, ""),
        (JSON_PATCH, "", b'[{"op":"remove","path":""}]', 422, ""),
        (JSON_PATCH, "", b'[{"op":"test","path":"/data/x","value":"no"}]', 422, ""),
        (STRATEGIC_PATCH, "", b'{"data":[]}', 422, ""),
        ("text/plain", "", b"{}", 415, "application/merge-patch+json"),
        ("", "", b"{}", 415, "application/merge-patch+json"),
    ],
)
async def test_patches_that_are_refused(
    server: Server, kind: str, query: str, body: bytes, status: int, text: str
) -> None:
    await server.config_map("a", data={"x": "1"})
    answer = await server.patch(f"{MAPS}/a{query}", body, kind)
    assert (answer.status, text in answer.message) == (status, True), answer.body
    assert server.store.revision == 1


@pytest.mark.parametrize("kind", [MERGE_PATCH, JSON_PATCH, STRATEGIC_PATCH])
async def test_only_apply_creates(server: Server, kind: str) -> None:
    body = [] if kind == JSON_PATCH else {"data": {"x": "1"}}
    assert (await server.patch(f"{MAPS}/zz", body, kind)).status == 404


@pytest.mark.parametrize("validation", ["Strict", "Warn", "Ignore", ""])
async def test_unknown_and_doubled_fields(server: Server, validation: str) -> None:
    await server.config_map("a")
    query = f"?fieldValidation={validation}" if validation else ""
    body = b'{"metadata":{"name":"b"},"data":{"x":"1","x":"2"},"dta":{}}'
    answers = [
        await server.post(f"{MAPS}{query}", body),
        await server.patch(f"{MAPS}/a{query}", b'{"data":{"x":"1","x":"2"},"dta":{}}'),
    ]
    for answer in answers:
        if validation == "Strict":
            assert answer.status in (400, 422)
            assert 'unknown field "dta"' in answer.message and "duplicate field" in answer.message
            continue
        assert answer.status in (200, 201)
        assert answer.json["data"] == {"x": "2"}
        assert ("warning" in answer.headers) is (validation != "Ignore")
        if validation != "Ignore":
            assert '299 - "unknown field \\"dta\\""' in answer.headers["warning"]


async def test_structs_that_are_there_unasked_are_owned_by_who_made_what_holds_them(server: Server) -> None:
    made = (await server.post(f"{PODS}?fieldManager=one", pod("a"))).json
    (name,) = (container["name"] for container in made["spec"]["containers"])
    step = f'k:{{"name":"{name}"}}'

    def owned(obj: Object, manager: str) -> Object:
        entry = next(entry for entry in obj["metadata"]["managedFields"] if entry["manager"] == manager)
        found: Object = entry["fieldsV1"]["f:spec"]["f:containers"]
        return found

    assert owned(made, "one")[step]["f:resources"] == {}
    added = {"spec": {"activeDeadlineSeconds": 9, "containers": [{"name": name, "image": "other"}]}}
    changed = (await server.patch(f"{PODS}/a?fieldManager=two", added, STRATEGIC_PATCH)).json
    assert owned(changed, "two") == {step: {"f:image": {}}}
    del changed["spec"]["containers"][0]["resources"]
    changed["metadata"]["labels"] = {"l": "1"}
    again = (await server.put(f"{PODS}/a?fieldManager=three", changed)).json
    assert owned(again, "one")[step]["f:resources"] == {}


# --- dry run


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("POST", f"{MAPS}?dryRun=All", config_map("new"), 201),
        ("POST", f"{MAPS}?dryRun=All", config_map("a"), 409),
        ("POST", f"{MAPS}?dryRun=Some", config_map("new"), 422),
        ("PUT", f"{MAPS}/a?dryRun=All", config_map("a", x="2"), 200),
        ("PATCH", f"{MAPS}/a?dryRun=All", {"data": {"x": "2"}}, 200),
        ("DELETE", f"{MAPS}/a?dryRun=All", None, 200),
        ("DELETE", f"{MAPS}/a", {"dryRun": ["All"]}, 200),
        ("DELETE", f"{MAPS}?dryRun=All", None, 200),
        ("DELETE", f"{MAPS}/a?dryRun=All&propagationPolicy=Foreground", None, 200),
        ("PUT", f"{DEPLOYMENTS}/web/scale?dryRun=All", {"metadata": {"name": "web"}, "spec": {"replicas": 9}}, 200),
        ("PATCH", f"{DEPLOYMENTS}/web/status?dryRun=All", {"status": {"replicas": 9}}, 200),
    ],
)
async def test_a_dry_run_answers_and_writes_nothing(
    server: Server, method: str, target: str, body: Any, status: int
) -> None:
    await server.config_map("a", data={"x": "1"})
    await server.post(DEPLOYMENTS, deployment())
    before = server.store.revision
    more = {"content_type": MERGE_PATCH} if method == "PATCH" else {}
    answer = await server.ask(method, target, body, **more)
    assert answer.status == status, answer.body
    assert server.store.revision == before
    if method == "POST" and status == 201:
        assert "uid" in answer.json["metadata"] and "resourceVersion" not in answer.json["metadata"]
    elif method in ("PUT", "PATCH"):
        assert "2" in answer.body.decode() or "9" in answer.body.decode(), "it answers what would have been"


# --- delete


async def test_a_delete_answers_what_it_did(server: Server) -> None:
    made = await server.config_map("a")
    answer = await server.delete(f"{MAPS}/a")
    assert answer.status == 200
    details = {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    assert answer.json == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }
    assert (await server.delete(f"{MAPS}/a")).status == 404


async def test_a_finalizer_holds_and_its_removal_lets_go(server: Server) -> None:
    await server.post(MAPS, {"metadata": {"name": "a", "finalizers": ["example.com/hold"]}})
    marked = await server.delete(f"{MAPS}/a")
    assert marked.status == 200
    assert "deletionTimestamp" in marked.json["metadata"] and marked.json["kind"] == "ConfigMap"
    revision = server.store.revision
    assert (await server.delete(f"{MAPS}/a")).status == 200
    assert server.store.revision == revision, "a second DELETE changes nothing"
    added = await server.patch(f"{MAPS}/a", {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}})
    assert added.status == 422 and "no new finalizers can be added" in added.message
    dry = await server.patch(f"{MAPS}/a?dryRun=All", {"metadata": {"finalizers": []}})
    assert dry.status == 200
    watcher = await server.watch(f"{MAPS}?watch=true&resourceVersion={revision}")
    assert (await server.patch(f"{MAPS}/a", {"metadata": {"finalizers": []}})).status == 200
    await server.clock.settle()
    assert watcher.told == [("DELETED", "a")]
    assert (await server.get(f"{MAPS}/a")).status == 404
    await watcher.close()


async def test_a_pod_on_a_node_ends_gracefully(server: Server) -> None:
    body = pod()
    body["spec"]["nodeName"] = "n-1"
    await server.post(PODS, body)
    first = (await server.delete(f"{PODS}/web")).json["metadata"]
    assert first["deletionGracePeriodSeconds"] == 30
    shorter = (await server.delete(f"{PODS}/web?gracePeriodSeconds=5")).json["metadata"]
    assert shorter["deletionGracePeriodSeconds"] == 5
    assert (await server.delete(f"{PODS}/web?gracePeriodSeconds=20")).json["metadata"][
        "deletionGracePeriodSeconds"
    ] == 5
    assert (await server.delete(f"{PODS}/web?gracePeriodSeconds=0")).status == 200
    assert (await server.get(f"{PODS}/web")).status == 404


@pytest.mark.parametrize(
    ("body", "query", "status", "text"),
    [
        ({"preconditions": {"uid": "other"}}, "", 409, "does not match the UID in record"),
        ({"preconditions": {"resourceVersion": "99"}}, "", 409, "does not match the ResourceVersion in record"),
        ({"propagationPolicy": "Sideways"}, "", 422, "Unsupported value"),
        ({"propagationPolicy": "Orphan", "orphanDependents": True}, "", 422, "cannot be both set"),
        ({"gracePeriodSeconds": "x"}, "", 400, "cannot unmarshal string"),
        ({"preconditions": []}, "", 400, "cannot unmarshal array"),
        ({"kind": "Pod", "apiVersion": "v1"}, "", 400, "DeleteOptions"),
        ([], "", 400, "no object"),
        (None, "gracePeriodSeconds=x", 400, "invalid syntax"),
        (None, "propagationPolicy=Sideways", 422, "Unsupported value"),
    ],
)
async def test_deletes_that_are_refused(server: Server, body: Any, query: str, status: int, text: str) -> None:
    await server.config_map("a")
    answer = await server.delete(f"{MAPS}/a?{query}", body)
    assert (answer.status, text in answer.message) == (status, True), answer.body
    assert (await server.get(f"{MAPS}/a")).status == 200


async def test_a_collection_is_deleted_as_selected(server: Server) -> None:
    for number in range(5):
        await server.config_map(f"m-{number}", labels={"odd": str(number % 2)})
    await server.config_map("elsewhere", "other", labels={"odd": "1"})
    answer = await server.delete(f"{MAPS}?labelSelector=odd%3D1")
    assert answer.status == 200
    assert (answer.json["kind"], [item["metadata"]["name"] for item in answer.json["items"]]) == (
        "ConfigMapList",
        ["m-1", "m-3"],
    )
    left = (await server.get("/api/v1/configmaps")).json["items"]
    assert [item["metadata"]["name"] for item in left] == ["m-0", "m-2", "m-4", "elsewhere"]


# --- admission and claims


async def test_admission_stands_before_the_rules_and_after_them() -> None:
    log: list[str] = []

    def label(admission: Admission) -> None:
        if admission.object is not None:
            admission.object["metadata"].setdefault("labels", {})["admitted"] = "yes"

    async with admitting(Chain(log, label)) as server:
        made = await server.post(MAPS, {"metadata": {"generateName": "a-"}})
        name = made.json["metadata"]["name"]
        assert made.json["metadata"]["labels"] == {"admitted": "yes"}
        await server.patch(f"{MAPS}/{name}", {"data": {"x": "1"}})
        await server.delete(f"{MAPS}/{name}")
        refused = await server.post(MAPS, {"metadata": {"name": "A"}})
        assert refused.status == 422
    assert log == [
        "mutate CREATE ?",
        f"validate CREATE {name}",
        f"mutate UPDATE {name}",
        f"validate UPDATE {name}",
        f"mutate DELETE {name}",
        f"validate DELETE {name}",
        "mutate CREATE A",
    ], "what breaks the rules never gets to validating admission"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_what_admission_refuses_is_not_written(method: str) -> None:
    chain = Chain([])
    async with admitting(chain) as server:
        await server.config_map("a")
        chain.refuse = "not today"
        target = MAPS if method == "POST" else f"{MAPS}/a"
        body = None if method == "DELETE" else config_map("b" if method == "POST" else "a", x="2")
        more = {"content_type": MERGE_PATCH} if method == "PATCH" else {}
        answer = await server.ask(method, target, body, **more)
        assert (answer.status, answer.reason) == (403, "Forbidden")
        assert "not today" in answer.message
        assert server.store.revision == 1


class Claims(Strategy):
    """Every object claims a number."""

    def __init__(self) -> None:
        self.held: list[str] = []
        self.dry: list[bool] = []
        self.told: list[bool] = []

    async def before_create(self, obj: Object, api: Any, *, dry_run: bool) -> Finish:
        return self._claim(obj, dry_run)

    async def before_update(self, new: Object, old: Object, api: Any, *, dry_run: bool) -> Finish:
        return self._claim(new, dry_run)

    def _claim(self, obj: Object, dry_run: bool) -> Finish:
        name = str(obj["metadata"]["name"])
        self.dry.append(dry_run)
        self.held.append(name)

        async def finish(written: bool) -> None:
            self.told.append(written)
            if not written:
                self.held.remove(name)

        return finish

    async def after_delete(self, obj: Object, api: Any) -> None:
        self.held.remove(str(obj["metadata"]["name"]))


@pytest.mark.parametrize("name", ["taken", "Bad"])
async def test_a_claim_is_given_back_where_the_write_does_not_happen(server: Server, name: str) -> None:
    claims = Claims()
    server.registry.serve([replace(server.served("configmaps"), strategy=claims)])
    await server.config_map("taken")
    assert (await server.post(MAPS, config_map(name))).status in (409, 422)
    assert claims.held == ["taken"]
    assert (await server.post(f"{MAPS}?dryRun=All", config_map("new"))).status == 201
    assert (claims.held, claims.dry[-1]) == (["taken"], True)
    assert claims.told == [True, False, False]
    assert (await server.delete(f"{MAPS}/taken")).status == 200
    assert claims.held == []


async def test_a_claim_stays_where_nobody_knows_whether_the_write_happened(server: Server) -> None:
    claims = Claims()
    server.registry.serve([replace(server.served("configmaps"), strategy=claims)])
    create = server.registry.storage.create

    async def no_answer(key: str, value: bytes) -> Any:
        await create(key, value)
        raise StoreUnavailable("no answer came")

    server.registry.storage.create = no_answer  # type: ignore[method-assign]
    assert (await server.post(MAPS, config_map("a"))).status == 503
    assert (claims.held, claims.told) == (["a"], [])


# --- what is too large


async def test_what_no_store_holds_is_refused(server: Server) -> None:
    answer = await server.post(MAPS, config_map("a", x="y" * 1_000_000) | {"immutable": False})
    assert answer.status == 201
    for number in range(3):
        answer = await server.patch(f"{MAPS}/a", {"metadata": {"managedFields": None, "labels": {f"l{number}": "x"}}})
        assert answer.status == 200
    big = {
        "metadata": {"name": "big"},
        "spec": {"containers": [{"name": "c", "image": "i", "args": ["x" * 1_700_000]}]},
    }
    refused = await server.post(PODS, big)
    assert (refused.status, refused.reason) == (413, "RequestEntityTooLarge")


@pytest.mark.parametrize("name", ["x" * 1100, "a%00b", "%C3%A9", "a%2Fb", "%2E%2E"])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_names_that_nothing_can_have_are_not_found_or_refused(server: Server, method: str, name: str) -> None:
    body = None if method in ("GET", "DELETE") else {}
    more = {"content_type": MERGE_PATCH} if method == "PATCH" else {}
    answer = await server.ask(method, f"{MAPS}/{name}", body, **more)
    assert answer.status in (400, 404), answer.body


# --- scale


async def test_scale_reads_and_writes_the_replicas_alone(server: Server) -> None:
    made = (await server.post(DEPLOYMENTS, deployment(replicas=2))).json
    scale = (await server.get(f"{DEPLOYMENTS}/web/scale")).json
    assert (scale["kind"], scale["apiVersion"], scale["spec"]) == ("Scale", "autoscaling/v1", {"replicas": 2})
    assert scale["status"] == {"replicas": 0, "selector": "app=web"}
    assert scale["metadata"]["uid"] == made["metadata"]["uid"]
    assert (await server.put(f"{DEPLOYMENTS}/web/scale", scale | {"spec": {"replicas": 5}})).json["spec"] == {
        "replicas": 5
    }
    stale = await server.put(f"{DEPLOYMENTS}/web/scale", scale | {"spec": {"replicas": 6}})
    assert (stale.status, stale.reason) == (409, "Conflict")
    patched = await server.patch(f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 0}})
    assert (patched.status, patched.json["spec"]) == (200, {})
    now = (await server.get(f"{DEPLOYMENTS}/web")).json
    assert (now["spec"]["replicas"], now["metadata"]["generation"]) == (0, 3)
    assert {entry.get("subresource") for entry in now["metadata"]["managedFields"]} == {None, "scale"}


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("PUT", {"metadata": {"name": "web"}, "spec": {"replicas": -1}}, 422),
        ("PUT", {"metadata": {"name": "web"}, "spec": {"replicas": "x"}}, 400),
        ("PUT", {"metadata": {"name": "other"}}, 400),
        ("PUT", {"metadata": "x"}, 400),
        ("PUT", {"spec": 5}, 400),
        ("PUT", [], 400),
        ("PATCH", {"spec": {"replicas": -1}}, 422),
        ("PATCH", {"spec": {"replicas": "x"}}, 400),
        ("PATCH", {"metadata": 5}, 400),
        ("PATCH", {"metadata": {"resourceVersion": "1000"}}, 409),
    ],
)
async def test_scales_that_are_refused(server: Server, method: str, body: Any, status: int) -> None:
    await server.post(DEPLOYMENTS, deployment())
    more = {"content_type": MERGE_PATCH} if method == "PATCH" else {}
    answer = await server.ask(method, f"{DEPLOYMENTS}/web/scale", body, **more)
    assert answer.status == status, answer.body
    assert server.store.revision == 1


# --- from inside


async def test_the_api_from_inside_is_the_same_store(server: Server) -> None:
    api: InsideApi = server.api
    made = await api.create(CONFIG_MAPS, config_map("a", x="1"), namespace="default")
    assert (made["kind"], made["metadata"]["namespace"]) == ("ConfigMap", "default")
    assert made == await api.get(CONFIG_MAPS, "default", "a")
    assert [entry["manager"] for entry in made["metadata"]["managedFields"]] == ["kube-apiserver"]
    changed = await api.update(CONFIG_MAPS, {**made, "data": {"x": "2"}})
    with pytest.raises(errors.StatusFault) as conflict:
        await api.update(CONFIG_MAPS, {**made, "data": {"x": "3"}})
    assert conflict.value.reason == "Conflict"
    patched = await api.patch(CONFIG_MAPS, "default", "a", {"metadata": {"labels": {"l": "1"}}})
    assert patched["data"] == changed["data"]
    assert [obj["metadata"]["name"] for obj in await api.list(CONFIG_MAPS, "default", label_selector="l=1")] == ["a"]
    assert await api.list(CONFIG_MAPS, "other") == []
    with pytest.raises(errors.StatusFault):
        await api.delete(CONFIG_MAPS, "default", "a", uid="other")
    await api.delete(CONFIG_MAPS, "default", "a", uid=made["metadata"]["uid"])
    assert await api.list(CONFIG_MAPS) == []


async def test_who_writes_from_inside_says_its_name(server: Server) -> None:
    other = await server.api.acting_as("kube-controller-manager").create(
        CONFIG_MAPS, config_map("b", x="1"), namespace="default"
    )
    assert [entry["manager"] for entry in other["metadata"]["managedFields"]] == ["kube-controller-manager"]


async def test_what_is_given_to_the_inside_is_left_as_it_is(server: Server) -> None:
    body = config_map("a")
    await server.api.create(CONFIG_MAPS, body, namespace="default")
    assert body == config_map("a")


async def test_a_store_of_its_own_is_no_other(server: Server) -> None:
    other = await Server(MemoryStore(SeededEntropy(9), clock=server.clock), server.clock).start()
    await other.config_map("a")
    assert (await server.get(f"{MAPS}/a")).status == 404
    await other.stop()
