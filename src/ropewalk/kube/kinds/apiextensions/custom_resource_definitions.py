"""CustomResourceDefinitions: what the server fills, what an update may change. Their schemas are judged by
`kube.extension`, which the strategy is given.

https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/
"""

from __future__ import annotations

from collections.abc import Iterator

from ropewalk.kube.kinds.apiextensions.ca_bundles import problem_of
from ropewalk.kube.kinds.apiextensions.conditions import is_true, with_condition
from ropewalk.kube.kinds.apiextensions.definition_rules import SPEC, SchemaRules, validate_names, validate_spec
from ropewalk.kube.kinds.apiextensions.schema_unions import Unreadable, settle
from ropewalk.kube.kinds.cells import NAME
from ropewalk.kube.machinery.errors import Cause, bad_request
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Json, Object, annotations_of, at, metadata
from ropewalk.kube.machinery.strategy import STATUS_ALONE, Column, Strategy

APPROVED = "api-approved.kubernetes.io"
_WHY_APPROVED = "https://github.com/kubernetes/enhancements/pull/1111"
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
_KNOWN_FORMATS = frozenset(
    [
        "bsonobjectid",
        "uri",
        "email",
        "hostname",
        "ipv4",
        "ipv6",
        "cidr",
        "mac",
        "uuid",
        "uuid3",
        "uuid4",
        "uuid5",
        "isbn",
        "isbn10",
        "isbn13",
        "creditcard",
        "ssn",
        "hexcolor",
        "rgbcolor",
        "byte",
        "password",
        "date",
        "duration",
        "datetime",
        "k8sshortname",
        "k8slongname",
    ]
)


def no_schema_rules(schema: Object, path: str, *, status: bool) -> list[Cause]:
    """For tests of everything else."""
    return []


def approval(definition: Object) -> tuple[str, str]:
    """How a definition in a group of Kubernetes' own stands to its policy: (reason of the condition, what is told);
    ("", "") in other groups.
    """
    group = at(definition, "spec", "group") or ""
    if group not in ("k8s.io", "kubernetes.io") and not group.endswith((".k8s.io", ".kubernetes.io")):
        return "", ""
    given = annotations_of(definition).get(APPROVED, "")
    if not given:
        told = f'protected groups must have approval annotation "{APPROVED}", see {_WHY_APPROVED}'
        return "MissingAnnotation", told
    if given.startswith("unapproved"):
        return "UnapprovedAnnotation", f'not approved: "{given}"'
    if "://" in given and given.partition("://")[2].partition("/")[0]:
        return "ApprovedAnnotation", f"approved in {given}"
    told = (
        f'protected groups must have approval annotation "{APPROVED}" with either a URL or a reason starting with'
        f' "unapproved", see {_WHY_APPROVED}'
    )
    return "InvalidAnnotation", told


def _settle(schema: Object) -> None:
    try:
        settle(schema)
    except Unreadable as error:
        kind = "CustomResourceDefinition"
        raise bad_request(f'{kind} in version "v1" cannot be handled as a {kind}: {error}') from None


