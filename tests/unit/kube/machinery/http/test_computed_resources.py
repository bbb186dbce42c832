"""Resources of which nothing is stored, and versions that every request is warned of, as a client meets them."""

from __future__ import annotations

import asyncio

from support.kube_front import METADATA_LIST, TABLE, Answer, Server

STATUSES = "/api/v1/componentstatuses"


def asked(*targets: tuple[str, str]) -> list[Answer]:
    """The answers to GETs: (target, what is accepted)."""

    async def ask() -> list[Answer]:
        server = await Server().start()
        try:
            return [await server.get(target, accept=accept) for target, accept in targets]
        finally:
            await server.stop()

    return asyncio.run(ask())


def test_one_and_all() -> None:
    one, every, none = asked(
        (f"{STATUSES}/scheduler", "application/json"),
        (STATUSES, "application/json"),
        (f"{STATUSES}/kubelet", "application/json"),
    )
    healthy = [{"type": "Healthy", "status": "True", "message": "ok"}]
    assert one.json == {
        "apiVersion": "v1",
        "kind": "ComponentStatus",
        "metadata": {"name": "scheduler"},
        "conditions": healthy,
    }
    assert (every.json["kind"], every.json["metadata"]) == ("ComponentStatusList", {})
    assert every.json["items"] == [
        {"metadata": {"name": name}, "conditions": healthy} for name in ("scheduler", "controller-manager", "etcd-0")
    ]
    assert (none.status, none.message) == (404, 'componentstatus "kubelet" not found')


def test_selected() -> None:
    by_name, by_label = asked(
        (f"{STATUSES}?fieldSelector=metadata.name%3Detcd-0", "application/json"),
        (f"{STATUSES}?labelSelector=a", "application/json"),
    )
    assert [item["metadata"]["name"] for item in by_name.json["items"]] == ["etcd-0"]
    assert by_label.json["items"] == []


def test_other_forms() -> None:
    table, row, metadata = asked((STATUSES, TABLE), (f"{STATUSES}/etcd-0", TABLE), (STATUSES, METADATA_LIST))
    assert [column["name"] for column in table.json["columnDefinitions"]] == ["Name", "Status", "Message", "Error"]
    assert table.json["rows"][0]["cells"] == ["scheduler", "Healthy", "ok", ""]
    assert [found["cells"][0] for found in row.json["rows"]] == ["etcd-0"]
    assert metadata.json["kind"] == "PartialObjectMetadataList"
    assert metadata.json["items"][2] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"name": "etcd-0"},
    }


def test_deprecated_versions_warn_at_every_request() -> None:
    statuses, endpoints, pods = asked(
        *((target, "application/json") for target in (STATUSES, "/api/v1/endpoints", "/api/v1/pods"))
    )
    assert statuses.headers["warning"] == '299 - "v1 ComponentStatus is deprecated in v1.19+"'
    assert endpoints.headers["warning"] == (
        '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
    )
    assert "warning" not in pods.headers
