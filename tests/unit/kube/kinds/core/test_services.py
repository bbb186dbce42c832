"""Services: what a write makes of one, and what they hold of the cluster's ranges."""

import asyncio
from typing import Any

import pytest

from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.kinds.core.service_addresses import IP_ADDRESSES, ServiceAddresses
from ropewalk.kube.kinds.core.services import Services
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object, copied
from ropewalk.kube.machinery.strategy import Finish
from ropewalk.store.memory import MemoryStore
from support.kube_api import MemoryApi
from support.kube_front import Server
from unit.kube.kinds.verdicts import cells, status_update, told

PORTS = [{"port": 80}]
DEFAULT = "/api/v1/namespaces/default"


class OnItsOwn(Services):
    """With an API and a store of its own."""

    def __init__(self, ranges: tuple[str, ...]) -> None:
        self.api = MemoryApi()
        super().__init__(ServiceAddresses(ranges, MemoryStore(SeededEntropy(8)), SeededEntropy(7)))


def services(*ranges: str) -> OnItsOwn:
    return OnItsOwn(ranges or ("10.96.0.0/24",))


def create(kind: OnItsOwn, spec: Object, *, dry_run: bool = False, name: str = "web") -> tuple[Object, list[str]]:
    """As the registry does; what was claimed is given back where something is wrong."""
    obj = {"metadata": {"name": name, "namespace": "default", "uid": name}, "spec": copied(spec)}
    kind.default(obj)
    kind.prepare_create(obj)
    finish = asyncio.run(kind.before_create(obj, kind.api, dry_run=dry_run))
    errors = FieldErrors()
    kind.validate_create(obj, errors)
    if finish is not None:
        asyncio.run(_told(finish, not errors and not dry_run))
    return obj, told(errors)


def update(kind: OnItsOwn, old: Object, spec: Object, *, fails: bool = False) -> tuple[Object, list[str]]:
    new = {"metadata": copied(old["metadata"]), "spec": copied(spec)}
    kind.default(new)
    kind.prepare_update(new, old)
    finish = asyncio.run(kind.before_update(new, old, kind.api, dry_run=False))
    errors = FieldErrors()
    kind.validate_update(new, old, errors)
    if finish is not None:
        asyncio.run(_told(finish, not errors and not fails))
    return new, told(errors)


async def _told(finish: Finish, written: bool) -> None:
    await finish(written)


def refused(action: Any) -> str:
    with pytest.raises(StatusFault) as caught:
        action()
    return caught.value.message


def test_a_plain_service() -> None:
    made, wrong = create(services(), {"ports": PORTS, "selector": {"app": "web"}})
    assert wrong == []
    spec = made["spec"]
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert {key: spec[key] for key in spec if key not in ("clusterIP", "clusterIPs")} == {
        "type": "ClusterIP",
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "selector": {"app": "web"},
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
    }
    assert made["status"] == {"loadBalancer": {}}


def test_defaults_of_session_affinity() -> None:
    made, wrong = create(services(), {"ports": PORTS, "sessionAffinity": "ClientIP"})
    assert made["spec"]["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    assert wrong == []


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({}, ["spec.ports: Required value"]),
        (
            {"ports": [{"port": 0}]},
            [
                f"spec.ports[0].{name}: Invalid value: 0: must be between 1 and 65535, inclusive"
                for name in ("port", "targetPort")
            ],
        ),
        ({"ports": [{"port": 80}, {"port": 81, "name": "b"}]}, ["spec.ports[0].name: Required value"]),
        (
            {"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "a"}]},
            [
                'spec.ports[1].name: Duplicate value: "a"',
                "spec.ports[1]: Duplicate value:"
                ' {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}',
            ],
        ),
        (
            {"ports": [{"port": 80, "protocol": "ICMP"}]},
            ['spec.ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"'],
        ),
        (
            {"ports": [{"port": 80, "nodePort": 30080}]},
            ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        (
            {"ports": PORTS, "sessionAffinity": "Sticky"},
            ['spec.sessionAffinity: Unsupported value: "Sticky": supported values: "ClientIP", "None"'],
        ),
        (
            {
                "ports": PORTS,
                "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}},
            },
            [
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and"
                " less than 86400"
            ],
        ),
        (
            {"ports": PORTS, "externalIPs": ["127.0.0.1", "x"]},
            [
                'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8,'
                " ::1/128)",
                'spec.externalIPs[1]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or'
                " 2001:db8::ffff)",
            ],
        ),
        (
            {"ports": PORTS, "externalTrafficPolicy": "Local"},
            ['spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services'],
        ),
        (
            {"ports": PORTS, "healthCheckNodePort": 30000},
            [
                "spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and"
                " `externalTrafficPolicy` is 'Local'"
            ],
        ),
        (
            {"ports": PORTS, "loadBalancerClass": "a/b"},
            ["spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"],
        ),
        (
            {"ports": PORTS, "type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0"]},
            [
                'spec.LoadBalancerSourceRanges[0]: Invalid value: "10.0.0.0": must be a valid CIDR value, (e.g.'
                " 10.9.8.0/24 or 2001:db8::/64)"
            ],
        ),
        (
            {"ports": PORTS, "trafficDistribution": "Near"},
            [
                'spec.trafficDistribution: Unsupported value: "Near": supported values: "PreferClose",'
                ' "PreferSameZone", "PreferSameNode"'
            ],
        ),
        (
            {"ports": PORTS, "type": "NodePort", "clusterIP": "None"},
            ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"],
        ),
        ({"type": "ExternalName"}, ["spec.externalName: Required value"]),
        ({"type": "ExternalName", "externalName": "db.example.com."}, []),
        (
            {"type": "ExternalName", "externalName": "a.b", "clusterIP": "10.96.0.9"},
            ["spec.clusterIPs: Forbidden: may not be set for ExternalName services"],
        ),
        ({"clusterIP": "None"}, []),
    ],
)
def test_rules(spec: Object, wrong: list[str]) -> None:
    assert create(services(), spec)[1] == wrong


