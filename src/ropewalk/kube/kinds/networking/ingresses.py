"""Ingresses: ways in for HTTP, by host and path.
https://kubernetes.io/docs/concepts/services-networking/ingress/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ropewalk.kube.kinds.cells import AGE, NAME, pointer, text
from ropewalk.kube.kinds.endpoint_addresses import point_warnings, points_text, validate_points, validate_reference
from ropewalk.kube.machinery import addresses, names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, annotations_of, at
from ropewalk.kube.machinery.strategy import Strategy

SPEC = ROOT / "spec"
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_BAD_SEQUENCES = ("//", "/./", "/../", "%2f", "%2F")
_BAD_ENDINGS = ("/..", "/.")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What an update need not mend, as it stood there before."""

    secret_names: bool = False
    wildcard_rules: bool = False
    service_names: bool = False


class Ingresses(Strategy):
    has_status = True
    has_generation = True
    kept_under = "ingress"
    columns = (
        NAME,
        pointer("Class", "spec", "ingressClassName", none="<none>"),
        text("Hosts", lambda obj: _hosts(at(obj, "spec", "rules") or ())),
        text("Address", points_text),
        text("Ports", lambda obj: "80, 443" if at(obj, "spec", "tls") else "80"),
        AGE,
    )

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        obj["status"] = {"loadBalancer": {}}

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        spec = obj.get("spec") or {}
        _validate(spec, Tolerance(), errors)
        annotation, name = annotations_of(obj).get(CLASS_ANNOTATION), spec.get("ingressClassName")
        if annotation is not None and name is not None and annotation != name:
            here = ROOT / "annotations" / CLASS_ANNOTATION
            errors.invalid(here, annotation, "must match `ingressClassName` when both are specified")

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        _validate(new.get("spec") or {}, _tolerance(old.get("spec") or {}), errors)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        validate_points(new, old, errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        if old is None and CLASS_ANNOTATION in annotations_of(new) and at(new, "spec", "ingressClassName") is None:
            return [f"annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead"]
        return []

    def status_warnings(self, new: Object, old: Object) -> list[str]:
        return point_warnings(new)


def _hosts(rules: Sequence[Object]) -> str:
    listed: list[str] = []
    more = False
    for rule in rules:
        more = more or len(listed) == _SHOWN
        if not more and rule.get("host"):
            listed.append(rule["host"])
    shown = ",".join(listed) or "*"
    return f"{shown} + {len(rules) - _SHOWN} more..." if more else shown


def _tolerance(old: Object) -> Tolerance:
    def rules_fail(rule: Object) -> bool:
        found = FieldErrors()
        _validate_rule_value(rule, SPEC, Tolerance(), found)
        return bool(found)

    rules = old.get("rules") or ()
    backends = [old.get("defaultBackend") or {}]
    backends += [path.get("backend") or {} for rule in rules for path in at(rule, "http", "paths") or ()]
    services = [at(backend, "service", "name") or "" for backend in backends if backend.get("service") is not None]
    return Tolerance(
        any(_secret_problems(entry.get("secretName", "")) for entry in old.get("tls") or ()),
        any("*" in rule.get("host", "") and rules_fail(rule) for rule in rules),
        any(not names.dns1123_label(name) and names.dns1035_label(name) for name in services),
    )


def _secret_problems(name: str) -> list[str]:
    return names.dns1123_subdomain(name) if name else []


def _host_problems(host: str) -> list[str]:
    return names.wildcard_subdomain(host) if "*" in host else names.dns1123_subdomain(host)


def _validate(spec: Object, tolerance: Tolerance, errors: FieldErrors) -> None:
    rules, backend = spec.get("rules") or (), spec.get("defaultBackend")
    if not rules and backend is None:
        errors.invalid(SPEC, spec.get("rules"), "either `defaultBackend` or `rules` must be specified")
    if backend is not None:
        _validate_backend(backend, SPEC / "defaultBackend", tolerance, errors)
    for index, rule in enumerate(rules):
        here, host = SPEC / "rules" / index, rule.get("host", "")
        if host:
            if addresses.parse_ip(host):
                errors.invalid(here / "host", host, "must be a DNS name, not an IP address")
            errors.messages(here / "host", host, _host_problems(host))
        if "*" not in host or not tolerance.wildcard_rules:
            _validate_rule_value(rule, here, tolerance, errors)
    for index, entry in enumerate(spec.get("tls") or ()):
        here = SPEC / "tls" / index
        for place, host in enumerate(entry.get("hosts") or ()):
            errors.messages(here / "hosts" / place, host, _host_problems(host))
        if not tolerance.secret_names:
            secret = entry.get("secretName", "")
            errors.messages(here / "secretName", secret, _secret_problems(secret))
    if (name := spec.get("ingressClassName")) is not None:
        errors.messages(SPEC / "ingressClassName", name, names.dns1123_subdomain(name))


def _validate_rule_value(rule: Object, path: Path, tolerance: Tolerance, errors: FieldErrors) -> None:
    http = rule.get("http")
    if http is None:
        return
    paths = http.get("paths") or ()
    if not paths:
        errors.required(path / "http" / "paths")
    for index, entry in enumerate(paths):
        here = path / "http" / "paths" / index
        if _validate_path(entry, here, errors):
            _validate_backend(entry.get("backend") or {}, here / "backend", tolerance, errors)


def _validate_path(entry: Object, path: Path, errors: FieldErrors) -> bool:
    """Whether there is more to look at."""
    kind, given = entry.get("pathType"), entry.get("path", "")
    if kind is None:
        errors.required(path / "pathType", "pathType must be specified")
        return False
    here = path / "path"
    if kind in ("Exact", "Prefix"):
        if not given.startswith("/"):
            errors.invalid(here, given, "must be an absolute path")
        for sequence in _BAD_SEQUENCES:
            if sequence in given:
                errors.invalid(here, given, f"must not contain '{sequence}'")
        for ending in _BAD_ENDINGS:
            if given.endswith(ending):
                errors.invalid(here, given, f"cannot end with '{ending}'")
    elif kind == "ImplementationSpecific":
        if given and not given.startswith("/"):
            errors.invalid(here, given, "must be an absolute path")
    else:
        errors.not_supported(path / "pathType", kind, PATH_TYPES)
    return True


def _validate_backend(backend: Object, path: Path, tolerance: Tolerance, errors: FieldErrors) -> None:
    resource, service = backend.get("resource"), backend.get("service")
    if resource is not None and service is not None:
        errors.invalid(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        validate_reference(resource, path / "resource", errors)
    elif service is not None:
        _validate_service(service, path, tolerance, errors)
    else:
        errors.invalid(path, "", "resource or service backend is required")


def _validate_service(service: Object, path: Path, tolerance: Tolerance, errors: FieldErrors) -> None:
    name, here = service.get("name"), path / "service"
    if not name:
        errors.required(here / "name")
    else:
        check = names.dns1123_label if tolerance.service_names else names.dns1035_label
        errors.messages(here / "name", name, check(name))
    port = service.get("port") or {}
    port_name, number = port.get("name"), port.get("number")
    if port_name and number:
        errors.invalid(path, "", "cannot set both port name & port number")
    elif port_name:
        errors.messages(here / "port" / "name", port_name, names.port_name(port_name))
    elif number:
        errors.messages(here / "port" / "number", number, names.port_number(number))
    else:
        errors.required(path, "port name or number is required")
