"""Policy rules as data: how the bootstrap roles spell them, and which rules others make superfluous.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ropewalk.kube.machinery.objects import Object

Rules = tuple[Object, ...]

READ = "get list watch"
WRITE = "create delete deletecollection patch update"
READ_WRITE = "create delete deletecollection get list patch update watch"
READ_UPDATE = "get list patch update watch"


def may(verbs: str, resources: str, *, groups: str = "core", names: str = "") -> Object:
    """Words apart by spaces; the core group is "core"."""
    rule: Object = {
        "apiGroups": ["" if group == "core" else group for group in groups.split()],
        "resources": resources.split(),
        "verbs": verbs.split(),
    }
    if names:
        rule["resourceNames"] = names.split()
    return rule


def urls(verbs: str, paths: str) -> Object:
    return {"nonResourceURLs": paths.split(), "verbs": verbs.split()}


EVENTS = may("create patch update", "events", groups="core events.k8s.io")


def uncovered(present: Sequence[Object], wanted: Iterable[Object]) -> list[Object]:
    """What of `wanted` no single rule of `present` allows, each piece a rule of its own."""
    return [atom for rule in wanted for atom in _atoms(rule) if not any(_covers(one, atom) for one in present)]


def _atoms(rule: Object) -> Iterator[Object]:
    """One verb each, of one resource or URL."""
    for group in rule.get("apiGroups") or ():
        for resource in rule.get("resources") or ():
            for verb in rule.get("verbs") or ():
                atom = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
                names = rule.get("resourceNames") or ()
                if not names:
                    yield atom
                for name in names:
                    yield {**atom, "resourceNames": [name]}
    for url in rule.get("nonResourceURLs") or ():
        for verb in rule.get("verbs") or ():
            yield {"nonResourceURLs": [url], "verbs": [verb]}


def _covers(rule: Object, atom: Object) -> bool:
    if not _has(rule.get("verbs"), atom["verbs"][0]):
        return False
    if "nonResourceURLs" in atom:
        url = atom["nonResourceURLs"][0]
        return any(
            known in ("*", url) or (known.endswith("*") and url.startswith(known[:-1]))
            for known in rule.get("nonResourceURLs") or ()
        )
    resource = atom["resources"][0]
    _, slash, part = resource.partition("/")
    resources = rule.get("resources") or ()
    names = rule.get("resourceNames") or ()
    return (
        _has(rule.get("apiGroups"), atom["apiGroups"][0])
        and (_has(resources, resource) or (bool(slash) and f"*/{part}" in resources))
        and (not names or ("resourceNames" in atom and atom["resourceNames"][0] in names))
    )


def _has(known: Sequence[str] | None, word: str) -> bool:
    return known is not None and ("*" in known or word in known)
