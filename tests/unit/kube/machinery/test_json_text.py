"""JSON read by hand: doubled keys are found whatever the spelling, and errors are worded as Go words them."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.machinery import json_text


def found(body: bytes) -> list[str]:
    """As the decoder asks: the scan runs only where the count says so."""
    value = orjson.loads(body)
    return json_text.duplicates(body) if json_text.may_repeat(body, orjson.dumps(value)) else []


@pytest.mark.parametrize(
    ("body", "complaints"),
    [
        ('{"a":1,"b":2}', []),
        ('{"a":1,"a":1}', ['duplicate field "a"']),
        ('{"a" :1,"b":1,"b":2}', ['duplicate field "b"']),
        ('{"spec":{"x":[{"n":1},{"n":1,"n":2}]}}', ['duplicate field "spec.x[1].n"']),
        ('{"a":1,"a":2,"a":3}', ['duplicate field "a"']),
        ('{"a":"{\\"x\\":1,\\"x\\":2}"}', []),
        ('{"a":"{\\"x\\":1}","a":"{\\"x\\":1}"}', ['duplicate field "a"']),
        ('{"a\\\\":1,"a\\\\":2}', ['duplicate field "a\\\\"']),
        ('{"a":"\\\\","b":{"c":1,"c":1}}', ['duplicate field "b.c"']),
        ('{"\\u0061":1,"a":2}', ['duplicate field "a"']),
        ('{"a":{"k":1},"b":{"k":1}}', []),
        ("[1,[2],{}]", []),
    ],
)
def test_doubled_keys(body: str, complaints: list[str]) -> None:
    assert found(body.encode()) == complaints


def test_complaints_are_bounded() -> None:
    body = "{" + ",".join(f'"k{n}":1,"k{n}":2' for n in range(300)) + "}"
    assert len(found(body.encode())) == 100


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text('ab"\\: {}[],\x7fé', max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('ab"\\: {}', max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.sampled_from([(",", ":"), (", ", ": "), (" ,", " : ")]), st.booleans())
def test_what_json_writes_has_no_doubled_keys(value: object, separators: tuple[str, str], ascii_only: bool) -> None:
    body = json.dumps(value, separators=separators, ensure_ascii=ascii_only).encode()
    assert found(body) == []
    assert json_text.syntax_error(body) == "invalid JSON"  # the scan itself finds nothing wrong


@given(st.dictionaries(st.text('ab"\\: {}', max_size=5), VALUES, min_size=1, max_size=4), st.randoms())
def test_a_doubled_key_is_always_found(obj: dict[str, object], random: object) -> None:
    pairs = [f"{json.dumps(key)}:{json.dumps(value)}" for key, value in obj.items()]
    body = "{" + ",".join([*pairs, pairs[0]]) + "}"
    assert found(body.encode()) == [f"duplicate field {json_text.quoted(next(iter(obj)))}"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", "unexpected end of JSON input"),
        ('{"a":', "unexpected end of JSON input"),
        ('{"a":1', "unexpected end of JSON input"),
        ('{"a', "unexpected end of JSON input"),
        ("tru", "unexpected end of JSON input"),
        ('"\\u12', "unexpected end of JSON input"),
        ("hello", "invalid character 'h' looking for beginning of value"),
        ("<html>", "invalid character '<' looking for beginning of value"),
        ("'a'", "invalid character '\\'' looking for beginning of value"),
        ("{a:1}", "invalid character 'a' looking for beginning of object key string"),
        ("{1:1}", "invalid character '1' looking for beginning of object key string"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 "b":2}', "invalid character '\"' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("{} {}", "invalid character '{' after top-level value"),
        ("nul1", "invalid character '1' in literal null (expecting 'l')"),
        ("trux", "invalid character 'x' in literal true (expecting 'e')"),
        ("-x", "invalid character 'x' in numeric literal"),
        ('"a\nb"', "invalid character '\\n' in string literal"),
        ('"\\x"', "invalid character 'x' in string escape code"),
        ('"\\u12x4"', "invalid character 'x' in \\u hexadecimal character escape"),
    ],
)
def test_errors_are_gos(body: str, error: str) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(body)
    assert json_text.syntax_error(body.encode()) == error


@given(st.text('{}[]",:\\ut1n-0.e x', max_size=12))
def test_any_broken_text_gets_a_reason(text: str) -> None:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        assert json_text.syntax_error(text.encode())


def test_depth_does_not_recurse() -> None:
    assert json_text.depth({"a": [{"b": 1}], "c": 2}) == 3
    value: object = 1
    for _ in range(50_000):
        value = [value]
    assert json_text.depth(value) == 50_000
