"""Whatever stands in a definition gets a verdict: no part of one, replaced by anything else, makes the server fail.

What is taken all the same is made, established and given an object, so that whatever works with it is tried as well.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.custom_resources import META, definition, fields, version, widget
from tests.support.kube_front import Server

from ropewalk.kube.extension.definitions import DefinitionController, Serving
from ropewalk.kube.machinery.objects import Json, Object, copied

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
RULES, LIST = "x-kubernetes-validations", "x-kubernetes-list-type"
SPEC: Object = {
    **fields(
        text={
            "type": "string",
            "title": "Text",
            "description": "of any kind",
            "minLength": 1,
            "maxLength": 9,
            "pattern": "^[a-z]+$",
            "format": "hostname",
            "enum": ["a", "b"],
            "default": "a",
            "example": "b",
            "externalDocs": {"description": "more", "url": "https://example.com"},
            RULES: [
                {
                    "rule": "self == oldSelf",
                    "message": "never",
                    "messageExpression": "'never ' + self",
                    "reason": "FieldValueInvalid",
                    "optionalOldSelf": False,
                }
            ],
        },
        number={
            "type": "integer",
            "format": "int32",
            "minimum": 1,
            "maximum": 9,
            "exclusiveMinimum": True,
            "exclusiveMaximum": False,
            "multipleOf": 2,
            "nullable": True,
        },
        share={"type": "number", "not": {"enum": [7]}},
        items={
            "type": "array",
            LIST: "map",
            "x-kubernetes-list-map-keys": ["name"],
            "minItems": 0,
            "maxItems": 9,
            "items": {**fields(name={"type": "string", "maxLength": 9}), "required": ["name"]},
        },
        flags={"type": "array", LIST: "set", "maxItems": 3, "items": {"type": "string", "maxLength": 3}},
        labels={
            "type": "object",
            "additionalProperties": {"type": "string"},
            "x-kubernetes-map-type": "atomic",
            "minProperties": 0,
            "maxProperties": 9,
        },
        any={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        embedded={
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "properties": {"spec": {"type": "object"}},
        },
        either={"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
    ),
    "required": ["text"],
    "allOf": [{"required": ["number"]}],
    "oneOf": [{"required": ["items"]}, {"required": ["flags"]}],
    RULES: [{"rule": "self.items.all(one, one.name != 'x')", "message": "not x", "fieldPath": ".items"}],
}
RICH: Object = {
    **definition(
        version(
            fields(spec=SPEC, status=fields(replicas={"type": "integer"}, selector={"type": "string"})),
            deprecated=True,
            deprecationWarning="old",
            subresources={
                "status": {},
                "scale": {
                    "specReplicasPath": ".spec.number",
                    "statusReplicasPath": ".status.replicas",
                    "labelSelectorPath": ".status.selector",
                },
            },
            additionalPrinterColumns=[
                {
                    "name": "Text",
                    "type": "string",
                    "format": "date",
                    "description": "the text",
                    "priority": 1,
                    "jsonPath": ".spec.text",
                }
            ],
            selectableFields=[{"jsonPath": ".spec.text"}],
        ),
        version(fields(spec=fields(text={"type": "string"})), name="v2"),
        conversion={
            "strategy": "Webhook",
            "webhook": {
                "conversionReviewVersions": ["v1"],
                "clientConfig": {
                    "caBundle": "",
                    "service": {"namespace": "a", "name": "b", "path": "/c", "port": 443},
                },
            },
        },
        preserveUnknownFields=False,
    ),
    "status": {
        "conditions": [{"type": "Established", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        "acceptedNames": {"plural": "widgets", "kind": "Widget"},
        "storedVersions": ["v1"],
    },
}
RICH["metadata"] |= {
    "labels": {"a": "b"},
    "annotations": {"a": "b"},
    "finalizers": ["example.com/f"],
    "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u", "controller": True}],
}
RICH["spec"]["names"] |= {"singular": "widget", "listKind": "WidgetList", "shortNames": ["w"], "categories": ["all"]}
OF_EACH_TYPE: list[Json] = [None, True, -1, 1.5, "x", ["x"], [None], {"x": {}}]
Way = tuple[str | int, ...]


def ways(value: Json, here: Way = ()) -> Iterator[Way]:
    """To every part."""
    if here:
        yield here
    pairs: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in pairs:
        yield from ways(part, (*here, step))


WAYS = list(ways(RICH))


def replaced(way: Way, value: Json) -> Object:
    made: Any = copied(RICH)
    here = made
    for step in way[:-1]:
        here = here[step]
    here[way[-1]] = value
    return made  # type: ignore[no-any-return]


@pytest.fixture
async def server(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Server]:
    caplog.set_level(logging.ERROR)
    made = Server()
    Serving(made.api, made.registry, META, None, made.entropy).begin()
    await made.start(DefinitionController(made.api, made.clock, made.entropy))
    yield made
    await made.stop()
    assert not caplog.records, caplog.text


async def tried(server: Server, described: Object) -> str:
    """What went wrong; "" where it was refused, or did what a definition does."""
    answer = await server.post(f"{CRDS}?dryRun=All", described)
    if answer.status >= 500:
        return answer.message
    if answer.status != 201:
        return ""
    name = answer.json["metadata"]["name"]
    assert (await server.post(CRDS, described)).status == 201
    await server.clock.advance(1)
    shape: Object = {"text": "a", "number": 2, "flags": ["a", "a"], "labels": {"a": "b"}, "more": [None]}
    answers = [
        await server.post(WIDGETS, widget(spec=shape)),
        await server.post(WIDGETS, widget(spec=["x"])),
        await server.get(WIDGETS),
        await server.put(f"{CRDS}/{name}", described),
        await server.delete(f"{CRDS}/{name}"),
    ]
    await server.patch(f"{CRDS}/{name}", {"metadata": {"finalizers": None}})
    await server.clock.advance(1)
    assert (await server.get(f"{CRDS}/{name}")).status == 404
    return "".join(answer.message for answer in answers if answer.status >= 500)


async def test_the_whole_is_taken(server: Server) -> None:
    assert (await server.post(f"{CRDS}?dryRun=All", RICH)).message == ""
    assert await tried(server, RICH) == ""


@pytest.mark.parametrize("value", OF_EACH_TYPE, ids=str)
async def test_each_part_may_be_anything(server: Server, value: Json) -> None:
    for way in WAYS:
        problem = await tried(server, replaced(way, value))
        assert not problem, (way, value, problem)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=5), parts, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(WAYS), _values)
async def test_random_parts(server: Server, way: Way, value: Json) -> None:
    assert not await tried(server, replaced(way, value))
