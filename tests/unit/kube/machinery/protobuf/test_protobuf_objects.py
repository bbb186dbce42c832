"""Protobuf bodies: what Go's own encoder wrote is read as what Go writes in JSON, and broken bodies are refused.

`vectors.json` holds objects made for this, encoded by k8s.io/apimachinery's serializer, beside their JSON after a
round trip through it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.kinds.definitions import definitions
from ropewalk.kube.kinds.field_numbers import field_numbers
from ropewalk.kube.machinery import decoding
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Json, Object, copied
from ropewalk.kube.machinery.protobuf.decoder import MAGIC, Decoder
from ropewalk.kube.machinery.resources import GroupVersionKind
from ropewalk.kube.machinery.structs import complete

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text())
BODIES = [bytes.fromhex(vector["protobuf"]) for vector in VECTORS]
DECODER = Decoder(definitions(), field_numbers)
POD = GroupVersionKind("", "v1", "Pod")


def finished(obj: Object) -> Object:
    """As every reader of bodies leaves it."""
    gvk = GroupVersionKind.of(obj["apiVersion"], obj["kind"])
    found, unknown = decoding.read(copied(obj), gvk, definitions())
    assert not unknown
    complete(found, definitions().schema(gvk))
    return found


# --- an encoder, as small as can be


def varint(number: int) -> bytes:
    number &= 2**64 - 1
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def body(message: bytes, api_version: str = "v1", kind: str = "Pod") -> bytes:
    return MAGIC + field(1, field(1, api_version) + field(2, kind)) + field(2, message)


def decoded(message: bytes, api_version: str = "v1", kind: str = "Pod") -> Object:
    found = DECODER.decode(body(message, api_version, kind))
    assert (found.pop("apiVersion"), found.pop("kind")) == (api_version, kind)
    return found


def refusal(content: bytes) -> str:
    with pytest.raises(StatusFault) as caught:
        DECODER.decode(content)
    assert caught.value.status == 400
    return caught.value.message


# --- what Go wrote


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["kind"] for vector in VECTORS])
def test_what_go_encoded_is_what_go_writes_in_json(vector: dict[str, Any]) -> None:
    found = DECODER.decode(bytes.fromhex(vector["protobuf"]))
    assert finished(found) == finished(vector["json"])


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["kind"] for vector in VECTORS])
def test_a_zero_that_json_would_not_have_is_not_there(vector: dict[str, Any]) -> None:
    """Reading on finds nothing to take away."""
    found = DECODER.decode(bytes.fromhex(vector["protobuf"]))
    gvk = GroupVersionKind.of(found["apiVersion"], found["kind"])
    assert decoding.read(copied(found), gvk, definitions())[0] == found


# --- fields, one by one


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"", {}),
        (field(1, b""), {"metadata": {}}),
        (field(1, field(1, "a")), {"metadata": {"name": "a"}}),
        (field(1, field(1, "a") + field(1, "b")), {"metadata": {"name": "b"}}),
        (field(1, field(1, "a") + field(1, "")), {"metadata": {}}),
        (field(1, field(1, "a")) + field(1, field(3, "b")), {"metadata": {"name": "a", "namespace": "b"}}),
        (field(1, field(7, 5)), {"metadata": {"generation": 5}}),
        (field(1, field(7, -5)), {"metadata": {"generation": -5}}),
        (field(1, field(7, 5) + field(7, 0)), {"metadata": {}}),
        (field(1, field(10, 0)), {"metadata": {"deletionGracePeriodSeconds": 0}}),
        (field(1, field(8, b"")), {"metadata": {}}),
        (field(1, field(8, field(1, 0))), {"metadata": {"creationTimestamp": "1970-01-01T00:00:00Z"}}),
        (field(1, field(8, field(1, -62135596800) + field(2, 0))), {"metadata": {}}),
        (
            field(1, field(8, field(1, -59043427200) + field(2, 999))),
            {"metadata": {"creationTimestamp": "0098-12-27T00:00:00Z"}},
        ),
        (field(1, field(11, field(1, "k") + field(2, "v"))), {"metadata": {"labels": {"k": "v"}}}),
        (field(1, field(11, field(2, "v") + field(1, "k"))), {"metadata": {"labels": {"k": "v"}}}),
        (field(1, field(11, field(1, "k"))), {"metadata": {"labels": {"k": ""}}}),
        (field(1, field(11, b"")), {"metadata": {"labels": {"": ""}}}),
        (field(1, field(11, field(1, "k" * 300) + field(2, "v"))), {"metadata": {"labels": {"k" * 300: "v"}}}),
        (field(1, field(14, "a") + field(14, "")), {"metadata": {"finalizers": ["a", ""]}}),
        (field(1, field(1, b"a\xffb")), {"metadata": {"name": "a\ufffdb"}}),
        (field(1, field(1, b"\xe2\x82z")), {"metadata": {"name": "\ufffd\ufffdz"}}),
        (field(1, field(14, b"\xed\xa0\x80")), {"metadata": {"finalizers": ["\ufffd\ufffd\ufffd"]}}),
    ],
)
def test_fields_of_metadata(message: bytes, expected: Object) -> None:
    assert decoded(message) == expected


def groups(*raw: bytes) -> bytes:
    """`spec.securityContext.supplementalGroups` is field 4."""
    return field(2, field(14, b"".join(raw)))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ([field(4, 0), field(4, 300)], [0, 300]),
        ([field(4, varint(0) + varint(300) + varint(-1))], [0, 300, -1]),
        ([field(4, 1), field(4, varint(2) + varint(3))], [1, 2, 3]),
    ],
)
def test_numbers_of_a_list_one_by_one_or_packed(raw: list[bytes], expected: list[int]) -> None:
    assert decoded(groups(*raw)) == {"spec": {"securityContext": {"supplementalGroups": expected}}}


def test_a_number_of_32_bits_is_cut_as_go_cuts_it() -> None:
    assert decoded(field(2, field(25, 2**32 + 2**31))) == {"spec": {"priority": -(2**31)}}
    assert decoded(field(3, 2**32 + 2**31), "apps/v1", "ControllerRevision") == {"revision": 2**32 + 2**31}


def test_fields_of_a_part_lie_flat() -> None:
    source = field(2, field(9, field(1, "claim")))  # VolumeSource, and in it glusterfs
    found = decoded(field(2, field(1, field(1, "v") + source)))
    assert found == {"spec": {"volumes": [{"name": "v", "glusterfs": {"endpoints": "claim"}}]}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (field(1, 0) + field(2, 80) + field(3, ""), 80),
        (field(1, 0) + field(2, 0), 0),
        (field(1, 0) + field(2, -1), -1),
        (field(1, 1) + field(2, 0) + field(3, "50%"), "50%"),
        (field(1, 1), ""),
        (b"", 0),
    ],
)
def test_a_number_or_a_string(given: bytes, expected: int | str) -> None:
    found = decoded(field(2, field(1, given)), "policy/v1", "PodDisruptionBudget")
    assert found == {"spec": {"minAvailable": expected}}


def test_a_newer_clients_fields_are_passed_over() -> None:
    unknown = (
        field(900, 7)
        + field(901, b"bytes")
        + varint(902 << 3 | 1)
        + b"12345678"
        + varint(903 << 3 | 5)
        + b"1234"
        + varint(904 << 3 | 3)
        + field(1, "in a group")
        + varint(904 << 3 | 4)
    )
    assert decoded(unknown + field(1, unknown + field(1, "a") + unknown)) == {"metadata": {"name": "a"}}


# --- the envelope


def test_an_envelope_without_a_kind_holds_the_expected_one() -> None:
    nameless = MAGIC + field(2, field(1, field(1, "a")))
    assert DECODER.decode(nameless, POD) == {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    assert "'Kind' is missing" in refusal(nameless)


def test_a_version_that_is_nobodys_is_left_to_the_reader() -> None:
    found = DECODER.decode(body(field(1, field(1, "a")), "v9"), POD)
    assert found == {"apiVersion": "v9", "kind": "Pod", "metadata": {"name": "a"}}
    with pytest.raises(StatusFault, match='no kind "Pod" is registered for version "v9"'):
        decoding.read(found, POD, definitions())


def test_a_kind_that_is_not_expected_is_left_to_the_reader() -> None:
    found = DECODER.decode(body(b"", "v1", "ConfigMap"), POD)
    with pytest.raises(StatusFault, match="unknown conversion"):
        decoding.read(found, POD, definitions())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "does not appear to be a protobuf message"),
        (b"{}", "does not appear to be a protobuf message"),
        (MAGIC, "'Kind' is missing"),
        (MAGIC + b"\x12", "unexpected EOF"),
        (body(b"", "v1", "Nothing"), 'no kind "Nothing" is registered for version "v1"'),
        (body(b"", "a/b/c", "Pod"), "no kind"),
        (body(b"\x0a"), "unexpected EOF"),
        (body(b"\x0a\x05a"), "unexpected EOF"),
        (body(b"\x08\x01"), "wrong wireType = 0 for field 1"),
        (body(field(1, field(1, 3))), "wrong wireType = 0 for field 1"),
        (body(b"\x02\x00"), "illegal tag 0"),
        (body(varint(900 << 3 | 6)), "illegal wireType 6"),
        (body(varint(900 << 3 | 4)), "illegal wireType 4"),
        (body(varint(900 << 3 | 3)), "unexpected EOF"),
        (body(b"\xff" * 11), "integer overflow"),
        (body(field(1, varint(7 << 3) + b"\x80")), "unexpected EOF"),
        (body(groups(field(4, b"\x80"))), "unexpected EOF"),
        (body(field(1, field(8, field(1, 2**62)))), "seconds after 1970"),
        (body(field(2, field(1, field(1, 2))), "policy/v1", "PodDisruptionBudget"), "IntOrString"),
        (body(field(2, field(1, "{")), "apps/v1", "ControllerRevision"), "JSON"),
    ],
)
def test_what_cannot_be_read_is_refused(content: bytes, why: str) -> None:
    assert why in refusal(content)


def test_a_refusal_names_the_kind() -> None:
    assert refusal(body(b"\x0a")).startswith('Pod in version "v1" cannot be handled as a Pod: ')


# --- bounds


SCHEMA = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
NUMBERS = {name: number for number, name in field_numbers(SCHEMA)}


def part(name: str, *, via: int = 0, key: str = "") -> Callable[[bytes], bytes]:
    """A schema → one that holds it under `name`: in a message's field `via`, under a key of a map."""

    def wrap(inner: bytes) -> bytes:
        held = field(via, inner) if via else inner
        return field(NUMBERS[name], field(1, key) + field(2, held) if key else held)

    return wrap


