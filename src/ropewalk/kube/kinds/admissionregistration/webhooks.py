"""Webhook configurations, validating and mutating.
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ropewalk.kube.kinds.admissionregistration.clients import default_client, validate_client
from ropewalk.kube.kinds.admissionregistration.expressions import Compiler, anything, validate_match_conditions
from ropewalk.kube.kinds.admissionregistration.rules import (
    FAILURE_POLICIES,
    MATCH_POLICIES,
    REINVOCATION_POLICIES,
    default_rules,
    validate_rule,
)
from ropewalk.kube.kinds.cells import AGE, NAME
from ropewalk.kube.kinds.checks import same
from ropewalk.kube.machinery import names, selectors
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.strategy import Column, Strategy

WEBHOOKS = ROOT / "webhooks"
VERSIONS = ("v1", "v1beta1")
NO_SIDE_EFFECTS = ("None", "NoneOnDryRun")
SIDE_EFFECTS = ("None", "NoneOnDryRun", "Some", "Unknown")
LONGEST_TIMEOUT = 30


class ValidatingWebhookConfigurations(Strategy):
    has_generation = True
    allow_unconditional_update = False
    mutating: ClassVar[bool] = False
    columns = (
        NAME,
        Column("Webhooks", lambda obj, now: len(obj.get("webhooks") or ()), type="integer"),
        AGE,
    )

    def __init__(self, compiler: Compiler = anything) -> None:
        self._compiler = compiler

    def default(self, obj: Object) -> None:
        for hook in obj.get("webhooks") or ():
            hook.setdefault("failurePolicy", "Fail")
            hook.setdefault("matchPolicy", "Equivalent")
            hook.setdefault("namespaceSelector", {})
            hook.setdefault("objectSelector", {})
            hook.setdefault("timeoutSeconds", 10)
            if self.mutating:
                hook.setdefault("reinvocationPolicy", "Never")
            default_rules(hook.get("rules") or ())
            default_client(hook.setdefault("clientConfig", {}))

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        self._validate(obj.get("webhooks") or [], None, errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self._validate(new.get("webhooks") or [], old.get("webhooks") or [], errors)

    def _validate(self, hooks: Sequence[Object], old: Sequence[Object] | None, errors: FieldErrors) -> None:
        """What all of the old hooks kept to, the new ones must."""
        before = old or ()
        strict_effects = all(hook.get("sideEffects") in NO_SIDE_EFFECTS for hook in before)
        strict_versions = all(
            set(VERSIONS) & set(hook["admissionReviewVersions"])
            for hook in before
            if hook.get("admissionReviewVersions")
        )
        strict_names = len({hook.get("name") for hook in before}) == len(before)
        unchanged = old is not None and same(
            [hook.get("matchConditions") for hook in hooks], [hook.get("matchConditions") for hook in old]
        )
        stored = [condition for hook in before for condition in hook.get("matchConditions") or ()]
        seen = set()
        for index, hook in enumerate(hooks):
            path = WEBHOOKS / index
            self._validate_hook(hook, path, errors, SIDE_EFFECTS if not strict_effects else NO_SIDE_EFFECTS)
            if not unchanged:
                validate_match_conditions(
                    hook.get("matchConditions") or (),
                    stored,
                    path / "matchConditions",
                    errors,
                    self._compiler,
                    has_params=False,
                )
            versions = hook.get("admissionReviewVersions") or []
            _validate_versions(versions, path / "admissionReviewVersions", errors, strict=strict_versions)
            name = hook.get("name")
            if name and name in seen and strict_names:
                errors.duplicate(path / "name", name)
            seen.add(name)

    def _validate_hook(self, hook: Object, path: Path, errors: FieldErrors, effects: tuple[str, ...]) -> None:
        name = hook.get("name", "")
        if not name:
            errors.required(path / "name")
        else:
            errors.messages(path / "name", name, names.fully_qualified(name))
        for index, rule in enumerate(hook.get("rules") or ()):
            validate_rule(rule, path / "rules" / index, errors)
        for key, known in (("failurePolicy", FAILURE_POLICIES), ("matchPolicy", MATCH_POLICIES)):
            if key in hook and hook[key] not in known:
                errors.not_supported(path / key, hook[key], known)
        effect = hook.get("sideEffects")
        if effect is None:
            errors.required(path / "sideEffects", f"must specify one of {', '.join(effects)}")
        elif effect not in effects:
            errors.not_supported(path / "sideEffects", effect, effects)
        timeout = hook.get("timeoutSeconds")
        if timeout is not None and not 1 <= timeout <= LONGEST_TIMEOUT:
            errors.invalid(path / "timeoutSeconds", timeout, "the timeout value must be between 1 and 30 seconds")
        for key in ("namespaceSelector", "objectSelector"):
            if hook.get(key) is not None:
                selectors.validate_label_selector(hook[key], path / key, errors)
        if self.mutating and hook.get("reinvocationPolicy", "Never") not in REINVOCATION_POLICIES:
            errors.not_supported(path / "reinvocationPolicy", hook["reinvocationPolicy"], REINVOCATION_POLICIES)
        validate_client(hook.get("clientConfig") or {}, path / "clientConfig", errors)


class MutatingWebhookConfigurations(ValidatingWebhookConfigurations):
    mutating = True


def _validate_versions(versions: Sequence[str], path: Path, errors: FieldErrors, *, strict: bool) -> None:
    known = ", ".join(VERSIONS)
    if not versions:
        errors.required(path, f"must specify one of {known}")
        return
    for index, version in enumerate(versions):
        if version in versions[:index]:
            errors.invalid(path / index, version, "duplicate version")
        else:
            errors.messages(path / index, version, names.dns1035_label(version))
    if strict and not set(VERSIONS) & set(versions):
        errors.invalid(path, versions, f"must include at least one of {known}")