class CustomResourceDefinitions(Strategy):
    has_status = True
    has_generation = True
    allow_unconditional_update = False
    reset_fields = STATUS_ALONE
    """Yet metadata is taken with the status: kube-apiserver means to reset it, and does not."""
    kept_under = "apiextensions.k8s.io/customresourcedefinitions"
    columns = (
        NAME,
        Column("Created At", lambda obj, now: metadata(obj).get("creationTimestamp"), type="date"),
    )

    def __init__(self, schema_rules: SchemaRules = no_schema_rules) -> None:
        self._schema_rules = schema_rules

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        for version in spec.get("versions") or ():
            schema = at(version, "schema", "openAPIV3Schema")
            if schema is not None:
                _settle(schema)
        given = spec.setdefault("names", {})
        kind = given.get("kind", "")
        if kind:
            if not given.get("singular"):
                given["singular"] = kind.lower()
            if not given.get("listKind"):
                given["listKind"] = f"{kind}List"
        spec.setdefault("conversion", {"strategy": "None"})
        service = at(spec["conversion"], "webhook", "clientConfig", "service")
        if service is not None:
            service.setdefault("port", 443)

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        obj["status"] = {
            "conditions": [],
            "acceptedNames": {"plural": "", "kind": ""},
            "storedVersions": _storage_of(obj)[:1],
        }

    def prepare_update(self, new: Object, old: Object) -> None:
        super().prepare_update(new, old)
        storage = _storage_of(new)[:1]
        stored = at(new, "status", "storedVersions") or []
        if storage and storage[0] not in stored:
            new["status"] = {**(new.get("status") or {}), "storedVersions": [*stored, *storage]}

    # --- judging

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        plural, group = at(obj, "spec", "names", "plural") or "", at(obj, "spec", "group") or ""
        name = metadata(obj).get("name", "")
        if name != f"{plural}.{group}":
            errors.invalid(ROOT / "metadata" / "name", name, 'must be spec.names.plural+"."+spec.group')
        self._validate(obj, None, errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self._validate(new, old, errors)

    def _validate(self, obj: Object, old: Object | None, errors: FieldErrors) -> None:
        spec = obj["spec"]
        validate_spec(spec, self._schema_rules, errors, any_ca_bundle=old is None or _may_keep_bundle(old))
        if old is not None:
            _validate_immutable(spec, old, errors)
        validate_names(at(obj, "status", "acceptedNames") or {}, ROOT / "status" / "acceptedNames", errors)
        _validate_stored(obj, errors)
        _validate_approval(obj, old, errors)
        if spec.get("preserveUnknownFields") and not at(old, "spec", "preserveUnknownFields"):
            errors.invalid(
                SPEC / "preserveUnknownFields",
                True,
                "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema"
                " instead",
            )

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        validate_names(at(new, "status", "acceptedNames") or {}, ROOT / "status" / "acceptedNames", errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        """Of formats that nobody checks, where they are new."""
        known = set(_unrecognized(old)) if old is not None else set()
        return [f'unrecognized format "{form}"' for form in _unrecognized(new) if form not in known]

    # --- deletion: its objects go first

    def is_held(self, obj: Object) -> bool:
        """Until a deletion has begun; from then on the finalizer holds it."""
        return "deletionTimestamp" not in metadata(obj)

    def begin_deletion(self, obj: Object) -> None:
        meta = obj["metadata"]
        meta.pop("deletionGracePeriodSeconds", None)
        if CLEANUP in (meta.get("finalizers") or ()):
            return
        if meta.get("generation", 0) > 1:
            meta["generation"] -= 1  # the beginning of a definition's deletion is no change of it
        meta["finalizers"] = [*(meta.get("finalizers") or ()), CLEANUP]
        told = (
            "Terminating",
            "True",
            "InstanceDeletionPending",
            "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        )
        status = obj.get("status") or {}
        conditions = with_condition(status.get("conditions") or [], told, meta["deletionTimestamp"])
        obj["status"] = {**status, "conditions": conditions}


def _storage_of(definition: Object) -> list[str]:
    versions = at(definition, "spec", "versions") or ()
    return [version.get("name", "") for version in versions if version.get("storage")]


def _may_keep_bundle(old: Object) -> bool:
    """An unreadable bundle is let through until the resource is established, and where one was before."""
    bundle = at(old, "spec", "conversion", "webhook", "clientConfig", "caBundle") or ""
    return not is_true(old, "Established") or bool(bundle and problem_of(bundle))


def _validate_immutable(spec: Object, old: Object, errors: FieldErrors) -> None:
    paths: list[tuple[str, ...]] = [("group",), ("names", "plural")]
    if is_true(old, "Established"):
        paths = [("scope",), ("names", "kind"), *paths]
    for path in paths:
        given = at(spec, *path) or ""
        if given != (at(old, "spec", *path) or ""):
            where = SPEC
            for step in path:
                where = where / step
            errors.immutable(where, given)


def _validate_stored(obj: Object, errors: FieldErrors) -> None:
    where = ROOT / "status" / "storedVersions"
    stored = at(obj, "status", "storedVersions") or []
    if not stored:
        errors.invalid(where, None, "must have at least one stored version")
        return
    left = {name: place for place, name in enumerate(stored)}
    for version in at(obj, "spec", "versions") or ():
        name = version.get("name", "")
        if name not in left and version.get("storage"):
            errors.invalid(where, stored, f"must have the storage version {name}")
        left.pop(name, None)
    for name, place in left.items():
        told = (
            f"missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions"
            f" until a storage migration ensures no data remains persisted in {name} and removes {name} from"
            " status.storedVersions"
        )
        errors.invalid(where / place, name, told)


def _validate_approval(obj: Object, old: Object | None, errors: FieldErrors) -> None:
    """A definition that was there before it had to be approved may stay as it is."""
    reason, told = approval(obj)
    if reason not in ("MissingAnnotation", "InvalidAnnotation"):
        return
    if old is not None and approval(old)[0] == reason:
        return
    where = (ROOT / "metadata" / "annotations").key(APPROVED)
    if reason == "MissingAnnotation":
        errors.required(where, told)
    else:
        errors.invalid(where, annotations_of(obj)[APPROVED], told)


def _unrecognized(definition: Object) -> list[str]:
    versions = at(definition, "spec", "versions") or ()
    schemas = [schema for version in versions if (schema := at(version, "schema", "openAPIV3Schema")) is not None]
    if schemas and all(schema == schemas[0] for schema in schemas[1:]):
        schemas = schemas[:1]
    return [form for schema in schemas for form in _formats(schema)]


def _formats(schema: Json) -> Iterator[str]:
    """Unknown formats of strings, in the schema and all that stands in it."""
    form = schema.get("format") or ""
    if form and schema.get("type") == "string" and form.replace("-", "") not in _KNOWN_FORMATS:
        yield form
    parts = [schema.get("items"), schema.get("additionalProperties"), schema.get("not")]
    for word in ("allOf", "anyOf", "oneOf"):
        parts += schema.get(word) or ()
    parts += (schema.get("properties") or {}).values()
    for part in parts:
        if isinstance(part, dict):
            yield from _formats(part)