WAYS = {
    "items": part("items", via=1),
    "a list of items": part("items", via=2),
    "additionalProperties": part("additionalProperties", via=2),
    "properties": part("properties", key="p"),
    "allOf": part("allOf"),
    "not": part("not"),
    "dependencies": part("dependencies", via=1, key="p"),
}


def definition(schema: bytes, wrap: Callable[[bytes], bytes], levels: int) -> bytes:
    for _ in range(levels):
        schema = wrap(schema)
    version = field(1, "v1") + field(4, field(1, schema))
    return body(field(2, field(7, version)), "apiextensions.k8s.io/v1", "CustomResourceDefinition")


def depth(value: Json) -> int:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if parts is None else 1 + max(map(depth, parts), default=0)


@pytest.mark.parametrize("way", WAYS)
def test_schemas_may_nest_but_not_without_end(way: str) -> None:
    assert depth(DECODER.decode(definition(b"", WAYS[way], 60))) > 60
    for levels in (200, 2000):
        assert "exceeded max depth" in refusal(definition(b"", WAYS[way], levels))


def test_depth_counts_through_json() -> None:
    deep = b'{"a":' * 150 + b"1" + b"}" * 150
    assert depth(DECODER.decode(body(field(2, field(1, deep)), "apps/v1", "ControllerRevision"))) == 151
    default = field(NUMBERS["default"], field(1, deep))
    assert "exceeded max depth" in refusal(definition(default, WAYS["not"], 60))


def outcome(content: bytes) -> None:
    """Read, or refused: nothing else, whatever comes."""
    try:
        found = DECODER.decode(content)
        gvk = GroupVersionKind.of(found["apiVersion"], found["kind"])
        decoding.read(found, gvk, definitions())
    except StatusFault as fault:
        assert fault.status == 400


@given(st.sampled_from(BODIES), st.data())
def test_cut_bodies_are_read_or_refused(content: bytes, data: st.DataObject) -> None:
    outcome(content[: data.draw(st.integers(0, len(content)))])


@given(st.sampled_from(BODIES), st.data())
def test_bodies_with_flipped_bits_are_read_or_refused(content: bytes, data: st.DataObject) -> None:
    mangled = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        mangled[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    outcome(bytes(mangled))


@given(st.sampled_from(["Pod", "ConfigMap", "Secret", "Event", "Service"]), st.binary(max_size=200))
def test_noise_is_read_or_refused(kind: str, noise: bytes) -> None:
    outcome(body(noise, "v1", kind))
    outcome(MAGIC + noise)
    outcome(noise)
