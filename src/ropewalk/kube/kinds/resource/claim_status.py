"""The rules of a resource claim's status: what was allocated, to whom, and what drivers say of the devices."""

from __future__ import annotations

import ipaddress

from ropewalk.kube.kinds.checks import immutable
from ropewalk.kube.kinds.conditions import validate_conditions
from ropewalk.kube.kinds.core.affinity import validate_node_selector
from ropewalk.kube.kinds.core.volume_sources import check_driver_name
from ropewalk.kube.kinds.resource.device_rules import (
    MOST,
    RequestNames,
    request_names,
    validate_configuration,
    validate_each,
    validate_label,
    validate_pool,
    validate_raw,
    validate_request_reference,
    validate_request_references,
)
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at, metadata

STATUS = ROOT / "status"
MOST_CONSUMERS = 256
MOST_CONDITIONS = 8
MOST_ADDRESSES = 16
LONGEST_DATA = 10 * 1024
LONGEST_INTERFACE = 256
LONGEST_HARDWARE_ADDRESS = 128


DISABLED_OF_RESULTS = ("tolerations", "bindingConditions", "bindingFailureConditions", "shareID", "consumedCapacity")
"""Fields of features that 1.35 leaves off."""


def drop_from_status(new: Object, old: Object) -> None:
    """In place: fields nobody may set, and what drivers said of devices that are given back now."""
    status = new.get("status") or {}
    for result in at(status, "allocation", "devices", "results") or ():
        for name in DISABLED_OF_RESULTS:
            result.pop(name, None)
    gone = _allocated(old.get("status") or {}) - _allocated(status)
    if gone and "devices" in status:
        status["devices"] = [device for device in status["devices"] if _identity(device) not in gone]


def validate_status(new: Object, old: Object, errors: FieldErrors) -> None:
    status, before = new.get("status") or {}, old.get("status") or {}
    reserved, allocation = status.get("reservedFor") or [], status.get("allocation")
    known_before = before.get("reservedFor") or []

    def consumer(one: Object, here: Path) -> None:
        for name in ("resource", "name", "uid"):
            if not one.get(name):
                errors.required(here / name)

    path = STATUS / "reservedFor"
    validate_each(reserved, MOST_CONSUMERS, consumer, path, errors, key=lambda one: one.get("uid", ""))
    _validate_devices(status, errors)
    if reserved and allocation is None:
        errors.forbidden(path, "may not be specified when `allocated` is not set")
    elif metadata(new).get("deletionTimestamp") and any(one not in known_before for one in reserved):
        errors.forbidden(
            path, "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        )
    if allocation is not None and before.get("allocation") is not None:
        immutable(allocation, before["allocation"], STATUS / "allocation", errors, "resource.v1.AllocationResult")
    elif allocation is not None:
        known = request_names(at(new, "spec", "devices") or {})
        _validate_allocation(allocation, known, STATUS / "allocation", errors)


def _validate_allocation(allocation: Object, known: RequestNames, path: Path, errors: FieldErrors) -> None:
    def result(one: Object, here: Path) -> None:
        validate_request_reference(one.get("request", ""), known, here / "request", errors)
        check_driver_name(errors, here / "driver", one.get("driver", ""))
        validate_pool(one.get("pool", ""), here / "pool", errors)
        validate_label(one.get("device", ""), here / "device", errors)

    def config(one: Object, here: Path) -> None:
        source = one.get("source", "")
        if not source:
            errors.required(here / "source")
        elif source not in ("FromClaim", "FromClass"):
            errors.not_supported(here / "source", source, ("FromClaim", "FromClass"))
        validate_request_references(one.get("requests") or (), known, here / "requests", errors)
        validate_configuration(one, here, errors)

    devices = allocation.get("devices") or {}
    validate_each(devices.get("results") or (), MOST, result, path / "devices" / "results", errors)
    validate_each(devices.get("config") or (), 2 * MOST, config, path / "devices" / "config", errors)
    if allocation.get("nodeSelector") is not None:
        validate_node_selector(allocation["nodeSelector"], path / "nodeSelector", errors)


def _identity(device: Object) -> str:
    return "/".join(device.get(name, "") for name in ("driver", "pool", "device"))


def _allocated(status: Object) -> set[str]:
    return {_identity(one) for one in at(status, "allocation", "devices", "results") or ()}


def _validate_devices(status: Object, errors: FieldErrors) -> None:
    devices = status.get("devices") or []
    allocated = _allocated(status)

    def judge(device: Object, here: Path) -> None:
        check_driver_name(errors, here / "driver", device.get("driver", ""))
        validate_pool(device.get("pool", ""), here / "pool", errors)
        validate_label(device.get("device", ""), here / "device", errors)
        if _identity(device) not in allocated:
            errors.invalid(here, _identity(device), "must be an allocated device in the claim")
        conditions = device.get("conditions") or ()
        if len(conditions) > MOST_CONDITIONS:
            errors.too_many(here / "conditions", len(conditions), MOST_CONDITIONS)
        validate_conditions(conditions, here / "conditions", errors)
        if device.get("data") is not None:
            validate_raw(device["data"], here / "data", errors, LONGEST_DATA)
        if device.get("networkData") is not None:
            _validate_network(device["networkData"], here / "networkData", errors)

    validate_each(devices, len(devices), judge, STATUS / "devices", errors, key=_identity)


def _validate_network(data: Object, path: Path, errors: FieldErrors) -> None:
    for name, longest in (("interfaceName", LONGEST_INTERFACE), ("hardwareAddress", LONGEST_HARDWARE_ADDRESS)):
        if len(data.get(name, "").encode()) > longest:
            errors.too_long(path / name, longest)

    def address(value: str, here: Path) -> None:
        try:
            found = ipaddress.ip_interface(value) if "/" in value else None
        except ValueError:
            found = None
        if found is None:
            errors.invalid(here, value, "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)")
        elif str(found) != value:
            errors.invalid(here, value, f'must be in canonical form ("{found}")')

    validate_each(data.get("ips") or (), MOST_ADDRESSES, address, path / "ips", errors, key=str)
