"""What claims, classes and slices of devices have in common: names, selectors, requests, configuration.
https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import orjson

from ropewalk.kube.kinds.core.volume_sources import check_driver_name
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Json, Object

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NOT_AN_IDENTIFIER = (
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters"
    " or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')"
)
LONGEST_POOL = 253
LONGEST_ID = 32
LONGEST_EXPRESSION = 10 * 1024
LONGEST_PARAMETERS = 10 * 1024
MOST = 32
"""Requests, constraints, configurations and selectors."""
MOST_ALTERNATIVES = 8

RequestNames = Mapping[str, frozenset[str]]
"""The requests of a claim, each with those that it is an alternative of."""

Compiler = Callable[[str], str]
"""What is wrong with a CEL expression that selects devices ("" where nothing is)."""


def any_selector(expression: str) -> str:
    """The compiler of an installation without one."""
    return ""


def validate_each(
    items: Sequence[Json],
    most: int,
    judge: Callable[[Json, Path], None],
    path: Path,
    errors: FieldErrors,
    *,
    key: Callable[[Json], Json] | None = None,
) -> None:
    """Not more than `most`, each for itself, and (given `key`) no two the same."""
    if len(items) > most:
        errors.too_many(path, len(items), most)
        return
    for index, item in enumerate(items):
        judge(item, path / index)
    seen = []
    for index, item in enumerate(items if key is not None else ()):
        found = key(item) if key is not None else None
        if found in seen:
            errors.duplicate(path / index, found)
        seen.append(found)


def validate_pool(name: str, path: Path, errors: FieldErrors) -> None:
    if not name:
        errors.required(path)
        return
    if len(name) > LONGEST_POOL:
        errors.too_long(path, LONGEST_POOL)
    for part in name.split("/"):
        errors.messages(path, part, names.dns1123_subdomain(part))


def validate_label(name: str, path: Path, errors: FieldErrors) -> None:
    errors.messages(path, name, names.dns1123_label(name))


def validate_qualified(name: str, path: Path, errors: FieldErrors) -> None:
    """`model` or `gpu.example.com/model`"""
    domain, slash, own = name.rpartition("/")
    if slash:
        if domain:
            check_driver_name(errors, path, domain)
        else:
            errors.invalid(path, "", "the domain must not be empty")
        if not own:
            errors.invalid(path, "", "the name must not be empty")
            return
    if len(own) > LONGEST_ID:
        errors.too_long(path, LONGEST_ID)
    if not IDENTIFIER.fullmatch(own):
        errors.invalid(path, own, NOT_AN_IDENTIFIER)


def request_names(devices: Object) -> RequestNames:
    return {
        request.get("name", ""): frozenset(one.get("name", "") for one in request.get("firstAvailable") or ())
        for request in devices.get("requests") or ()
    }


def validate_request_reference(name: str, known: RequestNames, path: Path, errors: FieldErrors) -> None:
    complaint = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
    parts = name.split("/")
    if len(parts) > 2:
        errors.invalid(path, name, complaint)
        return
    for part in parts:
        validate_label(part, path, errors)
    if parts[0] not in known or (len(parts) == 2 and parts[1] not in known[parts[0]]):
        errors.invalid(path, name, complaint)


def validate_request_references(listed: Sequence[str], known: RequestNames, path: Path, errors: FieldErrors) -> None:
    def judge(name: str, here: Path) -> None:
        validate_request_reference(name, known, here, errors)

    validate_each(listed, MOST, judge, path, errors, key=str)


def validate_selectors(selectors: Sequence[Object], path: Path, errors: FieldErrors, compiler: Compiler) -> None:
    def judge(selector: Object, here: Path) -> None:
        cel = selector.get("cel")
        if cel is None:
            errors.required(here / "cel")
            return
        expression = cel.get("expression", "")
        where = here / "cel" / "expression"
        if len(expression.encode()) > LONGEST_EXPRESSION:
            errors.too_long(where, LONGEST_EXPRESSION)
        elif complaint := compiler(expression):
            errors.invalid(where, expression, complaint)

    validate_each(selectors, MOST, judge, path, errors)


def validate_configuration(config: Object, path: Path, errors: FieldErrors) -> None:
    opaque = config.get("opaque")
    if opaque is None:
        errors.required(path / "opaque")
        return
    check_driver_name(errors, path / "opaque" / "driver", opaque.get("driver", ""))
    validate_raw(opaque.get("parameters"), path / "opaque" / "parameters", errors, LONGEST_PARAMETERS)


def validate_raw(value: Json, path: Path, errors: FieldErrors, longest: int) -> None:
    """An object of anybody's own making."""
    if value is None:
        errors.required(path)
    elif not isinstance(value, dict):
        errors.invalid(path, "<value omitted>", "must be a valid JSON object")
    elif len(orjson.dumps(value)) > longest:
        errors.too_long(path, longest)


