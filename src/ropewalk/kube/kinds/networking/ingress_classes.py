"""Ingress classes: which controller makes an ingress true.
https://kubernetes.io/docs/concepts/services-networking/ingress/#ingress-class
"""

from __future__ import annotations

from ropewalk.kube.kinds.cells import AGE, NAME, field, text
from ropewalk.kube.kinds.checks import domain_prefixed_path, immutable
from ropewalk.kube.kinds.endpoint_addresses import validate_reference
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.machinery.strategy import Strategy

SPEC = ROOT / "spec"
LONGEST_CONTROLLER = 250
SCOPES = ("Cluster", "Namespace")


class IngressClasses(Strategy):
    has_generation = True
    columns = (
        NAME,
        field("Controller", "spec", "controller"),
        text("Parameters", lambda obj: _parameters(at(obj, "spec", "parameters"))),
        AGE,
    )

    def default(self, obj: Object) -> None:
        parameters = at(obj, "spec", "parameters")
        if parameters is not None:
            parameters.setdefault("scope", "Cluster")

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        spec = obj.get("spec") or {}
        controller = spec.get("controller", "")
        if len(controller.encode()) > LONGEST_CONTROLLER:
            errors.too_long(SPEC / "controller", LONGEST_CONTROLLER)
        domain_prefixed_path(controller, SPEC / "controller", errors)
        if (parameters := spec.get("parameters")) is not None:
            _validate_parameters(parameters, SPEC / "parameters", errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        immutable(at(new, "spec", "controller") or "", at(old, "spec", "controller"), SPEC / "controller", errors)
        self.validate_create(new, errors)


def _parameters(parameters: Object | None) -> str:
    if parameters is None:
        return "<none>"
    group = parameters.get("apiGroup")
    return f"{parameters.get('kind', '')}{'' if group is None else f'.{group}'}/{parameters.get('name', '')}"


def _validate_parameters(parameters: Object, path: Path, errors: FieldErrors) -> None:
    validate_reference(parameters, path, errors)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope is None:
        errors.required(path / "scope")
    elif scope not in SCOPES:
        errors.not_supported(path / "scope", scope, SCOPES)
    elif scope == "Namespace":
        if namespace is None:
            errors.required(path / "namespace", "`parameters.scope` is set to 'Namespace'")
        else:
            errors.messages(path / "namespace", namespace, names.dns1123_label(namespace))
    elif namespace is not None:
        errors.forbidden(path / "namespace", "`parameters.scope` is set to 'Cluster'")
