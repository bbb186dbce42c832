"""A pod's status: its conditions, and what a write of `pods/status` may say.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.kinds.core.checks import (
    check_format,
    check_id,
    qualified_problems,
    subdomain_problems,
)
from ropewalk.kube.kinds.endpoint_addresses import validate_ip
from ropewalk.kube.machinery import addresses, conditions
from ropewalk.kube.machinery.errors import Cause
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

STATUS = ROOT / "status"
FINISHED = ("Succeeded", "Failed")
_SYSTEM_CONDITIONS = ("PodScheduled", "Ready", "Initialized")
_STATUS_LISTS = (("containerStatuses", "containers"), ("initContainerStatuses", "initContainers"))
_EPHEMERAL = "ephemeralContainerStatuses"
_FAMILIES = "may specify no more than one IP for each IP family"
_DROPPED = ("resources", "allocatedResources", "extendedResourceClaimStatus")
"""Off by default in 1.35 (InPlacePodLevelResourcesVerticalScaling, DRAExtendedResource). So is what containers'
statuses tell of their devices' health (ResourceHealthStatus).
"""


def set_condition(status: Object, wanted: Object, now: str) -> None:
    """In place. See `conditions.settled`."""
    status["conditions"] = conditions.settled(status.get("conditions"), wanted, now)


def settle_status(new: Object, old: Object) -> None:
    """Before a write of the status is judged: what an older kubelet leaves out stays as it was."""
    status, before = new.setdefault("status", {}), old.get("status") or {}
    mirror_addresses(status)
    for step in _DROPPED:
        status.pop(step, None)
    for step in ("containerStatuses", "initContainerStatuses", _EPHEMERAL):
        for found in status.get(step) or ():
            found.pop("allocatedResourcesStatus", None)
    for step in ("qosClass", "observedGeneration"):
        if not status.get(step) and before.get(step):
            status[step] = before[step]
    generations: dict[str, list[int]] = {}
    for found in before.get("conditions") or ():
        generations.setdefault(found.get("type", ""), []).append(found.get("observedGeneration", 0))
    for found in status.get("conditions") or ():
        earlier = generations.get(found.get("type", "")) or [0]
        generation = earlier.pop(0)
        if not found.get("observedGeneration") and generation:
            found["observedGeneration"] = generation


def mirror_addresses(status: Object) -> None:
    """`podIP` is the first of `podIPs`; where a client of old sets it alone or otherwise, it is what counts."""
    first, every = status.get("podIP"), status.get("podIPs")
    if first and (not every or every[0].get("ip") != first):
        status["podIPs"] = [{"ip": first}]
    elif every:
        status["podIP"] = every[0].get("ip", "")


def address_warnings(pod: Object) -> list[str]:
    status = pod.get("status") or {}
    return [
        warning
        for step in ("podIPs", "hostIPs")
        for index, found in enumerate(status.get(step) or ())
        for warning in addresses.ip_warnings(str(STATUS / step / index / "ip"), found.get("ip", ""))
    ]


def validate_status(new: Object, old: Object, errors: FieldErrors) -> None:
    spec = new.get("spec") or {}
    status, before = new.get("status") or {}, old.get("status") or {}
    for index, found in enumerate(status.get("conditions") or ()):
        _check_generation(found, STATUS / "conditions" / index, errors)
        if found.get("type") not in _SYSTEM_CONDITIONS:
            here = STATUS / "conditions" / index
            check_format(errors, here, "Type", found.get("type", ""), qualified_problems)
    _check_nomination(status.get("nominatedNodeName", ""), before.get("nominatedNodeName", ""), spec, errors)
    _check_generation(status, STATUS, errors)
    if status.get("qosClass", "") != before.get("qosClass", ""):
        errors.immutable(STATUS / "qosClass", status.get("qosClass", ""))
    for step, containers in _STATUS_LISTS:
        _check_transitions(status.get(step) or (), before.get(step) or (), spec, containers, STATUS / step, errors)
    _check_transitions(
        status.get(_EPHEMERAL) or (), before.get(_EPHEMERAL) or (), None, "", STATUS / _EPHEMERAL, errors
    )
    _check_claims(status.get("resourceClaimStatuses") or (), spec, STATUS / "resourceClaimStatuses", errors)
    _check_addresses("podIPs", status, before, errors)
    hosts = status.get("hostIPs") or ()
    if hosts and status.get("hostIP", "") != hosts[0].get("ip", ""):
        errors.invalid(STATUS / "hostIPs" / 0 / "ip", hosts[0].get("ip", ""), "must be equal to `hostIP`")
    _check_addresses("hostIPs", status, before, errors)
    system = (spec.get("os") or {}).get("name", "linux")
    for step in ("containerStatuses", "initContainerStatuses", _EPHEMERAL):
        _check_users(status.get(step) or (), system, STATUS / step, errors)


def _check_generation(holder: Object, path: Path, errors: FieldErrors) -> None:
    if holder.get("observedGeneration", 0) < 0:
        text = "must be a non-negative integer"
        errors.invalid(path / "observedGeneration", holder["observedGeneration"], text)


def _check_nomination(new: str, old: str, spec: Object, errors: FieldErrors) -> None:
    if not new or new == old:
        return
    check_format(errors, STATUS, "nominatedNodeName", new, subdomain_problems)
    if spec.get("nodeName"):
        errors.forbidden(STATUS / "nominatedNodeName", "may not be set on pods that are already bound to a node")


def _check_transitions(
    new: Sequence[Object], old: Sequence[Object], spec: Object | None, step: str, path: Path, errors: FieldErrors
) -> None:
    """What has ended and is not to restart stays ended. `spec` None: it never restarts."""
    present = {found.get("name"): found for found in reversed(new)}
    for index, found in enumerate(old):
        ended = (found.get("state") or {}).get("terminated")
        if ended is None:
            continue
        now = present.get(found.get("name"))
        if now is None or (now.get("state") or {}).get("terminated") is not None:
            continue
        containers = {} if spec is None else {made.get("name"): made for made in spec.get(step) or ()}
        container = containers.get(found.get("name"))
        if spec is None or container is None or not _restarts(container, spec, ended.get("exitCode", 0)):
            errors.forbidden(path / index / "state", "may not be transitioned to non-terminated state")


def _restarts(container: Object, spec: Object, exit_code: int) -> bool:
    policy = container.get("restartPolicy")
    if policy is not None and _rule_restarts(container, exit_code):
        return True
    policy = policy or spec.get("restartPolicy", "Always")
    return bool(policy == "Always" or (policy == "OnFailure" and exit_code != 0))


def _rule_restarts(container: Object, exit_code: int) -> bool:
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes")
        if codes is not None and (exit_code in (codes.get("values") or ())) == (codes.get("operator") == "In"):
            return bool(rule.get("action") == "Restart")
    return False


def _check_claims(statuses: Sequence[Object], spec: Object, path: Path, errors: FieldErrors) -> None:
    known = {claim.get("name") for claim in spec.get("resourceClaims") or ()}
    seen: set[str] = set()
    for index, found in enumerate(statuses):
        name = found.get("name", "")
        if name not in known:
            text = "must match the name of an entry in `spec.resourceClaims`"
            errors.invalid(path / index / "name", name, text)
        if name in seen:
            errors.duplicate(path / index / "name", name)
        seen.add(name)
        if (claim := found.get("resourceClaimName")) is not None:
            check_format(errors, path / index, "name", claim, subdomain_problems)


def _check_addresses(step: str, status: Object, before: Object, errors: FieldErrors) -> None:
    listed = [found.get("ip", "") for found in status.get(step) or ()]
    kept = [found.get("ip", "") for found in before.get(step) or ()]
    for index, value in enumerate(listed):
        validate_ip(value, STATUS / step / index, errors, kept)
    if len(listed) > 1:
        parsed = [addresses.parse_ip(value) for value in listed]
        wrong = parsed.index(None) if None in parsed else None
        if wrong is not None:
            text = f"Internal error: failed to check for dual stack with error:invalid IP[{wrong}]: {listed[wrong]}"
            errors.causes.append(Cause("InternalError", text, str(STATUS / step)))
        if len(listed) > 2 or {found.version for found in parsed if found} != {4, 6}:
            errors.invalid(STATUS / step, [{"IP": value} for value in listed], _FAMILIES)


def _check_users(statuses: Sequence[Object], system: str, path: Path, errors: FieldErrors) -> None:
    for index, found in enumerate(statuses):
        user = (found.get("user") or {}).get("linux")
        if user is None:
            continue
        here = path / index / "user" / "linux"
        if system == "windows":
            errors.forbidden(here, "cannot be set for a windows pod")
            continue
        check_id(errors, here / "uid", user.get("uid", 0))
        check_id(errors, here / "gid", user.get("gid", 0))
        for place, group in enumerate(user.get("supplementalGroups") or ()):
            check_id(errors, here / "supplementalGroups" / place, group)
