"""Which IP families a service has: what was asked for, what the cluster can give, what follows from addresses given.
https://kubernetes.io/docs/concepts/services-networking/dual-stack/
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.kinds.checks import same
from ropewalk.kube.kinds.core.service_ranges import IPV4, IPV6, family_of_address
from ropewalk.kube.kinds.core.service_shape import EXTERNAL_NAME, NONE, cluster_ips, is_headless, type_of
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object, at, name_of

SPEC = ROOT / "spec"
SINGLE, PREFER_DUAL, REQUIRE_DUAL = "SingleStack", "PreferDualStack", "RequireDualStack"
_DUAL = "must be 'RequireDualStack' or 'PreferDualStack' when multiple"
_RELEASE = "must be 'SingleStack' to release the secondary"


def _other(family: str) -> str:
    return IPV6 if family == IPV4 else IPV4


def is_unchanged(new: Object, old: Object | None) -> bool:
    """A service that prefers two families and did not change: a change of the cluster's does not move it."""
    if old is None or type_of(new) != type_of(old) or type_of(new) == EXTERNAL_NAME:
        return False
    now, before = new["spec"], old["spec"]
    if now.get("ipFamilyPolicy") != PREFER_DUAL or before.get("ipFamilyPolicy", PREFER_DUAL) != PREFER_DUAL:
        return False
    return all(same(now.get(name), before.get(name)) for name in ("clusterIPs", "ipFamilies"))


def settle(service: Object, old: Object | None, offered: Sequence[str]) -> None:
    """Fill `ipFamilyPolicy` and `ipFamilies`, in place. `offered`: the cluster's families. Raises `StatusFault`."""
    if type_of(service) == EXTERNAL_NAME or is_unchanged(service, old):
        return
    spec = service["spec"]
    if spec.get("ipFamilyPolicy") is None:
        spec["ipFamilyPolicy"] = _policy(service, old)
    errors = FieldErrors()
    validate(service, old, errors)
    _raise(service, errors)
    if old is not None:
        _follow(service, old, errors)
    _infer(service, offered, errors)
    _raise(service, errors)
    if spec.get("clusterIP") == NONE and not spec.get("selector"):
        # Headless and without selector: whose endpoints these are only their owner knows, so anything goes.
        _complete(spec, offered[0], dual=spec["ipFamilyPolicy"] != SINGLE)
        return
    if spec["ipFamilyPolicy"] == REQUIRE_DUAL and len(offered) < 2:
        told = "this cluster is not configured for dual-stack services"
        errors.invalid(SPEC / "ipFamilyPolicy", REQUIRE_DUAL, told)
    for index, family in enumerate(spec.get("ipFamilies") or ()):
        if family not in offered:
            errors.invalid(SPEC / "ipFamilies" / index, family, "not configured on this cluster")
    _raise(service, errors)
    _complete(spec, offered[0], dual=spec["ipFamilyPolicy"] != SINGLE and len(offered) == 2)


def _raise(service: Object, errors: FieldErrors) -> None:
    if errors:
        raise errors.fault("Service", "", name_of(service))


def _policy(service: Object, old: Object | None) -> str:
    before = at(old, "spec", "ipFamilyPolicy")
    if before is not None:
        return str(before)
    spec = service["spec"]
    return REQUIRE_DUAL if spec.get("clusterIP") == NONE and not spec.get("selector") else SINGLE


def _follow(service: Object, old: Object, errors: FieldErrors) -> None:
    """Of an update: one family fewer must be meant."""
    spec, before = service["spec"], old["spec"]
    single = spec["ipFamilyPolicy"] == SINGLE
    for name, what in (("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")):
        now, was = spec.get(name) or [], before.get(name) or []
        if single:
            if now == was and len(now) > 1:
                spec[name] = now[:1]
        elif now and len(now) < len(was):
            errors.invalid(SPEC / "ipFamilyPolicy", spec["ipFamilyPolicy"], f"{_RELEASE} {what}")


def _infer(service: Object, offered: Sequence[str], errors: FieldErrors) -> None:
    """Families from addresses."""
    spec = service["spec"]
    if spec["ipFamilyPolicy"] == SINGLE:
        for name, what in (("clusterIPs", "cluster IPs are specified"), ("ipFamilies", "IP families are specified")):
            if len(spec.get(name) or ()) == 2:
                errors.invalid(SPEC / "ipFamilyPolicy", SINGLE, f"{_DUAL} {what}")
    found = list(spec.get("ipFamilies") or ())
    for index, address in enumerate(cluster_ips(service)):
        if address == NONE:
            break
        family = family_of_address(address)
        if index < len(found):
            continue
        if family in offered:
            found.append(family)
        else:
            told = f"{family} is not configured on this cluster"
            errors.invalid(SPEC / "clusterIPs" / index, cluster_ips(service), told)
    if found:
        spec["ipFamilies"] = found


