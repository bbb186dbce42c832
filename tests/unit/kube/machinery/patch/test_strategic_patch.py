"""Strategic merge patch: every directive, the order of lists, what is refused, the law that a diff does its work."""

from __future__ import annotations

import time

import pytest
from hypothesis import given

from ropewalk.kube.kinds.definitions import definitions
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Json, Object, copied
from ropewalk.kube.machinery.patch.strategic import apply_strategic_patch
from ropewalk.kube.machinery.resources import GroupVersionKind
from ropewalk.kube.machinery.schema import Schema, Shape
from unit.kube.machinery.apply.small_world import SHIP, plain_ships


def _patched(document: Object, patch: Json, schema: Schema = SHIP) -> Object:
    before = copied([document, patch])
    result = apply_strategic_patch(document, patch, schema)
    assert [document, patch] == before, "what is given is left alone"
    return result


def _names(items: list[Object]) -> str:
    return "".join(item["name"] for item in items)


@pytest.mark.parametrize(
    ("document", "patch", "expected"),
    [
        # maps
        ({"crew": 1}, {"crew": 2, "port": "a"}, {"crew": 2, "port": "a"}),
        ({"crew": 1}, {"crew": None, "port": None}, {}),
        ({"labels": {"a": "1"}}, {"labels": {"b": "2", "a": None}}, {"labels": {"b": "2"}}),
        ({"labels": {"a": "1"}}, {"labels": {"b": "2", "$patch": "replace"}}, {"labels": {"b": "2"}}),
        ({"labels": {"a": "1"}}, {"labels": {"$patch": "delete"}}, {"labels": {}}),
        ({}, {"labels": {"$patch": "delete"}}, {}),
        ({}, {"rigging": {"masts": 1, "knot": None}}, {"rigging": {"masts": 1}}),
        ({"crew": 1}, {"$patch": "replace", "port": "a"}, {"port": "a"}),
        # retainKeys
        (
            {"rigging": {"masts": 1, "knot": "u"}},
            {"rigging": {"$retainKeys": ["labels"], "labels": {"a": "1"}}},
            {"rigging": {"labels": {"a": "1"}}},
        ),
        (
            {"rigging": {"masts": 1, "knot": "u"}},
            {"rigging": {"$retainKeys": ["masts"], "knot": None}},
            {"rigging": {"masts": 1}},
        ),
        # lists that are replaced
        ({"log": [1, 2]}, {"log": [3]}, {"log": [3]}),
        ({"log": [1, 2]}, {"log": []}, {"log": []}),
        # lists of scalars that are merged
        ({"flags": ["a", "b"]}, {"flags": ["c", "a"]}, {"flags": ["c", "a", "b"]}),
        ({"flags": ["a", "b", "c"]}, {"$deleteFromPrimitiveList/flags": ["b", "z"]}, {"flags": ["a", "c"]}),
        ({}, {"$deleteFromPrimitiveList/flags": ["b"]}, {}),
        (
            {"flags": ["a", "b", "c"]},
            {"$setElementOrder/flags": ["c", "d", "a"], "flags": ["d"], "$deleteFromPrimitiveList/flags": ["b"]},
            {"flags": ["c", "d", "a"]},
        ),
        # lists of maps
        (
            {"ropes": [{"name": "a", "length": 1}, {"name": "b"}]},
            {"ropes": [{"name": "a", "rigging": {"masts": 1}}, {"name": "c"}]},
            {"ropes": [{"name": "a", "length": 1, "rigging": {"masts": 1}}, {"name": "c"}, {"name": "b"}]},
        ),
        (
            {"ropes": [{"name": "a"}, {"name": "b"}]},
            {"ropes": [{"name": "a", "$patch": "delete"}]},
            {"ropes": [{"name": "b"}]},
        ),
        (
            {"ropes": [{"name": "a", "length": 1}]},
            {"ropes": [{"name": "a", "$patch": "delete"}, {"name": "a"}]},
            {"ropes": [{"name": "a"}]},
        ),
        (
            {"ropes": [{"name": "a"}, {"name": "b"}]},
            {"ropes": [{"name": "c"}, {"$patch": "replace"}]},
            {"ropes": [{"name": "c"}]},
        ),
        (
            {"ropes": [{"name": "a", "length": 1}]},
            {"ropes": [{"name": "a", "$patch": "replace", "rigging": {}}, {"name": "b"}]},
            {"ropes": [{"name": "b"}]},
        ),
        (
            {"ropes": [{"name": "a", "ports": [{"port": 80, "note": "m"}, {"port": 443}]}]},
            {"ropes": [{"name": "a", "ports": [{"port": 80, "note": None, "protocol": "UDP"}]}]},
            {"ropes": [{"name": "a", "ports": [{"port": 80, "protocol": "UDP"}, {"port": 443}]}]},
        ),
        ({}, {"ropes": [{"name": "a", "length": None}, {"name": "b", "$patch": "delete"}]}, {"ropes": [{"name": "a"}]}),
    ],
)
def test_table(document: Object, patch: Object, expected: Object) -> None:
    assert _patched(document, patch) == expected


