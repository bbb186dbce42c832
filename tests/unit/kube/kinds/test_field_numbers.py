"""The table of protobuf's field numbers against the definitions: nothing that clients can send is without a number."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ropewalk.kube.kinds import field_numbers as module
from ropewalk.kube.kinds.definitions import definitions
from ropewalk.kube.kinds.field_numbers import field_numbers
from ropewalk.kube.kinds.table import RESOURCES
from ropewalk.kube.machinery.resources import GroupVersionKind
from ropewalk.kube.machinery.schema import Schema, Shape

CORE, META = "io.k8s.api.core.v1", "io.k8s.apimachinery.pkg.apis.meta.v1"
SCHEMA_PROPS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"


def structs(schema: Schema, found: dict[str, Schema]) -> None:
    if schema.shape in (Shape.LIST, Shape.MAP):
        structs(schema.items, found)
    elif schema.shape is Shape.OBJECT and schema.definition not in found:
        found[schema.definition] = schema
        for part in schema.fields.values():
            structs(part, found)


def sent() -> dict[str, Schema]:
    """Every definition that a request's body can hold."""
    kinds = {info.gvk for info in RESOURCES} | {sub.kind for info in RESOURCES for sub in info.subresources}
    kinds.add(GroupVersionKind("", "v1", "DeleteOptions"))
    found: dict[str, Schema] = {}
    for kind in sorted(kinds):
        if definitions().knows(kind):
            structs(definitions().schema(kind), found)
    structs(definitions().schema_named(SCHEMA_PROPS), found)
    return found


SENT = sent()


def flat(definition: str) -> Iterator[str]:
    for _, name in field_numbers(definition):
        if name.startswith("+"):
            yield from flat(name[1:])
        else:
            yield name


def test_every_field_that_can_be_sent_has_a_number() -> None:
    for definition, schema in SENT.items():
        told = list(flat(definition))
        own = {"apiVersion", "kind"} if "metadata" in schema.fields or definition.endswith(".DeleteOptions") else set()
        assert sorted(told) == sorted(schema.fields.keys() - own), definition


def test_a_number_is_one_fields() -> None:
    packages = {definition.rpartition(".")[0] for definition in SENT}
    for package in packages:
        for name in module._package(package):
            numbers = [number for number, _ in field_numbers(f"{package}.{name}")]
            assert numbers == sorted(set(numbers)), name
            assert all(number > 0 for number in numbers)


@pytest.mark.parametrize(
    ("definition", "name", "number"),
    [
        (f"{META}.ObjectMeta", "name", 1),
        (f"{META}.ObjectMeta", "managedFields", 17),
        (f"{CORE}.PodSpec", "volumes", 1),
        (f"{CORE}.PodSpec", "ephemeralContainers", 34),
        (f"{CORE}.Volume", f"+{CORE}.VolumeSource", 2),
        (f"{CORE}.Container", "startupProbe", 22),
        (f"{CORE}.ServiceSpec", "clusterIP", 3),
        (f"{SCHEMA_PROPS}", "x-kubernetes-validations", 44),
        (
            "io.k8s.api.admissionregistration.v1beta1.NamedRuleWithOperations",
            "+io.k8s.api.admissionregistration.v1.RuleWithOperations",
            2,
        ),
    ],
)
def test_numbers_that_are_known(definition: str, name: str, number: int) -> None:
    assert (number, name) in field_numbers(definition)


def test_what_is_not_known_has_no_fields() -> None:
    assert field_numbers(f"{CORE}.Nothing") == field_numbers("nowhere.Nothing") == ()
