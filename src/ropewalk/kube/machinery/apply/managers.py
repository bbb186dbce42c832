"""`metadata.managedFields`: who owns which fields, by which kind of operation, in which version, since when.

A manager's entry is told apart by its name, operation and subresource, and for updates also by the version: somebody
who applies has one entry, whatever version is applied. Entries are kept as the API shows them (a field set is its own
FieldsV1, see `field_sets`) and never changed in place.
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/#System
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from ropewalk.kube.machinery.apply.field_sets import FieldSet, FieldSetError, decoded, union
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Json, Object

APPLY = "Apply"
UPDATE = "Update"
MAX_NAME_BYTES = 128
MAX_SUBRESOURCE_BYTES = 256
MAX_UPDATE_MANAGERS = 10
ANCIENT_CHANGES = "ancient-changes"


class Identity(NamedTuple):
    """What tells one entry from another. Sorts as conflicts are listed."""

    manager: str
    operation: str
    api_version: str
    """ "" for Apply."""
    subresource: str


Managers: TypeAlias = dict[Identity, Object]


def identity(manager: str, operation: str, api_version: str, subresource: str) -> Identity:
    return Identity(manager or "unknown", operation, "" if operation == APPLY else api_version, subresource)


def entry(who: Identity, api_version: str, fields: FieldSet, time: str) -> Object:
    """A new entry, its keys in the order of the API's type."""
    made: Object = {"manager": who.manager, "operation": who.operation, "apiVersion": api_version}
    if time:
        made["time"] = time
    made["fieldsType"] = "FieldsV1"
    made["fieldsV1"] = fields
    if who.subresource:
        made["subresource"] = who.subresource
    return made


def with_fields(old: Object, fields: FieldSet) -> Object:
    return {**old, "fieldsV1": fields}


def manager_name(field_manager: str, user_agent: str) -> str:
    """Who a write is by: what it says, or else the product that its user agent begins with."""
    if field_manager:
        return field_manager
    name = ""
    size = 0
    for letter in user_agent.partition("/")[0]:
        if not letter.isprintable():
            continue
        size += len(letter.encode(errors="replace"))
        if size > MAX_NAME_BYTES:
            break
        name += letter
    return name


# --- to and from the object


def stored(entries: list[Object] | None) -> Managers:
    """Entries of a stored object, which we wrote."""
    return {
        identity(made.get("manager", ""), made["operation"], made["apiVersion"], made.get("subresource", "")): made
        for made in entries or ()
    }


def given(entries: list[Object]) -> Managers:
    """Entries that a client sends. Raises `FieldSetError`: it must be known what they mean."""
    managers: Managers = {}
    for position, made in enumerate(entries):
        operation, api_version = made.get("operation"), made.get("apiVersion")
        if operation not in (APPLY, UPDATE):
            raise FieldSetError("operation must be `Apply` or `Update`")
        if not api_version:
            raise FieldSetError("apiVersion must not be empty")
        fields_type = made.get("fieldsType")
        if not fields_type:
            raise FieldSetError(f"missing fieldsType in managed fields entry {position}")
        if fields_type != "FieldsV1":
            raise FieldSetError(f'invalid fieldsType "{fields_type}" in managed fields entry {position}')
        raw_name = made.get("manager", "")
        who = Identity(raw_name, operation, "" if operation == APPLY else api_version, made.get("subresource", ""))
        managers[who] = entry(who, api_version, decoded(made.get("fieldsV1") or {}), made.get("time") or "")
    return managers


def is_reset(entries: Json) -> bool:
    """Whether a client asks to forget all ownership: `[]` or `[{}]`."""
    return type(entries) is list and (not entries or (len(entries) == 1 and not entries[0]))


def encoded(managers: Managers) -> list[Object]:
    """In the API's order: appliers, then updaters, each oldest first."""
    return sorted(
        managers.values(),
        key=lambda made: (
            made["operation"],
            made.get("time", ""),
            made.get("manager", ""),
            made["apiVersion"],
            made.get("subresource", ""),
        ),
    )


def capped(managers: Managers) -> Managers:
    """At most ten updaters: the oldest of each version become one, "ancient-changes"."""
    updaters = [who for who in managers if who.operation == UPDATE]
    excess = len(updaters) - MAX_UPDATE_MANAGERS
    if excess <= 0:
        return managers
    result = dict(managers)
    updaters.sort(key=lambda who: (managers[who].get("time", ""), who))
    first: dict[str, Identity] = {}
    for who in updaters:
        if excess <= 0:
            break
        version = who.api_version
        if version not in first:
            first[version] = who
            continue
        bucket = Identity(ANCIENT_CHANGES, UPDATE, version, "")
        if bucket not in result:
            result[bucket] = result.pop(first[version])
        merged = union(result[who]["fieldsV1"], result[bucket]["fieldsV1"])
        result[bucket] = entry(bucket, version, merged, result[who].get("time", ""))
        if who != bucket:
            del result[who]
        excess -= 1
    return result


# --- rules


def validate_managed_fields(entries: list[Object], path: Path, errors: FieldErrors) -> None:
    """What every object's managedFields must be, for whoever checks metadata."""
    for position, made in enumerate(entries):
        at = path / position
        operation = made.get("operation", "")
        if operation not in (APPLY, UPDATE):
            errors.invalid(at / "operation", operation, "must be `Apply` or `Update`")
        fields_type = made.get("fieldsType", "")
        if fields_type and fields_type != "FieldsV1":
            errors.invalid(at / "fieldsType", fields_type, "must be `FieldsV1`")
        validate_manager(made.get("manager", ""), at / "manager", errors)
        if len(made.get("subresource", "").encode(errors="replace")) > MAX_SUBRESOURCE_BYTES:
            errors.too_long(at / "subresource", MAX_SUBRESOURCE_BYTES)


def validate_manager(name: str, path: Path, errors: FieldErrors) -> None:
    """A name of a manager: of an entry, or the option `fieldManager`."""
    if len(name.encode(errors="replace")) > MAX_NAME_BYTES:
        errors.too_long(path, MAX_NAME_BYTES)
    for position, letter in enumerate(name):
        if not letter.isprintable():
            errors.invalid(path, name, f"invalid character U+{ord(letter):04X} (at position {position})")


def problem(entries: list[Object]) -> str:
    """Why these entries do not make sense, "" if they do: what admission plug-ins left is put back otherwise, with the
    warning `AFTER_ADMISSION`.
    """
    try:
        given(entries)
    except FieldSetError as error:
        return str(error)
    return ""


AFTER_ADMISSION = (
    ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating"
    " admission controller; please fix your requests: {}"
)
