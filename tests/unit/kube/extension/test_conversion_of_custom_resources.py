"""Custom resources between their versions: without a webhook, and with one that answers well, wrongly or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.custom_resources import definition, version

from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.extension.conversion import Converter
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, copied

CONFIG = {"url": "https://hooks.example.com/convert"}
WEBHOOK = {"strategy": "Webhook", "webhook": {"clientConfig": CONFIG, "conversionReviewVersions": ["v1"]}}
FAILED = "conversion webhook for example.com/v1, Kind=Widget failed: "
INVALID = "conversion webhook for example.com/v1, Kind=Widget returned invalid "


def an_object(name: str = "one", api_version: str = "example.com/v1", **metadata: Any) -> Object:
    return {"apiVersion": api_version, "kind": "Widget", "metadata": {"name": name, "uid": "u", **metadata}}


class Hook:
    """A webhook's client: answers what `change` makes of a good answer."""

    def __init__(self, change: Callable[[Object], Any] = lambda answer: answer) -> None:
        self.asked: list[Object] = []
        self._change = change

    async def call(self, client_config: Object, body: bytes, timeout: float) -> bytes:
        assert client_config == CONFIG
        review = json.loads(body)
        self.asked.append(review)
        request = review["request"]
        converted = [
            {**copied(obj), "apiVersion": request["desiredAPIVersion"], "new": 1} for obj in request["objects"]
        ]
        answer = {
            "apiVersion": review["apiVersion"],
            "kind": "ConversionReview",
            "response": {"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": converted},
        }
        changed = self._change(answer)
        return changed if isinstance(changed, bytes) else json.dumps(changed).encode()


def converter(client: Any = None, conversion: Object | None = None) -> Converter:
    spec: dict[str, Any] = {"conversion": conversion} if conversion else {}
    return Converter(definition(version(), version(name="v2"), **spec), client, SeededEntropy(1))


async def failure(hook: Any, *objects: Object) -> str:
    with pytest.raises(StatusFault) as told:
        await converter(hook, WEBHOOK).convert(list(objects) or [an_object()], "v2")
    assert (told.value.status, told.value.reason) == (500, "")
    return told.value.message


# --- without a webhook


async def test_without_a_webhook_the_version_is_all_that_changes() -> None:
    found = await converter().convert([an_object(), an_object("two", "example.com/v2")], "v2")
    assert found == [an_object(api_version="example.com/v2"), an_object("two", "example.com/v2")]


async def test_a_version_that_the_definition_does_not_have() -> None:
    with pytest.raises(StatusFault) as told:
        await converter().convert([an_object(api_version="example.com/v0")], "v2")
    assert told.value.message == "request to convert CR from an invalid group/version: example.com/v0"


# --- with one


async def test_only_objects_of_other_versions_are_sent_and_all_keep_their_places() -> None:
    hook = Hook()
    given = [an_object("a"), an_object("b", "example.com/v2"), an_object("c")]
    found = await converter(hook, WEBHOOK).convert(given, "v2")
    assert [(obj["metadata"]["name"], obj["apiVersion"], obj.get("new")) for obj in found] == [
        ("a", "example.com/v2", 1),
        ("b", "example.com/v2", None),
        ("c", "example.com/v2", 1),
    ]
    (asked,) = hook.asked
    assert (asked["kind"], asked["apiVersion"]) == ("ConversionReview", "apiextensions.k8s.io/v1")
    assert asked["request"]["desiredAPIVersion"] == "example.com/v2"
    assert [obj["metadata"]["name"] for obj in asked["request"]["objects"]] == ["a", "c"]


async def test_objects_of_the_version_wanted_are_not_sent() -> None:
    hook = Hook()
    await converter(hook, WEBHOOK).convert([an_object(api_version="example.com/v2")], "v2")
    assert not hook.asked


