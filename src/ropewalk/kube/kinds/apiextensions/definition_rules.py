"""What a CustomResourceDefinition must be, its schemas apart. Pure.

kube-apiserver judges definitions in an older form, in which what all versions have in common (the schema of a single
version, say) stands once, outside of them: error paths tell of it (`spec.validation.openAPIV3Schema…`).
https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ropewalk.kube.kinds.admissionregistration.clients import validate_service, validate_url
from ropewalk.kube.kinds.apiextensions import ca_bundles
from ropewalk.kube.kinds.apiextensions.field_paths import follow
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.errors import Cause
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Json, Object, at

SPEC = ROOT / "spec"
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
MAX_SELECTABLE_FIELDS = 8
_LONGEST_WARNING = 256


class SchemaRules(Protocol):
    """What `kube.extension` says of a schema that stands at `path`; `status`: it is a subresource."""

    def __call__(self, schema: Object, path: str, *, status: bool) -> list[Cause]: ...


@dataclass(frozen=True, slots=True)
class Shared:
    """What all versions have in common, by its name in a version: absent where they differ."""

    schema: Object | None
    parts: dict[str, Json]

    def has(self, word: str) -> bool:
        return word in self.parts


def shared(versions: Sequence[Object]) -> Shared:
    found: dict[str, Json] = {}
    for word in ("schema", "subresources", "additionalPrinterColumns", "selectableFields"):
        values = [version.get(word) or None for version in versions]
        if word in ("schema", "subresources"):
            values = [version.get(word) for version in versions]
        if values and all(value == values[0] for value in values):
            found[word] = values[0]
    return Shared(at(found, "schema", "openAPIV3Schema"), found)


def validate_spec(spec: Object, schema_rules: SchemaRules, errors: FieldErrors, *, any_ca_bundle: bool = True) -> None:
    """`any_ca_bundle`: one that cannot be read is let through."""
    _validate_group(spec.get("group", ""), errors)
    _validate_word(SPEC / "scope", spec.get("scope", ""), ("Cluster", "Namespaced"), errors)
    versions: list[Object] = spec.get("versions") or []
    common = shared(versions)
    if common.schema is None:
        for place, version in enumerate(versions):
            if at(version, "schema", "openAPIV3Schema") is None:
                errors.required(SPEC / "versions" / place / "schema" / "openAPIV3Schema")
    preserve = bool(spec.get("preserveUnknownFields"))
    if preserve and any(_has_default(at(version, "schema", "openAPIV3Schema")) for version in versions):
        told = "must be false in order to use defaults in the schema"
        errors.invalid(SPEC / "preserveUnknownFields", True, told)
    for place, version in enumerate(versions):
        _validate_version(version, SPEC / "versions" / place, common, schema_rules, errors)
    _validate_together(versions, common, errors)
    _validate_required_names(spec.get("names") or {}, errors)
    validate_names(spec.get("names") or {}, SPEC / "names", errors)
    _validate_shared(versions, common, schema_rules, errors)
    strategy = at(spec, "conversion", "strategy") or ""
    if strategy != "None" and spec.get("conversion") is not None and preserve:
        told = "must be None if spec.preserveUnknownFields is true"
        errors.invalid(SPEC / "conversion" / "strategy", strategy, told)
    validate_conversion(spec.get("conversion"), errors, any_ca_bundle=any_ca_bundle)


def _validate_group(group: str, errors: FieldErrors) -> None:
    if not group:
        errors.required(SPEC / "group")
        return
    problems = names.dns1123_subdomain(group)
    if problems:
        errors.invalid(SPEC / "group", group, ",".join(problems))
    elif "." not in group:
        errors.invalid(SPEC / "group", group, "should be a domain with at least one dot")


def _validate_word(path: Path, word: str, known: Sequence[str], errors: FieldErrors) -> None:
    if not word:
        errors.required(path)
    elif word not in known:
        told = ", ".join(f'"{one}"' for one in known)
        errors.causes.append(
            Cause(
                "FieldValueNotSupported", f"Unsupported value: {json.dumps(word)}: supported values: {told}", str(path)
            )
        )


def _has_default(schema: Json) -> bool:
    if type(schema) is dict:
        return schema.get("default") is not None or any(map(_has_default, schema.values()))
    return type(schema) is list and any(map(_has_default, schema))


# --- versions


def _validate_version(
    version: Object, path: Path, common: Shared, schema_rules: SchemaRules, errors: FieldErrors
) -> None:
    name = version.get("name", "")
    problems = names.dns1035_label(name)
    if problems:
        errors.invalid(path / "name", name, ",".join(problems))
    for problem in _warning_problems(version):
        errors.invalid(path / "deprecationWarning", version.get("deprecationWarning", ""), problem)
    schema = at(version, "schema", "openAPIV3Schema")
    if schema is not None and not common.has("schema"):
        status = at(version, "subresources", "status") is not None
        errors.causes += schema_rules(schema, str(path / "schema" / "openAPIV3Schema"), status=status)
    if not common.has("subresources"):
        validate_subresources(version.get("subresources"), path / "subresources", errors)
    if not common.has("additionalPrinterColumns"):
        for place, column in enumerate(version.get("additionalPrinterColumns") or ()):
            validate_column(column, path / "additionalPrinterColumns" / place, errors)
    if version.get("selectableFields") and not common.has("selectableFields"):
        where = path / "selectableFields"
        if schema is None or common.has("schema"):
            told = "may only be set when `version.schema.openAPIV3Schema` is not included"
            errors.invalid(where, "", told)
        else:
            validate_selectable(version["selectableFields"], schema, where, errors)


def _warning_problems(version: Object) -> list[str]:
    warning = version.get("deprecationWarning")
    if warning is None:
        return []
    if not version.get("deprecated"):
        return ["can only be set for deprecated versions"]
    found = []
    if len(warning.encode()) > _LONGEST_WARNING:
        found.append(f"must be <= {_LONGEST_WARNING} characters long")
    if not warning:
        found.append("must not be an empty string")
    for place, character in enumerate(warning):
        if not character.isprintable():
            offset = len(warning[:place].encode())
            told = "must only contain printable UTF-8 characters; non-printable character found at index"
            found.append(f"{told} {offset}")
            break
    return found


def _validate_together(versions: Sequence[Object], common: Shared, errors: FieldErrors) -> None:
    where, told = SPEC / "versions", [version.get("name", "") for version in versions]
    if len(set(told)) != len(told):
        errors.causes.append(_of_versions(where, versions, common, "must contain unique version names"))
    if sum(bool(version.get("storage")) for version in versions) != 1:
        problem = "must have exactly one version marked as storage version"
        errors.causes.append(_of_versions(where, versions, common, problem))
    problems = names.dns1035_label(told[0]) if told else []
    if problems and told[0]:
        errors.invalid(SPEC / "version", told[0], ",".join(problems))


def _of_versions(path: Path, versions: Sequence[Object], common: Shared, problem: str) -> Cause:
    """Quotes them as the older form has them: what they share is not theirs."""

    def part(version: Object, word: str) -> Json:
        return None if common.has(word) else version.get(word)

    shown = [
        {
            "Name": version.get("name", ""),
            "Served": bool(version.get("served")),
            "Storage": bool(version.get("storage")),
            "Deprecated": bool(version.get("deprecated")),
            "DeprecationWarning": version.get("deprecationWarning"),
            "Schema": part(version, "schema"),
            "Subresources": part(version, "subresources"),
            "AdditionalPrinterColumns": part(version, "additionalPrinterColumns"),
            "SelectableFields": part(version, "selectableFields"),
        }
        for version in versions
    ]
    text = json.dumps(shown, separators=(",", ":"), ensure_ascii=False)
    return Cause("FieldValueInvalid", f"Invalid value: {text}: {problem}", str(path))


def _validate_shared(
    versions: Sequence[Object], common: Shared, schema_rules: SchemaRules, errors: FieldErrors
) -> None:
    if common.schema is not None:
        status = any(at(version, "subresources", "status") is not None for version in versions)
        errors.causes += schema_rules(common.schema, "spec.validation.openAPIV3Schema", status=status)
    if common.has("subresources"):
        validate_subresources(common.parts["subresources"], SPEC / "subresources", errors)
    for place, column in enumerate(common.parts.get("additionalPrinterColumns") or ()):
        validate_column(column, SPEC / "additionalPrinterColumns" / place, errors)
    fields = common.parts.get("selectableFields")
    if fields:
        where = SPEC / "selectableFields"
        if common.schema is None:
            errors.invalid(where, "", "may only be set when validations.schema is included")
        else:
            validate_selectable(fields, common.schema, where, errors)


# --- names


def _validate_required_names(given: Object, errors: FieldErrors) -> None:
    for name in ("plural", "singular", "kind", "listKind"):
        if not given.get(name):
            errors.required(SPEC / "names" / name)


def validate_names(given: Object, path: Path, errors: FieldErrors) -> None:
    for name in ("plural", "singular"):
        _validate_label(given.get(name, ""), path / name, errors)
    for name in ("kind", "listKind"):
        value = given.get(name, "")
        problems = names.dns1035_label(value.lower()) if value else []
        if problems:
            told = "may have mixed case, but should otherwise match: " + ",".join(problems)
            errors.invalid(path / name, value, told)
    for place, value in enumerate(given.get("shortNames") or ()):
        _validate_label(value, path / "shortNames" / place, errors, required=True)
    if given.get("kind") and given.get("kind") == given.get("listKind"):
        errors.invalid(path / "listKind", given["listKind"], "kind and listKind may not be the same")
    for place, value in enumerate(given.get("categories") or ()):
        _validate_label(value, path / "categories" / place, errors, required=True)


def _validate_label(value: str, path: Path, errors: FieldErrors, *, required: bool = False) -> None:
    problems = names.dns1035_label(value) if value or required else []
    if problems:
        errors.invalid(path, value, ",".join(problems))


# --- what else a version has


def validate_column(column: Object, path: Path, errors: FieldErrors) -> None:
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
    if not column.get("jsonPath"):
        errors.required(path / "JSONPath")
    else:
        _is_simple(column["jsonPath"], path / "JSONPath", errors)


def _is_simple(text: str, path: Path, errors: FieldErrors) -> bool:
    if text.startswith("."):
        return True
    errors.invalid(path, text, "must be a simple json path starting with .")
    return False


def validate_subresources(given: Object | None, path: Path, errors: FieldErrors) -> None:
    scale = at(given, "scale")
    if scale is None:
        return
    for name, under in (("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")):
        value, where = scale.get(name, ""), path / f"scale.{name}"
        if not value:
            errors.required(where)
        elif _is_simple(value, where, errors) and not value.startswith(f"{under}."):
            errors.invalid(where, value, f"should be a json path under {under}")
    selector, where = scale.get("labelSelectorPath"), path / "scale.labelSelectorPath"
    if selector and _is_simple(selector, where, errors) and not selector.startswith((".spec.", ".status.")):
        errors.invalid(where, selector, "should be a json path under either .spec or .status")


def validate_selectable(fields: Sequence[Object], schema: Object, path: Path, errors: FieldErrors) -> None:
    """https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#field-selectors"""
    seen: set[str] = set()
    for place, field in enumerate(fields):
        given, where = field.get("jsonPath", ""), path / place / "jsonPath"
        if not given:
            errors.required(where)
            continue
        try:
            name, there = follow(given, schema, keys=False)
        except ValueError as error:
            errors.invalid(where, given, f"is an invalid path: {error}")
            continue
        if name == "metadata" or name.startswith(("metadata.", "metadata[")):
            errors.invalid(where, given, "must not point to fields in metadata")
        if there.get("type") not in ("string", "boolean", "integer"):
            told = (
                "must point to a field of type string, boolean or integer. Enum string fields and strings with formats"
                " are allowed."
            )
            errors.invalid(where, given, told)
        if name in seen:
            errors.duplicate(where, given)
        seen.add(name)
    if len(seen) > MAX_SELECTABLE_FIELDS:
        errors.too_many(path, len(seen), MAX_SELECTABLE_FIELDS)