@pytest.mark.parametrize(("name", "good"), [("web", True), ("1web", False), ("a.b", False), ("x" * 64, False)])
def test_names_are_labels_of_rfc_1035(name: str, good: bool) -> None:
    assert (services().name_problems(name, prefix=False) == []) is good


def test_headless_services_without_selector_may_have_any_family() -> None:
    spec = create(services(), {"clusterIP": "None"})[0]["spec"]
    assert (spec["ipFamilyPolicy"], spec["ipFamilies"]) == ("RequireDualStack", ["IPv4", "IPv6"])
    spec = create(services(), {"clusterIP": "None", "selector": {"a": "b"}})[0]["spec"]
    assert (spec["ipFamilyPolicy"], spec["ipFamilies"]) == ("SingleStack", ["IPv4"])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"clusterIP": "10.96.0.9"},
            'Service "web" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.9"]: failed to allocate IP 10.96.0.9:'
            " provided IP is already allocated",
        ),
        (
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]},
            'Service "web" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already'
            " allocated",
        ),
        (
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]},
            'Service "web" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid'
            " range. The range of valid ports is 30000-32767",
        ),
        (
            {"ipFamilyPolicy": "RequireDualStack"},
            'Service "web" is invalid: spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not'
            " configured for dual-stack services",
        ),
        (
            {"ipFamilies": ["IPv6"]},
            'Service "web" is invalid: spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
        ),
        (
            {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.2"]},
            'Service "web" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.2"]: first value must match'
            " `clusterIP`",
        ),
        (
            {"clusterIP": "nowhere"},
            'Service "web" is invalid: spec.clusterIPs[0]: Invalid value: "nowhere": must be a valid IP address, (e.g.'
            " 10.9.8.7 or 2001:db8::ffff)",
        ),
        (
            {
                "type": "LoadBalancer",
                "externalTrafficPolicy": "Local",
                "healthCheckNodePort": 30080,
            },
            'Service "web" is invalid: spec.healthCheckNodePort: Invalid value: 30080: provided port is already'
            " allocated",
        ),
    ],
)
def test_what_cannot_be_had_is_refused_and_nothing_stays_claimed(spec: Object, message: str) -> None:
    kind = services()
    other = {"type": "NodePort", "clusterIP": "10.96.0.9", "ports": [{"port": 80, "nodePort": 30080}]}
    assert create(kind, other, name="other")[1] == []
    taken = _taken(kind)
    assert taken == ["10.96.0.9", "30080"]
    assert refused(lambda: create(kind, {"ports": PORTS, **spec})) == message
    assert _taken(kind) == taken


def _taken(kind: OnItsOwn) -> list[str]:
    """Every address and port that is claimed."""
    claims = asyncio.run(kind.addresses.ports.list())
    return [address["metadata"]["name"] for address in kind.api.cache(IP_ADDRESSES).all()] + [one.key for one in claims]