def _complete(spec: Object, first: str, *, dual: bool) -> None:
    found = list(spec.get("ipFamilies") or [first])
    if dual and len(found) == 1:
        found.append(_other(found[0]))
    spec["ipFamilies"] = found


# --- rules


def validate(service: Object, old: Object | None, errors: FieldErrors) -> None:
    """`clusterIP`, `clusterIPs`, `ipFamilies` and `ipFamilyPolicy` among one another."""
    if type_of(service) == EXTERNAL_NAME:
        return
    spec = service["spec"]
    given, one = cluster_ips(service), spec.get("clusterIP")
    if one and not given:
        errors.required(SPEC / "clusterIPs")
    elif one and given[0] != one:
        errors.invalid(SPEC / "clusterIPs", given, "first value must match `clusterIP`")
    elif not one and given:
        errors.invalid(SPEC / "clusterIPs", given, "must be empty when `clusterIP` is not specified")
    known = spec.get("ipFamilies") or []
    for index, family in enumerate(known):
        if family not in (IPV4, IPV6):
            errors.not_supported(SPEC / "ipFamilies" / index, family, (IPV4, IPV6))
        if family in known[:index]:
            errors.duplicate(SPEC / "ipFamilies" / index, family)
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in (SINGLE, PREFER_DUAL, REQUIRE_DUAL):
        errors.not_supported(SPEC / "ipFamilyPolicy", policy, sorted((SINGLE, PREFER_DUAL, REQUIRE_DUAL)))
    _validate_addresses(service, cluster_ips(old) if old is not None else [], errors)


def _validate_addresses(service: Object, kept: Sequence[str], errors: FieldErrors) -> None:
    given, path, wrong = cluster_ips(service), SPEC / "clusterIPs", False
    for index, address in enumerate(given):
        if index == 0 and address == NONE:
            if len(given) > 1:
                errors.invalid(path, given, "'None' must be the first and only value")
                wrong = True
            continue
        problems = [] if address in kept else names.ip(address)
        errors.messages(path / index, address, problems)
        wrong = wrong or bool(problems)
    if len(given) > 2:
        errors.invalid(path, given, "may only hold up to 2 values")
    if wrong:
        return
    if len(given) > 1 and len({family_of_address(address) for address in given}) != len(given):
        errors.invalid(path, given, "may specify no more than one IP for each IP family")
    if is_headless(service):
        return
    for index, (address, family) in enumerate(zip(given, at(service, "spec", "ipFamilies") or (), strict=False)):
        if family_of_address(address) != family and family in (IPV4, IPV6):
            told = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            errors.invalid(path / index, address, told)


def validate_change(new: Object, old: Object, errors: FieldErrors) -> None:
    """What an update may do to addresses and families: add a second, release the second, nothing else."""
    if EXTERNAL_NAME in (type_of(new), type_of(old)):
        return
    headless = (is_headless(new), is_headless(old))
    if not all(headless):
        _validate_change(new, old, "clusterIPs", errors)
    if not any(headless):
        _validate_change(new, old, "ipFamilies", errors)


def _validate_change(new: Object, old: Object, name: str, errors: FieldErrors) -> None:
    now, before, path = (at(new, "spec", name) or []), (at(old, "spec", name) or []), SPEC / name
    of_addresses = name == "clusterIPs"
    if len(now) == len(before):
        for index, value in enumerate(before):
            if value != now[index]:
                errors.invalid(path / (index if of_addresses else 0), now, "may not change once set")
        return
    if len(now) < len(before):
        if not cluster_ips(new):
            what = "clusterIP" if of_addresses else "ipFamily"
            errors.invalid(path / 0, now, f"primary {what} can not be unset")
        if len(now) == 1 and at(new, "spec", "ipFamilyPolicy") != SINGLE:
            what = "clusterIP" if of_addresses else "ipFamily"
            told = f"must be set to 'SingleStack' when releasing the secondary {what}"
            errors.invalid(SPEC / "ipFamilyPolicy", at(new, "spec", "ipFamilyPolicy"), told)
    if now and before and now[0] != before[0]:
        errors.invalid(path / 0, now if of_addresses else cluster_ips(new), "may not change once set")
