"""Network policies: which peers a pod may talk to.
https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ropewalk.kube.kinds.cells import AGE, NAME, selector_text, text
from ropewalk.kube.machinery import addresses, names, selectors
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.machinery.strategy import Strategy

SPEC = ROOT / "spec"
PROTOCOLS = ("TCP", "UDP", "SCTP")
POLICY_TYPES = ("Ingress", "Egress")
_DIRECTIONS = (("ingress", "from"), ("egress", "to"))


class NetworkPolicies(Strategy):
    has_generation = True
    columns = (NAME, text("Pod-Selector", lambda obj: selector_text(at(obj, "spec", "podSelector") or {})), AGE)

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        for direction, _ in _DIRECTIONS:
            for rule in spec.get(direction) or ():
                for port in rule.get("ports") or ():
                    port.setdefault("protocol", "TCP")
        if not spec.get("policyTypes"):
            spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        _validate(obj.get("spec") or {}, (), errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        kept = {block for _, found in _blocks(old) for block in (found.get("cidr", ""), *(found.get("except") or ()))}
        _validate(new.get("spec") or {}, kept, errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        found = []
        for path, block in _blocks(new):
            found += addresses.cidr_warnings(str(path / "cidr"), block.get("cidr", ""))
            for index, part in enumerate(block.get("except") or ()):
                found += addresses.cidr_warnings(str(path / "except" / index), part)
        return found


def _blocks(obj: Object) -> Iterator[tuple[Path, Object]]:
    for direction, side in _DIRECTIONS:
        for index, rule in enumerate(at(obj, "spec", direction) or ()):
            for place, peer in enumerate(rule.get(side) or ()):
                if (block := peer.get("ipBlock")) is not None:
                    yield SPEC / direction / index / side / place / "ipBlock", block


def _validate(spec: Object, kept: Collection[str], errors: FieldErrors) -> None:
    selectors.validate_label_selector(spec.get("podSelector"), SPEC / "podSelector", errors)
    for direction, side in _DIRECTIONS:
        for index, rule in enumerate(spec.get(direction) or ()):
            here = SPEC / direction / index
            for place, port in enumerate(rule.get("ports") or ()):
                _validate_port(port, here / "ports" / place, errors)
            for place, peer in enumerate(rule.get(side) or ()):
                _validate_peer(peer, here / side / place, kept, errors)
    types = spec.get("policyTypes") or ()
    if len(types) > len(POLICY_TYPES):
        errors.invalid(SPEC / "policyTypes", types, "may not specify more than two policyTypes")
        return
    for index, kind in enumerate(types):
        if kind not in POLICY_TYPES:
            errors.not_supported(SPEC / "policyTypes" / index, kind, POLICY_TYPES)


def _validate_port(port: Object, path: Path, errors: FieldErrors) -> None:
    protocol, number, end = port.get("protocol"), port.get("port"), port.get("endPort")
    if protocol is not None and protocol not in PROTOCOLS:
        errors.not_supported(path / "protocol", protocol, PROTOCOLS)
    if isinstance(number, int):
        errors.messages(path / "port", number, names.port_number(number))
        if end is not None:
            if end < number:
                errors.invalid(path / "endPort", number, "must be greater than or equal to `port`")
            errors.messages(path / "endPort", end, names.port_number(end))
    elif number is not None:
        if end is not None:
            errors.invalid(path / "endPort", end, "may not be specified when `port` is non-numeric")
        errors.messages(path / "port", number, names.port_name(number))
    elif end is not None:
        errors.invalid(path / "endPort", end, "may not be specified when `port` is not specified")


def _validate_peer(peer: Object, path: Path, kept: Collection[str], errors: FieldErrors) -> None:
    peers = [name for name in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(name) is not None]
    for name in peers:
        if name == "ipBlock":
            _validate_block(peer[name], path / name, kept, errors)
        else:
            selectors.validate_label_selector(peer[name], path / name, errors)
    if not peers:
        errors.required(path, "must specify a peer")
    elif len(peers) > 1 and "ipBlock" in peers:
        errors.forbidden(path, "may not specify both ipBlock and another peer")


def _validate_block(block: Object, path: Path, kept: Collection[str], errors: FieldErrors) -> None:
    whole = block.get("cidr")
    if not whole:
        errors.required(path / "cidr")
        return
    if whole not in kept:
        errors.messages(path / "cidr", whole, names.cidr(whole))
    found = addresses.parse_cidr(whole)
    if found is None:
        return
    for index, part in enumerate(block.get("except") or ()):
        here = path / "except" / index
        if part not in kept:
            errors.messages(here, part, names.cidr(part))
        inner = addresses.parse_cidr(part)
        if inner is None:
            continue
        inside = inner[1].network_address in found[1]
        if not inside or found[1].prefixlen >= inner[1].prefixlen:
            errors.invalid(here, part, "must be a strict subset of `cidr`")
