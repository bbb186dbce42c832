"""Field sets: the algebra's laws, the form's rules, what clients may send."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.machinery.apply.field_sets import (
    FieldSet,
    FieldSetError,
    decoded,
    difference,
    intersection,
    of_paths,
    path_text,
    paths,
    recursive_difference,
    union,
)

_steps = st.sampled_from(["f:a", "f:b", 'k:{"n":1}', 'k:{"n":10}', 'k:{"n":2}', 'v:"x"', "v:3", "i:0", "i:10", "i:9"])
_path_sets = st.frozensets(st.lists(_steps, min_size=1, max_size=4).map(tuple), max_size=8)
_Paths = frozenset[tuple[str, ...]]


def _set(given_paths: _Paths) -> FieldSet:
    return of_paths(*sorted(given_paths))


@given(_path_sets)
def test_a_set_is_its_paths(some: _Paths) -> None:
    assert frozenset(paths(_set(some))) == some


@given(_path_sets, _path_sets)
def test_algebra_is_that_of_sets_of_paths(one: _Paths, other: _Paths) -> None:
    assert frozenset(paths(union(_set(one), _set(other)))) == one | other
    assert frozenset(paths(intersection(_set(one), _set(other)))) == one & other
    assert frozenset(paths(difference(_set(one), _set(other)))) == one - other


@given(_path_sets, _path_sets)
def test_recursive_difference_takes_what_is_below_as_well(one: _Paths, other: _Paths) -> None:
    expected = {path for path in one if not any(path[:size] in other for size in range(1, len(path) + 1))}
    assert frozenset(paths(recursive_difference(_set(one), _set(other)))) == expected


@given(_path_sets, _path_sets)
def test_equal_sets_have_one_form_whatever_made_them(one: _Paths, other: _Paths) -> None:
    made = [union(_set(one), _set(other)), union(_set(other), _set(one)), _set(one | other)]
    assert len({json.dumps(fields) for fields in made}) == 1


@given(_path_sets)
def test_what_is_sent_in_any_order_comes_back_in_canonical_form(some: _Paths) -> None:
    fields = _set(some)

    def turned(node: FieldSet) -> FieldSet:
        return {step: turned(node[step]) for step in reversed(node)}

    assert json.dumps(decoded(turned(fields))) == json.dumps(fields)


@given(_path_sets)
def test_operands_are_left_alone(some: _Paths) -> None:
    fields = _set(some)
    before = json.dumps(fields)
    for operation in (union, intersection, difference, recursive_difference):
        operation(fields, of_paths(("f:a",), ("f:b", "f:a")))
        operation(of_paths(("f:a",), ("f:b", "f:a")), fields)
    assert json.dumps(fields) == before


def test_numbers_order_as_numbers() -> None:
    fields = decoded({'k:{"p":443}': {}, 'k:{"p":80}': {}, "i:10": {}, "i:9": {}, "v:10": {}, "v:9": {}, "f:z": {}})
    assert list(fields) == ["f:z", 'k:{"p":80}', 'k:{"p":443}', "v:9", "v:10", "i:9", "i:10"]


def test_keys_are_spelled_one_way() -> None:
    assert decoded({'k:{"b": 1, "a":"x"}': {"f:a": {}}}) == {'k:{"a":"x","b":1}': {"f:a": {}}}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, {}),
        ({".": {}}, {}),
        ({"f:a": {".": {}}}, {"f:a": {}}),
        ({"x:later": {"f:b": {}}}, {}),
        ({"f:a": {"x:later": {}}}, {"f:a": {}}),
        ({"f:a": {".": {}, "f:b": {}}}, {"f:a": {".": {}, "f:b": {}}}),
    ],
)
def test_normal_form(sent: FieldSet, expected: FieldSet) -> None:
    assert decoded(sent) == expected


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        ({"a": {}}, "2 characters"),
        ({"spec": {}}, "missing colon: spec"),
        ({"k:{": {}}, "unexpected|EOF|expected"),
        ({"k:[]": {}}, "expected an object"),
        ({"v:nonsense": {}}, "unexpected|expected|invalid"),
        ({"i:x": {}}, "Atoi"),
        ({"f:a": 1}, "expected an object"),
        ([], "expected an object"),
    ],
)
def test_nonsense_is_told(sent: FieldSet, complaint: str) -> None:
    with pytest.raises(FieldSetError, match=complaint):
        decoded(sent)


def test_depth_is_bounded() -> None:
    sent: FieldSet = {}
    for _ in range(300):
        sent = {"f:a": sent}
    with pytest.raises(FieldSetError, match="max depth"):
        decoded(sent)


def test_paths_as_messages_show_them() -> None:
    path = ("f:spec", "f:ports", 'k:{"port":80,"protocol":"TCP"}', "f:name")
    assert path_text(path) == '.spec.ports[port=80,protocol="TCP"].name'
    assert path_text(("f:finalizers", 'v:"a"')) == '.finalizers[="a"]'
    assert path_text(("f:x", "i:3")) == ".x[3]"
