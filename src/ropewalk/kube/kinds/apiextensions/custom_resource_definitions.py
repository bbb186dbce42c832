"""CustomResourceDefinitions: their own rules. Their schemas are judged by `kube.extension`, which the strategy is
given.

https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ropewalk.kube.kinds.cells import NAME
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, annotations_of, at, metadata
from ropewalk.kube.machinery.strategy import Column, Strategy

SPEC = ROOT / "spec"
APPROVED = "api-approved.kubernetes.io"
_WHY_APPROVED = "https://github.com/kubernetes/enhancements/pull/1111"
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_VERSION = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")

SchemaRules = Callable[[Object, Path, FieldErrors], None]
"""(openAPIV3Schema, its path, errors): what `kube.extension` says of a schema."""


def _no_schema_rules(schema: Object, path: Path, errors: FieldErrors) -> None:
    """For tests of everything else."""


class CustomResourceDefinitions(Strategy):
    has_status = True
    has_generation = True
    columns = (
        NAME,
        Column("Created At", lambda obj, now: metadata(obj).get("creationTimestamp"), type="date"),
    )

    def __init__(self, schema_rules: SchemaRules = _no_schema_rules) -> None:
        self._schema_rules = schema_rules

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        accepted = spec.setdefault("names", {})
        kind = accepted.get("kind", "")
        if kind:
            accepted.setdefault("singular", kind.lower())
            accepted.setdefault("listKind", f"{kind}List")
        conversion = spec.setdefault("conversion", {})
        conversion.setdefault("strategy", "None")
        service = at(conversion, "webhook", "clientConfig", "service")
        if service is not None:
            service.setdefault("port", 443)

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        obj["status"] = {
            "conditions": [],
            "acceptedNames": {"plural": "", "kind": ""},
            "storedVersions": [
                version["name"] for version in obj["spec"].get("versions") or () if version.get("storage")
            ],
        }

    def prepare_update(self, new: Object, old: Object) -> None:
        super().prepare_update(new, old)
        storage = [version["name"] for version in new["spec"].get("versions") or () if version.get("storage")]
        stored = at(new, "status", "storedVersions") or []
        missing = [name for name in storage if name not in stored]
        if missing:
            new["status"] = {**(new.get("status") or {}), "storedVersions": [*stored, *missing]}

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        spec = obj["spec"]
        plural, group = at(spec, "names", "plural") or "", spec.get("group", "")
        name = metadata(obj).get("name", "")
        if name != f"{plural}.{group}":
            errors.invalid(ROOT / "metadata" / "name", name, 'must be spec.names.plural+"."+spec.group')
        self._validate_approval(obj, group, errors)
        self._validate_spec(spec, errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self.validate_create(new, errors)
        if any(
            condition.get("type") == "Established" and condition.get("status") == "True"
            for condition in at(old, "status", "conditions") or ()
        ):
            for path in (("group",), ("scope",), ("names", "kind"), ("names", "plural")):
                if at(new, "spec", *path) != at(old, "spec", *path):
                    where = SPEC
                    for step in path:
                        where = where / step
                    errors.immutable(where, at(new, "spec", *path))
        declared = {version.get("name") for version in new["spec"].get("versions") or ()}
        for place, stored in enumerate(at(new, "status", "storedVersions") or ()):
            if stored not in declared:
                errors.invalid(ROOT / "status" / "storedVersions" / place, stored, "must appear in spec.versions")

    def _validate_approval(self, obj: Object, group: str, errors: FieldErrors) -> None:
        protected = group.endswith((".k8s.io", ".kubernetes.io")) or group in ("k8s.io", "kubernetes.io")
        approval = annotations_of(obj).get(APPROVED, "")
        where = (ROOT / "metadata" / "annotations").key(APPROVED)
        if not protected:
            return
        if not approval:
            errors.required(where, f'protected groups must have approval annotation "{APPROVED}", see {_WHY_APPROVED}')
        elif not approval.startswith(("https://", "http://", "unapproved")):
            errors.invalid(
                where,
                approval,
                f'protected groups must have approval annotation "{APPROVED}" with either a URL or a reason starting'
                f' with "unapproved", see {_WHY_APPROVED}',
            )

    def _validate_spec(self, spec: Object, errors: FieldErrors) -> None:
        group = spec.get("group", "")
        if not group:
            errors.required(SPEC / "group")
        else:
            errors.messages(SPEC / "group", group, names.dns1123_subdomain(group))
            if "." not in group:
                errors.invalid(SPEC / "group", group, "should be a domain with at least one dot")
        if spec.get("scope", "") not in ("Cluster", "Namespaced"):
            errors.not_supported(SPEC / "scope", spec.get("scope", ""), ("Cluster", "Namespaced"))
        if spec.get("preserveUnknownFields"):
            errors.invalid(
                SPEC / "preserveUnknownFields",
                True,
                "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema"
                " instead",
            )
        _validate_names(spec.get("names") or {}, errors)
        self._validate_versions(spec.get("versions") or [], errors)
        _validate_conversion(spec.get("conversion") or {}, errors)

    def _validate_versions(self, versions: Sequence[Object], errors: FieldErrors) -> None:
        where = SPEC / "versions"
        if not versions:
            errors.invalid(where, versions, "must have exactly one version marked as storage version")
            return
        seen: set[str] = set()
        for place, version in enumerate(versions):
            name = version.get("name", "")
            if not _VERSION.fullmatch(name):
                errors.messages(where / place / "name", name, names.dns1035_label(name))
            if name in seen:
                errors.invalid(where, [one.get("name", "") for one in versions], "must contain unique version names")
            seen.add(name)
            self._validate_version(version, where / place, errors)
        if sum(bool(version.get("storage")) for version in versions) != 1:
            told = [version.get("name", "") for version in versions]
            errors.invalid(where, told, "must have exactly one version marked as storage version")

    def _validate_version(self, version: Object, path: Path, errors: FieldErrors) -> None:
        schema = at(version, "schema", "openAPIV3Schema")
        if schema is None:
            errors.required(path / "schema" / "openAPIV3Schema", "schemas are required")
        else:
            self._schema_rules(schema, path / "schema" / "openAPIV3Schema", errors)
        if version.get("deprecationWarning") is not None and not version.get("deprecated"):
            errors.invalid(
                path / "deprecationWarning", version["deprecationWarning"], "can only be set for deprecated versions"
            )
        for place, column in enumerate(version.get("additionalPrinterColumns") or ()):
            _validate_column(column, path / "additionalPrinterColumns" / place, errors)
        scale = at(version, "subresources", "scale")
        if scale is not None:
            _validate_scale(scale, path / "subresources" / "scale", errors)
        for place, field in enumerate(version.get("selectableFields") or ()):
            _validate_path(field.get("jsonPath", ""), path / "selectableFields" / place / "jsonPath", errors)


def _validate_names(given: Object, errors: FieldErrors) -> None:
    where = SPEC / "names"
    for name in ("plural", "singular"):
        value = given.get(name, "")
        if not value and name == "plural":
            errors.required(where / name)
        elif value:
            errors.messages(where / name, value, names.dns1035_label(value))
    for name in ("kind", "listKind"):
        value = given.get(name, "")
        if not value:
            errors.required(where / name)
        else:
            for problem in names.dns1035_label(value.lower()):
                errors.invalid(where / name, value, f"may have mixed case, but should otherwise match: {problem}")
    for name in ("shortNames", "categories"):
        for place, value in enumerate(given.get(name) or ()):
            errors.messages(where / name / place, value, names.dns1035_label(value))
    if given.get("kind") and given.get("kind") == given.get("listKind"):
        errors.invalid(where / "listKind", given["listKind"], "kind and listKind may not be the same")


def _validate_conversion(given: Object, errors: FieldErrors) -> None:
    where = SPEC / "conversion"
    strategy = given.get("strategy", "")
    if strategy not in ("None", "Webhook"):
        errors.not_supported(where / "strategy", strategy, ("None", "Webhook"))
    webhook = given.get("webhook")
    if strategy == "None":
        if webhook is not None:
            errors.forbidden(where / "webhook", "should not be set when strategy is not set to Webhook")
        return
    if strategy != "Webhook":
        return
    if webhook is None or webhook.get("clientConfig") is None:
        errors.required(where / "webhook" / "clientConfig", "required when strategy is set to Webhook")
    else:
        config = webhook["clientConfig"]
        if (config.get("url") is None) == (config.get("service") is None):
            errors.required(where / "webhook" / "clientConfig", "exactly one of url or service is required")
        elif config.get("url") is not None and not config["url"].startswith("https://"):
            errors.invalid(
                where / "webhook" / "clientConfig" / "url", config["url"], "'https' is the only allowed URL scheme"
            )
    versions = (webhook or {}).get("conversionReviewVersions") or []
    if not versions:
        errors.required(where / "webhook" / "conversionReviewVersions")
    elif "v1" not in versions:
        errors.invalid(
            where / "webhook" / "conversionReviewVersions", versions, "must include at least one of v1, v1beta1"
        )


def _validate_column(column: Object, path: Path, errors: FieldErrors) -> None:
    if not column.get("name"):
        errors.required(path / "name")
    kind = column.get("type", "")
    if not kind:
        errors.required(path / "type", f"must be one of {','.join(COLUMN_TYPES)}")
    elif kind not in COLUMN_TYPES:
        errors.invalid(path / "type", kind, f"must be one of {','.join(COLUMN_TYPES)}")
    form = column.get("format")
    if form and form not in COLUMN_FORMATS:
        errors.invalid(path / "format", form, f"must be one of {','.join(COLUMN_FORMATS)}")
    _validate_path(column.get("jsonPath", ""), path / "jsonPath", errors)


def _validate_path(text: str, path: Path, errors: FieldErrors) -> None:
    if not text:
        errors.required(path)
    elif not text.startswith("."):
        errors.invalid(path, text, "must be a simple json path starting with .")


def _validate_scale(scale: Object, path: Path, errors: FieldErrors) -> None:
    for name, under in (("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")):
        value = scale.get(name, "")
        if not value:
            errors.required(path / name)
        elif not value.startswith(under):
            errors.invalid(path / name, value, f"should be a json path under {under[:-1]}")
    selector = scale.get("labelSelectorPath")
    if selector and not selector.startswith((".spec.", ".status.")):
        errors.invalid(path / "labelSelectorPath", selector, "should be a json path under either .spec or .status")
