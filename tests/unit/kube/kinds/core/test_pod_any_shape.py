"""Whatever has a pod's shape gets an answer: no rule, default, warning or column stumbles over it."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from ropewalk.kube.kinds.core.pods import SUBRESOURCES
from ropewalk.kube.kinds.definitions import definitions
from ropewalk.kube.machinery.decoding import check
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object, copied
from ropewalk.kube.machinery.resources import GroupVersionKind
from ropewalk.kube.machinery.schema import Schema, Shape
from unit.kube.kinds.core.pod_kit import PODS

POD = definitions().schema(GroupVersionKind("", "v1", "Pod"))
TEXTS = (
    "",
    "a",
    "web",
    "A b",
    "../x",
    "/a",
    "a/b",
    "Always",
    "None",
    "In",
    "localhost/p",
    "1",
    "é",
    "cpu",
    "*",
    "10.0.0.1",
)
NUMBERS = (0, 1, -1, 80, 70000, 2**31, 420)
AMOUNTS = ("1", "500m", "-1", "2Mi", "0", "1.5")
NAMES = ("cpu", "memory", "hugepages-2Mi", "example.com/gpu", "app", "x y", "")


def shaped(schema: Schema, random: Random, depth: int) -> Any:
    """Anything that `schema` admits."""
    shape = schema.shape
    if shape is Shape.OBJECT:
        chosen = [name for name in schema.fields if random.random() < (0.5 if depth < 3 else 0.35)]
        return {name: shaped(schema.fields[name], random, depth + 1) for name in chosen} if depth < 12 else {}
    if shape is Shape.LIST:
        return [shaped(schema.items, random, depth + 1) for _ in range(random.randrange(3))]
    if shape is Shape.MAP:
        return {random.choice(NAMES): shaped(schema.items, random, depth + 1) for _ in range(random.randrange(3))}
    if shape is Shape.QUANTITY:
        return random.choice(AMOUNTS)
    if shape is Shape.BOOLEAN:
        return random.random() < 0.5
    if shape in (Shape.INTEGER, Shape.NUMBER):
        return random.choice(NUMBERS) if schema.format != "int32" else random.choice(NUMBERS[:5])
    if shape is Shape.INT_OR_STRING:
        return random.choice((80, "http", 0, ""))
    return "2025-01-01T00:00:00Z" if schema.format == "date-time" else random.choice(TEXTS)


def random_pod(random: Random) -> Object:
    pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "default"}}
    for step in ("spec", "status"):
        schema = POD.fields[step]
        pod[step] = {name: shaped(schema.fields[name], random, 2) for name in schema.fields if random.random() < 0.5}
    pod["metadata"]["annotations"] = {random.choice(TEXTS): random.choice(TEXTS)}
    complaints = check(pod, POD)
    assert not complaints.wrong, complaints.wrong
    PODS.default(pod)
    return pod


@pytest.mark.parametrize("seed", range(60))
def test_every_shape_gets_an_answer(seed: int) -> None:
    random = Random(seed)
    pod = random_pod(random)
    once = copied(pod)
    PODS.default(pod)
    assert pod == once
    PODS.warnings(pod, None)
    for column in PODS.columns:
        assert column.cell(pod, 0.0) is not None
    for read in PODS.selectable_fields.values():
        assert isinstance(read(pod), str)
    made = copied(pod)
    PODS.prepare_create(made)
    PODS.validate_create(made, FieldErrors())
    other = random_pod(random)
    for new in (other, {**copied(pod), "spec": {**copied(pod["spec"]), "nodeName": "n"}}):
        for prepare, validate in (
            (PODS.prepare_update, PODS.validate_update),
            (PODS.prepare_status_update, PODS.validate_status_update),
            *((found.prepare_update, found.validate_update) for found in SUBRESOURCES.values()),
        ):
            written = copied(new)
            prepare(written, pod)
            errors = FieldErrors()
            validate(written, pod, errors)
            assert all(cause.field and cause.message for cause in errors.causes)