def test_a_refused_service_holds_nothing() -> None:
    kind = services()
    _, wrong = create(kind, {"type": "NodePort", "ports": [{"port": 80, "protocol": "ICMP"}]})
    assert wrong and _taken(kind) == []


def test_a_dry_run_holds_nothing() -> None:
    kind = services()
    made, wrong = create(kind, {"type": "NodePort", "ports": PORTS}, dry_run=True)
    assert wrong == [] and made["spec"]["clusterIP"] and made["spec"]["ports"][0]["nodePort"]
    assert _taken(kind) == []


def test_a_deleted_service_holds_nothing() -> None:
    kind = services()
    made, _ = create(kind, {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": PORTS})
    assert len(_taken(kind)) == 3
    asyncio.run(kind.after_delete(made, kind.api))
    assert _taken(kind) == []


def test_the_endpoints_of_a_deleted_service_go_with_it() -> None:
    async def act() -> list[int]:
        server = await Server().start()
        try:
            for kind, body in (("services", {"spec": {"ports": [{"port": 80}]}}), ("endpoints", {})):
                made = await server.post(f"{DEFAULT}/{kind}", {"metadata": {"name": "web"}, **body})
                assert made.status == 201
            dry = await server.delete(f"{DEFAULT}/services/web?dryRun=All")
            still = await server.get(f"{DEFAULT}/endpoints/web")
            gone = await server.delete(f"{DEFAULT}/services/web")
            return [dry.status, still.status, gone.status, (await server.get(f"{DEFAULT}/endpoints/web")).status]
        finally:
            await server.stop()

    assert asyncio.run(act()) == [200, 200, 200, 404]


def test_ports_of_one_number_share_their_node_port() -> None:
    ports = [{"name": "tcp", "port": 53}, {"name": "udp", "port": 53, "protocol": "UDP"}, {"name": "web", "port": 80}]
    made, wrong = create(services(), {"type": "NodePort", "ports": ports})
    assert wrong == []
    first, second, third = (port["nodePort"] for port in made["spec"]["ports"])
    assert first == second != third


def test_load_balancers_may_go_without_node_ports() -> None:
    kind = services()
    made, wrong = create(kind, {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False, "ports": PORTS})
    assert wrong == [] and "nodePort" not in made["spec"]["ports"][0]


def test_two_families() -> None:
    kind = services("10.96.0.0/24", "fd00::/112")
    made, wrong = create(kind, {"ports": PORTS, "ipFamilyPolicy": "PreferDualStack"})
    assert wrong == [] and made["spec"]["ipFamilies"] == ["IPv4", "IPv6"]
    first, second = made["spec"]["clusterIPs"]
    assert first.startswith("10.96.0.") and second.startswith("fd00::")
    made, wrong = create(kind, {"ports": PORTS, "clusterIP": "fd00::9"})
    assert wrong == [] and made["spec"]["ipFamilies"] == ["IPv6"]


def test_a_second_family_is_added_and_released() -> None:
    kind = services("10.96.0.0/24", "fd00::/112")
    old, _ = create(kind, {"ports": PORTS})
    dual, wrong = update(kind, old, {**old["spec"], "ipFamilyPolicy": "RequireDualStack"})
    assert wrong == [] and len(dual["spec"]["clusterIPs"]) == 2
    assert dual["spec"]["clusterIPs"][0] == old["spec"]["clusterIP"]
    single, wrong = update(kind, dual, {**dual["spec"], "ipFamilyPolicy": "SingleStack"})
    assert wrong == [] and single["spec"]["clusterIPs"] == [old["spec"]["clusterIP"]]
    assert single["spec"]["ipFamilies"] == ["IPv4"]
    assert _taken(kind) == [old["spec"]["clusterIP"]]


def test_what_a_client_leaves_out_is_kept() -> None:
    kind = services()
    old, _ = create(kind, {"type": "NodePort", "ports": PORTS})
    new, wrong = update(kind, old, {"type": "NodePort", "ports": PORTS})
    assert wrong == [] and new["spec"] == old["spec"]


def test_an_address_stays() -> None:
    kind = services()
    old, _ = create(kind, {"ports": PORTS})
    changed = {**old["spec"], "clusterIP": "10.96.0.3", "clusterIPs": ["10.96.0.3"]}
    assert update(kind, old, changed)[1] == [
        'spec.clusterIPs[0]: Invalid value: ["10.96.0.3"]: may not change once set'
    ]


def test_a_change_of_type_releases_what_the_old_type_held() -> None:
    kind = services()
    old, _ = create(kind, {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": PORTS})
    new, wrong = update(kind, old, {**old["spec"], "type": "ClusterIP"})
    assert wrong == []
    gone = ("externalTrafficPolicy", "healthCheckNodePort", "allocateLoadBalancerNodePorts")
    assert not any(name in new["spec"] for name in gone) and "nodePort" not in new["spec"]["ports"][0]
    assert _taken(kind) == [new["spec"]["clusterIP"]]
    external, wrong = update(kind, new, {**new["spec"], "type": "ExternalName", "externalName": "a.example.com"})
    assert wrong == [] and not external["spec"].keys() & {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"}
    assert _taken(kind) == []
    again, wrong = update(kind, external, {"type": "ClusterIP", "ports": PORTS})
    assert wrong == [] and _taken(kind) == [again["spec"]["clusterIP"]]


def test_an_update_that_fails_changes_nothing_of_what_is_held() -> None:
    kind = services()
    old, _ = create(kind, {"type": "NodePort", "ports": PORTS})
    held = _taken(kind)
    update(kind, old, {**old["spec"], "type": "ExternalName", "externalName": "a.example.com"}, fails=True)
    assert _taken(kind) == held
    update(
        kind, old, {"type": "LoadBalancer", "ports": [{"name": "a", "port": 81}, {"name": "b", "port": 82}]}, fails=True
    )
    assert _taken(kind) == held


def test_a_node_port_can_be_moved() -> None:
    kind = services()
    old, _ = create(kind, {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30001}]})
    new, wrong = update(kind, old, {**old["spec"], "ports": [{"port": 80, "nodePort": 30002}]})
    assert wrong == [] and _taken(kind) == [new["spec"]["clusterIP"], "30002"]


@pytest.mark.parametrize(
    ("point", "wrong"),
    [
        ({"ip": "1.2.3.4", "ipMode": "VIP"}, []),
        ({"ip": "1.2.3.4"}, ["status.loadBalancer.ingress[0].ipMode: Required value: must be specified when `ip` is"
                             " set"]),
        (
            {"hostname": "1.2.3.4"},
            ['status.loadBalancer.ingress[0].hostname: Invalid value: "1.2.3.4": must be a DNS name, not an IP'
             " address"],
        ),
        (
            {"ip": "1.2.3.4", "ipMode": "Tunnel"},
            ['status.loadBalancer.ingress[0].ipMode: Unsupported value: "Tunnel": supported values: "Proxy", "VIP"'],
        ),
    ],
)  # fmt: skip
def test_rules_of_the_status(point: Object, wrong: list[str]) -> None:
    kind = services()
    old, _ = create(kind, {"type": "LoadBalancer", "ports": PORTS})
    assert status_update(kind, {"loadBalancer": {"ingress": [point]}}, old) == wrong


def test_only_load_balancers_have_points() -> None:
    kind = services()
    old, _ = create(kind, {"ports": PORTS})
    assert status_update(kind, {"loadBalancer": {"ingress": [{"hostname": "a.b"}]}}, old) == [
        "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"
    ]


def test_columns() -> None:
    made, _ = create(services(), {"type": "NodePort", "clusterIP": "10.96.0.5", "selector": {"b": "2", "a": "1"},
                                  "ports": [{"port": 80, "nodePort": 30080}]})  # fmt: skip
    shown = cells(services(), made, wide=True)
    assert shown["Type"] == "NodePort" and shown["Cluster-IP"] == "10.96.0.5"
    assert (shown["Port(s)"], shown["External-IP"], shown["Selector"]) == ("80:30080/TCP", "<none>", "a=1,b=2")
    pending, _ = create(services(), {"type": "LoadBalancer", "ports": PORTS})
    assert cells(services(), pending)["External-IP"] == "<pending>"
    pending["status"] = {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}}
    assert cells(services(), pending)["External-IP"] == "lb.example.com"


@pytest.mark.parametrize(
    ("spec", "warnings"),
    [
        ({"ports": PORTS}, []),
        (
            {"ports": PORTS, "trafficDistribution": "PreferClose"},
            ['spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'],
        ),
        (
            {"ports": PORTS, "externalName": "a.b"},
            ['spec.externalName is ignored when spec.type is not "ExternalName"'],
        ),
        (
            {"clusterIP": "None", "sessionAffinity": "ClientIP"},
            ["spec.SessionAffinity is ignored for headless services"],
        ),
    ],
)
def test_warnings(spec: Object, warnings: list[str]) -> None:
    kind = services()
    assert kind.warnings(create(kind, spec)[0], None) == warnings
