"""Device classes: kinds of devices that claims ask for.
https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/#deviceclass
"""

from __future__ import annotations

from ropewalk.kube.kinds.cells import AGE, NAME
from ropewalk.kube.kinds.checks import same
from ropewalk.kube.kinds.resource.device_rules import (
    MOST,
    Compiler,
    any_selector,
    validate_configuration,
    validate_each,
    validate_selectors,
)
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.strategy import Strategy

SPEC = ROOT / "spec"


class DeviceClasses(Strategy):
    has_generation = True
    returns_deleted = True
    columns = (NAME, AGE)

    def __init__(self, compiler: Compiler = any_selector) -> None:
        self._compiler = compiler

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        obj.setdefault("spec", {}).pop("extendedResourceName", None)  # a feature that 1.35 leaves off

    def prepare_update(self, new: Object, old: Object) -> None:
        new.setdefault("spec", {}).pop("extendedResourceName", None)
        super().prepare_update(new, old)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        _validate(obj.get("spec") or {}, errors, self._compiler)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        spec, before = new.get("spec") or {}, old.get("spec") or {}
        unchanged = same(spec.get("selectors"), before.get("selectors"))
        _validate(spec, errors, any_selector if unchanged else self._compiler)


def _validate(spec: Object, errors: FieldErrors, compiler: Compiler) -> None:
    def config(one: Object, here: Path) -> None:
        validate_configuration(one, here, errors)

    validate_selectors(spec.get("selectors") or (), SPEC / "selectors", errors, compiler)
    validate_each(spec.get("config") or (), MOST, config, SPEC / "config", errors)
