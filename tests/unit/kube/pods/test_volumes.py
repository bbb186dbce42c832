"""Volumes and mounts as pods write them: files that the control plane gives, folders that the machine keeps."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.pods.refusals import Refused
from ropewalk.kube.pods.sources import Missing, Place, Sources, TokenWish
from ropewalk.kube.pods.volumes import mounts, tokens_wished, volumes
from ropewalk.model.ids import Owner
from ropewalk.model.workload import File, Mount, Volume

PLACE = Place(Owner("c"), "10.1.1.1", "10.0.0.1", {"memory": "8Gi"}, files=True)
SOURCES = Sources(
    {"c": {"data": {"a": "1", "b": "2"}, "binaryData": {"x": "AAE="}}},
    {"s": {"data": {"k": b64encode(b"hush").decode()}}},
    tokens={TokenWish("", 3600): "plain-token", TokenWish("vault", 600): "vault-token"},
)


def pod(*given_volumes: dict[str, Any], **spec: Any) -> dict[str, Any]:
    made = [{"name": f"v{n}"} | each for n, each in enumerate(given_volumes)]
    meta = {"name": "p", "namespace": "ns", "uid": "u", "labels": {"app": "x"}}
    return {"metadata": meta, "spec": {"nodeName": "n", "volumes": made, "containers": [{"name": "web"}]} | spec}


def one(given_volume: dict[str, Any], place: Place = PLACE, **spec: Any) -> Volume:
    (made,) = volumes(pod(given_volume, **spec), place, SOURCES)
    return made


def files(given_volume: dict[str, Any]) -> dict[str, tuple[bytes, int]]:
    made = one(given_volume)
    assert made.kind == "files" and not made.hold, made.hold
    return {file.path: (file.content, file.mode) for file in made.files}


def test_all_keys_or_the_items_asked_for() -> None:
    assert files({"configMap": {"name": "c"}}) == {"a": (b"1", 0o644), "b": (b"2", 0o644), "x": (b"\0\1", 0o644)}
    items = [{"key": "a", "path": "dir/a"}, {"key": "b", "path": "b", "mode": 0o400}]
    found = files({"configMap": {"name": "c", "items": items, "defaultMode": 0o600}})
    assert found == {"dir/a": (b"1", 0o600), "b": (b"2", 0o400)}
    assert files({"secret": {"secretName": "s"}}) == {"k": (b"hush", 0o644)}


def test_a_projected_volume_is_all_of_its_sources() -> None:
    sources = [
        {"configMap": {"name": "c", "items": [{"key": "a", "path": "a"}]}},
        {"secret": {"name": "s"}},
        {"serviceAccountToken": {"path": "token"}},
        {"serviceAccountToken": {"path": "vault", "audience": "vault", "expirationSeconds": 600}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ]
    given_volume = {"projected": {"sources": sources, "defaultMode": 0o440}}
    contents = {path: content for path, (content, mode) in files(given_volume).items() if mode == 0o440}
    assert contents == {
        "a": b"1",
        "k": b"hush",
        "token": b"plain-token",
        "vault": b"vault-token",
        "labels": b'app="x"',
    }
    assert tokens_wished(pod(given_volume)) == [TokenWish("", 3600), TokenWish("vault", 600)]


def test_the_downward_api_knows_resources_of_a_container() -> None:
    reference = {"containerName": "web", "resource": "limits.memory", "divisor": "1Mi"}
    assert files({"downwardAPI": {"items": [{"path": "m", "resourceFieldRef": reference}]}}) == {"m": (b"8192", 0o644)}


@pytest.mark.parametrize(
    ("given_volume", "hold"),
    [
        ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
        ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
        (
            {"configMap": {"name": "c", "items": [{"key": "z", "path": "z"}]}},
            "configmap references non-existent config key: z",
        ),
        (
            {"secret": {"secretName": "s", "items": [{"key": "z", "path": "z"}]}},
            "references non-existent secret key: z",
        ),
        ({"projected": {"sources": [{"secret": {"name": "none"}}]}}, 'secret "none" not found'),
        ({"configMap": {"name": "none", "optional": True}}, ""),
        ({"configMap": {"name": "c", "optional": True, "items": [{"key": "z", "path": "z"}]}}, ""),
    ],
)
@pytest.mark.parametrize("real", [True, False])
def test_what_is_missing_holds_the_volume(given_volume: Any, hold: str, real: bool) -> None:
    made = one(given_volume, replace(PLACE, files=real))
    assert made.hold == hold and made.files == ()


def test_another_content_is_another_version_and_a_machine_without_files_gets_none() -> None:
    changed = Sources({"c": {"data": {"a": "1", "b": "3"}}})
    given_pod = pod({"configMap": {"name": "c"}})
    versions = {volumes(given_pod, PLACE, sources)[0].version for sources in (SOURCES, changed, SOURCES)}
    assert len(versions) == 2
    assert volumes(given_pod, replace(PLACE, files=False), changed)[0].files == ()


contents = st.dictionaries(st.sampled_from(["a", "b", "ab", "a b"]), st.text(max_size=3), max_size=3)


@given(contents, contents)
def test_a_version_tells_contents_apart(left: dict[str, str], right: dict[str, str]) -> None:
    def version(data: dict[str, str]) -> str:
        return volumes(pod({"configMap": {"name": "c"}}), PLACE, Sources({"c": {"data": data}}))[0].version

    assert (version(left) == version(right)) is (left == right)


def test_folders_that_the_machine_keeps() -> None:
    assert one({"emptyDir": {}}) == Volume("v0", "scratch")
    assert one({"emptyDir": {"sizeLimit": "1Mi"}}) == Volume("v0", "scratch", size_bytes=1 << 20)
    assert one({"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}) == Volume("v0", "memory", size_bytes=1 << 20)
    assert one({"emptyDir": {"medium": "Memory"}}).size_bytes == 8 << 30
    limited = [{"name": "web", "resources": {"limits": {"memory": "64Mi"}}}]
    assert one({"emptyDir": {"medium": "Memory"}}, containers=limited).size_bytes == 64 << 20


@pytest.mark.parametrize(
    ("given_volume", "named"),
    [
        ({"hostPath": {"path": "/"}}, "hostPath"),
        ({"persistentVolumeClaim": {"claimName": "x"}}, "persistentVolumeClaim"),
        ({"emptyDir": {"medium": "HugePages"}}, "HugePages"),
        ({"projected": {"sources": [{"podCertificate": {}}]}}, "podCertificate"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(given_volume: Any, named: str) -> None:
    with pytest.raises(Refused, match=named):
        one(given_volume)


def test_a_path_of_the_machine_where_that_is_confined() -> None:
    confined = replace(PLACE, host_access=True)
    assert one({"hostPath": {"path": "/var/log"}}, confined) == Volume("v0", "host", "/var/log")
    with pytest.raises(Refused, match="Socket"):
        one({"hostPath": {"path": "/var/log", "type": "Socket"}}, confined)


def test_mounts_and_parts_of_volumes() -> None:
    given_pod = pod({"configMap": {"name": "c"}}, {"emptyDir": {}})
    container = {
        "name": "web",
        "volumeMounts": [
            {"name": "v0", "mountPath": "/etc/c"},
            {"name": "v1", "mountPath": "/data", "subPath": "a/b"},
            {"name": "v1", "mountPath": "/own", "subPathExpr": "$(POD)/x", "readOnly": True},
        ],
    }
    assert mounts(given_pod, container, {"POD": "p-1"}, PLACE) == (
        Mount("v0", "/etc/c", True),
        Mount("v1", "/data", False, "a/b"),
        Mount("v1", "/own", True, "p-1/x"),
    )
    with pytest.raises(Missing, match='missing value for "POD"'):
        mounts(given_pod, container, {}, PLACE)
    assert mounts(given_pod, container, {}, replace(PLACE, files=False)) == ()
    with pytest.raises(Refused, match="Bidirectional"):
        mounts(
            given_pod, {"name": "w", "volumeMounts": [{"name": "v1", "mountPropagation": "Bidirectional"}]}, {}, PLACE
        )


def test_files_of_a_volume_are_in_order_and_later_sources_win() -> None:
    sources = [{"configMap": {"name": "c"}}, {"secret": {"name": "s", "items": [{"key": "k", "path": "a"}]}}]
    made = one({"projected": {"sources": sources}})
    assert made.files == (File("a", b"hush"), File("b", b"2"), File("x", b"\0\1"))
