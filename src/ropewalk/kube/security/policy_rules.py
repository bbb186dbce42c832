"""RBAC rules made ready to be asked: what a role's rules allow, without walking them one by one.

https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ropewalk.kube.machinery.json_text import quoted
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.requests import Attributes, User

ALL = "*"
FULL_AUTHORITY: tuple[Object, ...] = (
    {"apiGroups": [ALL], "resources": [ALL], "verbs": [ALL]},
    {"nonResourceURLs": [ALL], "verbs": [ALL]},
)


@dataclass(frozen=True, slots=True)
class HeldRules:
    """All rules that an authorizer has for somebody."""

    rules: Sequence[Object] = ()
    error: str = ""
    """What went wrong while looking; the rules found hold nevertheless."""
    incomplete: bool = False
    """There may be more that no rule can say."""


class RuleResolver(Protocol):
    """An authorizer that can tell its rules."""

    def rules_for(self, user: User, namespace: str) -> HeldRules: ...


@dataclass(frozen=True, slots=True)
class _Rule:
    """Of one rule what is left to ask once its resources (or URLs) are known to fit."""

    verbs: frozenset[str] | None
    """None is all."""
    groups: frozenset[str] | None
    names: frozenset[str] | None
    """None is any name, and none."""


class RuleSet:
    """The rules of one role, by resource."""

    __slots__ = ("_by_resource", "_by_url", "_url_prefixes", "rules")

    def __init__(self, rules: Sequence[Object]) -> None:
        self.rules = rules
        """As they are written."""
        self._by_resource: dict[str, list[_Rule]] = {}
        self._by_url: dict[str, list[_Rule]] = {}
        self._url_prefixes: list[tuple[str, _Rule]] = []
        for rule in rules:
            self._add(rule)

    def _add(self, rule: Object) -> None:
        made = _Rule(
            _words(rule.get("verbs")),
            _words(rule.get("apiGroups")),
            frozenset(rule["resourceNames"]) if rule.get("resourceNames") else None,
        )
        for resource in dict.fromkeys(rule.get("resources") or ()):
            self._by_resource.setdefault(resource, []).append(made)
        for url in dict.fromkeys(rule.get("nonResourceURLs") or ()):
            if url.endswith(ALL):
                self._url_prefixes.append((url.rstrip(ALL), made))
            else:
                self._by_url.setdefault(url, []).append(made)

    def allows(self, attributes: Attributes) -> bool:
        if not attributes.resource:
            return self._allows_url(attributes.verb, attributes.path)
        table = self._by_resource
        subresource = attributes.subresource
        if not subresource:
            places: tuple[str, ...] = (attributes.resource, ALL)
        else:
            places = (f"{attributes.resource}/{subresource}", ALL, f"*/{subresource}")
        for place in places:
            for rule in table.get(place, ()):
                if (
                    (rule.verbs is None or attributes.verb in rule.verbs)
                    and (rule.groups is None or attributes.group in rule.groups)
                    and (rule.names is None or attributes.name in rule.names)
                ):
                    return True
        return False

    def _allows_url(self, verb: str, path: str) -> bool:
        for rule in self._by_url.get(path, ()):
            if rule.verbs is None or verb in rule.verbs:
                return True
        return any(
            path.startswith(prefix) and (rule.verbs is None or verb in rule.verbs)
            for prefix, rule in self._url_prefixes
        )


NO_RULES = RuleSet(())


def _words(words: Iterable[str] | None) -> frozenset[str] | None:
    found = frozenset(words or ())
    return None if ALL in found else found


# --- as messages spell them


def quoted_list(words: Iterable[str]) -> str:
    """As Go's %q prints a list of strings."""
    return "[" + " ".join(map(quoted, words)) + "]"


_SPELLED = (
    ("APIGroups", "apiGroups"),
    ("Resources", "resources"),
    ("NonResourceURLs", "nonResourceURLs"),
    ("ResourceNames", "resourceNames"),
    ("Verbs", "verbs"),
)


def spelled(rule: Object) -> str:
    """`{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`."""
    return "{" + ", ".join(f"{title}:{quoted_list(rule[key])}" for title, key in _SPELLED if rule.get(key)) + "}"


def compacted(pieces: Iterable[Object]) -> list[Object]:
    """Rules of one resource each, with those that differ in their verbs only made one."""
    simple: dict[tuple[str, str, str | None], Object] = {}
    rest: list[Object] = []
    for piece in pieces:
        if "nonResourceURLs" in piece:
            rest.append(piece)
            continue
        names = piece.get("resourceNames")
        key = (piece["apiGroups"][0], piece["resources"][0], names[0] if names else None)
        known = simple.setdefault(key, {**piece, "verbs": []})
        known["verbs"] = [*known["verbs"], *piece["verbs"]]
    return rest + list(simple.values())