@pytest.mark.parametrize(
    ("live", "patch", "order", "expected"),
    [
        # without an order, the patch's items come in theirs, and what the server alone knows where it stood, or last
        ("abc", "ca", None, "bca"),
        ("abcd", "b", None, "abcd"),
        ("ab", "xy", None, "xyab"),
        ("ac", "cb", None, "acb"),
        # with one, it rules; items that only the server knows stay before what follows them in the live list
        ("abc", "", "cba", "cba"),
        ("abcd", "", "ca", "bcad"),
        ("ab", "x", "xab", "xab"),
        ("ab", "x", "axb", "axb"),
        ("sab", "x", "bxa", "sbxa"),
        ("", "xy", "yx", None),
    ],
)
def test_order(live: str, patch: str, order: str | None, expected: str | None) -> None:
    document = {"ropes": [{"name": name} for name in live]}
    change: Object = {"ropes": [{"name": name, "length": 1} for name in patch]} if patch else {}
    if order is not None:
        change["$setElementOrder/ropes"] = [{"name": name} for name in order]
    if expected is None:
        with pytest.raises(StatusFault, match="The order in patch list:"):
            _patched(document, change)
        return
    assert _names(_patched(document, change)["ropes"]) == expected


_BAD_TYPE = "expected a map[string]interface {}, but received a string"


@pytest.mark.parametrize(
    ("patch", "status", "told"),
    [
        (
            {"ropes": [{"length": 2}]},
            400,
            "map: map[length:2] does not contain declared merge key: name",
        ),
        (
            {"ropes": [{"$patch": "delete", "length": 1}]},
            400,
            "map: map[$patch:delete length:1] does not contain declared merge key: name",
        ),
        ({"ropes": [{"$patch": "merge", "name": "a"}]}, 400, "merging lists cannot yet be specified in the patch"),
        (
            {"ropes": [{"$patch": "sink", "name": "a"}]},
            400,
            "unknown patch type: sink in map: map[$patch:sink name:a]",
        ),
        ({"labels": {"$patch": "merge"}}, 400, "unknown patch type: merge in map: map[$patch:merge]"),
        ({"ropes": ["x"]}, 400, "list element types are not identical: [[map[length:1 name:a]] [x]]"),
        ({"flags": [["x"]]}, 422, "the server rejected our request due to an error in our request"),
        ({"rigging": {"$retainKeys": "masts"}}, 400, "invalid patch format of retainKeys"),
        ({"rigging": {"$retainKeys": ["masts"], "knot": "v"}}, 400, "invalid patch format of retainKeys"),
        ({"$deleteFromPrimitiveList": ["a"]}, 400, "invalid patch format of primitive list"),
        ({"$setElementOrder": []}, 400, "invalid patch format of setElementOrder list"),
        ({"$setElementOrder/ropes": {}}, 400, "expected a []interface {}, but received a map[string]interface {}"),
        ({"$setElementOrder/ropes": ["a"], "ropes": [{"name": "a"}]}, 400, _BAD_TYPE),
        ({"$setElementOrder/sails": ["a"]}, 400, 'unable to find api field in struct  for the json field "sails"'),
        ({"$setElementOrder/rigging": ["a"]}, 400, "expected a []interface {}, but received a map[string]interface {}"),
        (
            {"$setElementOrder/flags": ["b", "c"], "flags": ["c", "b"]},
            400,
            "The order in patch list:\n[c b]\n doesn't match $setElementOrder list:\n[b c]\n",
        ),
        ([], 400, "json: cannot unmarshal []interface {} into Go value of type map[string]interface {}"),
    ],
)
def test_refusals(patch: Json, status: int, told: str) -> None:
    document = {
        "ropes": [{"name": "a", "length": 1}],
        "flags": ["a"],
        "labels": {"a": "1"},
        "rigging": {"masts": 1},
    }
    with pytest.raises(StatusFault) as caught:
        _patched(document, patch)
    assert (caught.value.status, caught.value.message) == (status, told)


