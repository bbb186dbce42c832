"""The official Python client: typed calls, watches, streams, the dynamic client, informers, leader election."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.informer import ADDED, DELETED, MODIFIED, SharedInformer
from kubernetes.stream import portforward, stream

from support.installation import eventually
from support.kube_process import Cluster, Space, config_map, definition, deployment, pod


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Iterator[client.ApiClient]:
    with config.new_client_from_config(str(cluster.kubeconfig)) as made:
        yield made


@pytest.fixture
def core(api: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(api)


def map_of(name: str, **data: str) -> client.V1ConfigMap:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"app": "x"}), data=data)


def test_a_typed_object_lives(core: client.CoreV1Api, space: Space) -> None:
    made = core.create_namespaced_config_map(space.name, map_of("a", key="1"))
    assert made.metadata.uid and made.metadata.creation_timestamp.tzinfo is not None
    patched = core.patch_namespaced_config_map("a", space.name, {"data": {"key": "2"}})
    assert patched.data == {"key": "2"}
    with pytest.raises(ApiException) as stale:
        made.data = {"key": "3"}
        core.replace_namespaced_config_map("a", space.name, made)
    assert stale.value.status == 409
    patched.data = {"key": "3"}
    assert core.replace_namespaced_config_map("a", space.name, patched).data == {"key": "3"}
    gone = core.delete_namespaced_config_map("a", space.name)
    assert gone["status"] == "Success" and gone["details"]["uid"] == made.metadata.uid
    with pytest.raises(ApiException) as missing:
        core.read_namespaced_config_map("a", space.name)
    assert missing.value.status == 404 and '"reason":"NotFound"' in missing.value.body.replace(" ", "")


def test_a_bad_object_is_refused(api: client.ApiClient, space: Space) -> None:
    with pytest.raises(ApiException) as refused:
        client.AppsV1Api(api).create_namespaced_deployment(space.name, {**deployment("Bad_Name")})
    assert refused.value.status == 422 and "RFC 1123" in refused.value.body


def test_lists_select_and_continue(core: client.CoreV1Api, space: Space) -> None:
    for number in range(7):
        core.create_namespaced_config_map(space.name, map_of(f"c-{number}"))
    first = core.list_namespaced_config_map(space.name, label_selector="app=x", limit=3)
    rest = core.list_namespaced_config_map(space.name, label_selector="app=x", _continue=first.metadata._continue)
    assert [item.metadata.name for item in [*first.items, *rest.items]] == [f"c-{n}" for n in range(7)]
    core.delete_collection_namespaced_config_map(space.name, label_selector="app=x")
    assert core.list_namespaced_config_map(space.name, label_selector="app=x").items == []


def test_a_watch_resumes_where_it_ended(core: client.CoreV1Api, space: Space) -> None:
    since = core.list_namespaced_config_map(space.name).metadata.resource_version
    for number in range(3):
        core.create_namespaced_config_map(space.name, map_of(f"c-{number}"))
    seen: list[tuple[str, str]] = []
    for _ in range(3):
        watching = watch.Watch()
        arguments = {"namespace": space.name, "label_selector": "app=x", "resource_version": since}
        for event in watching.stream(core.list_namespaced_config_map, **arguments):
            seen.append((event["type"], event["object"].metadata.name))
            since = event["object"].metadata.resource_version
            break
        watching.stop()
    assert seen == [("ADDED", f"c-{number}") for number in range(3)], "none twice, none lost"


def test_status_and_scale(api: client.ApiClient, space: Space) -> None:
    apps = client.AppsV1Api(api)
    made = apps.create_namespaced_deployment(space.name, deployment("web"))
    assert made.spec.strategy.rolling_update.max_surge == "25%"
    apps.patch_namespaced_deployment_scale("web", space.name, {"spec": {"replicas": 4}})
    assert apps.read_namespaced_deployment_scale("web", space.name).spec.replicas == 4
    condition = {"type": "Mine", "status": "True"}
    told = {"status": {"conditions": [condition]}, "spec": {"replicas": 9}}
    now = apps.patch_namespaced_deployment_status("web", space.name, told)
    assert "Mine" in [each.type for each in now.status.conditions]
    assert now.spec.replicas == 4, "spec is not status' to change"


@pytest.fixture
def web(core: client.CoreV1Api, space: Space) -> str:
    served = pod("web", "sh", "-c", "echo started; sleep 3600")
    served["spec"]["containers"][0]["ports"] = [{"containerPort": 8080}]
    core.create_namespaced_pod(space.name, served)
    space.wait("pod/web", "condition=Ready")
    return space.name


def test_exec_through_a_stream(core: client.CoreV1Api, web: str) -> None:
    options: dict[str, Any] = {"stderr": True, "stdin": False, "stdout": True, "tty": False}
    call = core.connect_get_namespaced_pod_exec
    said = stream(call, "web", web, command=["sh", "-c", "echo out; echo err >&2"], **options)
    assert sorted(said.split()) == ["err", "out"]
    options["stdin"] = True
    talking = stream(call, "web", web, command=["sh"], _preload_content=False, **options)
    talking.write_stdin("echo typed\n")
    assert talking.readline_stdout(timeout=10) == "typed"
    talking.write_stdin("exit 3\n")
    talking.run_forever(timeout=10)
    assert talking.returncode == 3
    with pytest.raises(ApiException):
        stream(call, "nope", web, command=["true"], **options)


def test_logs_and_ports(core: client.CoreV1Api, web: str) -> None:
    assert core.read_namespaced_pod_log("web", web) == "started\n"
    forward = portforward(core.connect_get_namespaced_pod_portforward, "web", web, ports="8080")
    connection = forward.socket(8080)
    connection.setblocking(True)
    connection.sendall(b"GET /through HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = b""
    while chunk := connection.recv(4096):
        answer += chunk
    connection.close()
    assert b"200 OK" in answer and b"GET /through" in answer
    assert forward.error(8080) is None


def test_the_dynamic_client_and_a_kind_of_ones_own(api: client.ApiClient, space: Space) -> None:
    schema = {"spec": {"type": "object", "properties": {"size": {"type": "integer", "minimum": 1, "default": 3}}}}
    found = dynamic.DynamicClient(api)
    definitions = found.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
    definitions.create(body=definition("kites", "Kite", "official.example.com", schema))
    try:
        space.wait("crd/kites.official.example.com", "condition=Established")
        found.resources.invalidate_cache()
        kites = found.resources.get(api_version="official.example.com/v1", kind="Kite")
        body = {"apiVersion": "official.example.com/v1", "kind": "Kite", "metadata": {"name": "a"}, "spec": {}}
        assert kites.create(body=body, namespace=space.name).spec.size == 3
        applied = kites.server_side_apply(
            body={**body, "spec": {"size": 5}}, name="a", namespace=space.name, field_manager="me", force_conflicts=True
        )
        assert applied.spec.size == 5
        with pytest.raises(dynamic.exceptions.UnprocessibleEntityError):
            kites.create(body={**body, "metadata": {"name": "b"}, "spec": {"size": 0}}, namespace=space.name)
        events = kites.watch(namespace=space.name, timeout=10)
        assert next(events)["type"] == "ADDED"
        kites.delete(name="a", namespace=space.name)
        assert next(events)["type"] == "DELETED"
    finally:
        definitions.delete(name="kites.official.example.com")


def test_objects_of_a_file(api: client.ApiClient, space: Space) -> None:
    path = space.file("some.yaml", config_map("a", x="1"), deployment("web"))
    utils.create_from_yaml(api, str(path), namespace=space.name)
    assert space.names("deployments,cm", "--field-selector", "metadata.name!=kube-root-ca.crt") == [
        "deployment.apps/web",
        "configmap/a",
    ]
    with pytest.raises(utils.FailToCreateError):
        utils.create_from_yaml(api, str(path), namespace=space.name)


def test_an_informer(core: client.CoreV1Api, space: Space) -> None:
    core.create_namespaced_config_map(space.name, map_of("early"))
    informer = SharedInformer(core.list_namespaced_config_map, namespace=space.name, label_selector="app=x")
    seen: list[tuple[str, str]] = []
    told = threading.Event()
    for kind in (ADDED, MODIFIED, DELETED):

        def note(obj: Any, kind: str = kind) -> None:
            seen.append((kind, obj.metadata.name))
            told.set()

        informer.add_event_handler(kind, note)
    informer.start()
    try:
        eventually(lambda: ("ADDED", "early") in seen, "what is there is told")
        core.create_namespaced_config_map(space.name, map_of("late"))
        core.patch_namespaced_config_map("late", space.name, {"data": {"a": "b"}})
        core.delete_namespaced_config_map("late", space.name)
        eventually(lambda: ("DELETED", "late") in seen, "and what happens")
        assert seen == [("ADDED", "early"), ("ADDED", "late"), ("MODIFIED", "late"), ("DELETED", "late")]
        assert [item.metadata.name for item in informer.cache.list()] == ["early"]
    finally:
        informer.stop()


def test_a_lease_is_held_by_one(api: client.ApiClient, space: Space) -> None:
    leases = client.CoordinationV1Api(api)
    made = leases.create_namespaced_lease(
        space.name,
        {
            "metadata": {"name": "leader"},
            "spec": {
                "holderIdentity": "one",
                "leaseDurationSeconds": 15,
                "acquireTime": "2026-01-02T03:04:05.123456Z",
                "renewTime": "2026-01-02T03:04:05.123456Z",
            },
        },
    )
    assert made.spec.renew_time.microsecond == 123456
    made.spec.holder_identity = "two"
    leases.replace_namespaced_lease("leader", space.name, made)
    with pytest.raises(ApiException) as lost:
        leases.replace_namespaced_lease("leader", space.name, made)
    assert lost.value.status == 409
