"""How strict field validation is told: of bodies, of patches of each kind, of YAML."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.kube_front import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Server, config_map

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = await Server().start()
    yield made
    await made.stop()


async def test_how_strict_refusals_are_told(server: Server) -> None:
    await server.config_map("a")
    refused = 'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
    answer = await server.post(f"{MAPS}?fieldValidation=Strict", b'{"metadata":{"name":"b","name":"c"},"dta":{}}')
    assert (answer.status, answer.message) == (400, f'{refused}duplicate field "metadata.name", unknown field "dta"')
    mixed = b'{"dta":{},"metadata":{"name":"b","nme":"b","name":"c"},"binaryDta":1}'
    told = (
        'unknown field "dta", unknown field "metadata.nme", duplicate field "metadata.name", unknown field "binaryDta"'
    )
    answer = await server.post(f"{MAPS}?fieldValidation=Strict", mixed)
    assert (answer.status, answer.message) == (400, refused + told), "as they come in the text"
    answer = await server.put(f"{MAPS}/a?fieldValidation=Strict", {**config_map("a"), "dta": {}})
    assert (answer.status, answer.message) == (400, f'{refused}unknown field "dta"')


@pytest.mark.parametrize(
    ("kind", "body", "quoted", "told"),
    [
        (STRATEGIC_PATCH, b'{"dta":{"x":1}}', '"map[dta:map[x:1]]"', 'unknown field "dta"'),
        (MERGE_PATCH, b'{"dta":1,"dta":2}', '{\\"apiVersion\\":', 'duplicate field "dta", unknown field "dta"'),
        (
            JSON_PATCH,
            b'[{"op":"add","path":"/dta","value":1,"xx":2}]',
            '{\\"apiVersion\\":',
            'json patch unknown field "[0].xx", unknown field "dta"',
        ),
    ],
)
async def test_how_strict_refusals_of_patches_are_told(
    server: Server, kind: str, body: bytes, quoted: str, told: str
) -> None:
    await server.config_map("a")
    answer = await server.patch(f"{MAPS}/a?fieldValidation=Strict", body, kind)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.message.startswith(' "" is invalid: patch: Invalid value: ') and quoted in answer.message
    assert answer.message.endswith(f": strict decoding error: {told}")
    assert [cause["field"] for cause in answer.json["details"]["causes"]] == ["patch"]


async def test_how_doubled_keys_of_yaml_are_told(server: Server) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yy\ndata:\n  a: x\n  a: z\n"
    line = 'line 7: key "a" already set in map'
    answer = await server.patch(f"{MAPS}/yy?fieldManager=me&fieldValidation=Strict", text, APPLY_PATCH)
    assert (answer.status, answer.message) == (
        400,
        f"error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  {line}",
    )
    answer = await server.ask("POST", f"{MAPS}?fieldValidation=Warn", text, content_type="application/yaml")
    quoted = line.replace('"', '\\"')
    assert (answer.status, answer.headers["warning"]) == (201, f'299 - "{quoted}"')


async def test_a_patch_to_a_wrong_type_is_an_invalid_patch(server: Server) -> None:
    await server.config_map("a")
    answer = await server.patch(f"{MAPS}/a", {"data": 7}, MERGE_PATCH)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert ": json: cannot unmarshal number into Go struct field ConfigMap.data of type map[string]string" in (
        answer.message
    )
