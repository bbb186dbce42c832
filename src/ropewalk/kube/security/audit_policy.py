"""Which requests are kept in the audit log, and how much of them: the policy, read and asked.

The first rule that matches decides; what no rule matches is not kept.
https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/#audit-k8s-io-v1-Policy
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.json_text import quoted
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.requests import Attributes

VERSION = "audit.k8s.io/v1"
RECEIVED, STARTED, COMPLETE, PANIC = "RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"
STAGES = (RECEIVED, STARTED, COMPLETE, PANIC)


class Level(IntEnum):
    NONE = 0
    METADATA = 1
    REQUEST = 2
    RESPONSE = 3

    @property
    def title(self) -> str:
        return _TITLES[self]


_TITLES = {Level.NONE: "None", Level.METADATA: "Metadata", Level.REQUEST: "Request", Level.RESPONSE: "RequestResponse"}
_LEVELS = {title: level for level, title in _TITLES.items()}


class PolicyError(ValueError):
    """The policy cannot be used, and why."""


@dataclass(frozen=True, slots=True)
class GroupResources:
    group: str = ""
    resources: tuple[str, ...] = ()
    """Plural, `plural/sub`, `plural/*`, `*/sub` or `*`; all where there are none."""
    names: tuple[str, ...] = ()

    def matches(self, asked: Attributes) -> bool:
        if self.group != asked.group:
            return False
        if not self.resources:
            return True
        if self.names and asked.name not in self.names:
            return False
        plural, sub = asked.resource, asked.subresource
        whole = f"{plural}/{sub}" if sub else plural
        return any(
            known in (whole, "*", f"{plural}/*") or (bool(sub) and known == f"*/{sub}") for known in self.resources
        )


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is kept of one request."""

    level: Level
    omitted_stages: frozenset[str] = frozenset()
    omits_managed_fields: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    keeping: Keeping
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    verbs: frozenset[str] = frozenset()
    resources: tuple[GroupResources, ...] = ()
    namespaces: frozenset[str] = frozenset()
    urls: tuple[str, ...] = ()

    def matches(self, asked: Attributes) -> bool:
        if self.users and asked.user.name not in self.users:
            return False
        if self.groups and self.groups.isdisjoint(asked.user.groups):
            return False
        if self.verbs and asked.verb not in self.verbs:
            return False
        if self.namespaces or self.resources:
            if not asked.is_resource or (self.namespaces and asked.namespace not in self.namespaces):
                return False
            return not self.resources or any(one.matches(asked) for one in self.resources)
        if self.urls:
            return not asked.is_resource and any(_url_matches(url, asked.path) for url in self.urls)
        return True


def _url_matches(url: str, path: str) -> bool:
    return url in ("*", path) or (url.endswith("*") and path.startswith(url.rstrip("*")))


@dataclass(frozen=True, slots=True)
class AuditPolicy:
    rules: tuple[Rule, ...]
    otherwise: Keeping = Keeping(Level.NONE)

    def keeping(self, asked: Attributes) -> Keeping:
        for rule in self.rules:
            if rule.matches(asked):
                return rule.keeping
        return self.otherwise


_WITHOUT_RECEIVED = frozenset({RECEIVED})

DEFAULT = AuditPolicy(
    (
        Rule(
            Keeping(Level.NONE),
            urls=("/healthz*", "/livez*", "/readyz*", "/version", "/metrics", "/openapi/*", "/api*", "/apis*"),
        ),
        Rule(
            Keeping(Level.NONE),
            groups=frozenset({"system:nodes"}),
            resources=(GroupResources("coordination.k8s.io", ("leases",)), GroupResources("", ("nodes/status",))),
        ),
        Rule(
            Keeping(Level.NONE),
            resources=(GroupResources("", ("events",)), GroupResources("events.k8s.io", ("events",))),
        ),
        Rule(Keeping(Level.METADATA, _WITHOUT_RECEIVED)),
    )
)
"""Who did what to which object, without contents; not the hum of health checks, heartbeats and events."""


# --- reading

_POLICY_FIELDS = frozenset({"apiVersion", "kind", "metadata", "rules", "omitStages", "omitManagedFields"})
_RULE_FIELDS = frozenset(
    {
        "level",
        "users",
        "userGroups",
        "verbs",
        "resources",
        "namespaces",
        "nonResourceURLs",
        "omitStages",
        "omitManagedFields",
    }
)
_RESOURCE_FIELDS = frozenset({"group", "resources", "resourceNames"})
_MAX_DEPTH = 20