def test_a_list_of_maps_without_a_key_cannot_be_merged() -> None:
    item = Schema(Shape.OBJECT, fields={"a": Schema(Shape.STRING)})
    schema = Schema(Shape.OBJECT, fields={"l": Schema(Shape.LIST, items=item, patch_strategies=("merge",))})
    with pytest.raises(StatusFault, match="cannot merge lists without merge key for struct"):
        _patched({"l": [{"a": "x"}]}, {"l": [{"a": "y"}]}, schema)


def test_a_map_may_be_replaced_by_its_strategy() -> None:
    inner = Schema(Shape.MAP, items=Schema(Shape.STRING), patch_strategies=("replace",))
    schema = Schema(Shape.OBJECT, fields={"m": inner})
    assert _patched({"m": {"a": "1"}}, {"m": {"b": "2"}}, schema) == {"m": {"b": "2"}}


# --- the law


def _diff(one: Object, two: Object, schema: Schema) -> Object:
    patch: Object = dict.fromkeys(one.keys() - two.keys())
    for key, value in two.items():
        was, field = one.get(key), schema.field(key)
        assert field is not None
        if was == value:
            continue
        if type(value) is dict and type(was) is dict:
            patch[key] = _diff(was, value, field)
        elif type(value) is list and was and value and "merge" in field.patch_strategies:
            _diff_lists(patch, key, was, value, field)
        elif type(value) is list and "merge" in field.patch_strategies and field.merge_key:
            patch[key] = [*value, {"$patch": "replace"}]
        elif type(value) is list and "merge" in field.patch_strategies and was:
            patch["$deleteFromPrimitiveList/" + key] = was
        else:
            patch[key] = value
    return patch


def _diff_lists(patch: Object, key: str, one: list[Json], two: list[Json], schema: Schema) -> None:
    merge_key = schema.merge_key
    if not merge_key:
        added = [item for item in two if item not in one]
        gone = [item for item in one if item not in two]
        patch["$setElementOrder/" + key] = two
        if added:
            patch[key] = added
        if gone:
            patch["$deleteFromPrimitiveList/" + key] = gone
        return
    before = {item[merge_key]: item for item in one}
    kept = {item[merge_key] for item in two}
    patch["$setElementOrder/" + key] = [{merge_key: item[merge_key]} for item in two]
    patch[key] = [
        {**_diff(before[item[merge_key]], item, schema.items), merge_key: item[merge_key]}
        if item[merge_key] in before
        else item
        for item in two
    ] + [{"$patch": "delete", merge_key: name} for name in before if name not in kept]