def validate_conversion(given: Object | None, errors: FieldErrors, *, any_ca_bundle: bool) -> None:
    if given is None:
        return
    where, strategy = SPEC / "conversion", given.get("strategy", "")
    _validate_word(where / "strategy", strategy, ("None", "Webhook"), errors)
    config = at(given, "webhook", "clientConfig")
    versions = at(given, "webhook", "conversionReviewVersions") or []
    if strategy != "Webhook":
        for name, value in (("webhookClientConfig", config), ("conversionReviewVersions", versions or None)):
            if value is not None:
                errors.forbidden(where / name, "should not be set when strategy is not set to Webhook")
        return
    path = where / "webhookClientConfig"
    if config is None:
        errors.required(path, "required when strategy is set to Webhook")
    elif (config.get("url") is None) == (config.get("service") is None):
        errors.required(path, "exactly one of url or service is required")
    elif config.get("url") is not None:
        validate_url(config["url"], path / "url", errors)
    else:
        validate_service(config["service"], path / "service", errors)
    bundle = at(config, "caBundle") or ""
    if bundle and not any_ca_bundle and (problem := ca_bundles.problem_of(bundle)):
        errors.invalid(path / "caBundle", bundle, problem)
    _validate_review_versions(versions, where / "conversionReviewVersions", errors)


def _validate_review_versions(versions: list[str], path: Path, errors: FieldErrors) -> None:
    if not versions:
        errors.required(path)
        return
    seen: set[str] = set()
    for place, version in enumerate(versions):
        if version in seen:
            errors.invalid(path / place, version, "duplicate version")
            continue
        seen.add(version)
        errors.messages(path / place, version, names.dns1035_label(version))
    if not seen & {"v1", "v1beta1"}:
        errors.invalid(path, versions, "must include at least one of v1, v1beta1")
