"""Flow schemas, priority levels, and those that a server comes with."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.flowcontrol import STRATEGIES, bootstrap
from ropewalk.kube.machinery.objects import Object, copied, name_of
from unit.kube.kinds.verdicts import cells, changed, created, creation, status_update

SCHEMAS = STRATEGIES["flowschemas"]
LEVELS = STRATEGIES["prioritylevelconfigurations"]
RULE = {"verbs": ["get"], "apiGroups": ["*"], "resources": ["pods"], "namespaces": ["a"]}
URLS = {"verbs": ["*"], "nonResourceURLs": ["/healthz", "/metrics/*"]}
SUBJECT = {"kind": "Group", "group": {"name": "devs"}}
SCHEMA: Object = {
    "spec": {
        "priorityLevelConfiguration": {"name": "workload-low"},
        "rules": [{"subjects": [SUBJECT], "resourceRules": [RULE], "nonResourceRules": [URLS]}],
    }
}
LEVEL: Object = {"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {}}}}}
EVERYTHING = (
    *bootstrap.MANDATORY_LEVELS,
    *bootstrap.SUGGESTED_LEVELS,
    *bootstrap.MANDATORY_SCHEMAS,
    *bootstrap.SUGGESTED_SCHEMAS,
)


def test_defaults() -> None:
    assert created(SCHEMAS, SCHEMA)["spec"]["matchingPrecedence"] == 1000
    assert created(LEVELS, LEVEL)["spec"]["limited"] == {
        "nominalConcurrencyShares": 30,
        "lendablePercent": 0,
        "limitResponse": {"type": "Queue", "queuing": {"queues": 64, "handSize": 8, "queueLengthLimit": 50}},
    }


def test_good() -> None:
    assert creation(SCHEMAS, SCHEMA) == []
    assert creation(LEVELS, LEVEL) == []


def _rule(**fields: Any) -> Object:
    return changed(SCHEMA, "spec", "rules", [{"subjects": [SUBJECT], "resourceRules": [{**RULE, **fields}]}])


def _urls(*paths: str) -> Object:
    rule = {"subjects": [SUBJECT], "nonResourceRules": [{**URLS, "nonResourceURLs": list(paths)}]}
    return changed(SCHEMA, "spec", "rules", [rule])


def _subject(**fields: Any) -> Object:
    return changed(SCHEMA, "spec", "rules", [{"subjects": [fields], "resourceRules": [RULE]}])


BAD_SCHEMAS = [
    (changed(SCHEMA, "spec", "matchingPrecedence", -1), "must be a positive value"),
    (changed(SCHEMA, "spec", "matchingPrecedence", 10001), "must not be greater than 10000"),
    (changed(SCHEMA, "spec", "matchingPrecedence", 1), "only the schema named 'exempt' may have matchingPrecedence 1"),
    (changed(SCHEMA, "spec", "priorityLevelConfiguration", {}), "must reference a priority level"),
    (changed(SCHEMA, "spec", "distinguisherMethod", {"type": "ByMood"}), 'supported values: "ByNamespace", "ByUser"'),
    (changed(SCHEMA, "spec", "rules", [{}]), "subjects must contain at least one value"),
    (changed(SCHEMA, "spec", "rules", [{}]), "at least one of resourceRules and nonResourceRules has to be non-empty"),
    (_rule(verbs=[]), "verbs must contain at least one value"),
    (_rule(verbs=["*", "get"]), "if '*' is present, must not specify other verbs"),
    (_rule(verbs=["look"]), 'Unsupported value: ["look"]: supported values: "create", "delete"'),
    (_rule(apiGroups=[]), "resource rules must supply at least one api group"),
    (_rule(resources=["*", "pods"]), "if '*' is present, must not specify other resources"),
    (_rule(namespaces=[]), "resource rules that are not cluster scoped must supply at least one namespace"),
    (_rule(namespaces=["A"]), "each member of this list must be '*' or a DNS-1123 label; "),
    (_urls(), "nonResourceURLs must contain at least one value"),
    (_urls("*", "/a"), "if '*' is present, must not specify other non-resource URLs"),
    (_urls("a"), "must start with slash"),
    (_urls("/a b"), "must not contain white-space"),
    (_urls("/a//b"), "must not contain double slash"),
    (_urls("/a*"), "wildcard can only do suffix matching"),
    (_urls("/*/*"), "wildcard can only do suffix matching"),
    (_urls(""), "must not be empty"),
    (_subject(kind="Robot"), 'supported values: "Group", "ServiceAccount", "User"'),
    (_subject(kind="User"), "user is required when subject kind is 'User'"),
    (_subject(kind="User", user={"name": "a"}, group={"name": "b"}), "group is forbidden when subject kind is not"),
    (_subject(kind="ServiceAccount", serviceAccount={"name": "*"}), "must specify namespace for service account"),
]


@pytest.mark.parametrize(("schema", "complaint"), BAD_SCHEMAS, ids=range(len(BAD_SCHEMAS)))
def test_bad_schemas(schema: Object, complaint: str) -> None:
    found = creation(SCHEMAS, schema)
    assert any(complaint in line for line in found), found


QUEUING = ("spec", "limited", "limitResponse", "queuing")
BAD_LEVELS = [
    (changed(LEVEL, "spec", "type", "Exempt"), "must be 'Exempt' if and only if `name` is 'exempt'"),
    (changed(LEVEL, "spec", "type", "Some"), 'supported values: "Exempt", "Limited"'),
    (changed(LEVEL, "spec", "limited", None), "must not be empty when type is Limited"),
    (changed(LEVEL, "spec", "exempt", {}), "must be nil if the type is Limited"),
    (changed(LEVEL, "spec", "limited", "nominalConcurrencyShares", -1), "must be a non-negative integer"),
    (changed(LEVEL, "spec", "limited", "lendablePercent", 101), "must be between 0 and 100, inclusive"),
    (changed(LEVEL, "spec", "limited", "borrowingLimitPercent", -1), "if specified, must be a non-negative integer"),
    (changed(LEVEL, "spec", "limited", "limitResponse", {}), 'supported values: "Queue", "Reject"'),
    (changed(LEVEL, *QUEUING[:-1], "type", "Reject"), "must be nil if limited.limitResponse.type is not Limited"),
    (changed(LEVEL, *QUEUING, None), "must not be empty if limited.limitResponse.type is Limited"),
    (changed(LEVEL, *QUEUING, {"queues": -1}), "queues: Invalid value: -1: must be positive"),
    (changed(LEVEL, *QUEUING, {"queues": 4}), "should not be greater than queues (4)"),
    (
        changed(LEVEL, *QUEUING, {"queues": 1024, "handSize": 7}),
        "required entropy bits of deckSize 1024 and handSize 7 should not be greater than 60",
    ),
]


@pytest.mark.parametrize(("level", "complaint"), BAD_LEVELS, ids=range(len(BAD_LEVELS)))
def test_bad_levels(level: Object, complaint: str) -> None:
    found = creation(LEVELS, level)
    assert any(complaint in line for line in found), found


def test_status() -> None:
    twice = [{"type": "Dangling", "status": "True"}, {"type": "Dangling"}, {}]
    assert status_update(SCHEMAS, {"conditions": twice}, created(SCHEMAS, SCHEMA)) == [
        'status.conditions[1].type: Duplicate value: "Dangling"',
        "status.conditions[2].type: Required value",
    ]


class TestBootstrap:
    @pytest.mark.parametrize("obj", EVERYTHING, ids=lambda obj: f"{obj['kind']}:{name_of(obj)}")
    def test_each_passes_its_own_rules_and_gains_no_defaults(self, obj: Object) -> None:
        strategy = SCHEMAS if obj["kind"] == "FlowSchema" else LEVELS
        assert creation(strategy, obj) == []
        assert created(strategy, obj)["spec"] == obj["spec"]

    def test_every_schema_finds_its_level(self) -> None:
        levels = {name_of(obj) for obj in (*bootstrap.MANDATORY_LEVELS, *bootstrap.SUGGESTED_LEVELS)}
        for schema in (*bootstrap.MANDATORY_SCHEMAS, *bootstrap.SUGGESTED_SCHEMAS):
            assert schema["spec"]["priorityLevelConfiguration"]["name"] in levels

    def test_the_mandatory_ones_cannot_change(self) -> None:
        schema = changed(bootstrap.MANDATORY_SCHEMAS[1], "spec", "matchingPrecedence", 9999)
        assert creation(SCHEMAS, schema)[-1].endswith("spec of 'catch-all' must equal the fixed value")
        exempt = bootstrap.MANDATORY_LEVELS[1]
        assert creation(LEVELS, changed(exempt, "spec", "exempt", "nominalConcurrencyShares", 10)) == []

    def _reconcile(self, **present: Object) -> bootstrap.Changes:
        return bootstrap.reconcile(bootstrap.MANDATORY_LEVELS, bootstrap.SUGGESTED_LEVELS, present)

    def test_an_empty_cluster(self) -> None:
        changes = self._reconcile()
        assert [name_of(obj) for obj in changes.create][:3] == ["catch-all", "exempt", "system"]
        assert len(changes.create) == 8

    def test_what_is_right_stays(self) -> None:
        present = {name_of(obj): copied(obj) for obj in (*bootstrap.MANDATORY_LEVELS, *bootstrap.SUGGESTED_LEVELS)}
        assert self._reconcile(**present) == bootstrap.Changes()

    def test_edits(self) -> None:
        system, catch_all = copied(bootstrap.SUGGESTED_LEVELS[0]), copied(bootstrap.MANDATORY_LEVELS[0])
        for level in (system, catch_all):
            level["spec"]["limited"]["nominalConcurrencyShares"] = 1
        assert {name_of(obj) for obj in self._reconcile(system=system, **{"catch-all": catch_all}).update} == {
            "system",
            "catch-all",
        }
        system["metadata"]["annotations"][bootstrap.AUTO_UPDATE] = "false"
        catch_all["metadata"]["annotations"][bootstrap.AUTO_UPDATE] = "false"
        changes = self._reconcile(system=system, **{"catch-all": catch_all})
        assert [name_of(obj) for obj in changes.update] == ["catch-all"]

    def test_without_an_annotation_the_generation_tells(self) -> None:
        system = copied(bootstrap.SUGGESTED_LEVELS[0])
        system["metadata"] = {"name": "system", "generation": 2}
        (revised,) = self._reconcile(system=system).update
        assert revised["metadata"]["annotations"] == {bootstrap.AUTO_UPDATE: "false"}

    def test_what_is_no_longer_suggested_goes(self) -> None:
        gone = {"metadata": {"name": "old", "annotations": {bootstrap.AUTO_UPDATE: "true"}}}
        own = {"metadata": {"name": "own"}}
        assert self._reconcile(old=gone, own=own).delete == ("old",)


def test_tables() -> None:
    schema = created(SCHEMAS, bootstrap.MANDATORY_SCHEMAS[0])
    assert cells(SCHEMAS, schema) == {
        "Name": "exempt",
        "PriorityLevel": "exempt",
        "MatchingPrecedence": 1,
        "DistinguisherMethod": "<none>",
        "Age": "0s",
        "MissingPL": "?",
    }
    assert list(cells(LEVELS, created(LEVELS, bootstrap.SUGGESTED_LEVELS[0])).values()) == [
        "system",
        "Limited",
        30,
        64,
        6,
        50,
        "0s",
    ]
    assert cells(LEVELS, bootstrap.MANDATORY_LEVELS[1])["Queues"] == "<none>"
