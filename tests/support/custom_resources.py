"""What tests of custom resources share: definitions, and one version's strategy and reader as the server makes them."""

from __future__ import annotations

from typing import Any

from ropewalk.kube.extension import custom
from ropewalk.kube.kinds.definitions import definitions
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object, copied
from ropewalk.kube.machinery.resources import ResourceInfo

INFO = ResourceInfo("example.com", "v1", "Widget", "widgets", "widget", True)
META = definitions().schema_named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
RULES = "x-kubernetes-validations"


def fields(**properties: Any) -> Object:
    return {"type": "object", "properties": properties}


def version(schema: Object | None = None, name: str = "v1", **more: Any) -> Object:
    shape = {"openAPIV3Schema": schema if schema is not None else fields(spec=fields(a={"type": "string"}))}
    return {"name": name, "served": True, "storage": name == "v1", "schema": shape, **more}


def definition(*versions: Object, plural: str = "widgets", kind: str = "Widget", **spec: Any) -> Object:
    group = spec.pop("group", "example.com")
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": list(versions) or [version()],
            **spec,
        },
    }


def widget(name: str = "one", **parts: Any) -> Object:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, **parts}


class Judge:
    """One version of `widgets`: reads objects, and says what is wrong with them as `field: message` lines."""

    def __init__(self, schema: Object, **subresources: Any) -> None:
        described = version(schema, subresources=subresources)
        self.strategy = custom.custom_strategy(described, INFO)
        self._read = custom.body_reader(INFO, described, META)

    def read(self, obj: Object) -> tuple[Object, list[str]]:
        found, unknown = self._read(copied(obj))
        self.strategy.default(found)
        return found, unknown

    def create(self, **parts: Any) -> list[str]:
        errors = FieldErrors()
        self.strategy.validate_create(self.read(widget(**parts))[0], errors)
        return told(errors)

    def update(self, old: Object, new: Object) -> list[str]:
        errors = FieldErrors()
        self.strategy.validate_update(self.read(widget(**new))[0], self.read(widget(**old))[0], errors)
        return told(errors)

    def warned_update(self, old: Object, new: Object) -> list[str]:
        errors = FieldErrors()
        after, before = self.read(widget(**new))[0], self.read(widget(**old))[0]
        self.strategy.validate_update(after, before, errors)
        assert not errors, told(errors)
        return self.strategy.warnings(after, before)

    def status(self, old: Object, new: Object) -> list[str]:
        errors = FieldErrors()
        self.strategy.validate_status_update(self.read(widget(**new))[0], self.read(widget(**old))[0], errors)
        return told(errors)


def told(errors: FieldErrors) -> list[str]:
    return [f"{cause.field}: {cause.message}" for cause in errors.causes]