def parse_policy(text: bytes) -> AuditPolicy:
    """From the YAML or JSON of a policy file. Raises `PolicyError` that tells all that is wrong."""
    from ropewalk.kube.machinery import yaml_text  # takes 15 ms, and few have a policy

    try:
        document, _ = yaml_text.load(text, max_depth=_MAX_DEPTH)
    except yaml_text.YamlError as error:
        raise PolicyError(f"failed decoding: {error}") from None
    if type(document) is not dict:
        raise PolicyError("failed decoding: a policy is an object")
    if (document.get("apiVersion"), document.get("kind")) != (VERSION, "Policy"):
        given = f"{document.get('apiVersion', '')}, Kind={document.get('kind', '')}"
        raise PolicyError(f"unknown group version field {given} in policy: it must be {VERSION}, Kind=Policy")
    reader = _Reader()
    policy = reader.policy(document)
    if reader.errors:
        told = [f"{cause.field}: {cause.message}" for cause in reader.errors.causes]
        raise PolicyError(told[0] if len(told) == 1 else f"[{', '.join(told)}]")
    if not policy.rules:
        raise PolicyError("loaded illegal policy with 0 rules")
    return policy


class _Reader:
    """Reads on after what is wrong, so that all of it is told at once."""

    def __init__(self) -> None:
        self.errors = FieldErrors()

    def policy(self, document: Object) -> AuditPolicy:
        self._known(document, _POLICY_FIELDS, ROOT)
        omitted = self._stages(document, ROOT)
        omits_fields = bool(self._flag(document, ROOT))
        rules = [
            self._rule(rule, ROOT / "rules" / index, omitted, omits_fields)
            for index, rule in enumerate(self._objects(document, "rules", ROOT))
        ]
        return AuditPolicy(tuple(rules), Keeping(Level.NONE, omitted, omits_fields))

    def _rule(self, rule: Object, path: Path, omitted: frozenset[str], omits_fields: bool) -> Rule:
        self._known(rule, _RULE_FIELDS, path)
        level = rule.get("level")
        if not level:
            self.errors.required(path / "level")
        elif type(level) is not str or level not in _LEVELS:
            self.errors.not_supported(path / "level", level, _LEVELS)
        own = self._flag(rule, path)
        keeping = Keeping(
            _LEVELS.get(level if type(level) is str else "", Level.NONE),
            omitted | self._stages(rule, path),
            omits_fields if own is None else own,
        )
        resources = self._objects(rule, "resources", path)
        made = Rule(
            keeping,
            frozenset(self._texts(rule, "users", path)),
            frozenset(self._texts(rule, "userGroups", path)),
            frozenset(self._texts(rule, "verbs", path)),
            tuple(self._resource(one, path / "resources") for one in resources),
            frozenset(self._texts(rule, "namespaces", path)),
            self._urls(rule, path),
        )
        if made.urls and (made.resources or made.namespaces):
            self.errors.invalid(
                path / "nonResourceURLs",
                list(made.urls),
                "rules cannot apply to both regular resources and non-resource URLs",
            )
        return made

    def _resource(self, given: Object, path: Path) -> GroupResources:
        self._known(given, _RESOURCE_FIELDS, path)
        group = given.get("group") or ""
        if type(group) is not str:
            self.errors.invalid(path / "group", group, "must be a string")
            group = ""
        problems = names.dns1123_subdomain(group) if group else []
        if problems:
            self.errors.invalid(path / "group", group, ",".join(problems))
        made = GroupResources(group, self._texts(given, "resources", path), self._texts(given, "resourceNames", path))
        if made.names and not made.resources:
            self.errors.invalid(
                path / "resourceNames", list(made.names), "using resourceNames requires at least one resource"
            )
        return made

    def _urls(self, rule: Object, path: Path) -> tuple[str, ...]:
        urls = self._texts(rule, "nonResourceURLs", path)
        for index, url in enumerate(urls):
            here = path / "nonResourceURLs" / index
            if url != "*" and not url.startswith("/"):
                self.errors.invalid(here, url, "non-resource URL rules must begin with a '/' character")
            if "*" in url[:-1]:
                told = "non-resource URL wildcards '*' must be the final character of the rule"
                self.errors.invalid(here, url, told)
        return urls

    def _stages(self, given: Object, parent: Path) -> frozenset[str]:
        stages = self._texts(given, "omitStages", parent)
        for index, stage in enumerate(stages):
            if stage not in STAGES:
                self.errors.invalid(parent / "omitStages" / index, stage, f"allowed stages are {','.join(STAGES)}")
        return frozenset(stages)

    # --- values

    def _texts(self, given: Object, name: str, parent: Path) -> tuple[str, ...]:
        found = given.get(name) or []
        if type(found) is not list or any(type(text) is not str for text in found):
            self.errors.invalid(parent / name, found, "must be a list of strings")
            return ()
        return tuple(found)

    def _objects(self, given: Object, name: str, parent: Path) -> Sequence[Object]:
        found: Json = given.get(name) or []
        if type(found) is not list or any(type(one) is not dict for one in found):
            self.errors.invalid(parent / name, found, "must be a list of objects")
            return ()
        objects: list[Object] = found
        return objects

    def _flag(self, given: Object, parent: Path) -> bool | None:
        found = given.get("omitManagedFields")
        if found is None or type(found) is bool:
            return found
        self.errors.invalid(parent / "omitManagedFields", found, "must be true or false")
        return None

    def _known(self, given: Object, known: frozenset[str], path: Path) -> None:
        for name in given:
            if name not in known:
                self.errors.forbidden(path / str(name), f"there is no field {quoted(str(name))}")
