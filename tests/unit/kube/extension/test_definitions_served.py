"""CustomResourceDefinitions over a whole server in process: established, served, changed, in conflict, and gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.custom_resources import META, definition, fields, version, widget
from tests.support.kube_front import APPLY_PATCH, MERGE_PATCH, TABLE, Server

from ropewalk.kube.extension.definitions import DEFINITIONS, DefinitionController, Serving
from ropewalk.kube.machinery.objects import Object

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
LIST, KEYS, RULES = "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-validations"
STRING: Object = {"type": "string"}
INTEGER: Object = {"type": "integer"}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    Serving(made.api, made.registry, META, None, made.entropy).begin()
    await made.start(DefinitionController(made.api, made.clock, made.entropy))
    yield made
    await made.stop()


async def define(server: Server, described: Object) -> Any:
    answer = await server.post(CRDS, described)
    assert answer.status == 201, answer.body
    await server.clock.advance(1)
    return (await server.get(f"{CRDS}/{described['metadata']['name']}")).json


async def change(server: Server, name: str, patch: Object) -> Any:
    answer = await server.patch(f"{CRDS}/{name}", patch)
    assert answer.status == 200, answer.body
    await server.clock.advance(1)
    return answer.json


def conditions(described: Object) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in described["status"]["conditions"]}


# --- established


async def test_a_definition_is_established_and_served(server: Server) -> None:
    made = await define(server, definition())
    assert conditions(made) == {
        "NamesAccepted": ("True", "NoConflicts"),
        "Established": ("True", "InitialNamesAccepted"),
    }
    assert made["status"]["acceptedNames"] == {
        "plural": "widgets",
        "singular": "widget",
        "kind": "Widget",
        "listKind": "WidgetList",
    }
    assert made["status"]["storedVersions"] == ["v1"]
    owners = {entry["manager"]: entry.get("subresource", "") for entry in made["metadata"]["managedFields"]}
    assert owners == {"kubectl": "", "kube-apiserver": "status"}
    found = await server.post(WIDGETS, widget(spec={"a": "x", "b": 1}))
    assert (found.status, found.json["spec"], found.json["metadata"]["generation"]) == (201, {"a": "x"}, 1)
    listed = (await server.get(WIDGETS)).json
    assert (listed["kind"], len(listed["items"])) == ("WidgetList", 1)


async def test_what_was_not_defined_is_not_served(server: Server) -> None:
    assert (await server.get(WIDGETS)).status == 404


async def test_names_of_objects_are_subdomains(server: Server) -> None:
    await define(server, definition())
    answer = await server.post(WIDGETS, widget("Big"))
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.message.startswith(
        'Widget.example.com "Big" is invalid: metadata.name: Invalid value: "Big": a lowercase RFC 1123'
    )


async def test_strict_writes_refuse_unknown_fields(server: Server) -> None:
    await define(server, definition())
    told = 'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.b"'
    answer = await server.post(f"{WIDGETS}?fieldValidation=Strict", widget(spec={"a": "x", "b": 1}))
    assert (answer.status, answer.reason, answer.message) == (400, "BadRequest", told)
    made = (await server.post(WIDGETS, widget(spec={"a": "x"}))).json
    made["spec"]["b"] = 1
    answer = await server.put(f"{WIDGETS}/one?fieldValidation=Strict", made)
    assert (answer.status, answer.message) == (400, told)
    answer = await server.patch(f"{WIDGETS}/one?fieldValidation=Strict", {"spec": {"b": 1}}, MERGE_PATCH)
    assert answer.status == 422
    assert answer.message.startswith(' "" is invalid: patch: Invalid value: "{\\"apiVersion\\":\\"example.com/v1\\",')
    assert answer.message.endswith('}": strict decoding error: unknown field "spec.b"')


async def test_columns(server: Server) -> None:
    columns = [{"name": "A", "type": "string", "jsonPath": ".spec.a"}]
    await define(server, definition(version(additionalPrinterColumns=columns)))
    await server.post(WIDGETS, widget(spec={"a": "x"}))
    table = (await server.get(WIDGETS, accept=TABLE)).json
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "A"]
    assert [row["cells"] for row in table["rows"]] == [["one", "x"]]


async def test_selectable_fields(server: Server) -> None:
    await define(server, definition(version(selectableFields=[{"jsonPath": ".spec.a"}])))
    for name in ("one", "two"):
        await server.post(WIDGETS, widget(name, spec={"a": name}))
    found = (await server.get(f"{WIDGETS}?fieldSelector=spec.a%3Dtwo")).json
    assert [obj["metadata"]["name"] for obj in found["items"]] == ["two"]
    refused = await server.get(f"{WIDGETS}?fieldSelector=spec.b%3Dtwo")
    assert (refused.status, refused.message) == (400, "field label not supported: spec.b")


async def test_status_and_scale(server: Server) -> None:
    shape = fields(spec=fields(n=INTEGER), status=fields(n=INTEGER))
    scale = {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}
    await define(server, definition(version(shape, subresources={"status": {}, "scale": scale})))
    made = (await server.post(WIDGETS, widget(spec={"n": 1}, status={"n": 7}))).json
    assert "status" not in made
    told = (await server.patch(f"{WIDGETS}/one/status", {"spec": {"n": 5}, "status": {"n": 2}})).json
    assert (told["spec"], told["status"], told["metadata"]["generation"]) == ({"n": 1}, {"n": 2}, 1)
    scaled = await server.patch(f"{WIDGETS}/one/scale", {"spec": {"replicas": 4}})
    assert (scaled.json["spec"], scaled.json["status"]) == ({"replicas": 4}, {"replicas": 2})
    assert (await server.get(f"{WIDGETS}/one")).json["spec"] == {"n": 4}


async def test_the_status_of_a_definition_takes_metadata_along_that_nobody_owns(server: Server) -> None:
    made = await define(server, definition())
    labels = {"metadata": {"labels": {"a": "b"}}}
    told = await server.patch(f"{CRDS}/{made['metadata']['name']}/status?fieldManager=me", labels, MERGE_PATCH)
    assert told.json["metadata"]["labels"] == {"a": "b"}
    assert "me" not in {entry["manager"] for entry in told.json["metadata"]["managedFields"]}


async def test_the_status_of_a_custom_resource_takes_nothing_along(server: Server) -> None:
    shape = fields(spec=fields(n=INTEGER), status=fields(n=INTEGER))
    await define(server, definition(version(shape, subresources={"status": {}})))
    made = (await server.post(WIDGETS, widget(spec={"n": 1}))).json
    more = {"generateName": "x-", "labels": {"a": "b"}, "finalizers": ["example.com/f"], "annotations": {"a": "b"}}
    told = await server.patch(f"{WIDGETS}/one/status", {"metadata": more, "status": {"n": 2}}, MERGE_PATCH)
    kept = {key: value for key, value in told.json["metadata"].items() if key not in _WRITTEN}
    assert (told.json["status"], kept) == (
        {"n": 2},
        {key: value for key, value in made["metadata"].items() if key not in _WRITTEN},
    )


_WRITTEN = ("managedFields", "resourceVersion")


async def test_without_its_subresource_there_is_no_status_to_write(server: Server) -> None:
    await define(server, definition())
    await server.post(WIDGETS, widget())
    assert (await server.patch(f"{WIDGETS}/one/status", {"status": {}})).status == 404


async def test_rules_hold(server: Server) -> None:
    part = {**STRING, RULES: [{"rule": "self == oldSelf", "message": "immutable"}]}
    await define(server, definition(version(fields(spec=fields(a=part)))))
    await server.post(WIDGETS, widget(spec={"a": "x"}))
    answer = await server.patch(f"{WIDGETS}/one", {"spec": {"a": "y"}})
    assert answer.status == 422
    assert answer.message == 'Widget.example.com "one" is invalid: spec.a: Invalid value: "y": immutable'


# --- apply


async def test_lists_are_applied_by_their_types(server: Server) -> None:
    item = fields(k=STRING, v=INTEGER) | {"required": ["k"]}
    shape = fields(
        spec=fields(
            map={"type": "array", "items": item, LIST: "map", KEYS: ["k"]},
            set={"type": "array", "items": STRING, LIST: "set"},
            plain={"type": "array", "items": STRING},
            whole={**fields(x=INTEGER, y=INTEGER), "x-kubernetes-map-type": "atomic"},
            open=fields(x=INTEGER, y=INTEGER),
        )
    )
    await define(server, definition(version(shape)))

    async def apply(manager: str, force: bool = False, **spec: Any) -> Any:
        target = f"{WIDGETS}/one?fieldManager={manager}&force={str(force).lower()}"
        return await server.patch(target, widget(spec=spec), APPLY_PATCH)

    first: dict[str, Any] = {"map": [{"k": "a", "v": 1}], "set": ["a"], "open": {"x": 1}}
    assert (await apply("one", **first)).status == 201
    second = await apply("two", map=[{"k": "b", "v": 2}], set=["b"], open={"y": 2}, plain=["p"], whole={"x": 1})
    assert second.status == 200, second.body
    assert second.json["spec"] == {
        "map": [{"k": "a", "v": 1}, {"k": "b", "v": 2}],
        "set": ["a", "b"],
        "open": {"x": 1, "y": 2},
        "plain": ["p"],
        "whole": {"x": 1},
    }
    conflict = await apply("one", **first, plain=["q"], whole={"y": 2})
    assert (conflict.status, conflict.reason) == (409, "Conflict")
    assert conflict.message == ('Apply failed with 2 conflicts: conflicts with "two":\n- .spec.plain\n- .spec.whole')
    forced = await apply("one", force=True, map=[], set=[], plain=["q"], whole={"y": 2})
    assert forced.json["spec"] == {
        "map": [{"k": "b", "v": 2}],
        "set": ["b"],
        "open": {"y": 2},
        "plain": ["q"],
        "whole": {"y": 2},
    }


# --- several versions

TWO = definition(
    version(fields(spec=fields(a=STRING))), version(fields(spec=fields(a=STRING, b={**INTEGER, "default": 7})), "v2")
)
SECOND = WIDGETS.replace("/v1/", "/v2/")


async def test_objects_are_read_in_every_version(server: Server) -> None:
    await define(server, TWO)
    await server.post(WIDGETS, widget(spec={"a": "x"}))
    found = (await server.get(f"{SECOND}/one")).json
    assert (found["apiVersion"], found["spec"]) == ("example.com/v2", {"a": "x", "b": 7})
    assert (await server.get(f"{WIDGETS}/one")).json["spec"] == {"a": "x"}
    listed = (await server.get(SECOND)).json
    assert [obj["apiVersion"] for obj in listed["items"]] == ["example.com/v2"]


async def test_watches_show_the_version_asked_for(server: Server) -> None:
    await define(server, TWO)
    watcher = await server.watch(f"{SECOND}?watch=true")
    await server.post(WIDGETS, widget(spec={"a": "x"}))
    await server.clock.advance(1)
    assert [(one["type"], one["object"]["apiVersion"], one["object"]["spec"]) for one in watcher.taken()] == [
        ("ADDED", "example.com/v2", {"a": "x", "b": 7})
    ]
    await watcher.close()


async def test_a_definition_whose_webhook_is_away_goes_all_the_same(server: Server) -> None:
    webhook = {"clientConfig": {"url": "https://hooks.example.com/"}, "conversionReviewVersions": ["v1"]}
    await define(server, definition(*TWO["spec"]["versions"], conversion={"strategy": "Webhook", "webhook": webhook}))
    await server.post(WIDGETS, widget(spec={"a": "x"}))
    refused = await server.get(f"{SECOND}/one")
    assert (refused.status, refused.message.partition(" failed: ")[0]) == (
        500,
        "conversion webhook for example.com/v1, Kind=Widget",
    )
    assert (await server.get(f"{WIDGETS}/one")).status == 200
    await server.delete(f"{CRDS}/widgets.example.com")
    await server.clock.advance(3)
    assert (await server.get(f"{CRDS}/widgets.example.com")).status == 404


async def test_a_change_of_the_storage_version_is_kept_in_mind(server: Server) -> None:
    await define(server, TWO)
    await server.post(WIDGETS, widget(spec={"a": "x"}))
    versions = [{**one, "storage": one["name"] == "v2"} for one in TWO["spec"]["versions"]]
    changed = await change(server, "widgets.example.com", {"spec": {"versions": versions}})
    assert changed["status"]["storedVersions"] == ["v1", "v2"]
    assert (await server.get(f"{SECOND}/one")).json["spec"] == {"a": "x", "b": 7}
    assert (await server.get(f"{WIDGETS}/one")).json["apiVersion"] == "example.com/v1"
    gone = await server.patch(f"{CRDS}/widgets.example.com", {"spec": {"versions": versions[1:]}})
    assert gone.status == 422
    assert 'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions' in gone.message
    await server.patch(f"{CRDS}/widgets.example.com/status", {"status": {"storedVersions": ["v2"]}})
    await change(server, "widgets.example.com", {"spec": {"versions": versions[1:]}})
    assert (await server.get(f"{WIDGETS}/one")).status == 404


async def test_a_version_that_is_no_longer_served(server: Server) -> None:
    await define(server, TWO)
    versions = [TWO["spec"]["versions"][0], {**TWO["spec"]["versions"][1], "served": False}]
    await change(server, "widgets.example.com", {"spec": {"versions": versions}})
    assert (await server.get(SECOND)).status == 404
    assert (await server.get(WIDGETS)).status == 200


async def test_a_deprecated_version_warns(server: Server) -> None:
    old = {**version(), "deprecated": True}
    await define(server, definition(old, version(fields(spec=fields(b=STRING)), "v2")))
    told = (await server.get(WIDGETS)).headers
    assert told["warning"] == '299 - "example.com/v1 Widget is deprecated; use example.com/v2 Widget"'
    assert "warning" not in (await server.get(SECOND)).headers


# --- schemas that change


async def test_under_a_new_schema_stored_objects_are_pruned_and_defaulted_as_they_are_read(server: Server) -> None:
    await define(server, definition(version(fields(spec=fields(a=STRING, b=STRING)))))
    await server.post(WIDGETS, widget(spec={"a": "x", "b": "y"}))
    fresh = version(fields(spec=fields(a={**INTEGER}, c={**STRING, "default": "z"})))
    await change(server, "widgets.example.com", {"spec": {"versions": [fresh]}})
    assert (await server.get(f"{WIDGETS}/one")).json["spec"] == {"a": "x", "c": "z"}
    labelled = await server.patch(f"{WIDGETS}/one", {"metadata": {"labels": {"k": "v"}}})
    assert labelled.status == 200, "what is wrong already may stay so"
    assert (await server.patch(f"{WIDGETS}/one", {"spec": {"a": "y"}})).status == 422


# --- names


async def test_names_in_use_are_refused_until_they_are_free(server: Server) -> None:
    await define(server, definition(names={"plural": "widgets", "kind": "Widget", "shortNames": ["w"]}))
    names = {"plural": "wheels", "kind": "Widget", "shortNames": ["w"]}
    other = definition(names=names)
    other["metadata"]["name"] = "wheels.example.com"
    made = await define(server, other)
    assert conditions(made) == {
        "NamesAccepted": ("False", "ListKindConflict"),
        "Established": ("False", "NotAccepted"),
    }
    assert made["status"]["acceptedNames"] == {"plural": "wheels", "kind": ""}
    assert (await server.get(WIDGETS.replace("widgets", "wheels"))).status == 404
    await server.delete(f"{CRDS}/widgets.example.com")
    await server.clock.advance(3)
    found = (await server.get(f"{CRDS}/wheels.example.com")).json
    assert conditions(found)["Established"] == ("True", "InitialNamesAccepted")
    assert (await server.get(WIDGETS.replace("widgets", "wheels"))).status == 200


async def test_a_conflict_ends_where_the_names_are_taken_back(server: Server) -> None:
    await define(server, definition(names={"plural": "widgets", "kind": "Widget"}))
    other = definition(names={"plural": "wheels", "kind": "Wheel"})
    other["metadata"]["name"] = "wheels.example.com"
    await define(server, other)
    for short_names, told in ((["widgets"], ("False", "ShortNamesConflict")), (None, ("True", "NoConflicts"))):
        await change(server, "wheels.example.com", {"spec": {"names": {"shortNames": short_names}}})
        found = (await server.get(f"{CRDS}/wheels.example.com")).json
        assert conditions(found) == {"NamesAccepted": told, "Established": ("True", "InitialNamesAccepted")}
    assert (await server.get(WIDGETS.replace("widgets", "wheels"))).status == 200


# --- groups of Kubernetes' own


async def test_definitions_in_protected_groups_say_who_approved_them(server: Server) -> None:
    described = definition(group="stable.k8s.io")
    refused = await server.post(CRDS, described)
    assert refused.status == 422
    assert "metadata.annotations[api-approved.kubernetes.io]: Required value" in refused.message
    described["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, a test"}
    made = await define(server, described)
    assert conditions(made)["KubernetesAPIApprovalPolicyConformant"] == ("False", "UnapprovedAnnotation")


# --- deletion


async def test_with_a_definition_its_objects_go(server: Server) -> None:
    await define(server, definition())
    await server.post(WIDGETS, widget())
    gone = await server.delete(f"{CRDS}/widgets.example.com")
    assert gone.status == 200
    await server.clock.advance(3)
    assert (await server.get(f"{CRDS}/widgets.example.com")).status == 404
    assert (await server.get(WIDGETS)).status == 404
    await define(server, definition())
    assert (await server.get(WIDGETS)).json["items"] == []


async def test_a_definition_waits_for_objects_that_wait(server: Server) -> None:
    await define(server, definition())
    held = widget()
    held["metadata"]["finalizers"] = ["example.com/wait"]
    await server.post(WIDGETS, held)
    await server.delete(f"{CRDS}/widgets.example.com")
    await server.clock.advance(3)
    waiting = (await server.get(f"{CRDS}/widgets.example.com")).json
    assert conditions(waiting)["Terminating"] == ("True", "InstanceDeletionInProgress")
    assert "deletionTimestamp" in (await server.get(f"{WIDGETS}/one")).json["metadata"]
    refused = await server.post(WIDGETS, widget("two"))
    assert (refused.status, refused.message) == (
        403,
        'widgets.example.com "two" is forbidden: create not allowed while custom resource definition is terminating',
    )
    await server.patch(f"{WIDGETS}/one", {"metadata": {"finalizers": None}}, MERGE_PATCH)
    await server.clock.advance(3)
    assert (await server.get(f"{CRDS}/widgets.example.com")).status == 404


# --- what is told of all of them


async def test_definitions_are_found_by_the_resource_they_are(server: Server) -> None:
    await define(server, definition())
    assert [one["metadata"]["name"] for one in server.api.cache(DEFINITIONS).all()] == ["widgets.example.com"]
    served = server.served("widgets", "example.com")
    assert (served.custom, served.info.kind, served.info.namespaced) == (True, "Widget", True)