def _has_doubles(parts: Object) -> bool:
    """The ports of a rope are told apart by port and protocol for apply, by port alone for strategic merge."""
    return any(
        len({port["port"] for port in rope.get("ports", ())}) < len(rope.get("ports", ()))
        for rope in parts.get("ropes", ())
    )


@given(plain_ships, plain_ships)
def test_a_diff_applied_gives_what_was_meant(one: Object, two: Object) -> None:
    if _has_doubles(one) or _has_doubles(two):
        return
    patch = _diff(one, two, SHIP)
    assert _patched(one, patch) == two
    assert _patched(two, patch) == two, "and once more changes nothing"


@given(plain_ships)
def test_an_empty_patch_changes_nothing(one: Object) -> None:
    assert _patched(one, {}) == one


# --- kinds of Kubernetes


def test_a_deployment() -> None:
    schema = definitions().schema(GroupVersionKind("apps", "v1", "Deployment"))
    document: Object = {
        "spec": {
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [
                        {"name": "web", "image": "nginx:1", "env": [{"name": "A", "value": "1"}], "args": ["-v"]},
                        {"name": "side", "image": "side:1"},
                    ],
                    "volumes": [{"name": "data", "emptyDir": {}}],
                    "tolerations": [{"key": "a"}],
                },
            },
        }
    }
    patch: Object = {
        "spec": {
            "strategy": {"$retainKeys": ["type"], "type": "Recreate"},
            "template": {
                "spec": {
                    "$setElementOrder/containers": [{"name": "side"}, {"name": "web"}],
                    "containers": [
                        {"name": "web", "image": "nginx:2", "env": [{"name": "B", "value": "2"}], "args": ["-q"]}
                    ],
                    "volumes": [{"name": "data", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/d"}}],
                    "tolerations": [{"key": "b"}],
                }
            },
        }
    }
    assert _patched(document, patch, schema)["spec"] == {
        "strategy": {"type": "Recreate"},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {"name": "side", "image": "side:1"},
                    {
                        "name": "web",
                        "image": "nginx:2",
                        "env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}],
                        "args": ["-q"],
                    },
                ],
                "volumes": [{"name": "data", "hostPath": {"path": "/d"}}],
                "tolerations": [{"key": "b"}],
            },
        },
    }


def test_a_service_merges_its_ports_by_port() -> None:
    schema = definitions().schema(GroupVersionKind("", "v1", "Service"))
    document = {"spec": {"ports": [{"port": 80, "name": "http"}, {"port": 443, "name": "https"}]}}
    patch = {"spec": {"ports": [{"port": 443, "$patch": "delete"}, {"port": 80, "targetPort": "web"}]}}
    assert _patched(document, patch, schema) == {"spec": {"ports": [{"port": 80, "name": "http", "targetPort": "web"}]}}


def test_finalizers_are_a_merged_list() -> None:
    schema = definitions().schema(GroupVersionKind("", "v1", "Pod"))
    document = {"metadata": {"finalizers": ["a/b", "c/d"]}}
    assert _patched(document, {"metadata": {"finalizers": ["e/f"]}}, schema)["metadata"]["finalizers"] == [
        "e/f",
        "a/b",
        "c/d",
    ]
    assert _patched(document, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/b"]}}, schema) == {
        "metadata": {"finalizers": ["c/d"]}
    }


def test_the_largest_lists_take_linear_time() -> None:
    many = 20_000
    document = {"ropes": [{"name": str(number), "length": 1} for number in range(many)]}
    patch = {
        "ropes": [{"name": str(number), "length": 2} for number in range(many, 0, -1)],
        "$setElementOrder/ropes": [{"name": str(number)} for number in range(many, -1, -1)],
    }
    began = time.process_time()
    result = apply_strategic_patch(document, patch, SHIP)["ropes"]
    assert time.process_time() - began < 5, "quadratic work would take minutes"
    assert [item["name"] for item in result] == [str(number) for number in range(many, -1, -1)]
