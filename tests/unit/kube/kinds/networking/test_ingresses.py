"""Ingresses."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.networking import STRATEGIES
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.agreement import agree
from unit.kube.kinds.verdicts import cells, changed, created, creation, status_update, update, updated

INGRESSES = STRATEGIES["ingresses"]
BACKEND: Object = {"service": {"name": "web", "port": {"number": 80}}}
CLASS = "kubernetes.io/ingress.class"
PATH = "spec.rules[0].http.paths[0]"


def _ingress(**spec: Any) -> Object:
    return {"spec": {"defaultBackend": BACKEND, **spec}}


def _backed(backend: Object) -> Object:
    return {"spec": {"defaultBackend": backend}}


def _rule(path: str = "/", kind: str | None = "Prefix", **rule: Any) -> Object:
    entry: Object = {"path": path, "backend": BACKEND}
    if kind is not None:
        entry["pathType"] = kind
    return {"spec": {"rules": [{"http": {"paths": [entry]}, **rule}]}}


def _service(name: str = "web", **port: Any) -> Object:
    return _backed({"service": {"name": name, "port": port}})


@pytest.mark.parametrize(
    "ingress",
    [
        _ingress(),
        _rule(),
        {"spec": {"rules": [{}]}},
        *[_rule(host=host) for host in ("", "a.b", "*.a.b")],
        *[_rule(path, kind) for path in ("/", "/a/b", "/a/...") for kind in ("Exact", "Prefix")],
        *[_rule(path, "ImplementationSpecific") for path in ("", "/a//b", "/a%2fb", "/..")],
        _service("a" * 63, number=65535),
        _backed({"service": {"name": "web", "port": {"name": "http"}}}),
        _backed({"resource": {"kind": "Bucket", "name": "b"}}),
        _backed({"resource": {"apiGroup": "example.com", "kind": "Bucket", "name": "b"}}),
        _ingress(tls=[{}, {"hosts": ["a.b", "*.c"], "secretName": "s"}]),
        _ingress(ingressClassName="nginx"),
        {**_ingress(ingressClassName="nginx"), "metadata": {"annotations": {CLASS: "nginx"}}},
    ],
)
def test_good(ingress: Object) -> None:
    made = created(INGRESSES, ingress)
    assert creation(INGRESSES, ingress) == []
    assert update(INGRESSES, made, made) == []


@pytest.mark.parametrize(
    ("ingress", "complaints"),
    [
        ({}, ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"]),
        ({"spec": {"rules": [{"http": {}}]}}, ["spec.rules[0].http.paths: Required value"]),
        (_rule(kind=None), [f"{PATH}.pathType: Required value: pathType must be specified"]),
        (
            _rule(kind="Odd"),
            [
                f'{PATH}.pathType: Unsupported value: "Odd": supported values: "Exact",'
                ' "ImplementationSpecific", "Prefix"'
            ],
        ),
        (_rule(host="A.b"), ['spec.rules[0].host: Invalid value: "A.b": a lowercase RFC 1123 subdomain…']),
        (
            _rule(host="10.0.0.1"),
            ['spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address'],
        ),
        (
            _rule(host="::1"),
            [
                'spec.rules[0].host: Invalid value: "::1": must be a DNS name, not an IP address',
                'spec.rules[0].host: Invalid value: "::1": a lowercase RFC 1123 subdomain…',
            ],
        ),
        *[
            (_rule(host=host), [f'spec.rules[0].host: Invalid value: "{host}": a wildcard DNS-1123 subdomain must…'])
            for host in ("*", "*a.b", "a.*.b")
        ],
        *[
            (_rule(path, kind), [f'{PATH}.path: Invalid value: "{path}": {problem}'])
            for path, problem in (
                ("", "must be an absolute path"),
                ("a", "must be an absolute path"),
                ("/a//b", "must not contain '//'"),
                ("/a/./b", "must not contain '/./'"),
                ("/a/../b", "must not contain '/../'"),
                ("/a%2fb", "must not contain '%2f'"),
                ("/a%2Fb", "must not contain '%2F'"),
                ("/a/..", "cannot end with '/..'"),
                ("/a/.", "cannot end with '/.'"),
            )
            for kind in ("Exact", "Prefix")
        ],
        (
            _rule("a", "ImplementationSpecific"),
            [f'{PATH}.path: Invalid value: "a": must be an absolute path'],
        ),
        (_backed({}), ['spec.defaultBackend: Invalid value: "": resource or service backend is required']),
        (
            _backed({**BACKEND, "resource": {"kind": "K", "name": "n"}}),
            ['spec.defaultBackend: Invalid value: "": cannot set both resource and service backends'],
        ),
        (
            _backed({"service": {}}),
            [
                "spec.defaultBackend.service.name: Required value",
                "spec.defaultBackend: Required value: port name or number is required",
            ],
        ),
        (
            _service("1web", number=80),
            ['spec.defaultBackend.service.name: Invalid value: "1web": a DNS-1035 label must consist of…'],
        ),
        (
            _backed({"service": {"name": "web", "port": {"name": "http", "number": 80}}}),
            ['spec.defaultBackend: Invalid value: "": cannot set both port name & port number'],
        ),
        (
            _backed({"service": {"name": "web", "port": {"name": "http-"}}}),
            ['spec.defaultBackend.service.port.name: Invalid value: "http-": must not begin or end with a hyphen'],
        ),
        (
            _service(number=70000),
            ["spec.defaultBackend.service.port.number: Invalid value: 70000: must be between 1 and 65535, inclusive"],
        ),
        (
            _backed({"resource": {}}),
            [
                "spec.defaultBackend.resource.kind: Required value",
                "spec.defaultBackend.resource.name: Required value",
            ],
        ),
        (
            _backed({"resource": {"apiGroup": "", "kind": "..", "name": "a/b"}}),
            [
                'spec.defaultBackend.resource.apiGroup: Invalid value: "": a lowercase RFC 1123 subdomain…',
                "spec.defaultBackend.resource.kind: Invalid value: \"..\": may not be '..'",
                "spec.defaultBackend.resource.name: Invalid value: \"a/b\": may not contain '/'",
            ],
        ),
        (
            _ingress(tls=[{"hosts": ["a", "*b", "C"], "secretName": "S"}]),
            [
                'spec.tls[0].hosts[1]: Invalid value: "*b": a wildcard DNS-1123 subdomain must…',
                'spec.tls[0].hosts[2]: Invalid value: "C": a lowercase RFC 1123 subdomain…',
                'spec.tls[0].secretName: Invalid value: "S": a lowercase RFC 1123 subdomain…',
            ],
        ),
        (
            _ingress(ingressClassName=""),
            ['spec.ingressClassName: Invalid value: "": a lowercase RFC 1123 subdomain…'],
        ),
    ],
)
def test_bad(ingress: Object, complaints: list[str]) -> None:
    agree(creation(INGRESSES, ingress), complaints)
    agree(update(INGRESSES, created(INGRESSES, ingress), created(INGRESSES, _ingress())), complaints)


class TestClasses:
    def test_annotation_and_field_agree_at_creation(self) -> None:
        both = {**_ingress(ingressClassName="nginx"), "metadata": {"annotations": {CLASS: "other"}}}
        assert creation(INGRESSES, both) == [
            f'annotations.{CLASS}: Invalid value: "other": must match `ingressClassName` when both are specified'
        ]
        assert update(INGRESSES, created(INGRESSES, both), created(INGRESSES, _ingress())) == []

    def test_the_annotation_is_deprecated(self) -> None:
        made = created(INGRESSES, {**_ingress(), "metadata": {"annotations": {CLASS: "nginx"}}})
        assert INGRESSES.warnings(made, None) == [
            f"annotation \"{CLASS}\" is deprecated, please use 'spec.ingressClassName' instead"
        ]
        assert INGRESSES.warnings(made, made) == []


class TestWhatWasWrongBefore:
    """Mistakes of older versions may stay, and be joined by others of their sort."""

    def test_secrets(self) -> None:
        old = created(INGRESSES, _ingress(tls=[{"secretName": "B d"}]))
        assert update(INGRESSES, changed(old, "spec", "tls", [{"secretName": "B e"}]), old) == []

    def test_names_of_services(self) -> None:
        old = created(INGRESSES, _service("1web", number=80))
        assert update(INGRESSES, changed(old, "spec", "defaultBackend", "service", "name", "2web"), old) == []
        worse = changed(old, "spec", "defaultBackend", "service", "name", "2Web")
        agree(
            update(INGRESSES, worse, old),
            ['spec.defaultBackend.service.name: Invalid value: "2Web": a lowercase RFC 1123 label…'],
        )

    def test_rules_of_wildcards(self) -> None:
        old = created(INGRESSES, _rule("x", host="*.a.b"))
        assert update(INGRESSES, old, old) == []
        assert update(INGRESSES, changed(old, "spec", "rules", 0, "host", "a.b"), old) == [
            f'{PATH}.path: Invalid value: "x": must be an absolute path'
        ]


class TestStatus:
    def test_not_by_the_front_door(self) -> None:
        there = {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}
        made = created(INGRESSES, {**_ingress(), "status": there})
        assert made["status"] == {"loadBalancer": {}}
        old = {**made, "status": there}
        assert updated(INGRESSES, made, old)["status"] == there

    def test_generation(self) -> None:
        old = created(INGRESSES, _ingress())
        assert old["metadata"]["generation"] == 1
        assert updated(INGRESSES, changed(old, "metadata", "labels", {"a": "b"}), old)["metadata"]["generation"] == 1
        assert updated(INGRESSES, changed(old, "spec", "tls", [{}]), old)["metadata"]["generation"] == 2

    def test_labels_pass_the_specification_stays(self) -> None:
        old = created(INGRESSES, _ingress())
        new = {**created(INGRESSES, _rule()), "metadata": {**old["metadata"], "labels": {"a": "b"}}}
        INGRESSES.prepare_status_update(new, old)
        assert (new["spec"], new["metadata"]["labels"]) == (old["spec"], {"a": "b"})

    @pytest.mark.parametrize(
        ("point", "complaints"),
        [
            ({}, []),
            ({"ip": "1.2.3.4"}, []),
            ({"ip": "01.2.3.4"}, []),
            ({"hostname": "a.b"}, []),
            ({"ip": "x"}, ['ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)']),
            ({"hostname": "A"}, ['hostname: Invalid value: "A": a lowercase RFC 1123 subdomain…']),
            ({"hostname": "1.2.3.4"}, ['hostname: Invalid value: "1.2.3.4": must be a DNS name, not an IP address']),
        ],
    )
    def test_points(self, point: Object, complaints: list[str]) -> None:
        found = status_update(INGRESSES, {"loadBalancer": {"ingress": [point]}}, created(INGRESSES, _ingress()))
        agree(found, [f"status.loadBalancer.ingress[0].{complaint}" for complaint in complaints])


class TestTable:
    def test_a_row(self) -> None:
        made = created(INGRESSES, _ingress(ingressClassName="nginx", tls=[{}]))
        made["status"] = {
            "loadBalancer": {
                "ingress": [{"ip": "10.0.0.2"}, {"hostname": "a.b"}, {"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]
            }
        }
        assert cells(INGRESSES, made) == {
            "Name": "one",
            "Class": "nginx",
            "Hosts": "*",
            "Address": "10.0.0.1,10.0.0.2,a.b",
            "Ports": "80, 443",
            "Age": "0s",
        }

    def test_an_empty_row(self) -> None:
        row = cells(INGRESSES, created(INGRESSES, _ingress()))
        assert (row["Class"], row["Address"], row["Ports"]) == ("<none>", "", "80")
        assert cells(INGRESSES, created(INGRESSES, _ingress(ingressClassName="")))["Class"] == ""

    @pytest.mark.parametrize(
        ("hosts", "text"),
        [
            (["a", "b", "c"], "a,b,c"),
            (["a", "b", "", "c", "d"], "a,b,c + 2 more..."),
            (["a", "b", "c", "d", "e"], "a,b,c + 2 more..."),
            (["", ""], "*"),
        ],
    )
    def test_hosts(self, hosts: list[str], text: str) -> None:
        made = created(INGRESSES, {"spec": {"rules": [{"host": host} for host in hosts]}})
        assert cells(INGRESSES, made)["Hosts"] == text