def validate_devices(devices: Object, path: Path, errors: FieldErrors, compiler: Compiler) -> None:
    """`spec.devices` of a claim."""
    known = request_names(devices)

    def request(one: Object, here: Path) -> None:
        _validate_request(one, here, errors, compiler)

    def constraint(one: Object, here: Path) -> None:
        validate_request_references(one.get("requests") or (), known, here / "requests", errors)
        attribute = one.get("matchAttribute")
        if attribute is None:
            errors.required(here / "matchAttribute")
            return
        validate_qualified(attribute, here / "matchAttribute", errors)
        if "/" not in attribute:
            errors.invalid(
                here / "matchAttribute",
                attribute,
                "a fully qualified name must be a domain and a name separated by a slash",
            )

    def config(one: Object, here: Path) -> None:
        validate_request_references(one.get("requests") or (), known, here / "requests", errors)
        validate_configuration(one, here, errors)

    requests = devices.get("requests") or ()
    validate_each(requests, MOST, request, path / "requests", errors, key=lambda one: one.get("name", ""))
    validate_each(devices.get("constraints") or (), MOST, constraint, path / "constraints", errors)
    validate_each(devices.get("config") or (), MOST, config, path / "config", errors)


def _validate_request(request: Object, path: Path, errors: FieldErrors, compiler: Compiler) -> None:
    validate_label(request.get("name", ""), path / "name", errors)
    exactly, alternatives = request.get("exactly"), request.get("firstAvailable")
    if exactly is None and not alternatives:
        errors.required(path, "exactly one of `exactly` or `firstAvailable` is required")
    elif exactly is not None and alternatives:
        errors.invalid(
            path, None, "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"
        )
    elif exactly is not None:
        _validate_exact(exactly, path / "exactly", errors, compiler)
    else:

        def judge(one: Object, here: Path) -> None:
            validate_label(one.get("name", ""), here / "name", errors)
            _validate_exact(one, here, errors, compiler)

        where = path / "firstAvailable"
        validate_each(alternatives or (), MOST_ALTERNATIVES, judge, where, errors, key=lambda one: one.get("name", ""))


def _validate_exact(request: Object, path: Path, errors: FieldErrors, compiler: Compiler) -> None:
    device_class = request.get("deviceClassName", "")
    if not device_class:
        errors.required(path / "deviceClassName")
    else:
        errors.messages(path / "deviceClassName", device_class, names.dns1123_subdomain(device_class))
    validate_selectors(request.get("selectors") or (), path / "selectors", errors, compiler)
    mode, count = request.get("allocationMode", ""), request.get("count", 0)
    if mode == "All":
        if count:
            errors.invalid(path / "count", count, "must not be specified when allocationMode is 'All'")
    elif mode != "ExactCount":
        errors.not_supported(path / "allocationMode", mode, ("All", "ExactCount"))
    elif count <= 0:
        errors.invalid(path / "count", count, "must be greater than zero")


def default_devices(devices: Object) -> None:
    for request in devices.get("requests") or ():
        exactly = request.get("exactly")
        for one in [exactly] if exactly is not None else request.get("firstAvailable") or ():
            one["allocationMode"] = one.get("allocationMode") or "ExactCount"
            if one["allocationMode"] == "ExactCount" and not one.get("count"):
                one["count"] = 1


def drop_disabled(devices: Object) -> None:
    """Fields of features that 1.35 leaves off: device taints, and devices that are shared."""
    for request in devices.get("requests") or ():
        for one in (request.get("exactly"), *(request.get("firstAvailable") or ())):
            for name in ("tolerations", "capacity") if one is not None else ():
                one.pop(name, None)
    for constraint in devices.get("constraints") or ():
        constraint.pop("distinctAttribute", None)
