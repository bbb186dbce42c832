"""YAML that is JSON is read as JSON, and means the same; what might mean something else is read as YAML."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.machinery import decoding, yaml_text

APPLIED = "application/apply-patch+yaml"
KEYS = st.text(st.characters(codec="utf-8"), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, VALUES, max_size=5), st.booleans(), st.sampled_from([None, 1]))
def test_it_means_the_same(obj: dict[str, object], ascii_only: bool, indent: int | None) -> None:
    body = json.dumps(obj, ensure_ascii=ascii_only, indent=indent).encode(errors="surrogatepass")
    found = decoding._plain_json(body)
    if found is not None:
        assert (found, []) == yaml_text.load(body, max_depth=decoding.MAX_DEPTH)
        assert repr(found) == repr(yaml_text.load(body, max_depth=decoding.MAX_DEPTH)[0]), "numbers and truth too"


@pytest.mark.parametrize(
    "body",
    [
        b'{"kind":"ConfigMap","data":{"a":"x\\ny","b":"\\u003c\\"\\/"},"n":[1,-2,true,null,{}]}',
        b'{\n  "spec": {\n    "replicas": 3\n  }\n}\n',
    ],
)
def test_what_clients_send_is_read_as_json(body: bytes) -> None:
    assert decoding._plain_json(body) == json.loads(body) == decoding.parse(body, APPLIED)[0]


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":[12345678901234567890]}',
        b'{"a":"\\ud83d\\ude00"}',
        b'{"a":"\x7f"}',
        '{"a":"\u0080"}'.encode(),
        b'{"a":1,"a":2}',
        b"{a: 1}",
        b'{"a":1} # said',
        b"- 1",
        b'{"a":' * 300 + b"1" + b"}" * 300,
    ],
)
def test_the_rest_is_left_to_yaml(body: bytes) -> None:
    assert decoding._plain_json(body) is None


def test_doubled_keys_are_told_as_yaml_tells_them() -> None:
    assert decoding.parse(b'{"a":1,"a":2}', APPLIED)[1] == yaml_text.load(b'{"a":1,"a":2}', max_depth=9)[1] != []
