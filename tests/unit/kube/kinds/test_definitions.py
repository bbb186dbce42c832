"""The shapes of built-in kinds: everything that is referenced exists, and what Kubernetes says of lists arrives."""

from __future__ import annotations

from pathlib import Path

import pytest

from ropewalk.kube.kinds import published as published_module
from ropewalk.kube.kinds.definitions import Definitions, definitions
from ropewalk.kube.kinds.enumerations import ENUMERATIONS
from ropewalk.kube.kinds.published import REFERENCE, published
from ropewalk.kube.kinds.table import RESOURCES
from ropewalk.kube.machinery.objects import Json
from ropewalk.kube.machinery.resources import GroupVersionKind, ResourceInfo
from ropewalk.kube.machinery.schema import Schema, Shape


def at(kind: str, *path: str, api_version: str = "v1") -> Schema:
    schema = definitions().schema(GroupVersionKind.of(api_version, kind))
    for step in path:
        found = schema.items if step == "[]" else schema.field(step)
        assert found is not None, step
        schema = found
    return schema


def references(node: Json) -> list[str]:
    if isinstance(node, list):
        return [name for part in node for name in references(part)]
    if not isinstance(node, dict):
        return []
    here = [node[REFERENCE]] if isinstance(node.get(REFERENCE), str) else []
    return here + [name for part in node.values() for name in references(part)]


def test_every_reference_resolves() -> None:
    known = set(published().names)
    missing = {name for given in known for name in references(published().definition(given))} - known
    assert not missing


def test_every_tree_can_be_walked() -> None:
    seen: set[int] = set()

    def walk(schema: Schema) -> None:
        if id(schema) in seen:
            return
        seen.add(id(schema))
        for part in schema.fields.values():
            walk(part)
        if schema.shape in (Shape.LIST, Shape.MAP):
            walk(schema.items)

    for name in published().names:
        walk(definitions().schema_named(name))
    assert len(seen) > 2000


@pytest.mark.parametrize("info", RESOURCES, ids=lambda info: f"{info.api_version}/{info.plural}")
def test_every_resource_has_a_shape(info: ResourceInfo) -> None:
    assert definitions().schema(info.gvk).field("metadata") is not None or "get" not in info.verbs
    for sub in info.subresources:
        assert definitions().knows(sub.kind) or sub.kind.kind.endswith("Options")  # read from the query, not a body
    if info.list_kind:
        assert definitions().knows(GroupVersionKind(info.group, info.version, info.list_kind))


def test_lists_say_how_they_merge() -> None:
    ports = at("Service", "spec", "ports")
    assert (ports.list_type, ports.list_keys, ports.merge_key) == ("map", ("port", "protocol"), "port")
    assert ports.key_defaults == {"port": 0, "protocol": "TCP"}
    container_ports = at("Pod", "spec", "containers", "[]", "ports")
    assert container_ports.list_keys == ("containerPort", "protocol")
    assert container_ports.key_defaults["protocol"] == "TCP"
    assert at("Pod", "metadata", "finalizers").list_type == "set"
    assert at("Pod", "spec", "containers", "[]", "command").list_type == "atomic"
    assert at("Pod", "spec", "volumes").patch_strategies == ("merge", "retainKeys")


def test_a_field_may_say_more_than_its_type() -> None:
    strategy = at("Deployment", "spec", "strategy", api_version="apps/v1")
    assert strategy.patch_strategies == ("retainKeys",)
    assert strategy.field("rollingUpdate") is not None
    assert definitions().schema_named(strategy.definition).patch_strategies == ()
    assert at("Pod", "spec", "containers", "[]", "env", "[]", "valueFrom", "fieldRef").atomic
    assert not at("PersistentVolume", "spec", "claimRef").atomic  # granular, though ObjectReference is atomic


@pytest.mark.parametrize(
    ("path", "shape", "format_"),
    [
        (("metadata", "creationTimestamp"), Shape.STRING, "date-time"),
        (("metadata", "labels"), Shape.MAP, ""),
        (("metadata", "managedFields", "[]", "fieldsV1"), Shape.ANY, ""),
        (("spec", "containers", "[]", "resources", "limits", "[]"), Shape.QUANTITY, ""),
        (("spec", "containers", "[]", "livenessProbe", "httpGet", "port"), Shape.INT_OR_STRING, ""),
        (("spec", "terminationGracePeriodSeconds"), Shape.INTEGER, "int64"),
        (("spec", "hostNetwork"), Shape.BOOLEAN, ""),
    ],
)
def test_shapes(path: tuple[str, ...], shape: Shape, format_: str) -> None:
    node = at("Pod", *path)
    assert (node.shape, node.format) == (shape, format_)


def test_rewriting_is_undone() -> None:
    """The package adds null to types, enums to kinds, and turns Quantity into a choice of nullable types."""
    pod = published().definition("io.k8s.api.core.v1.Pod")
    assert pod["properties"]["kind"] == {"type": "string"}
    assert pod["properties"]["metadata"] == {
        REFERENCE: "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
        "default": {},
    }
    port = published().definition("io.k8s.api.core.v1.ContainerPort")["properties"]
    assert port["containerPort"] == {"type": "integer", "format": "int32", "default": 0}
    assert port["protocol"] == {"type": "string", "default": "TCP", "enum": ["SCTP", "TCP", "UDP"]}
    assert "'null'" not in str([published().definition(name) for name in published().names])


def test_every_enumeration_is_of_a_field_of_words() -> None:
    for name, fields in ENUMERATIONS.items():
        properties = published().definition(name)["properties"]
        for field, values in fields.items():
            node = properties[field]
            word = node.get("items") or node.get("additionalProperties") or node
            assert (word["type"], word["enum"]) == ("string", list(values)), f"{name}.{field}"
            assert node.get("default") in (None, *values, ""), f"{name}.{field}"
            assert published().descriptions[name][field].endswith(f'- `"{values[-1]}"`')


def test_betas_are_left_out_but_for_the_one_that_is_served() -> None:
    betas = {name for name in published().names if "beta" in name or "alpha" in name}
    assert betas and all(".admissionregistration.v1beta1." in name for name in betas)
    with pytest.raises(KeyError):
        definitions().schema(GroupVersionKind("storage.k8s.io", "v1beta1", "VolumeAttributesClass"))


def test_the_cache_gives_what_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published_module, "_folders", lambda: (tmp_path,))
    fresh = published_module.published.__wrapped__()
    cached = published_module.published.__wrapped__()
    assert [fresh.definition(name) for name in fresh.names] == [cached.definition(name) for name in cached.names]
    assert cached.descriptions["io.k8s.api.core.v1.Pod"]["spec"].startswith("Specification of the desired behavior")


def test_a_broken_cache_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published_module, "_folders", lambda: (tmp_path / "no" / "such", tmp_path))
    published_module.published.__wrapped__()
    (file,) = (tmp_path / "no" / "such").iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    assert Definitions(published_module.published.__wrapped__()).schema_named("io.k8s.api.core.v1.Pod").field("spec")
    assert file.stat().st_size > 100_000