async def test_the_first_review_version_that_is_known_is_spoken() -> None:
    hook = Hook()
    conversion = {**WEBHOOK, "webhook": {"clientConfig": CONFIG, "conversionReviewVersions": ["v7", "v1beta1", "v1"]}}
    await converter(hook, conversion).convert([an_object()], "v2")
    assert hook.asked[0]["apiVersion"] == "apiextensions.k8s.io/v1beta1"


async def test_of_metadata_only_labels_and_annotations_may_change() -> None:
    def change(answer: Object) -> Object:
        meta = answer["response"]["convertedObjects"][0]["metadata"]
        meta |= {"labels": {"a": "b"}, "annotations": None, "finalizers": ["x/y"], "generation": 9}
        return answer

    given = an_object(generation=1, annotations={"k": "v"})
    (found,) = await converter(Hook(change), WEBHOOK).convert([given], "v2")
    assert found["metadata"] == {"name": "one", "uid": "u", "generation": 1, "labels": {"a": "b"}}


# --- with one that fails


def _response(**parts: Any) -> Callable[[Object], Object]:
    return lambda answer: {**answer, "response": {**answer["response"], **parts}}


def _object(**parts: Any) -> Callable[[Object], Object]:
    return lambda answer: _response(convertedObjects=[{**answer["response"]["convertedObjects"][0], **parts}])(answer)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda answer: b"<html>", FAILED + "unexpected character, expected a JSON value: line 1 column 1 (char 0)"),
        (lambda answer: b"null", FAILED + "no response provided"),
        (lambda answer: {**answer, "response": None}, FAILED + "no response provided"),
        (
            lambda answer: {**answer, "kind": "Review"},
            FAILED + "expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got"
            " apiextensions.k8s.io/v1, Kind=Review",
        ),
        (_response(result={"status": "Failure", "message": "no way"}), FAILED + "no way"),
        (_response(result={}), FAILED + "response.result.status was '', not 'Success'"),
        (
            _response(convertedObjects=[]),
            "conversion webhook for example.com/v1, Kind=Widget returned 0 objects, expected 1",
        ),
        (
            _object(apiVersion="example.com/v1"),
            INVALID + "object at index 0: invalid groupVersion (expected example.com/v2, received example.com/v1)",
        ),
        (_object(kind="Gadget"), INVALID + "object at index 0: invalid kind (expected Widget, received Gadget)"),
        (_object(metadata={"name": "two", "uid": "u"}), INVALID + "object: must have the same name: one != two"),
        (_object(metadata={"name": "one", "uid": "v"}), INVALID + "object: must have the same UID: u != v"),
        (
            _object(metadata={"name": "one", "uid": "u", "labels": {"a": 1}}),
            INVALID + "metadata: metadata.labels[a] must be a string, but is int64 in converted object",
        ),
        (
            _object(metadata={"name": "one", "uid": "u", "labels": 1}),
            INVALID + "metadata: invalid metadata.labels of type int64 in converted object",
        ),
    ],
)
async def test_answers_that_cannot_be_used(change: Callable[[Object], Any], told: str) -> None:
    assert await failure(Hook(change)) == told


async def test_an_answer_to_another_question() -> None:
    told = await failure(Hook(_response(uid="other")))
    assert told.startswith(FAILED + 'expected response.uid="')
    assert told.endswith(', got "other"')


async def test_of_several_objects_the_place_of_the_wrong_one_is_told() -> None:
    def change(answer: Object) -> Object:
        answer["response"]["convertedObjects"][1]["kind"] = "Gadget"
        return answer

    told = await failure(Hook(change), an_object("a"), an_object("b"))
    assert told == INVALID + "converted object at index 1: invalid kind (expected Widget, received Gadget)"


async def test_a_webhook_that_is_not_reached() -> None:
    class Away:
        async def call(self, client_config: Object, body: bytes, timeout: float) -> bytes:
            raise ConnectionError("dial tcp 10.0.0.1:443: connect: connection refused")

    assert await failure(Away()) == FAILED + "dial tcp 10.0.0.1:443: connect: connection refused"
