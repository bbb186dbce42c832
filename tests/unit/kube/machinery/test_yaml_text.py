"""YAML as Kubernetes reads it: what scalars mean, what keys become, and that no document can exhaust the server."""

from __future__ import annotations

import json
import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.machinery.objects import Json
from ropewalk.kube.machinery.yaml_text import YamlError, load, resolve


def read(text: str) -> Json:
    return load(text.encode(), max_depth=50)[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("On", True),
        ("n", False),
        ("oN", "oN"),
        ("~", None),
        ("null", None),
        ("12", 12),
        ("+12", 12),
        ("-1_000", -1000),
        ("0777", 511),
        ("0o17", 15),
        ("0x1F", 31),
        ("-0b11", -3),
        ("08", 8),
        ("1:30", "1:30"),
        ("1.5", 1.5),
        ("1.0", 1),
        ("1e3", 1000),
        (".5", 0.5),
        ("1.2.3", "1.2.3"),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 2.0**64),
        ("-880002481614549942272", -880002481614549942272.0),
        ("1e19", 1e19),
        ("100m", "100m"),
        ("-", "-"),
        ("1e999", "1e999"),
    ],
)
def test_plain_scalars(text: str, value: Json) -> None:
    assert resolve(text) == value and type(resolve(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1\nb: [x, 'yes', \"2\", !!str 3]\n", {"a": 1, "b": ["x", "yes", "2", "3"]}),
        ("1: a\ny: b\n1.5: c\n", {"1": "a", "true": "b", "1.5": "c"}),
        ("a: &x {b: 1}\nc: *x\n", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\n", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
        ("a: &x {b: 1}\nz: &y {c: 2}\nd: {<<: [*x, *y]}\n", {"a": {"b": 1}, "z": {"c": 2}, "d": {"b": 1, "c": 2}}),
        ("a: |\n  two\n  lines\n", {"a": "two\nlines\n"}),
        ("a:\n", {"a": None}),
        ("", None),
        ("a: 1\n---\na: 2\n", {"a": 1}),
        ('{"a": {"b": []}}', {"a": {"b": []}}),
    ],
)
def test_documents(text: str, value: Json) -> None:
    assert read(text) == value


def test_aliases_are_copies() -> None:
    value = read("a: &x {b: 1}\nc: *x\n")
    value["a"]["b"] = 2
    assert value["c"] == {"b": 1}


def test_doubled_keys_are_told_and_the_last_one_stays() -> None:
    value, complaints = load(b"a: 1\nb:\n  c: 1\n  c: 2\na: 3\n", max_depth=50)
    assert value == {"a": 3, "b": {"c": 2}}
    assert complaints == [
        'yaml: unmarshal errors:\n  line 4: key "c" already set in map\n  line 5: key "a" already set in map'
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: b: c", "yaml: mapping values are not allowed in this context"),
        ("a: 1\nb: c: d\n", "yaml: line 2: mapping values are not allowed in this context"),
        ("a: [1", "yaml: line 1: did not find expected ',' or ']'"),
        ("a: *b", "yaml: unknown anchor 'b' referenced"),
        ("a: &x [*x]", "yaml: anchor 'x' value contains itself"),
        ("a: .nan", "json: unsupported value: .nan"),
        ("a: !!binary aGVsbG8=", "yaml: cannot decode !!binary as JSON"),
        ("? [a]\n: b", "yaml: invalid map key at line 1"),
        ("~: b", "yaml: unsupported map key: it is null or no scalar"),
        ("a: {<<: 1}", "yaml: map merge requires map or sequence of maps as the value"),
        ("a: \x01", "yaml: control characters are not allowed"),
        ("[" * 51, "yaml: exceeded max depth of 50"),
        ("[" * 100_000, "yaml: exceeded max depth of 50"),
    ],
)
def test_errors(text: str, error: str) -> None:
    with pytest.raises(YamlError) as caught:
        read(text)
    assert str(caught.value) == error


def test_aliases_cannot_multiply_without_end() -> None:
    """Nine levels of nine aliases each would be 387 million values."""
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    with pytest.raises(YamlError, match="document contains excessive aliasing"):
        read("\n".join(lines))


def test_aliases_cannot_nest_without_end() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 100)]
    with pytest.raises(YamlError, match="exceeded max depth"):
        read("\n".join(lines))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(codec="ascii"), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_json_is_yaml(value: Json) -> None:
    assert read(json.dumps(value)) == value


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value = load(text.encode(errors="replace"), max_depth=50)[0]
    except YamlError:
        return
    assert not isinstance(value, float) or math.isfinite(value)
    orjson.dumps(value)


@given(st.integers(-(10**25), 10**25))
def test_no_number_is_too_large_to_be_stored(number: int) -> None:
    assert orjson.loads(orjson.dumps(read(f"- {number}"))) == [
        number if -(2**63) <= number < 2**64 else pytest.approx(number)
    ]
