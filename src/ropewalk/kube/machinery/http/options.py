"""Query parameters and option bodies as records. Pure. Raises `StatusFault`s in Kubernetes' words.

https://kubernetes.io/docs/reference/kubernetes-api/common-parameters/common-parameters/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias
from urllib.parse import parse_qs

from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.registry.deletion import DeleteOptions
from ropewalk.kube.machinery.registry.reading import ListOptions
from ropewalk.kube.machinery.requests import Call

Query: TypeAlias = Mapping[str, list[str]]

MANAGER_BYTES = 128
_VALIDATIONS = ("Ignore", "Strict", "Warn")


def parsed(query: str) -> Query:
    """Raises BadRequest where there are absurdly many."""
    try:
        return parse_qs(query, keep_blank_values=True, max_num_fields=1000) if query else {}
    except ValueError:
        raise errors.bad_request("the query has too many parameters") from None


def first(query: Query, name: str) -> str:
    found = query.get(name)
    return found[0] if found else ""


def is_true(query: Query, name: str) -> bool:
    """As Kubernetes reads a boolean of a query: there, and neither "false" nor "0"."""
    found = query.get(name)
    return found is not None and found[0].lower() not in ("false", "0")


def whole_number(query: Query, name: str) -> int | None:
    text = first(query, name)
    if not text:
        return None
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def list_options(query: Query, *, watch: bool) -> ListOptions:
    limit = whole_number(query, "limit") or 0
    return ListOptions(
        label_selector=first(query, "labelSelector"),
        field_selector=first(query, "fieldSelector"),
        limit=max(limit, 0),
        continue_token=first(query, "continue"),
        resource_version=first(query, "resourceVersion"),
        resource_version_match=first(query, "resourceVersionMatch"),
        watch=watch,
        timeout_seconds=whole_number(query, "timeoutSeconds"),
        allow_bookmarks=is_true(query, "allowWatchBookmarks"),
        send_initial_events=is_true(query, "sendInitialEvents") if "sendInitialEvents" in query else None,
    )


def write_options(query: Query, call: Call, kind: str, *, patch_type: str = "") -> Object:
    """Dry run, manager and validation of a write: into `call`, and as the options object that admission sees."""
    found = FieldErrors()
    dry_run = query.get("dryRun", [])
    _check_dry_run(dry_run, found)
    manager = first(query, "fieldManager")
    _check_manager(manager, found, required=patch_type == "apply")
    validation = first(query, "fieldValidation")
    if validation and validation not in _VALIDATIONS:
        found.not_supported(Path("fieldValidation"), validation, ["", *_VALIDATIONS])
    force = query.get("force")
    if force is not None and patch_type and patch_type != "apply":
        found.forbidden(Path("force"), "may not be specified for non-apply patch")
    if found:
        raise found.fault(kind, "meta.k8s.io", "")
    call.dry_run = bool(dry_run)
    call.field_manager = manager or default_manager(call.user_agent)
    call.field_validation = validation or "Warn"
    document: Object = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
    if dry_run:
        document["dryRun"] = ["All"]
    if manager:
        document["fieldManager"] = manager
    if validation:
        document["fieldValidation"] = validation
    if patch_type == "apply" and is_true(query, "force"):
        document["force"] = True
    return document


def default_manager(user_agent: str) -> str:
    """The user agent up to its first slash, as managedFields name a client that gives no name."""
    name = user_agent.partition("/")[0]
    printable = "".join(character for character in name if character.isprintable())
    return printable.encode()[:MANAGER_BYTES].decode(errors="ignore") or "unknown"


def _check_dry_run(values: Sequence[str], found: FieldErrors) -> None:
    if values and values != ["All"] and any(value != "All" for value in values):
        bad = next(value for value in values if value != "All")
        found.not_supported(Path("dryRun"), bad, ["All"])


def _check_manager(manager: str, found: FieldErrors, *, required: bool) -> None:
    if required and not manager:
        found.required(Path("fieldManager"), "is required for apply patch")
    if len(manager.encode(errors="replace")) > MANAGER_BYTES:
        found.too_long(Path("fieldManager"), MANAGER_BYTES)
    for place, character in enumerate(manager):
        if not character.isprintable():
            found.invalid(
                Path("fieldManager"),
                manager,
                f"invalid character {character.encode('unicode_escape').decode()!r} (at position {place})",
            )


def delete_options(query: Query, body: Object | None) -> tuple[DeleteOptions, Object]:
    """From the body where there is one, else from the query; and as admission sees them."""
    found = FieldErrors()
    document: Object = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}
    given = body if body is not None else _delete_query(query)
    dry_run = given.get("dryRun") or []
    if not isinstance(dry_run, list):
        raise errors.bad_request("DeleteOptions: dryRun must be a list of strings")
    _check_dry_run([str(value) for value in dry_run], found)
    if found:
        raise found.fault("DeleteOptions", "meta.k8s.io", "")
    preconditions = given.get("preconditions") or {}
    grace = given.get("gracePeriodSeconds")
    orphan = given.get("orphanDependents")
    propagation = given.get("propagationPolicy") or ""
    if (
        not isinstance(preconditions, dict)
        or (grace is not None and type(grace) is not int)
        or (orphan is not None and type(orphan) is not bool)
        or not isinstance(propagation, str)
    ):
        raise errors.bad_request("the object provided is unrecognized (must be of type DeleteOptions)")
    document.update({key: value for key, value in given.items() if key not in ("kind", "apiVersion")})
    return (
        DeleteOptions(
            grace_seconds=grace,
            uid=str(preconditions.get("uid") or ""),
            resource_version=str(preconditions.get("resourceVersion") or ""),
            propagation=propagation,
            orphan_dependents=orphan,
            dry_run=bool(dry_run),
        ),
        document,
    )


def _delete_query(query: Query) -> Object:
    given: Object = {}
    if "dryRun" in query:
        given["dryRun"] = query["dryRun"]
    grace = whole_number(query, "gracePeriodSeconds")
    if grace is not None:
        given["gracePeriodSeconds"] = grace
    if "orphanDependents" in query:
        given["orphanDependents"] = is_true(query, "orphanDependents")
    if propagation := first(query, "propagationPolicy"):
        given["propagationPolicy"] = propagation
    return given
