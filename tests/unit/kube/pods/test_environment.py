"""A container's environment from everything it may come from, and what happens where a source is missing."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.pods.environment import environment
from ropewalk.kube.pods.lowering import lower
from ropewalk.kube.pods.sources import Missing, Place, Sources, index_keys
from ropewalk.model.ids import Owner

PLACE = Place(Owner("c"), "10.1.1.1", "10.0.0.1", {"cpu": "8", "memory": "32Gi"})


def secret(**data: str) -> dict[str, Any]:
    return {"data": {key: b64encode(value.encode()).decode() for key, value in data.items()}}


def service(name: str, address: str = "10.96.0.9", namespace: str = "ns", *ports: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": address, "ports": list(ports or ({"port": 80},))},
    }


SOURCES = Sources(
    {"c": {"data": {"mode": "fast", "$(A)": "odd"}, "binaryData": {"blob": "AAE="}}},
    {"s": secret(password="hush", mode="slow")},
)


def of(container: dict[str, Any], sources: Sources = SOURCES, **spec: Any) -> dict[str, str]:
    container = {"name": "web", **container}
    meta = {"name": "a", "namespace": "ns", "uid": "u", "labels": {"b": 'x"y', "a": "1"}, "annotations": {"k/n": "v"}}
    pod = {"metadata": meta, "spec": {"nodeName": "n-1", "containers": [container]} | spec}
    return environment(pod, container, PLACE, sources)


def env(name: str, **source: Any) -> dict[str, Any]:
    return {"name": name, "valueFrom": source}


def key(name: str, of_key: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "key": of_key} | more


def test_later_sources_go_before_earlier_ones_and_env_before_them_all() -> None:
    found = of(
        {
            "envFrom": [
                {"configMapRef": {"name": "c"}},
                {"secretRef": {"name": "s"}},
                {"prefix": "P_", "configMapRef": {"name": "c"}},
                {"secretRef": {"name": "none", "optional": True}},
            ],
            "env": [
                {"name": "A", "value": "$(mode)+$(P_mode)+$(B)+$$(mode)"},
                {"name": "B", "value": "late"},
                {"name": "password", "value": ""},
            ],
        }
    )
    assert found == {
        "mode": "slow",
        "$(A)": "odd",
        "password": "",
        "P_mode": "fast",
        "P_$(A)": "odd",
        "A": "slow+fast+$(B)+$(mode)",
        "B": "late",
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"configMapKeyRef": key("c", "mode")}, "fast"),
        ({"secretKeyRef": key("s", "password")}, "hush"),
        ({"configMapKeyRef": key("c", "none", optional=True)}, None),
        ({"secretKeyRef": key("none", "k", optional=True)}, None),
        ({"fieldRef": {"fieldPath": "metadata.labels['b']"}}, 'x"y'),
        ({"fieldRef": {"fieldPath": "metadata.annotations['k/n']"}}, "v"),
        ({"fieldRef": {"fieldPath": "metadata.labels"}}, 'a="1"\nb="x\\"y"'),
        ({"fieldRef": {"fieldPath": "status.hostIP"}}, "10.0.0.1"),
        ({"fieldRef": {"fieldPath": "spec.nodeName"}}, "n-1"),
        ({"resourceFieldRef": {"resource": "limits.cpu"}}, "8"),
        ({"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Gi"}}, "32"),
        ({"resourceFieldRef": {"resource": "requests.cpu", "divisor": "1m"}}, "250"),
        ({"resourceFieldRef": {"resource": "requests.cpu"}}, "1"),
        ({"resourceFieldRef": {"resource": "requests.memory"}}, "0"),
        ({"resourceFieldRef": {"resource": "limits.ephemeral-storage"}}, "0"),
    ],
)
def test_one_variable(source: dict[str, Any], expected: str | None) -> None:
    found = of({"env": [env("V", **source)], "resources": {"requests": {"cpu": "250m"}}})
    assert found.get("V") == expected


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"env": [env("V", configMapKeyRef=key("none", "k"))]}, 'configmap "none" not found'),
        ({"env": [env("V", secretKeyRef=key("none", "k"))]}, 'secret "none" not found'),
        ({"env": [env("V", configMapKeyRef=key("c", "k"))]}, "couldn't find key k in ConfigMap ns/c"),
        ({"env": [env("V", configMapKeyRef=key("c", "blob"))]}, "couldn't find key blob in ConfigMap ns/c"),
        ({"env": [env("V", secretKeyRef=key("s", "k"))]}, "couldn't find key k in Secret ns/s"),
        ({"envFrom": [{"secretRef": {"name": "none"}}]}, 'secret "none" not found'),
        (
            {"env": [env("V", resourceFieldRef={"resource": "limits.cpu", "containerName": "x"})]},
            "container x not found",
        ),
    ],
)
def test_what_is_missing_is_named(container: dict[str, Any], message: str) -> None:
    with pytest.raises(Missing) as missing:
        of(container)
    assert str(missing.value) == message


def test_a_container_whose_source_is_missing_is_held_and_no_other() -> None:
    waits = {"name": "a", "envFrom": [{"secretRef": {"name": "none"}}]}
    pod = {"metadata": {"name": "p", "uid": "u"}, "spec": {"nodeName": "n", "containers": [waits, {"name": "b"}]}}
    made = lower(pod, PLACE, Sources())
    assert [each.hold for each in made.containers] == ['secret "none" not found', ""]


def test_services_are_told_to_their_namespace_and_the_api_to_all() -> None:
    ports = ({"port": 443, "name": "https", "protocol": "TCP"}, {"port": 53, "name": "dns", "protocol": "UDP"})
    services = [
        service("my-db", "10.96.0.9", "ns", *ports),
        service("other", namespace="elsewhere"),
        service("headless", "None"),
        service("kubernetes", "10.96.0.1", "default"),
    ]
    found = of({"env": [{"name": "URL", "value": "$(MY_DB_PORT)"}]}, Sources(services=services))
    assert {name for name in found if name.startswith("KUBERNETES")} and not any("OTHER" in name for name in found)
    assert {name: value for name, value in found.items() if name.startswith(("MY_DB", "URL"))} == {
        "URL": "tcp://10.96.0.9:443",
        "MY_DB_SERVICE_HOST": "10.96.0.9",
        "MY_DB_SERVICE_PORT": "443",
        "MY_DB_SERVICE_PORT_HTTPS": "443",
        "MY_DB_SERVICE_PORT_DNS": "53",
        "MY_DB_PORT": "tcp://10.96.0.9:443",
        "MY_DB_PORT_443_TCP": "tcp://10.96.0.9:443",
        "MY_DB_PORT_443_TCP_PROTO": "tcp",
        "MY_DB_PORT_443_TCP_PORT": "443",
        "MY_DB_PORT_443_TCP_ADDR": "10.96.0.9",
        "MY_DB_PORT_53_UDP": "udp://10.96.0.9:53",
        "MY_DB_PORT_53_UDP_PROTO": "udp",
        "MY_DB_PORT_53_UDP_PORT": "53",
        "MY_DB_PORT_53_UDP_ADDR": "10.96.0.9",
    }
    without = of({}, Sources(services=services), enableServiceLinks=False)
    assert set(without) == {name for name in found if name.startswith("KUBERNETES")}


def test_what_a_pod_draws_on_is_indexed() -> None:
    volumes = [
        {"configMap": {"name": "v"}},
        {"secret": {"secretName": "w"}},
        {"projected": {"sources": [{"configMap": {"name": "p"}}, {"secret": {"name": "q"}}]}},
    ]
    container = {"envFrom": [{"configMapRef": {"name": "c"}}], "env": [env("V", secretKeyRef=key("s", "k"))]}
    pod = {"metadata": {"namespace": "ns"}, "spec": {"initContainers": [container], "volumes": volumes}}
    names = ("configmap/ns/c", "configmap/ns/p", "configmap/ns/v", "secret/ns/q", "secret/ns/s", "secret/ns/w")
    assert index_keys(pod) == list(names)


names = st.sampled_from(["A", "B", "C", "c", "s", "none"])
references = st.fixed_dictionaries({"name": names, "key": names}, optional={"optional": st.booleans()})
variables = st.lists(
    st.one_of(
        st.fixed_dictionaries({"name": names, "value": st.sampled_from(["", "x", "$(A)", "$$(B)", "$(C)$(c)"])}),
        st.builds(lambda name, ref: env(name, configMapKeyRef=ref), names, references),
        st.builds(lambda name, ref: env(name, secretKeyRef=ref), names, references),
    ),
    max_size=6,
)


@given(variables)
def test_every_variable_is_there_or_its_absence_has_a_reason(given_variables: list[dict[str, Any]]) -> None:
    try:
        found = of({"env": given_variables})
    except Missing as missing:
        assert str(missing)
        return
    for variable in given_variables:
        source = variable.get("valueFrom") or {}
        optional = any(reference.get("optional") for reference in source.values())
        assert variable["name"] in found or optional
