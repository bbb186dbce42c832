"""Which requests may bring protobuf: whatever is of a built-in kind, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ropewalk.base.http.messages import Peer, Request
from ropewalk.kube.kinds.definitions import definitions
from ropewalk.kube.kinds.field_numbers import field_numbers
from ropewalk.kube.kinds.table import RESOURCES
from ropewalk.kube.machinery import decoding
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.http import negotiation, options, routes
from ropewalk.kube.machinery.http.bodies import Bodies
from ropewalk.kube.machinery.http.exchange import Exchange
from ropewalk.kube.machinery.protobuf.decoder import Decoder
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.requests import ANONYMOUS, Attributes, Call
from ropewalk.kube.machinery.resources import GroupVersionKind, ResourceInfo, Subresource
from ropewalk.kube.machinery.schema import Schema, Shape
from ropewalk.kube.machinery.strategy import Strategy

VECTORS = {
    vector["kind"]: bytes.fromhex(vector["protobuf"])
    for vector in json.loads(Path(__file__).with_name("vectors.json").read_text())
}
BODIES = Bodies(Decoder(definitions(), field_numbers))
SCALE = Subresource("scale", GroupVersionKind("autoscaling", "v1", "Scale"), ("get", "update"))
WIDGETS = ResourceInfo("x.y", "v1", "Widget", "widgets", "widget", True, subresources=(SCALE,))


def exchange(path: str, body: bytes, content_type: str, method: str = "POST") -> Exchange:
    request = Request(method, path, path, "", {"content-type": content_type}, body, Peer("127.0.0.1"))
    query = options.parsed("")
    return Exchange(request, query, routes.route(method, path, query), Call(ANONYMOUS, Attributes(ANONYMOUS, "", path)))


def built_in(plural: str) -> Served:
    info = next(info for info in RESOURCES if info.plural == plural)
    reader = decoding.reader(info.gvk, definitions())
    return Served(info, Strategy(), definitions().schema(info.gvk), reader, info.group_resource)


def custom() -> Served:
    tree = Schema(Shape.OBJECT, preserve_unknown=True)
    return Served(WIDGETS, Strategy(), tree, lambda body: (body, []), WIDGETS.group_resource, custom=True)


@pytest.mark.parametrize("content_type", [negotiation.PROTOBUF, f"{negotiation.PROTOBUF.upper()}; charset=x"])
def test_a_built_in_kind_may_come_as_protobuf(content_type: str) -> None:
    asked = exchange("/api/v1/namespaces/default/configmaps", VECTORS["ConfigMap"], content_type)
    found, doubled = BODIES.read(asked, built_in("configmaps"))
    assert found["data"]["greeting"] == "grüß dich"
    assert doubled == []
    assert asked.body is found, "the audit log sees what was sent"


def test_a_subresource_has_a_kind_of_its_own() -> None:
    nameless = b"k8s\x00\x12\x00"
    asked = exchange("/api/v1/namespaces/default/pods/p/eviction", nameless, negotiation.PROTOBUF)
    found, _ = BODIES.read(asked, built_in("pods"))
    assert found == {"apiVersion": "policy/v1", "kind": "Eviction"}


def test_a_custom_resource_may_not() -> None:
    asked = exchange("/apis/x.y/v1/namespaces/default/widgets", VECTORS["ConfigMap"], negotiation.PROTOBUF)
    with pytest.raises(StatusFault) as caught:
        BODIES.read(asked, custom())
    assert (caught.value.status, caught.value.reason) == (415, "UnsupportedMediaType")
    assert "accepted media types include: application/json, application/yaml (" in caught.value.message


def test_but_its_scale_is_built_in() -> None:
    path = "/apis/x.y/v1/namespaces/default/widgets/w/scale"
    found, _ = BODIES.read(exchange(path, b"k8s\x00\x12\x00", negotiation.PROTOBUF, "PUT"), custom())
    assert found == {"apiVersion": "autoscaling/v1", "kind": "Scale"}


def test_options_of_a_delete_are_built_in_for_every_resource() -> None:
    path = "/apis/x.y/v1/namespaces/default/widgets/w"
    asked = exchange(path, VECTORS["DeleteOptions"], negotiation.PROTOBUF, "DELETE")
    found = BODIES.read_options(asked)
    assert found is not None
    assert (found["gracePeriodSeconds"], found["preconditions"]) == (0, {"uid": "x"})
    assert BODIES.read_options(exchange(path, b"", negotiation.PROTOBUF, "DELETE")) is None


def test_a_patch_is_never_protobuf() -> None:
    with pytest.raises(StatusFault) as caught:
        negotiation.patch_type(negotiation.PROTOBUF)
    assert caught.value.status == 415


def test_an_empty_body_is_no_object() -> None:
    for content_type in negotiation.BODIES:
        with pytest.raises(StatusFault, match="no body"):
            BODIES.read(exchange("/api/v1/namespaces/default/configmaps", b"", content_type), built_in("configmaps"))
